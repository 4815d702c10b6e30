"""The admin API's words: requests and replies of version 1, as JSON over HTTP on a unix socket.

Both sides import this and nothing here acts. Field names and meanings are public: within a
version they are only ever added to. ``Status`` is what ``lvsguard status --json`` prints.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from lvsguard.core.agent import AgentKind
from lvsguard.core.health import Verdict
from lvsguard.core.model import WEIGHT_MAX, Forwarding, Protocol
from lvsguard.core.occupancy import Count
from lvsguard.core.override import Admin, OverrideKind, Weight
from lvsguard.core.snapshot import Role

VERSION = 1
"""Of the API; it is the first part of every path."""
BODY_BYTES = 64 * 1024
CONFIG_BYTES = 8 * 1024 * 1024
"""Longest body of a plan request, which carries a configuration."""
HISTORY_DEFAULT, HISTORY_MAX = 1000, 10_000
"""Entries of one events reply."""
TARGET_MAX = 255
"""Characters of a name or an address that is asked about."""
EXPIRY_MAX = 366 * 86400.0
"""Longest time an override may be set for, in seconds."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Reason = Annotated[str, Meta(max_length=500)]
Ticket = Annotated[str, Meta(max_length=100)]
Seconds = Annotated[float, Meta(gt=0, le=EXPIRY_MAX)]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the requests: a field that is not known is refused, not ignored."""


class Reply(Struct, frozen=True, kw_only=True):
    """Base of the replies: a client passes over fields that it does not know."""


class SetOverride(Request, frozen=True):
    """POST /v1/overrides: put an override in force."""

    target: Name
    """An address, ``address:port``, ``[v6]:port`` or a realserver's name from the config."""
    kind: OverrideKind
    """``drain``, ``disable`` or ``weight``."""
    service: Name | None = None
    """Name of a service; None: every service that has the target."""
    weight: (
        Annotated[str, Meta(max_length=6, extra_json_schema={"pattern": "^[0-9]{1,5}%?$"})] | None
    ) = None
    """``0`` to ``65535``, or ``0%`` to ``100%`` of the configured weight; with kind weight only."""
    reason: Reason = ""
    """Told in events and status; printable."""
    expires_in: Seconds | None = None
    """Seconds from now; None: until it is cleared."""
    ticket: Ticket = ""
    """Where it is told in full, such as ``OPS-1234``."""


class ClearOverride(Request, frozen=True):
    """DELETE /v1/overrides?target=&kind=&service=: end an override."""

    target: Name
    """As SetOverride has it."""
    kind: OverrideKind
    """``drain``, ``disable`` or ``weight``."""
    service: Name | None = None
    """Name of a service; None: overrides in every service."""


class EventsQuery(Request, frozen=True):
    """GET /v1/events: which events, as the query has them."""

    since: str = "0"
    """RFC 3339, or seconds since the epoch."""
    limit: Annotated[int, Meta(ge=1, le=HISTORY_MAX)] = HISTORY_DEFAULT
    """How many at most: the newest."""
    follow: Literal[0, 1] = 0
    """1: also what happens from now on."""
    until: str | None = None
    """As ``since``."""
    kind: str = ""
    """One kind of event, or several with commas."""
    target: Annotated[str, Meta(max_length=TARGET_MAX)] = ""
    """A name from the config, an address or ``address:port``, also of something that is not
    configured any more."""
    id: Annotated[str, Meta(extra_json_schema={"pattern": "^([0-9a-f]{10})?$"})] = ""
    """A verdict or an override, and what followed from it: ten hex digits, ``trace`` in the event's
    ``data``."""


class PlanRequest(Request, frozen=True):
    """POST /v1/plan: what a configuration would change in the kernel."""

    config: str | None = None
    """TOML text; None: the daemon's own file as it is on disk now."""


class Failure(Reply, frozen=True):
    """Any answer that is not 2xx."""

    code: str
    """Stable, see ``resources.STATUSES``."""
    error: str
    """One sentence and what to do next."""
    problems: list[str] = []
    """Of a configuration: ``file:line: key: message``."""
    known: list[str] = []
    """What exists, when the request named something that does not."""


class VersionReply(Reply, frozen=True):
    """GET /v1/version."""

    api: int
    """Version of this API: 1."""
    version: str
    """Of lvsguard."""
    director: str
    """Its name."""
    pid: int
    """Of the daemon."""


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
    notes: list[str] = []
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
    why: list[str] = []
    """What panic or a lost quorum does to it."""
    waits_for: list[Count] = []
    """Which of a realserver's ``connections`` must be 0 before one that drains is empty."""


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
    why: list[str] = []
    """What lowers its priority, or keeps it from being master."""
    problem: str = ""
    """Why it cannot take part in the election, and what to do."""
    held_back: bool = False
    """Whether a failover keeps it from preempting."""
    conflicts: list[ConflictReply] = []
    """Who claims its addresses now, beside this director."""


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
    differs: list[str] = []
    """Services that it sees otherwise."""
    vips: list[PeerVip] = []
    """Its part in each VIP group."""
    problem: str = ""
    """Why it is not heard."""
    fit: bool = False
    """Whether it is fit to take over now."""
    unfit: list[UnfitReply] = []
    """Why not."""
    config_differs: list[str] = []
    """Keys of the configuration that differ."""
    clock_offset: float | None = None
    """Seconds that its clock is ahead; null: not measured."""
    clock_bound: float | None = None
    """By how much that may be wrong."""


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
    peers: list[PeerReply] = []
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


class OverrideReply(Reply, frozen=True):
    """An override that is in force."""

    target: str
    """As people write it: ``10.0.0.42:80 in web``."""
    address: str
    port: int | None
    """None: all of its ports."""
    service: str | None
    """None: in every service."""
    kind: OverrideKind
    weight: str | None
    actor: str
    """Who set it, such as ``alice (uid 1000)``."""
    reason: str
    since: str | None
    expires: str | None
    """None: until it is cleared."""
    ticket: str = ""
    user: str | None = None
    """Of the actor; None: the number has no name, or it was no user."""
    uid: int | None = None


class OverridesReply(Reply, frozen=True):
    """GET /v1/overrides."""

    overrides: list[OverrideReply]


class Affected(Reply, frozen=True):
    """A realserver that a change of overrides concerns."""

    service: str
    name: str
    address: str
    port: int


class ChangeReply(Reply, frozen=True):
    """What became of POST or DELETE /v1/overrides: it is in force."""

    targets: list[str]
    """What the target was understood as. Empty: there was nothing to clear."""
    realservers: list[Affected]
    durable: bool
    """Whether it is on disk too, so that it outlives a restart."""
    message: str
    """Why it is not durable, and what to do."""


class ReloadReply(Reply, frozen=True):
    """POST /v1/reload, when the configuration was accepted; else Failure ``bad-config``."""

    digest: str
    """Of the configuration that is in force now."""
    steps: int
    """That the kernel needed."""


class StepReply(Reply, frozen=True):
    """One step of a plan."""

    action: str
    """``add``, ``change`` or ``remove``."""
    object: str
    """``service``, ``realserver`` or ``address``."""
    group: str
    """The virtual service or interface that it belongs to, such as ``tcp 10.0.0.8:80``."""
    name: str | None
    """The service's name in the config, where it is known."""
    subject: str
    """What is added, changed or removed."""
    changes: list[str]
    """What it will be, or what changes: ``weight 1 -> 0``."""
    why: str
    command: str
    """The ipvsadm or ip command that it equals."""


class PlanReply(Reply, frozen=True):
    """POST /v1/plan."""

    steps: list[StepReply]
    """In the order in which they would be done."""


class EventReply(Reply, frozen=True):
    """One line of GET /v1/events (application/x-ndjson)."""

    id: int
    """Grows by one with each."""
    time: str
    kind: str
    """What happened; ``lost``: the follower was too slow for some events."""
    level: str
    """``info``, ``warning`` or ``error``."""
    text: str
    """One sentence."""
    data: dict[str, object]
    """The fields of the event, which depend on its kind."""


def rfc3339(seconds: float) -> str:
    """A wall-clock time in UTC with milliseconds: ``2026-11-23T10:00:00.000Z``."""
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def moment(seconds: float | None) -> str | None:
    """As ``rfc3339``; None and 0 (never) become None."""
    return rfc3339(seconds) if seconds else None


def parse_weight(text: str) -> Weight:
    """``5`` or ``50%``. Raises ValueError with what is allowed."""
    match = re.fullmatch(r"(\d{1,5})(%?)", text, re.ASCII)
    if match:
        weight = Weight(int(match[1]), bool(match[2]))
        if weight.value <= (100 if weight.percent else WEIGHT_MAX):
            return weight
    raise ValueError(
        f"weight {text!r}: give 0 to {WEIGHT_MAX}, or 0% to 100% of the configured weight"
    )
