"""A storm of hints makes a bounded number of probes, spread over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from lvsguard.core.health import Hint
from lvsguard.probes.engine import Engine
from lvsguard.probes.hints import BURSTS, PACE_S, PART, Hints
from lvsguard.probes.prober import BURST_S
from tests.unit.probes.test_engine import Clock


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
    def __init__(self) -> None:
        self.clock = Clock()
        self.engine = Engine(self.clock)
        self.hints = Hints(self.engine, BURST_S)
        self.checks = [Noted(self.clock) for _ in range(1000)]

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


def test_a_thousand_hints_at_once_make_no_more_probes_than_the_bound(storm: Storm) -> None:
    began = storm.clock.now
    storm.blow()
    storm.blow()
    storm.pass_time(5.0)
    probes = storm.probes()
    assert len(probes) == BURSTS * len(BURST_S) + len(storm.checks)
    assert all(check.hints for check in storm.checks)
    spread = [at for at in probes if at > began + BURST_S[-1] + 0.001]
    for start in range(int(spread[-1] - began) + 1):
        window = [at for at in spread if began + start <= at < began + start + 1]
        assert len(window) <= PART / PACE_S + PART


def test_who_was_probed_meanwhile_is_not_probed_for_the_hint(storm: Storm) -> None:
    storm.blow()
    storm.pass_time(0.06)
    for check in storm.checks:
        check.started = storm.clock.now
    storm.pass_time(2.0)
    assert len(storm.probes()) < BURSTS * len(BURST_S) + 2 * PART
    assert storm.hints.waiting == 0


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
