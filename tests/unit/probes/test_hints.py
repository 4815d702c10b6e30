"""A storm of hints makes a bounded number of probes, spread over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from lvsguard.core.health import Hint
from lvsguard.probes.engine import Engine
from lvsguard.probes.hints import ANSWER_S, BURSTS, CROWD, PACE_S, PART, STEADY, Hints
from lvsguard.probes.prober import BURST_S
from tests.unit.probes.test_engine import Clock

PATIENCE_S = 0.2
"""Seconds that a probe of a silent host takes."""


class Noted:
    """A check that notes what it was hinted at."""

    def __init__(self, clock: Clock) -> None:
        self.ended = False
        self.started = 0.0
        self.hints: list[tuple[float, tuple[float, ...]]] = []
        self._clock = clock

    def hint(self, delays: Sequence[float], hint: Hint | None = None) -> None:
        self.hints.append((self._clock.now, tuple(delays)))


class Storm:
    def __init__(self, checks: int = 1000) -> None:
        self.clock = Clock()
        self.engine = Engine(self.clock)
        self.hints = Hints(self.engine, BURST_S)
        self.checks = [Noted(self.clock) for _ in range(checks)]

    def blow(self) -> None:
        for check in self.checks:
            self.hints.give(check, Hint("canary", "closed", self.clock.now))

    def pass_time(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += 0.001
            self.engine.select(0)

    def probes(self) -> list[float]:
        return sorted(at + d for check in self.checks for at, each in check.hints for d in each)


@pytest.fixture
def storm() -> Iterator[Storm]:
    storm = Storm()
    yield storm
    storm.hints.close()
    storm.engine.close()


def test_a_hint_makes_its_burst_at_once(storm: Storm) -> None:
    storm.hints.give(storm.checks[0], Hint("canary", "closed", storm.clock.now))
    assert storm.checks[0].hints == [(storm.clock.now, BURST_S)]


def test_a_thousand_hints_at_once_make_one_probe_each_soon_and_no_more(storm: Storm) -> None:
    began = storm.clock.now
    storm.blow()
    storm.blow()
    storm.pass_time(5.0)
    probes = storm.probes()
    assert len(probes) == BURSTS * len(BURST_S) + len(storm.checks)
    assert all(check.hints for check in storm.checks)
    assert probes[-1] - began <= BURST_S[-1] + 1000 / PART * PACE_S + 0.05
    alone = [at for at in probes if at > began + BURST_S[-1] + 0.001]
    for at in alone:
        assert sum(at <= other < at + PACE_S - 1e-6 for other in alone) <= PART


def test_a_storm_that_does_not_end_makes_a_bounded_number_of_probes() -> None:
    storm = Storm(5000)
    try:
        began = storm.clock.now
        for _ in range(40):
            storm.blow()
            storm.pass_time(0.1)
        passed = storm.clock.now - began
        bursts = BURSTS * (1 + passed) * len(BURST_S)
        assert len(storm.probes()) <= bursts + CROWD + STEADY * passed
        assert len(storm.probes()) > CROWD + STEADY * (passed - 1)
    finally:
        storm.hints.close()
        storm.engine.close()


def test_the_kernel_gets_its_time_to_refuse_however_late_in_a_storm_a_hint_is(storm: Storm) -> None:
    storm.blow()
    storm.pass_time(0.045)
    given = storm.clock.now
    late = [Noted(storm.clock) for _ in range(10)]  # some of which get the bursts that came back
    for check in late:
        storm.hints.give(check, Hint("canary", "closed", given))
    storm.pass_time(1.0)
    ((at, delays),) = late[-1].hints
    assert at >= given + BURST_S[-1]
    assert delays == (0.0,)


def test_news_rest_until_a_storm_is_over(storm: Storm) -> None:
    storm.hints.give(storm.checks[0], Hint("canary", "closed", storm.clock.now))
    assert storm.hints.rest(storm.clock.now) == 0, "one hint is no storm"
    began = storm.clock.now
    storm.blow()
    promised = storm.hints.rest(began)
    while storm.hints.rest(storm.clock.now):
        storm.pass_time(0.001)
    over = storm.clock.now - began
    assert storm.probes()[-1] < storm.clock.now - ANSWER_S / 2
    assert 0.25 <= over <= 0.35
    assert promised == pytest.approx(over, abs=0.045)


def fall_silent(storm: Storm, count: int) -> None:
    """As hosts do that say nothing for two intervals: one each 100 us."""
    for number, check in enumerate(storm.checks[:count], 1):
        storm.hints.silent(check, storm.clock.now, PATIENCE_S)
        storm.hints.give(check, Hint("arp", "silent", storm.clock.now))
        if not number % 10:
            storm.pass_time(0.001)


def test_news_rest_until_the_last_silent_host_has_had_its_patience(storm: Storm) -> None:
    fall_silent(storm, 300)
    storm.pass_time(BURST_S[-1] + 0.1)
    assert storm.hints.waiting == 0
    last = max(at for check in storm.checks for at, _ in check.hints)
    rest = storm.clock.now + storm.hints.rest(storm.clock.now)
    assert rest == pytest.approx(last + PATIENCE_S + ANSWER_S)
    storm.pass_time(rest - storm.clock.now + 0.001)
    assert storm.hints.rest(storm.clock.now) == 0


def test_news_rest_for_silent_hosts_that_wait_for_their_turn(storm: Storm) -> None:
    fall_silent(storm, 1000)
    assert storm.hints.waiting > 0
    promised = storm.clock.now + storm.hints.rest(storm.clock.now)
    storm.pass_time(0.5)
    last = max(at for check in storm.checks for at, _ in check.hints)
    assert promised == pytest.approx(last + PATIENCE_S + ANSWER_S, abs=0.045)


def test_a_silent_host_whose_probe_is_under_way_is_waited_for_no_longer_than_that(
    storm: Storm,
) -> None:
    begun = storm.clock.now
    storm.pass_time(0.15)
    for check in storm.checks[: BURSTS + 1]:
        storm.hints.silent(check, begun, PATIENCE_S)
    rest = storm.hints.rest(storm.clock.now)
    assert storm.clock.now + rest == pytest.approx(begun + PATIENCE_S + ANSWER_S)


def test_a_few_silent_hosts_are_no_storm(storm: Storm) -> None:
    fall_silent(storm, BURSTS)
    assert storm.hints.rest(storm.clock.now) == 0
    storm.pass_time(1.0)
    fall_silent(storm, BURSTS)
    assert storm.hints.rest(storm.clock.now) == 0, "the former ones are over"


def test_news_do_not_rest_for_a_storm_too_large_to_wait_for() -> None:
    storm = Storm(5000)
    try:
        storm.blow()
        storm.pass_time(BURST_S[-1] + CROWD / PART * PACE_S + 0.1)
        assert storm.hints.waiting
        assert storm.hints.rest(storm.clock.now) == 0
    finally:
        storm.hints.close()
        storm.engine.close()


def test_who_was_probed_meanwhile_is_not_probed_for_the_hint(storm: Storm) -> None:
    storm.blow()
    storm.pass_time(0.06)
    for check in storm.checks:
        check.started = storm.clock.now
    storm.pass_time(2.0)
    assert len(storm.probes()) <= BURSTS * len(BURST_S) + 3 * PART
    assert storm.hints.waiting == 0


def test_a_death_after_the_probe_that_answered_an_older_hint_is_probed_too(storm: Storm) -> None:
    storm.blow()
    storm.pass_time(0.08)
    last = storm.checks[-1]
    last.started = storm.clock.now  # well: the storm's hint was nothing
    assert not last.hints
    storm.hints.give(last, Hint("canary", "closed", storm.clock.now))
    given = storm.clock.now
    storm.pass_time(1.0)
    ((at, _),) = last.hints
    assert at >= given + BURST_S[-1]


def test_who_has_ended_is_not_probed(storm: Storm) -> None:
    storm.blow()
    for check in storm.checks:
        check.ended = True
    storm.pass_time(2.0)
    assert len(storm.probes()) == BURSTS * len(BURST_S)


def test_bursts_come_back_with_time(storm: Storm) -> None:
    storm.blow()
    storm.pass_time(5.0)
    check = storm.checks[-1]
    storm.hints.give(check, Hint("canary", "closed", storm.clock.now))
    assert check.hints[-1] == (storm.clock.now, BURST_S)
