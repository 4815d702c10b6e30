"""Any faults, any number of directors: never two masters and never none beyond the bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import Advert, Version
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.transitions import State
from tests.sim.play import Tally, play
from tests.sim.scenario import draw


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_twenty_hours_at_100_ms_stay_within_the_bounds() -> None:
    """An hour for each seed; `python -m tests.sim --seed N --trace` plays one again."""
    total = Tally()
    for seed in range(20):
        total.add(play(draw(seed), 1.0))
    print(total)
    assert total.violations == []
    assert total.counts["faults"] > 5000
    assert total.counts["conflicts"] > 100, "two masters never met: nothing was tried"
    assert total.counts["rejected"] > 100, "no octet was spoiled: nothing was tried"
    assert total.counts["processes killed"] > 300


@pytest.mark.parametrize("seed", range(4))
def test_some_minutes_at_100_ms_stay_within_the_bounds(seed: int) -> None:
    assert play(draw(seed), 0.1).violations == []


PROCESSES = ("process", "process", "process", "link", "stall", "failover", "stop", "unready")


@pytest.mark.parametrize("seed", range(200, 204))
def test_processes_that_die_often_stay_within_the_bounds(seed: int) -> None:
    scenario = replace(draw(seed), fault_every=2.0)
    found = play(scenario, 0.2, PROCESSES)
    assert found.violations == []
    assert found.counts["processes killed"] > 40


@pytest.mark.parametrize(
    ("interval", "version"), [(1.0, Version.V2), (1.0, Version.V3), (0.02, Version.V3)]
)
def test_other_intervals_and_version_2_stay_within_the_bounds(
    interval: float, version: Version
) -> None:
    for seed in range(100, 104):
        scenario = draw(seed, interval=interval, version=version)
        assert play(scenario, 0.3 * interval).violations == []


def test_a_seed_says_everything_that_happens() -> None:
    traces: list[list[str]] = [[], []]
    for trace in traces:
        play(draw(7), 0.05, trace=trace.append)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 20


# That the simulation can fail: elections with a fault of their own are found out.


class Stubborn(Election):
    """A master that gives way to nobody."""

    def receive(self, advert: Advert, source: IPAddress, now: float, *, led: bool = False) -> None:
        if self.state is not State.MASTER:
            super().receive(advert, source, now, led=led)


class Timid(Election):
    """A backup that never takes over once it has followed somebody."""

    def expire(self, now: float) -> None:
        if self.state is not State.BACKUP or self.master is None:
            super().expire(now)


class Mute(Election):
    """A master that does not speak of its own accord."""

    def expire(self, now: float) -> None:
        if self.state is not State.MASTER:
            super().expire(now)

    def timer(self) -> float | None:
        return None if self.state is State.MASTER else super().timer()


class Clinging(Election):
    """A process started anew that keeps the addresses it found, whoever is master."""

    @property
    def lets_go(self) -> bool:
        return False


class Deaf(Election):
    """A process started anew that waits for its start delay before it listens."""

    def start(
        self, now: float, *, resumed: bool = False, going_on: bool = False, aside: bool = False
    ) -> None:
        super().start(now)


@pytest.mark.parametrize("kind", [Clinging, Deaf])
def test_a_process_started_anew_with_a_fault_is_found_out(kind: type[Election]) -> None:
    scenarios = [replace(draw(seed), fault_every=2.0) for seed in range(8)]
    assert any(play(one, 0.2, PROCESSES, kind=kind).violations for one in scenarios)


@pytest.mark.parametrize("kind", [Stubborn, Timid, Mute])
def test_an_election_with_a_fault_is_found_out(kind: type[Election]) -> None:
    assert any(play(draw(seed), 0.05, kind=kind).violations for seed in range(4))
