"""What the admin API tells of the director: the documents of ``/v1/status`` and ``/v1/health``.

Public, as all of ``admin.protocol``. ``Status`` is what ``lvsguard status --json`` prints.
"""

from __future__ import annotations

from msgspec import field

from lvsguard.admin.protocol import Reply
from lvsguard.core.agent import AgentKind
from lvsguard.core.health import Verdict
from lvsguard.core.model import Forwarding, Protocol
from lvsguard.core.occupancy import Count
from lvsguard.core.override import Admin
from lvsguard.core.snapshot import Role


class Quorum(Reply, frozen=True):
    """Live weight of a service, and how much of it makes the service fit to serve: to keep its
    quorum, or, once it is lost, to have it back."""

    have: int
    need: int


class SorryServer(Reply, frozen=True):
    """Who takes the connections of a service that has lost its quorum."""

    address: str
    port: int
    active: bool
    """Whether it is in."""


class Connections(Reply, frozen=True):
    """Connections as the kernel counts them."""

    active: int
    inactive: int
    persistent: int = 0
    """Persistence templates."""
    packets: int = 0
    """From clients, since the realserver is in the table."""
    total: int = 0
    """New ones since the kernel has the entry."""


class AgentReply(Reply, frozen=True):
    """What a realserver's own agent says of it."""

    kind: AgentKind
    port: int
    state: str
    """``unknown`` before its first answer; ``ready``, ``drain``, ``maint``, ``down``."""
    share: float
    """Of the configured weight, in force."""
    asked: float
    """The share that it wants."""
    silent: str = ""
    """Why it does not answer now; what it said last stands."""
    note: str = ""
    """What of its last answer was ignored."""


class RealserverReply(Reply, frozen=True):
    """A realserver of one service."""

    name: str
    address: str
    port: int
    verdict: Verdict
    """``unknown`` before its first check, ``up``, ``down``."""
    admin: Admin
    """``ready``, ``drain`` or ``disabled``."""
    weight: int | None
    """What the kernel holds; None: not in its table."""
    configured_weight: int
    since: str | None
    """Of the verdict."""
    reason: str
    """Why the verdict and the weight are so."""
    connections: Connections
    agent: AgentReply | None = None
    """None: it has none."""
    notes: list[str] = field(default_factory=list)
    """Which detectors do not look at it, and why."""
    full_weight: int | None = None
    """What it has when its slow start is over; None: it is to be out of the table."""
    weight_read: int | None = None
    """Its weight when ``connections`` were read, at most a read earlier than ``weight``."""
    remaining: int = 0
    """Of ``connections``, those that a drain waits for: the sum of the service's ``waits_for``."""


class ServiceHead(Reply, frozen=True):
    """A virtual service without its realservers."""

    name: str
    address: str
    """``10.0.0.8:80``, ``[2001:db8::8]:80`` or ``fwmark 7``."""
    protocol: Protocol | None
    """None with a firewall mark."""
    scheduler: str
    forwarding: Forwarding
    quorum: Quorum
    panic: bool = False
    """Whether realservers that are down are in because too little of the service is live."""
    sorry_server: SorryServer | None = None
    slow_starting: int = 0
    """Realservers whose weight rises in a slow start."""
    why: list[str] = field(default_factory=list)
    """What panic or a lost quorum does to it."""
    waits_for: list[Count] = field(default_factory=list)
    """Which of a realserver's ``connections`` must be 0 before one that drains is empty."""
    present: bool = True
    """Whether the kernel has it; ``trouble`` of the health says why not."""


class ServiceReply(ServiceHead, frozen=True, kw_only=True):
    """A virtual service."""

    realservers: list[RealserverReply]


class ConflictReply(Reply, frozen=True):
    """Somebody else that claims an address of a VIP group."""

    address: str
    mac: str
    """Its MAC address."""
    realserver: str | None
    """None: no realserver that is known by its MAC address."""
    since: str | None
    """Heard since then."""


class PathReply(Reply, frozen=True):
    """An interface that adverts of a VIP group go over."""

    interface: str
    heard: bool
    """Whether adverts of another director come by it; of a master, whether its own go out."""
    problem: str = ""
    """What is wrong with it while another one is well, and what to do."""


class VipReply(Reply, frozen=True):
    """Addresses that move together."""

    name: str
    addresses: list[str]
    """With their prefix lengths."""
    vrid: int | None
    """Virtual router id; None: it has no election."""
    role: Role
    since: str | None
    """In this role since then."""
    priority: int | None
    """What its adverts say."""
    master: str | None
    """Name or address of who is master; None: not known."""
    ready: bool | None = None
    """Whether this director may be master; None without an election."""
    why: list[str] = field(default_factory=list)
    """What lowers its priority, or keeps it from being master."""
    problem: str = ""
    """Why it cannot take part in the election, and what to do."""
    held_back: bool = False
    """Whether a failover keeps it from preempting."""
    conflicts: list[ConflictReply] = field(default_factory=list)
    """Who claims its addresses now, beside this director."""
    paths: list[PathReply] = field(default_factory=list)
    """Those of its adverts; none without an election."""


class ForeignRealserver(Reply, frozen=True):
    """A realserver of a service that is not the director's own."""

    address: str
    port: int
    weight: int


class ForeignReply(Reply, frozen=True):
    """A service in the kernel that the config does not name; never touched."""

    address: str
    protocol: Protocol | None
    scheduler: str
    realservers: list[ForeignRealserver]


class TransferReply(Reply, frozen=True):
    """The last time that a connection table was sent or received."""

    at: str | None
    entries: int
    """Connections."""
    seconds: float
    """That it took."""
    peer: str
    """Who joined, or who sent it; empty: it went with a handover."""
    received: bool
    """Whether it came from another director."""


class SyncReply(Reply, frozen=True):
    """Connections kept in step with the other directors."""

    interface: str
    sync_id: int
    group: str
    """Multicast group that it goes to."""
    port: int
    daemons: list[str]
    """Of the kernel, that run: ``master`` and ``backup`` when all is well."""
    transfer: TransferReply | None
    """None: not since the start."""


class PeerVip(Reply, frozen=True):
    """Another director's part in a VIP group."""

    name: str
    role: str
    """``master``, ``backup``, ``fault`` or ``init``."""
    ready: bool
    """Whether it may be master."""


class UnfitReply(Reply, frozen=True):
    """A reason why another director is not fit to take over."""

    why: str
    """Which one, such as ``config`` or ``checks``."""
    text: str
    """What is wrong, and what to do."""


class PeerReply(Reply, frozen=True):
    """Another director, as it is known over the peer channel."""

    name: str
    address: str
    heard: bool
    """Whether it is heard now."""
    since: str | None
    """It is heard, or not heard, since then."""
    last: str | None
    """Of its last word."""
    version: str
    """Of lvsguard; this and what follows is empty or null while it is not heard."""
    config_hash: str
    same_config: bool | None
    """Whether its configuration means the same."""
    same_health: bool | None
    """Whether it sees as many healthy realservers of each service."""
    programmed: bool | None
    """Whether its kernel holds all that it should."""
    same_overrides: bool | None = None
    """Whether both know the same overrides."""
    refused: str = ""
    """Why overrides that it told were not taken."""
    differs: list[str] = field(default_factory=list)
    """Services that it sees otherwise."""
    vips: list[PeerVip] = field(default_factory=list)
    """Its part in each VIP group."""
    problem: str = ""
    """Why it is not heard."""
    fit: bool = False
    """Whether it is fit to take over now."""
    unfit: list[UnfitReply] = field(default_factory=list)
    """Why not."""
    config_differs: list[str] = field(default_factory=list)
    """Keys of the configuration that differ."""
    clock_offset: float | None = None
    """Seconds that its clock is ahead; null: not measured."""
    clock_bound: float | None = None
    """By how much that may be wrong."""
    other_table: bool = False
    """Whether it has given new connections to other realservers than this one for a minute, though
    configuration, health and overrides are the same."""


class StatusHead(Reply, frozen=True, kw_only=True):
    """The director, and its VIPs."""

    director: str
    """Its name."""
    version: str
    """Of lvsguard."""
    config_hash: str
    """The same for directors whose configurations mean the same."""
    vips: list[VipReply]
    sync: SyncReply | None = None
    """None: there is no election, or the director is of a version that tells nothing of it."""
    peers: list[PeerReply] = field(default_factory=list)
    """The other directors, where there is a channel to them."""


class Status(StatusHead, frozen=True, kw_only=True):
    """GET /v1/status. Times are RFC 3339 in UTC."""

    services: list[ServiceReply]
    foreign: list[ForeignReply]
    """Services that the configuration does not name; never touched."""


class HealthReply(Reply, frozen=True):
    """GET /v1/health: how the controller does."""

    programmed: bool
    """Whether the last pass left the kernel as wanted."""
    trouble: list[str]
    """What is wrong now, one line each, with what to do."""
    passes: int
    """Rounds of reading, comparing and mending since the start."""
    last_pass: str | None
    pass_seconds: float
    """That the last one took."""
    read_seconds: float
    """Of it, to read the kernel."""
    probers: int
    """Prober processes that live."""
    probers_wanted: int
    kernel_writes: int
    """Changes made in the kernel since the start."""
    config_path: str
    started: str | None
    reloaded: str | None
    reload_ok: bool
    """Whether the last reload was accepted."""
