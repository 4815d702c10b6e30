"""Where facts come in: verdicts and overrides. Each changes the fact book, is told, and wakes the
loop; none carries the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.report import Reporter
from lvsguard.controller.sight import Sight
from lvsguard.controller.since import Since
from lvsguard.core import agent as agents
from lvsguard.core.agent import Agent, Standing
from lvsguard.core.agent_event import AgentBack, AgentChanged, AgentSilent
from lvsguard.core.config import Check
from lvsguard.core.event import Event, HealthChanged, HealthLost, OverrideCleared, OverrideSet
from lvsguard.core.health import Health, Result, Verdict
from lvsguard.core.model import VipAddress, endpoint
from lvsguard.core.override import Override, OverrideKind, Target, override_trace
from lvsguard.core.trace import Cause, Causes, Place, trace_id

SERVICES_MAX: Final = 10
"""Services that an event names."""


class Intake:
    """Takes facts into the book, unless the director's own links cast doubt on them."""

    def __init__(
        self,
        book: FactBook,
        report: Reporter,
        *,
        links: Callable[[], Mapping[str, bool]],
        emit: Callable[[Event], None],
        latency: Callable[[Sequence[float]], None],
        wake: Callable[[], None],
        since: Since,
    ) -> None:
        """``links``: the director's interfaces and whether each is up."""
        self._book = book
        self._report = report
        self._links = links
        self._emit = emit
        self._latency = latency
        self._wake = wake
        self._since = since
        self._sight = Sight()
        self._flipped: list[float] = []
        self._causes: dict[Place, Cause] = {}

    def record(self, check: Check, health: Health) -> None:
        """Take a verdict from a prober, unless the director's own link may have caused it."""
        now = time.monotonic()
        self._sight.links(self._links(), now)
        if self._sight.believes(check, health, now):
            self._take(check, health, now)

    def look_out(self, addresses: frozenset[VipAddress], now: float) -> None:
        """Take note of addresses and links; verdicts that were doubted and still hold go in."""
        self._sight.addresses(addresses)
        self._sight.links(self._links(), now)
        for check, health in self._sight.due(now):
            self._take(check, health, now)

    def _take(self, check: Check, health: Health, now: float) -> None:
        if check not in self._book.checks:
            return  # a late word on a check that a reload dropped
        before = self._book.health.get(check)
        health = self._since.check(check, before, health, now)
        if not self._book.record(check, health):
            return
        verdict = Verdict.UNKNOWN if before is None else before.verdict
        place = (check.address, None if check.spec.port else check.port)
        self._causes[place] = Cause(health.trace)
        if verdict is not health.verdict and health.result is not None:
            self._flipped.append(health.since)
            self._causes[place] = Cause(health.trace, health.since)
            change = changed(check, verdict, health, health.result, self._book.asking(check))
            self._report.health(change, now)
        self._wake()

    def hear(self, agent: Agent, standing: Standing) -> None:
        """Take what is known of an agent now."""
        for one in self._book.asked_as(agent):
            self._hear(one, standing)

    def _hear(self, agent: Agent, standing: Standing) -> None:
        before = self._book.heard.get(agent, agents.NOT_ASKED)
        standing = self._since.agent(agent, before, standing, time.monotonic())
        changes = self._book.hear(agent, standing)
        where = endpoint(agent.address, agent.port)
        news: list[Event] = []
        if standing.mute and not before.mute:
            news.append(AgentSilent(where, standing.silent))
        elif before.mute and not standing.silent:
            news.append(AgentBack(where))
        was, now = agents.state(before), agents.state(standing)
        if was != now:
            code = "L7STS" if standing.down else "L7OK"
            told = (code, round(standing.duration, 6), standing.line)
            trace = trace_id(where, now, time.monotonic())
            self._causes[agent.address, None] = Cause(trace)
            news.append(AgentChanged(where, was, now, standing.why, *told, trace=trace))
        self._report.services(news)
        if changes:
            self._wake()

    @property
    def flips(self) -> int:
        """Changes of verdict that are not in the kernel yet."""
        return len(self._flipped)

    def applied(self) -> Causes:
        """What came in is in the kernel now: say how long each verdict took; what it was."""
        now = time.monotonic()
        self._latency([now - since for since in self._flipped])
        self._flipped.clear()
        causes, self._causes = self._causes, {}
        return causes

    def override(self, override: Override) -> None:
        """Set an override."""
        self._book.put(override)
        self._emit(OverrideSet(override, self._caused_by(override)))
        self._wake()

    def clear(
        self, target: Target, kind: OverrideKind, actor: str, reason: str = ""
    ) -> Override | None:
        """Clear an override; None when there was none."""
        gone = self._book.drop(target, kind)
        if gone is not None:
            self._emit(OverrideCleared(gone, actor, self._caused_by(gone), reason))
            self._wake()
        return gone

    def _caused_by(self, override: Override) -> str:
        """Take note that what comes next at the target follows from this override; its id."""
        target = override.target
        trace = override_trace(override)
        self._causes[target.address, target.port] = Cause(trace)
        return trace

    def expire(self, now: float) -> None:
        """Clear what is over at ``now`` (wall clock)."""
        for override in self._book.expired(now):
            self.clear(override.target, override.kind, "expiry")


def changed(
    check: Check,
    before: Verdict,
    health: Health,
    result: Result,
    services: Iterable[str] = (),
) -> HealthChanged:
    """A change of verdict with its evidence."""
    hint = health.hint
    up = health.verdict is Verdict.UP
    kind = HealthLost if health.verdict is Verdict.DOWN else HealthChanged
    return kind(
        endpoint(check.address, check.port),
        check.how,
        before,
        health.verdict,
        result.code,
        result.reason,
        result.failure,
        "check" if hint is None else hint.detector,
        "" if hint is None else hint.what,
        None if hint is None else round(health.since - hint.at, 6),
        round(result.duration, 6),
        health.successes if up else health.failures,
        round(max(health.since - health.doubted, 0.0), 6) if health.doubted else 0.0,
        result.seen,
        health.trace,
        tuple(islice(services, SERVICES_MAX)),
    )
