"""Where directors meet that are more than two. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Backend(StrEnum):
    """What directors meet by."""

    PEER = "peer"
    ETCD = "etcd"


@dataclass(frozen=True, slots=True)
class EtcdAccess:
    """An etcd, and what to show it."""

    endpoints: tuple[str, ...]
    """URLs, such as ``https://10.0.0.50:2379``; asked in turn until one answers."""
    prefix: str = "/lvsguard/"
    """Of all keys."""
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    """Who signs etcd's certificate; empty: whom the host trusts."""
    certificate_file: str = ""
    """What to show etcd; empty: nothing."""
    key_file: str = ""
    lease: int = 10
    """Seconds after which a director that is gone is known to be."""
