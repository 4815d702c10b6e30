"""A director that lives through the day of ``day_script`` and tells it with the real telemetry.

Probes, events, roles and counters are what the script says, each handed to ``Metrics`` and its view
as the daemon hands them; names, labels, types and the text itself are the product's own.
"""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_address

from lvsguard.core.agent import AgentKind
from lvsguard.core.event import (
    HealthChanged,
    OverrideCleared,
    OverrideSet,
    ProberDied,
    Reloaded,
    ReloadRefused,
    Repaired,
    StateRestored,
    StateTrouble,
    StepRefused,
)
from lvsguard.core.health import Verdict
from lvsguard.core.hook import HookFailed, HookWell, Outcome
from lvsguard.core.model import Counters
from lvsguard.core.override import Admin, Override, OverrideKind, Target
from lvsguard.core.peer_event import ClusterBack, ClusterLost, PeerHeard, PeerSilent
from lvsguard.core.service_event import (
    PanicBegan,
    PanicOver,
    QuorumBack,
    QuorumLost,
    SorryServerIn,
    SorryServerOut,
)
from lvsguard.core.snapshot import AgentStatus, RealserverStatus, ServiceStatus
from lvsguard.core.vrrp_event import TableFailed
from lvsguard.telemetry.metrics import Metrics
from tests.support import day_script as script
from tests.support.day_config import HOOK, config, key
from tests.support.day_election import Changes, Elections
from tests.support.day_peer import DIGESTS, SILENT, UNASKED, other_director
from tests.support.day_probes import machine, tallies
from tests.support.day_script import MIDNIGHT, SERVICES, Service, Span
from tests.support.day_traffic import Traffic, Where
from tests.support.published import IN_STEP, WELL, Picture, realserver, service

ASKED = "10.0.0.42"
"""The realserver that has an agent and is probed on the VIP, too."""


def override(drain: Span) -> Override:
    """As alice sets it, until an hour after its end: she ends it herself."""
    begin, end = (float(MIDNIGHT + script.at(moment)) for moment in (drain.begin, drain.end))
    target = Target(ip_address(drain.who))
    return Override(
        target, OverrideKind.DRAIN, "alice (uid 1000)", begin, "maintenance", expires=end + 3600
    )


class Director:
    """One director, from midnight on. ``step`` brings it to the next scrape."""

    def __init__(self, name: str, step_s: int) -> None:
        self.name = name
        self._step = step_s
        self._chance = random.Random(name)
        self._start(0)

    def _start(self, t: int) -> None:
        name = self.name
        self._digest = ""
        self._now = t
        self.metrics = Metrics(
            machine=lambda: machine(name, self._now, self._chance),
            clock=lambda: float(MIDNIGHT + self._now),
        )
        self.view = Picture(director=self.name, in_step=IN_STEP, started=float(MIDNIGHT + t))
        self._counters: dict[Where, Counters] = {}
        self._changes = Changes()
        self._gone = False
        self._elections = Elections(self.name, self._step, t, self._chance, self.metrics.event)
        self._since: dict[Where, float] = {}
        self._passes = self._writes = 0

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
            self._gone = True
            return False
        if self._gone:
            self._start(t)
        self._now = t
        self._reload(t)
        self.view.groups, status = self._elections.step(t)
        self.metrics.elections(status)
        daemons = ("master",) if script.one(script.OUT_OF_STEP, t, self.name) else IN_STEP.daemons
        self.view.in_step = replace(IN_STEP, daemons=daemons)
        self.view.shown = tuple(self._service(s, t, traffic) for s in SERVICES)
        self._probe(t)
        self._drains(t)
        self._drift(t)
        self._peer(t)
        self._hook(t)
        self._loop(t)
        return True

    def _reload(self, t: int) -> None:
        refused = script.one(script.REFUSED, t, self.name) is not None
        self.view.reload_ok = not refused
        if self._changes.turned("refused", refused, False) and refused:
            self.metrics.event(ReloadRefused(("config.toml:7: service: unknown key",)))
        full = script.one(script.FULL, t, self.name) is not None
        if self._changes.turned("full", full, False):
            self.metrics.event(
                StateTrouble("disk full") if full else StateRestored("written again", True)
            )
        digest = DIGESTS[t >= script.NEW_CONFIG[self.name]]
        if digest == self._digest:
            return
        if self._digest:
            self.metrics.event(Reloaded(digest, 3))
        self._digest = digest
        self.view.config_digest = self.view.served_digest = digest
        self.view.reloaded = float(MIDNIGHT + t)
        self.metrics.configure(config(self.name, digest))

    # -- services -----------------------------------------------------------------------------

    def _service(self, s: Service, t: int, traffic: Traffic) -> ServiceStatus:
        well = [h for h in s.hosts if not script.failure(h, s.port, t)]
        live = [h for h in well if not script.drained(h, t)]
        lost, panic = len(live) < s.need, s.panic and len(live) * 3 <= len(s.hosts)
        sorry = s.sorry and lost
        self._rules(s, len(live), lost=lost, panic=panic, sorry=sorry)
        shown = tuple(self._realserver(s, h, t, traffic, panic, sorry) for h in s.hosts)
        made = service(*shown, name=s.name, key=key(s), need=s.need)
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
            if self._changes.turned((what, s.name), now, False):
                self.metrics.event(begins if now else ends)

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
        if self._changes.turned(("weight", where), weight, 1):
            self._writes += 1
        if self._changes.turned(("verdict", where), verdict, Verdict.UP):
            self._since[where] = float(MIDNIGHT + t)
            before = Verdict.UP if code else Verdict.DOWN
            name = f"{host}:{s.port}"
            self.metrics.event(
                HealthChanged(name, "http", before, verdict, code or "L7OK", "", None)
            )
            self.metrics.verdicts_to_kernel([self._chance.lognormvariate(-5.6, 0.5)])
        self._count(where, s, t, traffic)
        shown = realserver(
            host,
            s.port,
            verdict=verdict,
            weight=weight,
            admin=Admin.DRAIN if drained else Admin.READY,
            counters=self._counters[where],
        )
        overrides = tuple(override(d) for d in script.DRAINS if d.who == host and drained)
        since = self._since.get(where, self.view.started)
        shown = replace(shown, since=since, overrides=overrides)
        if host != ASKED or s.name != "web":
            return shown
        share = 0.5 if script.at("12:30") <= t < script.at("14:00") else 1.0
        reached = script.one(script.PATHLESS, t, f"{host}:{s.port}") is None
        agent = AgentStatus(AgentKind.TEXT, 9100, "ready", share, share, "", "")
        return replace(shown, agent=agent, checks=(replace(shown.checks[0], vip_path=reached),))

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
        if self._changes.turned("stalled", stalled, False) and stalled:
            self.metrics.event(ProberDied(0, "signal 9", 11))
        if not stalled:
            self.metrics.tally(list(tallies(t, self._step, self._chance)))

    def _drains(self, t: int) -> None:
        for drain in script.DRAINS:
            holds = drain.holds(t)
            if not self._changes.turned(("drain", drain), holds, False):
                continue
            made = override(drain)
            if holds:
                self.view.kept[made.key] = made
                self.metrics.event(OverrideSet(made))
            else:
                del self.view.kept[made.key]
                self.metrics.event(OverrideCleared(made, made.actor))

    def _drift(self, t: int) -> None:
        found = script.one(script.DRIFT, t, self.name)
        if found and (self._changes.turned("drift", found) or found.code != "table"):
            self.metrics.event(Repaired(found.code, "tcp 10.0.0.8:80", "gone", ()))
            self._writes += 3

    def _peer(self, t: int) -> None:
        name = script.other(self.name)
        address = script.DIRECTORS[name]
        status = other_director(name, t, self._digest)
        if self._changes.turned("heard", status.heard, True):
            silent = PeerSilent(name, address, SILENT)
            heard = PeerHeard(name, address, "0.1.0", 60.0)
            self.metrics.event(heard if status.heard else silent)
            if not status.heard and script.runs(name, t):
                self.metrics.event(
                    TableFailed("web", True, address, "it did not send them in time")
                )
        self.view.others = (status,)
        self.view.by_etcd = script.one(script.UNASKED, t) is None
        if self._changes.turned("etcd", self.view.by_etcd, True):
            back, lost = ClusterBack(900.0), ClusterLost(UNASKED)
            self.metrics.event(back if self.view.by_etcd else lost)

    def _hook(self, t: int) -> None:
        mute = script.one(script.MUTE, t, self.name) is not None
        if mute or t % 1200 == 0:
            self.metrics.hook(HOOK.name, Outcome.FAILED if mute else Outcome.DONE)
        if self._changes.turned("mute", mute, False):
            failed = HookFailed(HOOK.name, "it answered 404")
            self.metrics.event(failed if mute else HookWell(HOOK.name, 15))

    def _loop(self, t: int) -> None:
        unfit = script.one(script.UNFIT, t, self.name) is not None
        late = script.one(script.LATE, t, self.name) is not None
        if unfit:
            self.metrics.event(
                StepRefused("ipvsadm -A -t 10.0.0.9:8080 -s mh", "no such scheduler")
            )
        for _ in range(self._step):
            lag = self._chance.lognormvariate(-7.5, 0.6)
            self.metrics.loop_lag(lag + (self._chance.uniform(0, 0.2) if late else 0))
        self._passes += self._step
        stalled = script.one(script.STALLED, t, self.name) is not None
        read = self._chance.uniform(0.0008, 0.0012) * (3 if late else 1)
        for _ in range(0 if stalled else self._step):
            self.metrics.passed(read * self._chance.uniform(2, 5))
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
