"""Operator overrides: drain, disable, weight. Facts with an actor, a reason and a time.

They outlive the daemon, so their times are wall-clock seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lvsguard.core.model import WEIGHT_MAX, IPAddress, RealserverKey, endpoint
from lvsguard.core.trace import trace_id

CONFLICT: Final = "lvsguard"
"""The actor of a drain of a realserver that claims a VIP; it ends when that is over."""


class OverrideKind(StrEnum):
    """What the operator asked for."""

    DRAIN = "drain"
    DISABLE = "disable"
    WEIGHT = "weight"


class Admin(StrEnum):
    """The administrative state that follows from the overrides."""

    READY = "ready"
    DRAIN = "drain"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Target:
    """What an override applies to: an address, maybe one port, maybe in one service."""

    address: IPAddress
    port: int | None = None
    service: str | None = None
    """Name of the service; None: every service."""

    def matches(self, service: str, key: RealserverKey) -> bool:
        """Whether it covers this realserver of this service."""
        return (
            self.address == key.address
            and self.port in (None, key.port)
            and self.service in (None, service)
        )

    def meets(self, other: Target) -> bool:
        """Whether there can be a realserver that both cover."""
        return (
            self.address == other.address
            and (self.port == other.port or None in (self.port, other.port))
            and (self.service == other.service or None in (self.service, other.service))
        )

    def __str__(self) -> str:
        where = endpoint(self.address, self.port or 0)
        return f"{where} in {self.service}" if self.service else where


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight asked for: absolute, or a percentage of the configured one."""

    value: int
    percent: bool = False

    def of(self, configured: int) -> int:
        """The weight that results; a percentage above 0 never rounds down to 0."""
        if not self.percent:
            return self.value
        scaled = min(round(configured * self.value / 100), WEIGHT_MAX)
        return max(scaled, 1) if self.value and configured else scaled

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)


@dataclass(frozen=True, slots=True)
class Override:
    """One override. There is at most one for each (target, kind)."""

    target: Target
    kind: OverrideKind
    actor: str
    """Who, such as ``alice (uid 1000)``."""
    since: float
    reason: str = ""
    weight: Weight | None = None
    """With kind weight only."""
    expires: float | None = None
    ticket: str = ""
    """Where it is told in full, such as ``OPS-1234``."""

    @property
    def key(self) -> tuple[Target, OverrideKind]:
        """Its identity."""
        return self.target, self.kind

    def expired(self, now: float) -> bool:
        """Whether its time is over at ``now`` (wall clock)."""
        return self.expires is not None and now >= self.expires


def override_trace(override: Override) -> str:
    """The id of an override, the same on every director that knows it."""
    return trace_id(override.target, override.kind, f"{override.since:.3f}")


def admin_state(overrides: Iterable[Override], service: str, key: RealserverKey) -> Admin:
    """The severest of what applies: disabled over drain over ready."""
    kinds = {o.kind for o in overrides if o.target.matches(service, key)}
    if OverrideKind.DISABLE in kinds:
        return Admin.DISABLED
    return Admin.DRAIN if OverrideKind.DRAIN in kinds else Admin.READY


def wanted_weight(
    overrides: Iterable[Override], service: str, key: RealserverKey, configured: int
) -> int:
    """The weight asked for by the override that decides, else the configured one."""
    override = deciding_weight(overrides, service, key)
    if override is None or override.weight is None:
        return configured
    return override.weight.of(configured)


def deciding_weight(
    overrides: Iterable[Override], service: str, key: RealserverKey
) -> Override | None:
    """The narrowest weight override; of two that are as narrow, the later one."""
    weights = (o for o in overrides if o.weight is not None and o.target.matches(service, key))
    return min(weights, key=lambda o: (_breadth(o.target), -o.since), default=None)


def _breadth(target: Target) -> int:
    return (target.service is None) + (target.port is None)
