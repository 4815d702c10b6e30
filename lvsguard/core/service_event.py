"""What became of a whole service: its quorum, its sorry server, panic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvsguard.core.event import Event, Level


@dataclass(frozen=True, slots=True)
class QuorumLost(Event):
    """A service has less live weight than it needs."""

    kind: ClassVar[str] = "quorum-lost"
    level: ClassVar[Level] = Level.ERROR
    service: str
    have: int
    need: int

    def __str__(self) -> str:
        return (
            f"service {self.service} has lost its quorum: live weight {self.have}, needs"
            f" {self.need} (lvsguard status says what each realserver lacks)"
        )


@dataclass(frozen=True, slots=True)
class QuorumBack(Event):
    """A service has enough live weight again."""

    kind: ClassVar[str] = "quorum-back"
    service: str
    have: int
    need: int

    def __str__(self) -> str:
        return (
            f"service {self.service} has its quorum again: live weight {self.have}, needed"
            f" {self.need}"
        )


@dataclass(frozen=True, slots=True)
class SorryServerIn(Event):
    """The sorry server takes the connections of a service."""

    kind: ClassVar[str] = "sorry-server-in"
    level: ClassVar[Level] = Level.WARNING
    service: str
    server: str

    def __str__(self) -> str:
        return (
            f"service {self.service}: sorry server {self.server} is in, the realservers get no new"
            " connections until the quorum is back"
        )


@dataclass(frozen=True, slots=True)
class SorryServerOut(Event):
    """The sorry server is no longer in the table."""

    kind: ClassVar[str] = "sorry-server-out"
    service: str
    server: str

    def __str__(self) -> str:
        return f"service {self.service}: sorry server {self.server} is out"


@dataclass(frozen=True, slots=True)
class PanicBegan(Event):
    """So little of a service is live that its checks are no longer believed."""

    kind: ClassVar[str] = "panic"
    level: ClassVar[Level] = Level.ERROR
    service: str
    why: str

    def __str__(self) -> str:
        return f"service {self.service}: {self.why}: look at the checks and at what they ask"


@dataclass(frozen=True, slots=True)
class PanicOver(Event):
    """Realservers that are down are out again."""

    kind: ClassVar[str] = "panic-over"
    service: str

    def __str__(self) -> str:
        return f"service {self.service}: panic is over, the checks decide again"


@dataclass(frozen=True, slots=True)
class ClientsFareBadly(Event):
    """A realserver's counters show what its checks may not see; it is probed at once."""

    kind: ClassVar[str] = "passive"
    level: ClassVar[Level] = Level.WARNING
    service: str
    realserver: str
    what: str

    def __str__(self) -> str:
        return (
            f"service {self.service}: clients of realserver {self.realserver} fare badly:"
            f" {self.what}; probing it, look at its VIP and firewall if its checks pass"
        )


SERVICE: tuple[type[Event], ...] = (
    QuorumLost,
    QuorumBack,
    SorryServerIn,
    SorryServerOut,
    PanicBegan,
    PanicOver,
    ClientsFareBadly,
)
"""All of them."""
