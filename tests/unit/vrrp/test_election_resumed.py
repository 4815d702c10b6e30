"""A process that is started anew over the addresses of the one before it."""

from __future__ import annotations

import pytest

from lvsguard.vrrp.action import AddAddresses, RemoveAddresses
from lvsguard.vrrp.transitions import State, Trigger
from tests.unit.vrrp.instance import GREATER, LOWER, Instance, causes, priorities, settings


def resumed(one: Instance, *, going_on: bool = False) -> Instance:
    one.election.start(one.now, resumed=True, going_on=going_on)
    return one


def test_while_nobody_can_have_taken_over_it_speaks_at_once() -> None:
    one = resumed(Instance(settings(100, start_delay=30.0)), going_on=True)
    actions = one.does()
    assert causes(actions) == [Trigger.WENT_ON]
    assert priorities(actions) == [100]
    assert one.became(AddAddresses) == [one.now]


def test_later_it_listens_for_two_intervals_and_its_skew_time() -> None:
    one = resumed(Instance(settings(100, start_delay=30.0)))
    assert causes(one.does()) == [Trigger.RESUMED]
    assert one.run(2.6) == []
    assert causes(one.run(0.1)) == [Trigger.MASTER_SILENT]


def test_one_that_is_not_ready_does_not_go_on_speaking() -> None:
    one = resumed(Instance(settings(100), ready=False), going_on=True)
    assert causes(one.does()) == [Trigger.RESUMED]
    assert one.run(60.0) == []
    assert not one.election.lets_go


def test_one_whose_readiness_only_lowers_its_priority_goes_on_with_that() -> None:
    one = resumed(Instance(settings(100, unready_drop=40), ready=False), going_on=True)
    assert priorities(one.does()) == [60]


@pytest.mark.parametrize("priority", [1, 99, 100, 254])
def test_what_it_was_found_with_goes_when_any_other_master_is_heard(priority: int) -> None:
    one = resumed(Instance(settings(100)))
    one.does()
    assert not one.election.lets_go
    one.hear(priority, GREATER)
    assert one.election.state is State.BACKUP
    assert one.election.lets_go


def test_a_master_that_leaves_is_nobody_to_let_go_for() -> None:
    one = resumed(Instance(settings(100)))
    one.does()
    one.hear(0)
    assert not one.election.lets_go
    assert causes(one.run(1.0)) == [Trigger.MASTER_RESIGNED]


def test_two_that_go_on_agree_at_the_first_advert() -> None:
    one = resumed(Instance(settings(100)), going_on=True)
    assert causes(one.hear(100, GREATER)) == [Trigger.WENT_ON, Trigger.GREATER_ADDRESS]
    assert one.became(RemoveAddresses) == [one.now]
    other = resumed(Instance(settings(100)), going_on=True)
    assert causes(other.hear(100, LOWER)) == [Trigger.WENT_ON]


@pytest.mark.parametrize("going_on", [False, True])
@pytest.mark.parametrize("start_delay", [0.0, 30.0])
def test_without_a_link_it_is_in_fault_at_once_and_lets_go(
    start_delay: float, going_on: bool
) -> None:
    one = Instance(settings(100, start_delay=start_delay))
    one.election.link(False, one.now)
    resumed(one, going_on=going_on)
    assert one.election.state is State.FAULT
    assert one.election.lets_go


def test_one_that_stood_aside_goes_on_to_until_its_successor_is_silent() -> None:
    one = Instance(settings(200))
    one.election.start(one.now, aside=True)
    one.follow(100, 10)
    assert one.election.aside
    assert one.election.state is State.BACKUP
    assert causes(one.run(4.0)) == [Trigger.MASTER_SILENT]
    assert not one.election.aside
