"""What happened between this director and the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvsguard.core.event import Event, Level


@dataclass(frozen=True, slots=True)
class PeerHeard(Event):
    """Another director is heard (again)."""

    kind: ClassVar[str] = "peer-heard"
    peer: str
    address: str
    version: str
    silent_s: float
    """Seconds that it was not heard for; 0: it is heard for the first time."""

    def __str__(self) -> str:
        after = f", after {self.silent_s:.1f} s" if self.silent_s else ""
        return f"director {self.peer} ({self.address}, lvsguard {self.version}) is heard{after}"


@dataclass(frozen=True, slots=True)
class PeerSilent(Event):
    """Another director is heard no more. Nothing follows from that but that nothing is known of
    it: who is master is VRRP's business."""

    kind: ClassVar[str] = "peer-silent"
    level: ClassVar[Level] = Level.WARNING
    peer: str
    address: str
    why: str

    def __str__(self) -> str:
        return f"director {self.peer} ({self.address}) is not heard any more: {self.why}"


@dataclass(frozen=True, slots=True)
class PeerRefused(Event):
    """Somebody on the peer channel was cut off; told once a minute at most for each reason."""

    kind: ClassVar[str] = "peer-refused"
    level: ClassVar[Level] = Level.WARNING
    address: str
    why: str

    def __str__(self) -> str:
        return f"peer channel: {self.address} was cut off: {self.why}"


@dataclass(frozen=True, slots=True)
class PeerDiffers(Event):
    """Another director has another configuration for longer than a rollout takes, or the same
    again."""

    kind: ClassVar[str] = "peer-config"
    level: ClassVar[Level] = Level.WARNING
    peer: str
    theirs: str
    mine: str
    keys: str = ""
    """The keys that differ."""

    def __str__(self) -> str:
        if self.theirs == self.mine:
            return f"director {self.peer} has the same configuration ({self.mine})"
        differ = f", and they differ in {self.keys}" if self.keys else ""
        return (
            f"director {self.peer} has configuration {self.theirs}, this one {self.mine}{differ}:"
            " make the files the same and reload"
        )


@dataclass(frozen=True, slots=True)
class PeerOverrides(Event):
    """Overrides that another director told were not taken."""

    kind: ClassVar[str] = "peer-overrides"
    level: ClassVar[Level] = Level.WARNING
    peer: str
    why: str

    def __str__(self) -> str:
        return f"overrides of director {self.peer} were not taken: {self.why}"


@dataclass(frozen=True, slots=True)
class PeerFit(Event):
    """Another director is fit to take over (again), for some seconds already."""

    kind: ClassVar[str] = "peer-fit"
    peer: str

    def __str__(self) -> str:
        return f"director {self.peer} is fit to take over"


@dataclass(frozen=True, slots=True)
class PeerUnfit(Event):
    """Another director is not fit to take over, or for other reasons than before."""

    kind: ClassVar[str] = "peer-unfit"
    level: ClassVar[Level] = Level.WARNING
    peer: str
    reasons: tuple[str, ...]
    """Kinds of what is wrong, such as ``config``."""
    text: str

    def __str__(self) -> str:
        return f"director {self.peer} is not fit to take over: {self.text}"


@dataclass(frozen=True, slots=True)
class ClusterLost(Event):
    """etcd cannot be asked: what others hold stays as it was known last."""

    kind: ClassVar[str] = "cluster-lost"
    level: ClassVar[Level] = Level.ERROR
    why: str

    def __str__(self) -> str:
        return (
            f"etcd is lost ({self.why}): what other directors hold stays as it was known, and what"
            " is set here is told them when it is back"
        )


@dataclass(frozen=True, slots=True)
class ClusterBack(Event):
    """etcd can be asked again."""

    kind: ClassVar[str] = "cluster-back"
    seconds: float
    """That it was lost for."""

    def __str__(self) -> str:
        return f"etcd is back after {self.seconds:.1f} s"


PEER: tuple[type[Event], ...] = (
    PeerHeard,
    PeerSilent,
    PeerRefused,
    PeerDiffers,
    PeerOverrides,
    PeerFit,
    PeerUnfit,
    ClusterLost,
    ClusterBack,
)
"""All of them."""
