"""Any faults, any number of directors: never two masters and never none beyond the bounds."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import Advert, Version
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import State
from tests.sim.play import Tally, play
from tests.sim.scenario import VIP, Network, draw
from tests.sim.world import World


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


class ForItself(Election):
    """One that gives way to an equal whatever the rest of its group does."""

    def receive(self, advert: Advert, source: IPAddress, now: float, *, led: bool = False) -> None:
        super().receive(advert, source, now)


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


def unserved_after_crashes(seed: int, kind: type[Election]) -> float:
    """The longest time, of the bound, for which an address was on nobody: equals, three or more, of
    which a greater IPv4 address goes with a smaller IPv6 one."""
    drawn = draw(4 * seed + 1 + seed % 3)
    directors = tuple(Settings(51, (VIP,), one.local, 100, 0.1) for one in drawn.directors)
    sixes = tuple(IPv6Address("fe80::ff") - index for index in range(len(directors)))
    good = Network(delay=0.0001, jitter=0.0003, loss=0.0, duplication=0.0, corruption=0.0)
    same = tuple(0.0 for _ in directors)  # the worst: clocks that agree
    scenario = replace(drawn, directors=directors, sixes=sixes, network=good, drifts=same)
    world = World(scenario, kind=kind)
    for host in world.hosts:
        host.boot(ready_in=0.0, hold=0.0)
    world.run(10.0)
    longest = 0.0
    for _ in range(20):
        leader = next(host for host in world.hosts if host.state is State.MASTER)
        before = world.watch.unserved
        leader.crash()
        world.look()
        world.run(5.0)
        longest = max(longest, world.watch.unserved - before)
        leader.boot(ready_in=0.0, hold=0.0)
        world.run(2.0)
    return longest / world.scenario.bounds.none


@pytest.mark.parametrize("seed", range(4))
def test_of_equals_one_takes_over_whatever_their_addresses(seed: int) -> None:
    assert unserved_after_crashes(seed, Election) <= 1


def test_equals_that_decide_member_by_member_are_found_out() -> None:
    assert any(unserved_after_crashes(seed, ForItself) > 1 for seed in range(4))
