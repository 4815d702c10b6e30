"""Plays of one kind of trouble, of which more can be said than the bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import State
from tests.sim.host import Host
from tests.sim.scenario import Network, Scenario, draw
from tests.sim.world import World

GOOD = Network(delay=0.0005, jitter=0.002, loss=0.0, duplication=0.01, corruption=0.0)
BAD = Network(delay=0.0005, jitter=0.02, loss=0.05, duplication=0.02, corruption=0.001)


def plain(seed: int, network: Network, *, interval: float = 0.1) -> Scenario:
    """Directors as most are configured: a priority each, preempting."""
    scenario = draw(seed, interval=interval)
    directors = tuple(
        Settings(51, one.addresses, one.local, 200 - 10 * index, interval)
        for index, one in enumerate(scenario.directors)
    )
    return replace(scenario, directors=directors, network=network)


def started(scenario: Scenario) -> World:
    """A world in which all run and one leads."""
    world = World(scenario)
    for host in world.hosts:
        host.boot(ready_in=0.0, hold=0.0)
    world.run(120 * scenario.directors[0].interval)
    return world


def leader(world: World) -> Host:
    """The director that leads."""
    return next(host for host in world.hosts if host.state is State.MASTER)


def stop(world: World, one: Host) -> None:
    """Stop a director as planned, and start it again later."""
    one.stop()
    world.after(5.0, partial(one.boot, ready_in=0.5, hold=1.0))


def fail_over(world: World, one: Host) -> None:
    """Ask a director to give up mastership, and to come back later."""
    assert one.fail_over()
    world.after(5.0, one.resume)


def unready(world: World, one: Host) -> None:
    """A director loses its quorum for a while."""
    one.set_ready(False)
    world.after(5.0, one.set_ready, True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("network", [GOOD, BAD], ids=["good", "bad"])
@pytest.mark.parametrize("leave", [stop, fail_over, unready])
def test_a_planned_handover_leaves_no_moment_without_a_master(
    leave: Callable[[World, Host], None], network: Network, seed: int
) -> None:
    world = started(plain(seed, network))
    for _ in range(40):
        before = leader(world)
        leave(world, before)
        world.run(3.0)
        assert leader(world) is not before
        world.run(10.0)
    assert world.watch.unserved == 0.0
    assert world.watch.violations == []


@pytest.mark.parametrize("seed", range(4))
def test_what_backups_do_not_hear_while_they_do_not_run_is_no_reason_to_take_over(
    seed: int,
) -> None:
    world = started(plain(seed, GOOD))
    before, changes = leader(world), world.counts["role changes"]
    for number in range(200):
        one = world.random.choice([host for host in world.hosts if host is not before])
        (one.freeze if number % 2 else one.stall)()
        world.run(world.random.uniform(0.0, 2.0))
        one.go_on()
        world.run(world.random.uniform(0.0, 0.5))
    assert leader(world) is before
    assert world.counts["role changes"] == changes


@pytest.mark.parametrize("seed", range(4))
def test_a_master_that_did_not_run_for_long_does_not_speak_before_it_listened(seed: int) -> None:
    world = started(plain(seed, GOOD))
    for host in world.hosts:
        host.hold_preempt(True)
    for number in range(50):
        before = leader(world)
        (before.freeze if number % 2 else before.stall)()
        world.run(2.0)
        conflicts = world.counts["conflicts"]
        before.go_on()
        world.run(2.0)
        assert leader(world) is not before
        assert world.counts["conflicts"] == conflicts
    assert world.watch.two_longest <= 0.1


@pytest.mark.parametrize("seed", range(4))
def test_a_process_that_is_replaced_before_it_is_missed_goes_on_as_master(seed: int) -> None:
    world = started(plain(seed, GOOD))
    before, changes = leader(world), world.counts["role changes"]
    for number in range(1, 101):
        before.die("kept", steps=number % 2)  # or when it has spoken and not yet written it down
        while before.group is not None:
            world.run(0.005)
        world.run(world.random.uniform(0.0, 0.18))
        before.boot(ready_in=None, hold=0.0)
        assert leader(world) is before
        own = number * len(before.seats)  # from init
        assert world.counts["role changes"] == changes + own
        world.run(world.random.uniform(0.5, 1.0))
    assert world.counts["conflicts"] == 0
    assert world.watch.unserved == 0.0
    assert world.watch.violations == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fate", ["kept", "stale", "lost"])
def test_a_process_that_is_replaced_late_does_not_speak_before_it_listened(
    fate: str, seed: int
) -> None:
    world = started(plain(seed, GOOD))
    for host in world.hosts:
        host.hold_preempt(True)
    for _ in range(50):
        before = leader(world)
        before.die(fate)
        world.run(world.random.uniform(0.4, 2.0))
        assert before.holds, "its kernel forwards without it"
        before.boot(ready_in=0.0, hold=1000.0)
        world.run(0.2)
        assert not before.holds
        world.run(1.0)
        assert leader(world) is not before
    assert world.counts["conflicts"] == 0
    assert world.watch.unserved == 0.0
    assert world.watch.violations == []


@pytest.mark.parametrize("seed", range(4))
def test_a_failover_holds_until_it_is_resumed_whatever_process_there_is(seed: int) -> None:
    world = started(plain(seed, GOOD))
    best = leader(world)

    def replace_it() -> None:
        world.after(world.random.uniform(0.0, 1.0), partial(best.boot, ready_in=None, hold=0.0))

    for number in range(12):
        assert best.fail_over()
        best.die(steps=number % 4, then=replace_it)
        world.run(10.0)
        assert leader(world) is not best
        best.resume()
        world.run(3.0)
        assert leader(world) is best
    assert world.watch.unserved == 0.0
    assert world.watch.violations == []


@pytest.mark.parametrize("seed", range(4))
def test_a_logbook_that_says_anything_costs_one_advert_of_two_masters(seed: int) -> None:
    world = started(plain(seed, GOOD))
    for _ in range(100):
        best = leader(world)
        best.die("torn")
        world.run(world.random.uniform(0.0, 1.0))
        best.boot(ready_in=None, hold=0.0)
        world.run(2.0)
        assert [host for host in world.hosts if host.holds] == [best]
    assert world.watch.unserved == 0.0
    assert world.watch.violations == []
    assert world.watch.two_longest <= 0.5


@pytest.mark.parametrize("seed", range(4))
def test_an_hour_of_loss_and_jitter_at_one_second_keeps_the_vip_on_the_best_director(
    seed: int,
) -> None:
    """5 % loss: three adverts in a row are lost to a backup about once in two hours."""
    network = Network(delay=0.05, jitter=0.05, loss=0.05, duplication=0.02, corruption=0.0)
    world = started(plain(seed, network, interval=1.0))
    best, changes = leader(world), world.counts["role changes"]
    world.run(3600)
    assert leader(world) is best
    assert world.watch.violations == []
    assert world.watch.unserved == 0.0
    assert world.counts["role changes"] - changes <= 2 * 8 * len(best.seats)


@pytest.mark.parametrize("seed", range(4))
def test_after_any_cut_is_healed_the_best_director_leads_within_a_master_down_interval(
    seed: int,
) -> None:
    world = started(plain(seed, GOOD))
    best = leader(world)
    for _ in range(30):
        others = [(best.index, host.index) for host in world.hosts if host is not best]
        links = [*others, *((b, a) for a, b in others)]
        links = links if world.random.random() < 0.5 else others
        world.cuts.update(links)
        world.watch.network_changed()
        world.run(world.random.uniform(0.0, 10.0))
        world.cuts.clear()
        world.watch.network_changed()
        world.run(0.4)
        assert [host for host in world.hosts if host.holds] == [best]
    assert world.watch.violations == []
