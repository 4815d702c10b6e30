"""A published picture and the daemon's operations made from values, for the rooms that show them.

Both keep the contracts of their ports (``core.snapshot.View``, ``admin.operations.Operations``):
what was set is there afterwards, what was cleared is gone, what happened is told to followers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from math import inf

from lvsguard.admin.entry import Entry, entry
from lvsguard.admin.failover import FailedOver, FailoverRefused, Outcome
from lvsguard.admin.feed import Feed, Subscription
from lvsguard.admin.filter import EVERYTHING, Filter
from lvsguard.admin.operations import ConfigRefused, Kept, ReloadOutcome
from lvsguard.core.clock import Offset
from lvsguard.core.config import CheckKind
from lvsguard.core.config_keys import How, KeyDifference
from lvsguard.core.election_status import ElectionCounts, ElectionStatus
from lvsguard.core.event import Event, OverrideCleared, OverrideSet
from lvsguard.core.fitness import PeerFacts, unfit
from lvsguard.core.health import Verdict
from lvsguard.core.model import (
    Counters,
    Forwarding,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VipAddress,
    VirtualService,
)
from lvsguard.core.override import Admin, Override, OverrideKind, Target, admin_state
from lvsguard.core.peer import Account, Comparison, VipPart
from lvsguard.core.snapshot import (
    CheckStatus,
    ForeignStatus,
    Loop,
    PathStatus,
    PeerStatus,
    RealserverStatus,
    Role,
    ServiceStatus,
    SyncStatus,
    TransferStatus,
    VipStatus,
)
from lvsguard.core.step import AddRealserver, AddService, Step
from lvsguard.core.vrrp_event import FailoverAsked

NOON = 1795435200.0
"""2026-11-23T12:00:00Z, when the picture was taken."""
VIP = VipAddress("eth0", ip_address("10.0.0.8"), 24)
RS1 = ip_address("10.0.0.42")
WEB = ServiceKey.at(Protocol.TCP, VIP.address, 80)
IDLE = Counters()
DURABLE = Kept(True)
WELL = Loop(
    passes=3600,
    last_pass=NOON - 0.5,
    pass_seconds=0.004,
    read_seconds=0.001,
    reads=3000,
    read_cpu_seconds=2.5,
    programmed=True,
    trouble=(),
    probers=1,
    probers_wanted=1,
    kernel_writes=4,
)

ELECTED = VipStatus(
    "web",
    (VIP,),
    frozenset(),
    Role.BACKUP,
    NOON - 60,
    vrid=51,
    priority=100,
    master="10.0.0.41",
    paths=(PathStatus("eth0", True), PathStatus("eth1", False, "no advert came by eth1")),
)
"""A backup."""
ELECTION = ElectionStatus(
    alive=True,
    there=NOON,
    pid=4711,
    ready={"web": True},
    counts=ElectionCounts(
        sent={"web": 20},
        received={"web": 60},
        rejected={"web": {"ttl": 2, "checksum": 1}},
        discarded={"short": 3},
        announced=10,
        conflicts={"web": 1},
        claims={"web": 0},
        lateness={0.001: 17, 0.002: 2, inf: 1},
        lateness_sum=1.5,
        real_time=True,
        resigned={"web": 1},
        resignations={"web": 2},
        late={"web": 1},
    ),
)
IN_STEP = SyncStatus(
    "eth0",
    51,
    "224.0.0.81",
    8848,
    ("master", "backup"),
    TransferStatus(NOON - 30, 50, 0.02, "10.0.0.40", received=False),
)
"""Connections are kept in step; a table was sent half a minute ago."""


OTHER = PeerStatus(
    name="director2",
    address="10.0.0.40",
    heard=True,
    since=NOON - 3600,
    last=NOON - 0.5,
    version="0.1.0",
    config="0123456789ab",
    same_config=True,
    programmed=True,
    same_overrides=True,
    refused="",
    differs=(),
    vips=(VipPart("web", "backup", True),),
    problem="",
    clock=Offset(0.0004, 0.0012),
)
"""Another director, with which all is well."""
UNFIT = replace(
    OTHER,
    name="director3",
    address="10.0.0.39",
    config="fedcba987654",
    same_config=False,
    programmed=False,
    differs=("web: 1 of 2 healthy there, 2 here (rs2 down there)",),
    vips=(VipPart("web", "backup", False, 50, "IPVS is not programmed"),),
    clock=Offset(-75.2, 0.01),
    config_differs=("service.web.scheduler", "admin.socket", "service.mail (only there)"),
    unfit=unfit(
        PeerFacts(
            Account(
                "0.1.0",
                "fedcba987654",
                programmed=False,
                vips=(VipPart("web", "backup", False, 50, "IPVS is not programmed"),),
                trouble=("the kernel has no scheduler mh: load it with modprobe -a ip_vs_mh",),
                modules_lacking=("ip_vs_mh",),
                sync_lacking=("backup",),
            ),
            same_config=False,
            differing=(
                KeyDifference(("service", "web", "scheduler"), How.VALUE),
                KeyDifference(("admin", "socket"), How.VALUE),
                KeyDifference(("service", "mail"), How.THERE),
            ),
            seen=Comparison(2, 1, (), ("web: 1 of 2 healthy there, 2 here (rs2 down there)",)),
            clock=Offset(-75.2, 0.01),
        )
    ),
)
"""One with which little is."""


def realserver(
    address: str = "10.0.0.42",
    port: int = 80,
    *,
    name: str = "",
    verdict: Verdict = Verdict.UP,
    weight: int | None = 1,
    reason: str = "L7OK 200 OK",
    admin: Admin = Admin.READY,
    counters: Counters = IDLE,
    forwarding: Forwarding = Forwarding.DR,
) -> RealserverStatus:
    """A realserver that is up since an hour."""
    key = RealserverKey(ip_address(address), port)
    check = CheckStatus(CheckKind.HTTP, verdict, NOON - 3600, reason[:4], reason[5:], 0.0012)
    return RealserverStatus(
        name or address,
        key,
        forwarding,
        verdict,
        admin,
        weight,
        1,
        NOON - 3600,
        reason,
        counters,
        (check,),
        (),
        full_weight=weight,
        weight_read=weight,
    )


def service(
    *realservers: RealserverStatus, name: str = "web", key: ServiceKey = WEB, need: int = 1
) -> ServiceStatus:
    """A service with these realservers."""
    have = sum(
        r.weight or 0 for r in realservers if r.verdict is Verdict.UP and r.admin is Admin.READY
    )
    return ServiceStatus(
        name,
        key,
        "rr",
        Forwarding.DR,
        True,
        have,
        need,
        Counters(connections=100, in_packets=500, in_bytes=64000),
        realservers,
    )


def seed_services() -> tuple[ServiceStatus, ...]:
    """The seed network: one realserver well, one down."""
    well = realserver("10.0.0.42", counters=Counters(60, 300, 0, 40000, 0, 12, 30))
    ill = realserver(
        "10.0.0.43",
        name="rs2",
        verdict=Verdict.DOWN,
        weight=0,
        reason="L4CON connection refused",
        counters=Counters(40, 200, 0, 24000, 0, 0, 7),
    )
    return (service(well, replace(ill, since=NOON - 12)),)


@dataclass
class Picture:
    """Implements View."""

    shown: Sequence[ServiceStatus] = field(default_factory=seed_services)
    pulse: Loop = WELL
    strangers: tuple[ForeignStatus, ...] = ()
    groups: tuple[VipStatus, ...] = (
        VipStatus("web", (VIP,), frozenset({VIP}), Role.MASTER, NOON - 7200, master="director1"),
    )
    in_step: SyncStatus | None = None
    others: tuple[PeerStatus, ...] = ()
    by_etcd: bool | None = None
    kept: dict[tuple[Target, OverrideKind], Override] = field(default_factory=dict)
    director: str = "director1"
    version: str = "0.1.0"
    config_digest: str = "0123456789ab"
    served_digest: str = "a1b2c3d4e5f6"
    config_path: str = "/etc/lvsguard/config.toml"
    started: float = NOON - 7200
    reloaded: float = NOON - 7200
    reload_ok: bool = True

    def loop(self) -> Loop:
        """How the controller does."""
        return self.pulse

    def vips(self) -> tuple[VipStatus, ...]:
        """VIP groups."""
        return self.groups

    def sync(self) -> SyncStatus | None:
        """Connections kept in step."""
        return self.in_step

    def peers(self) -> tuple[PeerStatus, ...]:
        """Other directors."""
        return self.others

    def cluster(self) -> bool | None:
        """Whether etcd answers."""
        return self.by_etcd

    def services(self, *, brief: bool = False) -> Iterator[ServiceStatus]:
        """Services, with the overrides applied to what they say."""
        for one in self.shown:
            if not self.kept:
                yield one
                continue
            told = tuple(self._told(one.name, r) for r in one.realservers)
            out = sum(
                before.weight or 0
                for before, after in zip(one.realservers, told, strict=True)
                if after.admin is not before.admin and before.verdict is Verdict.UP
            )
            yield replace(one, realservers=told, quorum_have=one.quorum_have - out)

    def _told(self, service: str, one: RealserverStatus) -> RealserverStatus:
        """A realserver under the overrides, which are in the kernel."""
        admin = admin_state(self.kept.values(), service, one.key)
        held = tuple(o for o in self.kept.values() if o.target.matches(service, one.key))
        one = replace(one, overrides=held)
        if admin is Admin.READY:
            return one
        weight = 0 if admin is Admin.DRAIN else None
        return replace(one, admin=admin, weight=weight, weight_read=weight, full_weight=weight)

    def foreign(self) -> tuple[ForeignStatus, ...]:
        """Services of others."""
        return self.strangers

    def overrides(self) -> tuple[Override, ...]:
        """Overrides in force."""
        return tuple(self.kept.values())


@dataclass
class Desk:
    """Implements Operations over a picture."""

    picture: Picture = field(default_factory=Picture)
    history_kept: list[Entry] = field(default_factory=list)
    problems: tuple[str, ...] = ()
    """Of the configuration file; with some, reload and plan are refused."""
    durable: Kept = DURABLE
    reloads: list[str] = field(default_factory=list)
    """Actors who reloaded."""
    plans: list[str | None] = field(default_factory=list)
    """Configurations that were planned."""
    heirs: dict[str, str] = field(default_factory=dict)
    """Who would take over, by VIP group."""
    stuck: str = ""
    """The kind and target of an override that is never answered for."""
    hangs: bool = False
    """It has been asked for."""
    unasked: tuple[str, ...] = ()
    """Other directors that a turn goes without."""
    feed: Feed = field(default_factory=Feed)

    def view(self) -> Picture:
        """The picture."""
        return self.picture

    def happen(self, event: Event, at: float = NOON) -> Entry:
        """Something happens."""
        line = entry(len(self.history_kept) + 1, at, event)
        self.history_kept.append(line)
        self.feed.publish(line)
        return line

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Sequence[str]]:
        """Its turn, at once."""
        yield self.unasked

    async def set_override(self, override: Override) -> Kept:
        """Put an override in force."""
        if f"{override.kind} {override.target}" == self.stuck:
            self.hangs = True
            await asyncio.Event().wait()
        before = self.picture.kept.get(override.key)
        self.picture.kept[override.key] = override
        self.happen(OverrideSet(override))
        return replace(self.durable, before=before)

    async def clear_override(
        self, target: Target, kind: OverrideKind, actor: str, reason: str = ""
    ) -> Kept:
        """End an override."""
        override = self.picture.kept.pop((target, kind), None)
        if override is not None:
            self.happen(OverrideCleared(override, actor, reason=reason))
        return replace(self.durable, before=override)

    async def reload(self, actor: str) -> ReloadOutcome:
        """Reload, or refuse."""
        self.reloads.append(actor)
        if self.problems:
            return ReloadOutcome(False, self.picture.config_digest, 0, self.problems)
        return ReloadOutcome(True, "ba9876543210", 3)

    async def plan(self, config: str | None) -> tuple[Step, ...]:
        """The seed's service, to be added."""
        self.plans.append(config)
        if self.problems:
            raise ConfigRefused(self.problems)
        return seed_steps()

    async def failover(
        self, vip: str | None, actor: str, *, resume: bool, force: bool
    ) -> Sequence[FailedOver]:
        """Give a VIP group to its heir, or take note that it may come back."""
        groups = {group.name: group for group in self.picture.groups if group.vrid is not None}
        if vip is not None and vip not in groups:
            raise FailoverRefused("unknown-vip", f"no VIP is named {vip!r}", tuple(groups))
        wanted = [g for g in groups.values() if vip in (None, g.name)]
        wrong = [str(reason) for other in self.picture.others for reason in other.unfit]
        if wrong and not force and not resume:
            raise FailoverRefused("unfit", "nobody is fit:", problems=tuple(wrong))
        found = []
        for group in [g for g in wanted if g.held_back if resume] or wanted:
            if not resume and group.role is not Role.MASTER:
                raise FailoverRefused("not-master", f"VIP {group.name}: this director is backup")
            heir = self.heirs.get(group.name, "")
            self.happen(FailoverAsked(group.name, actor, resume))
            outcome = Outcome.DONE if heir or resume else Outcome.NOBODY
            text = f"{heir} has taken over" if heir else "nobody took over"
            text = "it preempts again" if resume else text
            found.append(
                FailedOver(vip=group.name, outcome=outcome, successor=heir, seconds=0.02, text=text)
            )
        return found

    async def history(
        self, since: float, limit: int, wanted: Filter = EVERYTHING
    ) -> Sequence[Entry]:
        """Entries since then."""
        return [e for e in self.history_kept if e.at >= since and wanted(e)][-limit:]

    def subscribe(self) -> Subscription:
        """Entries from now on."""
        return self.feed.subscribe()


def seed_steps() -> tuple[Step, ...]:
    """What makes an empty kernel serve the seed's service."""
    wanted = VirtualService("rr")
    key = RealserverKey(ip_address("10.0.0.42"), 80)
    return AddService(WEB, wanted), AddRealserver(WEB, key, Realserver(0))
