"""What is published: the one picture that status, metrics, health endpoints and pages read.

Services are yielded one at a time so that a reader of 10,000 realservers can pause in between.
Wall-clock times (seconds since the epoch) appear here, because people read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lvsguard.core.agent import AgentKind
from lvsguard.core.clock import Offset
from lvsguard.core.config import Check, CheckKind
from lvsguard.core.fitness import Reason, Why
from lvsguard.core.health import Health, Verdict
from lvsguard.core.model import (
    Counters,
    Forwarding,
    IPAddress,
    RealserverKey,
    ServiceKey,
    VipAddress,
)
from lvsguard.core.occupancy import Count
from lvsguard.core.override import Admin, Override
from lvsguard.core.peer import VipPart


class Role(StrEnum):
    """Role of a director for a VIP (RFC 9568 section 6.4 calls master *active*)."""

    INIT = "init"
    BACKUP = "backup"
    MASTER = "master"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """One check of a realserver and its latest result."""

    kind: CheckKind
    verdict: Verdict
    since: float
    code: str
    reason: str
    duration: float
    vip_path: bool | None = None
    """Whether the VIP answers as the realserver's own address does; None where it is not asked."""
    check: Check | None = None
    """As it is configured; None where a picture is not made from a director's facts."""
    health: Health = Health()
    """All that is known from it. Its times are monotonic."""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What a realserver's own agent says of it."""

    kind: AgentKind
    port: int
    state: str
    """``unknown`` before its first answer; ``ready``, ``drain``, ``maint``, ``down``."""
    share: float
    """Of the configured weight, in force."""
    asked: float
    """The share that it wants."""
    silent: str
    """Why it does not answer now; empty while it does."""
    note: str
    """What of its last answer was ignored."""
    why: str = ""
    """What it gives as the reason of being down."""


@dataclass(frozen=True, slots=True)
class RealserverStatus:
    """A configured realserver of one service, as it is now."""

    name: str
    key: RealserverKey
    forwarding: Forwarding
    verdict: Verdict
    admin: Admin
    weight: int | None
    """What the kernel holds; None: not in the table."""
    configured_weight: int
    since: float
    """Of the last change of verdict."""
    reason: str
    """One line: why the weight is what it is."""
    counters: Counters
    checks: tuple[CheckStatus, ...]
    overrides: tuple[Override, ...]
    agent: AgentStatus | None = None
    """None: it has none."""
    notes: tuple[str, ...] = ()
    """Which detectors do not look at it, and why; one line each."""
    wanted: int | None = None
    """The weight that is decided; the kernel's differs while it refuses, or is slow."""
    whole_in: float | None = None
    """Seconds until a slow start has given it its whole weight; None: it is in none."""
    full_weight: int | None = None
    """What it is to have when its slow start is over, and no rule of the service is against it."""
    weight_read: int | None = None
    """Its weight in the read of the kernel that ``counters`` are from; None: it was not there."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A configured virtual service, as it is now."""

    name: str
    key: ServiceKey
    scheduler: str
    forwarding: Forwarding
    present: bool
    """Whether the kernel has it."""
    quorum_have: int
    """Live weight: the sum of the weights of realservers that are not down and not drained. One
    that was adopted and has no verdict yet serves, and counts; one in slow start counts whole; one
    that only panic put in does not count."""
    quorum_need: int
    """Live weight that keeps the quorum, or, once it is lost, has it back."""
    counters: Counters
    realservers: tuple[RealserverStatus, ...]
    panic: bool = False
    """Whether realservers that are down are in because too little of the service is live."""
    sorry_server: RealserverKey | None = None
    """None: it has none."""
    sorry: bool = False
    """Whether the sorry server is in."""
    rising: int = 0
    """Realservers in slow start."""
    why: tuple[str, ...] = ()
    """What panic or a lost quorum does to it, one line each."""
    waits_for: tuple[Count, ...] = (Count.ACTIVE,)
    """What must be 0 of a realserver that drains before it is empty."""
    read: bool = True
    """Whether the read of the kernel that ``counters`` are from had it; else they are no totals."""


@dataclass(frozen=True, slots=True)
class ConflictStatus:
    """Somebody else that claims an address of a VIP group."""

    address: IPAddress
    mac: str
    realserver: IPAddress | None
    """None: no realserver that is known by its MAC address."""
    since: float


@dataclass(frozen=True, slots=True)
class PathStatus:
    """An interface that adverts of a VIP group go over."""

    interface: str
    heard: bool
    """Whether adverts of another director come by it; of a master, whether its own go out."""
    problem: str = ""
    """What is wrong with it while another one is well, and what to do."""


@dataclass(frozen=True, slots=True)
class VipStatus:
    """A VIP group, as it is now. ``vrid``, ``priority``, ``master`` are None without VRRP."""

    name: str
    addresses: tuple[VipAddress, ...]
    held: frozenset[VipAddress]
    """Those that stand on the interface."""
    role: Role
    since: float
    vrid: int | None = None
    priority: int | None = None
    master: str | None = None
    ready: bool | None = None
    """Whether this director may be master; None without VRRP."""
    why: tuple[str, ...] = ()
    """What lowers the priority, or keeps it from being master; one line each."""
    problem: str = ""
    """Why it cannot take part in the election, and what to do; empty: nothing is wrong."""
    held_back: bool = False
    """Whether a failover keeps it from preempting."""
    conflicts: tuple[ConflictStatus, ...] = ()
    """Who claims its addresses now, beside this director."""
    paths: tuple[PathStatus, ...] = ()
    """Those of its adverts, the interface of the VIPs first; none without an election."""


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """The last time that a connection table was sent or received."""

    at: float
    entries: int
    seconds: float
    peer: str
    """Who joined, or who sent it; empty: it went with a handover."""
    received: bool


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """Connections kept in step with the other directors."""

    interface: str
    sync_id: int
    group: str
    port: int
    daemons: tuple[str, ...]
    """Roles of the kernel's daemons that run: ``master``, ``backup``; both when all is well."""
    transfer: TransferStatus | None
    """None: not since the start."""


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """Another director, as it is known over the peer channel."""

    name: str
    address: str
    heard: bool
    since: float
    """It is heard, or not heard, since then."""
    last: float
    """Of its last word; 0: never."""
    version: str
    """Of lvsguard; this and what follows is empty or None while it is not heard."""
    config: str
    same_config: bool | None
    programmed: bool | None
    """Whether its kernel holds all that it should."""
    same_overrides: bool | None
    """Whether both know the same overrides; for a moment after a change they do not."""
    refused: str
    """Why overrides that it told were not taken; empty: they were."""
    differs: tuple[str, ...]
    """Services that it sees otherwise than this director, one line each."""
    vips: tuple[VipPart, ...]
    """Its part in the VIP groups."""
    problem: str
    """Why it is not heard; empty while it is."""
    unfit: tuple[Reason, ...] = ()
    """Why it is not fit to take over now; empty: it is."""
    config_differs: tuple[str, ...] = ()
    """Keys of the configuration that differ."""
    clock: Offset | None = None
    """How far its clock is ahead of this one's; None: not known."""
    other_table: bool = False
    """Whether it has given new connections to others than this one for a while, though it should
    do the same."""

    @property
    def fit(self) -> bool:
        """Whether it is fit to take over now, as far as it can be seen from here."""
        return not self.unfit

    @property
    def same_served(self) -> bool | None:
        """Whether its configuration has the same served in the same way; None: not heard.

        One that is another and has not told yet in which keys counts as one that has not.
        """
        if self.same_config is None:
            return None
        return self.same_config or all(one.why is not Why.CONFIG for one in self.unfit)


@dataclass(frozen=True, slots=True)
class ForeignStatus:
    """A service in the kernel that the config does not name. Never touched."""

    key: ServiceKey
    scheduler: str
    realservers: Mapping[RealserverKey, int]
    """Weights."""


@dataclass(frozen=True, slots=True)
class Loop:
    """How the controller does: for /healthz, /readyz and metrics."""

    passes: int
    last_pass: float
    """Wall clock of the last complete pass; 0: none yet."""
    pass_seconds: float
    read_seconds: float
    """How long the last read of the kernel took."""
    reads: int
    """Reads of the kernel so far."""
    read_cpu_seconds: float
    """CPU time of all of them."""
    programmed: bool
    """Whether the last pass left the kernel as wanted."""
    trouble: tuple[str, ...]
    """What is wrong now, one line each, with what to do."""
    probers: int
    """Prober processes alive."""
    probers_wanted: int
    kernel_writes: int
    probers_there: float = 0.0
    """Wall clock of when as many as are wanted were last known to be alive."""
    last_read: float = 0.0
    """Monotonic seconds at the end of the last read of the kernel; 0: none yet."""
    rest: float = 1.0
    """Seconds from one pass to the next when nothing happens."""


class View(Protocol):
    """The published picture."""

    @property
    def director(self) -> str:
        """Name of this director."""

    @property
    def version(self) -> str:
        """Of lvsguard."""

    @property
    def config_digest(self) -> str:
        """Of the configuration in force."""

    @property
    def served_digest(self) -> str:
        """Of what it says is served, and how: the same on directors that serve the same."""

    @property
    def config_path(self) -> str:
        """Where it was read from."""

    @property
    def started(self) -> float:
        """Wall clock of the daemon's start."""

    @property
    def reloaded(self) -> float:
        """Wall clock of the last accepted configuration."""

    @property
    def reload_ok(self) -> bool:
        """Whether the last reload was accepted."""

    def loop(self) -> Loop:
        """How the controller does."""

    def vips(self) -> tuple[VipStatus, ...]:
        """VIP groups, in the order of the config."""

    def sync(self) -> SyncStatus | None:
        """How connections are kept in step; None: they are not."""

    def peers(self) -> tuple[PeerStatus, ...]:
        """The other directors, where there is a channel to them."""

    def cluster(self) -> bool | None:
        """Whether what directors meet by (etcd) can be asked; None: they need nothing to meet."""

    def services(self, *, brief: bool = False) -> Iterator[ServiceStatus]:
        """Configured services, in the order of the config, made one at a time. ``brief``: for who
        reads numbers only; realservers may come without their reason and notes, and with those
        checks only that go to the VIP."""

    def foreign(self) -> tuple[ForeignStatus, ...]:
        """Services that are not the director's own."""

    def overrides(self) -> tuple[Override, ...]:
        """Overrides in force."""
