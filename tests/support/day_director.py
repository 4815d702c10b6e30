"""A director that lives through the day of ``day_script`` and tells it with the real telemetry.

Probes, events, roles and counters are what the script says, each handed to ``Metrics`` and its view
as the daemon hands them; names, labels, types and the text itself are the product's own.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_interface
from math import inf

from lvsguard.core.agent import AgentKind
from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    Config,
    HttpSpec,
    RealserverConfig,
    ServiceConfig,
    VipConfig,
)
from lvsguard.core.election_status import ElectionCounts, ElectionStatus
from lvsguard.core.event import (
    Event,
    HealthChanged,
    OverrideCleared,
    OverrideSet,
    ProberDied,
    Reloaded,
    Repaired,
    StepRefused,
)
from lvsguard.core.health import Verdict
from lvsguard.core.model import (
    Counters,
    Protocol,
    RealserverKey,
    ServiceKey,
    VipAddress,
)
from lvsguard.core.override import Admin, Override, OverrideKind, Target
from lvsguard.core.peer_event import PeerHeard, PeerSilent
from lvsguard.core.service_event import (
    PanicBegan,
    PanicOver,
    QuorumBack,
    QuorumLost,
    SorryServerIn,
    SorryServerOut,
)
from lvsguard.core.snapshot import (
    AgentStatus,
    ConflictStatus,
    RealserverStatus,
    Role,
    ServiceStatus,
    VipStatus,
)
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.core.vrrp_event import RoleChanged, TableFailed, TableReceived, TableSent, VipConflict
from lvsguard.telemetry.metrics import Metrics
from lvsguard.vrrp.message import LATENESS
from tests.support import day_script as script
from tests.support.day_script import MIDNIGHT, SERVICES, VIPS, Service
from tests.support.published import IN_STEP, OTHER, WELL, Picture, realserver, service

DIGESTS = ("0123456789ab", "4f1e9c7a2b60")
"""Of the configuration in the morning, and of the one after its reload."""
ASKED = "10.0.0.42"
"""The realserver that has an agent and is probed on the VIP, too."""
BOUNDS = (*LATENESS, inf)
LONG_S = 12.0
"""How long a connection lives."""

Where = tuple[str, str]
"""Name of a service, address of a realserver."""


def _check(host: str, port: int) -> Check:
    spec = CheckSpec(CheckKind.HTTP, http=HttpSpec(path="/health"))
    return Check(ip_address(host), port, spec)


def _config(director: str, digest: str) -> Config:
    vips = tuple(
        VipConfig(name, (_address(name),), VrrpConfig(50 + at)) for at, name in enumerate(VIPS, 1)
    )
    services = tuple(
        ServiceConfig(
            s.name,
            _key(s),
            tuple(
                RealserverConfig(
                    host,
                    RealserverKey(ip_address(host), s.port),
                    checks=(_check(host, s.port),),
                )
                for host in s.hosts
            ),
        )
        for s in SERVICES
    )
    return Config(director, "eth0", vips, services, digest)


def _address(vip: str) -> VipAddress:
    face = ip_interface(f"{VIPS[vip][0]}/24")
    return VipAddress("eth0", face.ip, face.network.prefixlen)


def _key(s: Service) -> ServiceKey:
    return ServiceKey.at(Protocol.TCP, _address(s.vip).address, s.port)


class Traffic:
    """What clients send, which both directors' kernels see: the master's schedules it."""

    def __init__(self, chance: random.Random, step_s: int) -> None:
        self._chance = chance
        self._step = step_s
        self.active: dict[Where, float] = {}
        self.new: dict[Where, float] = {}
        """Connections since the last step."""

    def step(self, t: int, weights: dict[Where, int]) -> None:
        """Time passes; ``weights`` are those of the master's kernel."""
        for s in SERVICES:
            total = sum(weights.get((s.name, host), 0) for host in s.hosts)
            wanted = script.traffic(s, t) * self._chance.gauss(1, 0.05) * self._step
            wanted *= bool(script.masters(s.vip, t))
            for host in s.hosts:
                where = (s.name, host)
                share = weights.get(where, 0) / total if total else 0
                self.new[where] = max(0.0, wanted * share)
                lasts = 420 if share == 0 else LONG_S
                stays = self.active.get(where, 0.0) * math.exp(-self._step / lasts)
                gone = bool(script.failure(host, s.port, t))
                fresh = self.new[where] / self._step * LONG_S * (1 - math.exp(-self._step / LONG_S))
                self.active[where] = 0.0 if gone else stays + fresh


@dataclass
class _Counted:
    """What the VRRP process has counted."""

    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    received: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    conflicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    claims: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    rejected: dict[str, int] = field(default_factory=lambda: {"auth": 0})
    lateness: dict[float, int] = field(default_factory=lambda: dict.fromkeys(BOUNDS, 0))
    late_s: float = 0.0
    announced: int = 0
    noise: int = 0


class Director:
    """One director, from midnight on. ``step`` brings it to the next scrape."""

    def __init__(self, name: str, step_s: int) -> None:
        self.name = name
        self._step = step_s
        self._chance = random.Random(name)
        self._start(0)

    def _start(self, t: int) -> None:
        self._digest = ""
        self.metrics = Metrics()
        self.view = Picture(director=self.name, in_step=IN_STEP, started=float(MIDNIGHT + t))
        self._counters: dict[Where, Counters] = {}
        self._counted = _Counted()
        self._known: dict[object, object] = {}
        self._since: dict[Where, float] = {}
        self._passes = self._writes = 0
        self._began = t
        self._probed = 0.0

    @property
    def weights(self) -> dict[Where, int]:
        """Weights in its kernel."""
        return {
            (s.name, str(r.key.address)): r.weight or 0
            for s in self.view.shown
            for r in s.realservers
        }

    def step(self, t: int, traffic: Traffic) -> bool:
        """Live until then; whether it runs."""
        if not script.runs(self.name, t):
            self._known["gone"] = True
            return False
        if self._known.get("gone"):
            self._start(t)
        self._reload(t)
        self._elect(t)
        self.view.shown = tuple(self._service(s, t, traffic) for s in SERVICES)
        self._probe(t)
        self._drains(t)
        self._drift(t)
        self._peer(t)
        self._loop(t)
        return True

    def _tell(self, event: Event) -> None:
        self.metrics.event(event)

    def _turned(self, what: object, now: object, at_first: object = None) -> bool:
        """Whether something is otherwise than the last time."""
        before = self._known.get(what, at_first)
        self._known[what] = now
        return before != now

    def _reload(self, t: int) -> None:
        digest = DIGESTS[t >= script.NEW_CONFIG[self.name]]
        if digest == self._digest:
            return
        if self._digest:
            self._tell(Reloaded(digest, 3))
        self._digest = digest
        self.view.config_digest = digest
        self.view.reloaded = float(MIDNIGHT + t)
        self.metrics.configure(_config(self.name, digest))

    # -- elections ----------------------------------------------------------------------------

    def _elect(self, t: int) -> None:
        counted, groups = self._counted, []
        late = script.one(script.LATE, t, self.name)
        fit = script.one(script.UNFIT, t, self.name) is None
        for vrid, (vip, (_, first)) in enumerate(VIPS.items(), 51):
            masters = script.masters(vip, t)
            role = Role.MASTER if self.name in masters else Role.BACKUP
            role = Role.FAULT if script.one(script.DARK, t) else role
            if self._turned(("role", vip), role, Role.INIT):
                self._tell(RoleChanged(vip, "init", role, "as the day goes", ""))
                self._handed(vip, role, t)
            if role is Role.MASTER:
                counted.sent[vip] += self._step
                self._late(self._step, bool(late))
            elif masters:
                counted.received[vip] += self._step
            claim = script.one(script.CLAIMED, t, vip) if role is Role.MASTER else None
            counted.claims[vip] += self._step * bool(claim)
            counted.conflicts[vip] += len(masters) == 2
            if self._turned(("claim", vip), bool(claim), False) and claim:
                self._tell(VipConflict(vip, "52:54:00:0a:00:2c", "arp", claim.code, "10.0.0.44"))
            groups.append(self._group(vip, vrid, role, t, fit=fit, first=first, claim=claim))
        self.view.groups = tuple(groups)
        if script.one(script.REJECTED, t, self.name):
            counted.rejected["auth"] += self._step
        counted.noise += self._chance.random() < 0.01
        self.metrics.elections(self._status(t, fit))

    def _group(
        self,
        vip: str,
        vrid: int,
        role: Role,
        t: int,
        *,
        fit: bool,
        first: str,
        claim: script.Span | None,
    ) -> VipStatus:
        address = _address(vip)
        conflict = ConflictStatus(
            address.address, "52:54:00:0a:00:2c", ip_address("10.0.0.44"), float(MIDNIGHT + t)
        )
        return VipStatus(
            vip,
            (address,),
            frozenset({address} if role is Role.MASTER else ()),
            role,
            float(MIDNIGHT + t),
            vrid=vrid,
            priority=(150 if first == self.name else 100) - (0 if fit else 60),
            ready=fit,
            conflicts=(conflict,) if claim else (),
        )

    def _handed(self, vip: str, role: Role, t: int) -> None:
        """Connection tables go with a change of director, and come when one joins."""
        entries = int(self._chance.uniform(2000, 4000))
        if role is Role.MASTER:
            self._counted.announced += 10
        elif t > self._began:
            self._tell(TableSent(vip, entries, 0.09, "", "handover"))
        elif t:
            self._tell(TableReceived(vip, entries, 0.35, script.DIRECTORS[script.other(self.name)]))

    def _late(self, count: int, overloaded: bool) -> None:
        for _ in range(count):
            late = self._chance.lognormvariate(-6.6, 0.5)
            if overloaded and self._chance.random() < 0.3:
                late += self._chance.uniform(0.05, 0.4)
            self._counted.late_s += late
            self._counted.lateness[next(bound for bound in BOUNDS if late <= bound)] += 1

    def _status(self, t: int, fit: bool) -> ElectionStatus:
        c = self._counted
        counts = ElectionCounts(
            sent=dict(c.sent),
            received=dict(c.received),
            rejected={"web": dict(c.rejected)},
            discarded={"short": c.noise},
            announced=c.announced,
            conflicts=dict(c.conflicts),
            claims=dict(c.claims),
            lateness=dict(c.lateness),
            lateness_sum=c.late_s,
            real_time=True,
        )
        ready = dict.fromkeys(VIPS, fit)
        return ElectionStatus(True, float(MIDNIGHT + t), 4711 + self._began, ready, counts)

    # -- services -----------------------------------------------------------------------------

    def _service(self, s: Service, t: int, traffic: Traffic) -> ServiceStatus:
        well = [h for h in s.hosts if not script.failure(h, s.port, t)]
        live = [h for h in well if not script.drained(h, t)]
        lost, panic = len(live) < s.need, s.panic and len(live) * 3 <= len(s.hosts)
        sorry = s.sorry and lost
        self._rules(s, len(live), lost=lost, panic=panic, sorry=sorry)
        shown = tuple(self._realserver(s, h, t, traffic, panic, sorry) for h in s.hosts)
        made = service(*shown, name=s.name, key=_key(s), need=s.need)
        sums = [self._counters[s.name, h] for h in s.hosts]
        counters = Counters(
            sum(c.connections for c in sums),
            sum(c.in_packets for c in sums),
            0,
            sum(c.in_bytes for c in sums),
        )
        return replace(made, quorum_have=len(live), panic=panic, sorry=sorry, counters=counters)

    def _rules(self, s: Service, have: int, *, lost: bool, panic: bool, sorry: bool) -> None:
        changes = (
            ("lost", lost, QuorumLost(s.name, have, s.need), QuorumBack(s.name, have, s.need)),
            ("panic", panic, PanicBegan(s.name, "too few are left"), PanicOver(s.name)),
            (
                "sorry",
                sorry,
                SorryServerIn(s.name, "10.0.0.49:8080"),
                SorryServerOut(s.name, "10.0.0.49:8080"),
            ),
        )
        for what, now, begins, ends in changes:
            if self._turned((what, s.name), now, False):
                self._tell(begins if now else ends)

    def _realserver(
        self, s: Service, host: str, t: int, traffic: Traffic, panic: bool, sorry: bool
    ) -> RealserverStatus:
        where = (s.name, host)
        code = script.failure(host, s.port, t)
        drained = script.drained(host, t)
        verdict = Verdict.DOWN if code else Verdict.UP
        weight: int | None = 0 if code or drained or sorry else 1
        if code in ("L4CON", "L6ARP"):
            weight = None
        if panic and not drained:
            weight = 1
        if self._turned(("weight", where), weight, 1):
            self._writes += 1
        if self._turned(("verdict", where), verdict, Verdict.UP):
            self._since[where] = float(MIDNIGHT + t)
            before = Verdict.UP if code else Verdict.DOWN
            name = f"{host}:{s.port}"
            self._tell(HealthChanged(name, "http", before, verdict, code or "L7OK", "", None))
            self.metrics.verdict_to_kernel(self._chance.lognormvariate(-5.6, 0.5))
        self._count(where, s, t, traffic)
        shown = realserver(
            host,
            s.port,
            verdict=verdict,
            weight=weight,
            admin=Admin.DRAIN if drained else Admin.READY,
            counters=self._counters[where],
        )
        shown = replace(shown, since=self._since.get(where, self.view.started))
        if host != ASKED or s.name != "web":
            return shown
        share = 0.5 if script.at("12:30") <= t < script.at("14:00") else 1.0
        agent = AgentStatus(AgentKind.TEXT, 9100, "ready", share, share, "", "")
        return replace(shown, agent=agent, checks=(replace(shown.checks[0], vip_path=True),))

    def _count(self, where: Where, s: Service, t: int, traffic: Traffic) -> None:
        """The kernel's counters: the master's schedules, a backup's only knows of connections."""
        before = self._counters.get(where, Counters())
        master = script.masters(s.vip, t)[:1] == (self.name,)
        new = int(traffic.new.get(where, 0)) if master else 0
        active = traffic.active.get(where, 0.0) * (1 if master else 0.97)
        packets = int(new * self._chance.uniform(8, 10))
        self._counters[where] = Counters(
            before.connections + new,
            before.in_packets + packets,
            0,
            before.in_bytes + int(packets * self._chance.uniform(220, 260)),
            0,
            int(active),
            int(active * 3.1),
        )

    # -- the rest -----------------------------------------------------------------------------

    def _probe(self, t: int) -> None:
        stalled = script.one(script.STALLED, t, self.name) is not None
        if self._turned("stalled", stalled, False) and stalled:
            self._tell(ProberDied(0, "signal 9", 11))
        if not stalled:
            self.metrics.tally(list(self._tallies(t)))

    def _tallies(self, t: int) -> Iterator[Tally]:
        for s in SERVICES:
            load = script.traffic(s, t) / s.peak
            for host in s.hosts:
                code = script.failure(host, s.port, t) or "L7OK"
                slow = 5.0 if (host, s.port) == ("10.0.0.43", 80) and 20000 < t < 24000 else 1.0
                yield self._tally(_check(host, s.port), code, (0.002 + 0.004 * load) * slow, t)

    def _tally(self, check: Check, code: str, typical: float, t: int) -> Tally:
        """The probes since the last step, one a second; a good one takes what is ``typical``."""
        buckets, seconds = [0] * (len(BUCKETS) + 1), 0.0
        for _ in range(20):
            took = typical * self._chance.lognormvariate(0, 0.45)
            took = 1.0 if code.endswith("TOUT") else took
            at = next((i for i, bound in enumerate(BUCKETS) if took <= bound), len(BUCKETS))
            buckets[at] += self._step // 20
            seconds += self._step / 20 * took
        last = MIDNIGHT + t - self._chance.random()
        return Tally(check, {code: self._step}, seconds, tuple(buckets), last)

    def _drains(self, t: int) -> None:
        for drain in script.DRAINS:
            holds = drain.holds(t)
            if not self._turned(("drain", drain), holds, False):
                continue
            override = Override(
                Target(ip_address(drain.who)),
                OverrideKind.DRAIN,
                "alice (uid 1000)",
                float(MIDNIGHT + script.at(drain.begin)),
                "maintenance",
            )
            if holds:
                self.view.kept[override.key] = override
                self._tell(OverrideSet(override))
            else:
                del self.view.kept[override.key]
                self._tell(OverrideCleared(override, override.actor))

    def _drift(self, t: int) -> None:
        found = script.one(script.DRIFT, t, self.name)
        if found and (self._turned("drift", found) or found.code != "table"):
            self._tell(Repaired(found.code, "tcp 10.0.0.8:80", "gone", ()))
            self._writes += 3

    def _peer(self, t: int) -> None:
        name = script.other(self.name)
        heard = script.runs(name, t) and not script.one(script.CUT, t)
        address = script.DIRECTORS[name]
        if self._turned("heard", heard, True):
            silent = PeerSilent(name, address, "no word for 5 s")
            self._tell(PeerHeard(name, address, "0.1.0", 60.0) if heard else silent)
            if not heard and script.runs(name, t):
                self._tell(TableFailed("web", True, address, "it did not send them in time"))
        same = DIGESTS[t >= script.NEW_CONFIG[name]] == self._digest
        peer = replace(OTHER, name=name, address=address, last=MIDNIGHT + t - 0.5)
        if heard:
            self.view.others = (replace(peer, same_config=same),)
        else:
            self.view.others = (
                replace(peer, heard=False, same_config=None, same_overrides=None, programmed=None),
            )

    def _loop(self, t: int) -> None:
        unfit = script.one(script.UNFIT, t, self.name) is not None
        late = script.one(script.LATE, t, self.name) is not None
        if unfit:
            self._tell(StepRefused("ipvsadm -A -t 10.0.0.9:8080 -s mh", "no such scheduler"))
        for _ in range(self._step):
            lag = self._chance.lognormvariate(-7.5, 0.6)
            self.metrics.loop_lag(lag + (self._chance.uniform(0, 0.2) if late else 0))
        self._passes += self._step
        stalled = script.one(script.STALLED, t, self.name) is not None
        read = self._chance.uniform(0.0008, 0.0012) * (3 if late else 1)
        self.view.pulse = replace(
            WELL,
            passes=self._passes,
            reads=self._passes,
            read_cpu_seconds=self._passes * 0.0007,
            last_pass=MIDNIGHT + t - self._chance.random(),
            pass_seconds=read * 3.5,
            read_seconds=read,
            programmed=not unfit,
            trouble=("the kernel refuses a step",) if unfit else (),
            probers=0 if stalled else 1,
            kernel_writes=self._writes,
        )
