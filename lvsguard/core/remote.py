"""Who may use the admin API from afar: roles by the names in certificates. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum


class CallerRole(StrEnum):
    """What a remote caller may do. The admin socket's group may do everything."""

    READ = "read"
    """Ask."""
    OPERATE = "operate"
    """Ask and change."""

    def covers(self, wanted: CallerRole) -> bool:
        """Whether who has this role may do what takes ``wanted``."""
        return self is CallerRole.OPERATE or wanted is CallerRole.READ


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """The admin API over HTTPS."""

    listen: tuple[str, int]
    roles: tuple[tuple[str, CallerRole], ...]
    """By name: the CN of a certificate's subject, or one of its DNS, e-mail or URI names."""
    certificate: bytes = field(default=b"", repr=False)
    """The director's certificate and those that lead to its authority, and its key, in PEM."""
    client_ca: bytes = b""
    """Certificates of the authorities that sign callers, in PEM."""

    def role(self, names: Collection[str]) -> CallerRole | None:
        """The role of who has these names: the most that one of them has; None: no role."""
        found = {role for name, role in self.roles if name in names}
        if CallerRole.OPERATE in found:
            return CallerRole.OPERATE
        return CallerRole.READ if found else None
