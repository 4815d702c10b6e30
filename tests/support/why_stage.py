"""A director's facts, made by the real core from probes' results, for what `why` says of them.

Results are folded by `health.step`, kept by the fact book, decided, planned and told as they are in
the daemon; the clock is a number, and the kernel takes every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from lvsguard.admin import why
from lvsguard.admin.asked import find
from lvsguard.admin.entry import Entry, entry
from lvsguard.admin.why_reply import WhyReply
from lvsguard.cli.why import lines
from lvsguard.controller.factbook import FactBook
from lvsguard.controller.intake import changed
from lvsguard.controller.report import Reporter, realserver_names, reloaded
from lvsguard.controller.service_view import Suspicion, service_status
from lvsguard.core import agent as agents
from lvsguard.core import health
from lvsguard.core.agent import NOT_ASKED, Agent, Answer
from lvsguard.core.config import Check, Config
from lvsguard.core.event import Event, OverrideCleared, OverrideSet
from lvsguard.core.health import Health, Hint, Result
from lvsguard.core.model import KernelState, Observation, RealserverKey
from lvsguard.core.override import Override, override_trace
from lvsguard.core.plan import applied, held_back, plan
from lvsguard.core.snapshot import ForeignStatus, Loop, PeerStatus, VipStatus
from lvsguard.core.step import Step
from lvsguard.core.trace import Cause, Place, trace_id
from lvsguard.kernel.port import StepFailure
from tests.support.published import NOON, WELL, Picture

BEGIN = 1000.0
"""Monotonic seconds at the start of every play."""


@dataclass
class Stage:
    """One director in the middle of its day."""

    config: Config
    now: float = BEGIN
    events: list[Entry] = field(default_factory=list)
    vips: tuple[VipStatus, ...] = ()
    peers: tuple[PeerStatus, ...] = ()
    foreign: tuple[ForeignStatus, ...] = ()
    pulse: Loop = WELL
    refuses: Callable[[Step], str] = lambda step: ""
    """What the kernel says to a step; empty: it takes it."""
    suspicion: Suspicion = lambda service, realserver: ""
    """How clients fare badly at a realserver; empty: they do not."""

    def __post_init__(self) -> None:
        self.book = FactBook(self.config)
        self.left = KernelState()
        self.reporter = Reporter(self.tell, self.book.name_of)
        self._causes: dict[Place, Cause] = {}
        self.vips = self.vips or Picture().groups

    def wall(self, monotonic: float) -> float:
        return NOON + monotonic - BEGIN

    def tell(self, event: Event) -> None:
        """Something happens now."""
        self.events.append(entry(len(self.events) + 1, self.wall(self.now), event))

    def wait(self, seconds: float) -> None:
        """Time goes by; what is due by itself is done."""
        self.now += seconds
        self.settle()

    # -- facts -----------------------------------------------------------------------------

    def probe(self, key: RealserverKey, *results: Result, hint: Hint | None = None) -> None:
        """Probes of a realserver's first check, one after the other, and what follows."""
        check = next(self._checks(key))
        for result in results:
            before = self.book.health.get(check, Health(since=BEGIN))
            after = health.step(before, result, check.spec.timing, self.now, hint)
            if after.verdict is not before.verdict:
                after = replace(after, trace=trace_id(check, after.since))
            self.book.record(check, after)
            self._causes[check.address, check.port] = Cause(after.trace, after.since)
            if after.verdict is not before.verdict:
                change = changed(check, before.verdict, after, result, self.book.asking(check))
                self.reporter.health(change, self.now)
            self.now += 0.001
            self.settle()
            self.now += check.spec.timing.fast_interval - 0.001

    def _checks(self, key: RealserverKey) -> Iterator[Check]:
        return (
            check
            for service in self.book.config.services
            for realserver in service.realservers
            if realserver.key == key
            for check in realserver.checks
        )

    def say(self, agent: Agent, answer: Answer) -> None:
        """A realserver's agent answers."""
        before = self.book.heard.get(agent, NOT_ASKED)
        self.book.hear(agent, agents.answered(before, answer, agent, self.now))
        self.settle()

    def put(self, override: Override) -> None:
        """An operator sets an override."""
        self.book.put(override)
        trace = override_trace(override)
        self._causes[override.target.address, override.target.port] = Cause(trace)
        self.tell(OverrideSet(override, trace))
        self.settle()

    def clear(self, override: Override, actor: str, reason: str = "") -> None:
        """An operator ends one."""
        self.book.drop(*override.key)
        trace = override_trace(override)
        self._causes[override.target.address, override.target.port] = Cause(trace)
        self.tell(OverrideCleared(override, actor, trace, reason))
        self.settle()

    def reload(self, config: Config, actor: str) -> None:
        """Another config is put in force."""
        before = realserver_names(self.book.config)
        self.book.configure(config, self.now)
        self.config = config
        self.settle()
        self.tell(reloaded(config, 1, actor, before))

    def settle(self) -> None:
        """Decide, plan, and put it into the kernel, as a pass does."""
        wanted, _ = self.book.decide(self.now)
        self.reporter.services(self.book.rules.news())
        steps = plan(wanted, self.left)
        failures = [StepFailure(s, 22, said) for s in steps if (said := self.refuses(s))]
        failed = [failure.step for failure in failures]
        may, held = held_back([s for s in steps if s not in failed], failed, self.left)
        self.left = applied(self.left, may)
        causes, self._causes = self._causes, {}
        self.reporter.applied(may, failures, held, self.now, causes, whole=True)

    # -- asking ----------------------------------------------------------------------------

    async def ask(self, target: str, service: str | None = None) -> WhyReply | None:
        """What the admin API answers."""
        facts = self.book.facts
        shown = [
            service_status(
                s,
                facts,
                self.left.services.get(s.key),
                Observation(),
                wall=self.wall,
                suspicion=self.suspicion,
            )
            for s in self.config.services
        ]
        view = Picture(shown, self.pulse, self.foreign, self.vips, others=self.peers)
        found, _ = await find(target, service, view)
        wanted = why.wanted(target, found)
        idle = tuple(o for o in self.book.idle if not found.configured)
        history = [one for one in self.events if wanted(one)]
        setting = why.setting(view, self.wall(self.now))
        return why.explain(target, replace(found, idle=idle), history, setting)

    async def transcript(self, target: str, service: str | None = None) -> str:
        """What the command prints."""
        reply = await self.ask(target, service)
        assert reply is not None, f"nobody knows {target}"
        within = "" if service is None else f" --service {service}"
        return "\n".join([f"$ lvsguard why {target}{within}", *lines(reply, False), ""])
