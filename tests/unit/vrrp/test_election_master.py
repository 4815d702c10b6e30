"""A master: when it gives way, how it answers others, and how it leaves."""

from __future__ import annotations

import pytest

from lvsguard.core.snapshot import Role
from lvsguard.vrrp.action import (
    Announce,
    Conflict,
    ConflictOver,
    Handover,
    Occasion,
    RemoveAddresses,
    RoleChanged,
    Send,
    Stage,
    Stalled,
    Stopped,
)
from lvsguard.vrrp.transitions import State, Trigger
from tests.unit.vrrp.instance import (
    GREATER,
    LOWER,
    Instance,
    advert,
    causes,
    master,
    priorities,
    settings,
)

CONTESTED = Announce(Occasion.CONTESTED)
RESIGN = Send(advert(0))


def test_it_speaks_each_interval() -> None:
    assert priorities(master(settings(100)).run(10.0)) == [100] * 10


def test_a_higher_priority_ends_it_at_once() -> None:
    assert master(settings(100)).hear(101) == [
        RemoveAddresses(),
        RoleChanged(Role.MASTER, Role.BACKUP, Trigger.HIGHER_PRIORITY),
    ]


def test_an_equal_priority_is_decided_by_the_greater_address() -> None:
    assert causes(master(settings(100)).hear(100, GREATER)) == [Trigger.GREATER_ADDRESS]
    one = master(settings(100))
    assert causes(one.hear(100, LOWER)) == []


def test_addresses_are_compared_as_unsigned_numbers_in_network_order() -> None:
    one = master(settings(100))
    assert causes(one.hear(100, type(LOWER)("9.255.255.255"))) == []
    assert causes(one.hear(100, type(LOWER)("200.0.0.1"))) == [Trigger.GREATER_ADDRESS]


def test_its_own_advert_that_comes_back_is_nobody_elses() -> None:
    one = master(settings(100))
    one.run(0.5)
    assert one.hear(100, one.election.local) == []


def test_the_address_that_it_speaks_from_now_is_compared() -> None:
    one = master(settings(100))
    one.election.local = GREATER + 1
    assert causes(one.hear(100, GREATER)) == []


def test_it_follows_who_ended_it() -> None:
    one = master(settings(100))
    one.hear(200, interval=5.0)
    assert one.election.master == LOWER
    assert one.run(17.0) == []


def test_a_lower_priority_is_answered_at_once_and_announced_against() -> None:
    one = master(settings(100))
    one.run(0.5)
    assert one.hear(50) == [Conflict(LOWER, 50), CONTESTED, Send(advert(100))]


def test_a_flood_of_foreign_adverts_is_not_answered_by_a_flood() -> None:
    one = master(settings(100))
    one.run(0.5)
    actions = []
    for _ in range(1000):
        actions += one.hear(50)
        actions += one.run(0.001)
    assert len(priorities(actions)) <= 11
    assert actions.count(Conflict(LOWER, 50)) == 1
    assert actions.count(CONTESTED) == 1


def test_an_answer_that_must_wait_comes_a_tenth_of_an_interval_later() -> None:
    one = master(settings(100))
    one.run(0.5)
    one.hear(50)
    assert priorities(one.hear(50)) == []
    assert priorities(one.run(0.11)) == [100]


def test_when_the_other_master_is_silent_the_addresses_are_announced_again() -> None:
    one = master(settings(100))
    one.hear(50)
    one.run(1.0)
    one.hear(50)
    rest = [action for action in one.run(10.0) if not isinstance(action, Send)]
    assert rest == [ConflictOver(LOWER, 1.0), CONTESTED]


def test_a_long_contest_is_announced_every_five_seconds() -> None:
    one = master(settings(100))
    actions = one.follow(50, 21)
    assert actions.count(CONTESTED) == 1 + 4


def test_the_last_advert_of_a_master_just_replaced_is_no_conflict() -> None:
    one = Instance(settings(150)).start()
    one.run(4.0)
    assert one.election.role is Role.MASTER
    assert [type(action) for action in one.hear(100)] == [Send]


def test_priority_0_is_answered_at_once() -> None:
    one = master(settings(100))
    one.run(0.5)
    assert one.hear(0) == [Send(advert(100))]


def test_a_new_priority_is_said_at_once() -> None:
    one = master(settings(100))
    one.run(0.5)
    one.election.set_priority(80, one.now)
    assert one.does() == [Send(advert(80))]


def test_priorities_that_do_not_exist_are_taken_as_the_nearest() -> None:
    one = master(settings(100))
    one.run(0.5)
    one.election.set_priority(-5, one.now)
    one.run(0.5)
    one.election.set_priority(999, one.now)
    assert one.election.priority == 255


# Lateness.


@pytest.mark.parametrize("late", [0.5, 1.9])
def test_an_advert_that_is_somewhat_late_is_sent(late: float) -> None:
    one = master(settings(100))
    due = one.election.timer()
    assert due is not None
    assert priorities(one.stall(due - one.now + late)) == [100]


def test_silent_for_three_intervals_it_steps_back_before_it_speaks() -> None:
    actions = master(settings(100)).stall(3.7)
    assert [type(action) for action in actions] == [Stalled, RemoveAddresses, RoleChanged]
    assert causes(actions) == [Trigger.WAS_LATE]


def test_it_steps_back_also_when_an_advert_is_read_first() -> None:
    one = master(settings(100))
    one.now += 10.0
    actions = one.hear(50)
    assert causes(actions) == [Trigger.WAS_LATE]
    assert priorities(actions) == []


def test_having_stepped_back_it_hears_the_new_master() -> None:
    one = master(settings(100, preempt=False))
    one.stall(10.0)
    one.run(0.9)
    one.hear(50)
    assert one.run(3.0) == []


def test_having_stepped_back_it_returns_soon_when_nobody_is_there() -> None:
    one = master(settings(100))
    one.stall(10.0)
    assert one.run(2.6) == []
    assert causes(one.run(0.1)) == [Trigger.MASTER_SILENT]


# Leaving.


def test_a_stop_resigns_and_keeps_addresses_until_the_successor_is_heard() -> None:
    one = master(settings(100))
    one.election.stop(one.now)
    assert one.does() == [Handover(Stage.BEGUN, Trigger.STOPPED), RESIGN]
    assert one.run(0.7) == []
    assert one.election.role is Role.MASTER
    assert one.hear(50) == [
        Handover(Stage.HEARD, Trigger.SUCCESSOR_HEARD, LOWER),
        RemoveAddresses(),
        RoleChanged(Role.MASTER, Role.INIT, Trigger.SUCCESSOR_HEARD),
        Stopped(),
    ]
    assert one.run(60.0) == []


def test_a_stop_that_nobody_claims_releases_after_the_longest_master_down_interval() -> None:
    one = master(settings(100))
    one.election.stop(one.now)
    one.does()
    assert set(priorities(one.run(3.9))) == {0}
    assert one.run(0.1) == [
        Handover(Stage.NOBODY, Trigger.NOBODY_CAME),
        RemoveAddresses(),
        RoleChanged(Role.MASTER, Role.INIT, Trigger.NOBODY_CAME),
        Stopped(),
    ]


def test_a_stop_that_nobody_claims_keeps_the_addresses_if_asked() -> None:
    one = master(settings(100))
    one.election.stop(one.now, keep=True)
    assert RemoveAddresses() not in one.run(10.0)
    assert one.election.state is State.INIT


def test_a_backup_stops_at_once() -> None:
    one = Instance(settings(100)).start()
    one.election.stop(one.now)
    assert Stopped() in one.does()


def test_a_stop_before_the_start_delay_is_over_is_a_stop() -> None:
    one = Instance(settings(100, start_delay=5.0)).start()
    one.election.stop(one.now)
    assert one.does() == [Stopped()]
    assert one.run(10.0) == []


def test_a_failover_hands_over_and_does_not_preempt_back() -> None:
    one = master(settings(150))
    assert one.election.failover(one.now)
    assert RESIGN in one.does()
    one.run(0.6)
    assert causes(one.hear(100)) == [Trigger.SUCCESSOR_HEARD]
    assert one.follow(100, 60) == []


def test_after_a_failover_it_comes_back_when_told() -> None:
    one = master(settings(150))
    one.election.failover(one.now)
    one.hear(100)
    one.follow(100, 10)
    one.election.resume(one.now)
    assert causes(one.run(0.5)) == [Trigger.PREEMPTS]


def test_after_a_failover_it_comes_back_when_the_successor_leaves_and_then_is_itself_again() -> (
    None
):
    one = master(settings(150))
    one.election.failover(one.now)
    one.hear(100)
    one.follow(100, 10)
    one.hear(0)
    assert causes(one.run(0.5)) == [Trigger.MASTER_RESIGNED]
    one.hear(200)
    assert causes(one.follow(100, 5)) == [Trigger.PREEMPTS]


def test_a_failover_with_nobody_to_take_over_interrupts_nothing() -> None:
    one = master(settings(150))
    one.election.failover(one.now)
    actions = one.run(10.0)
    assert RemoveAddresses() not in actions
    assert Handover(Stage.NOBODY, Trigger.NOBODY_CAME) in actions
    assert one.election.state is State.MASTER
    assert priorities(actions)[-1] == 150


def test_a_backup_has_no_mastership_to_give() -> None:
    one = Instance(settings(100)).start()
    assert one.election.failover(one.now) is False


def test_a_stop_during_a_failover_ends_it_after_the_successor() -> None:
    one = master(settings(150))
    one.election.failover(one.now)
    one.election.stop(one.now)
    one.hear(100)
    assert one.election.state is State.INIT


def test_a_master_that_is_no_longer_ready_hands_over() -> None:
    one = master(settings(150))
    one.election.set_ready(False, one.now)
    assert one.does() == [Handover(Stage.BEGUN, Trigger.NOT_READY), RESIGN]
    assert causes(one.hear(100)) == [Trigger.SUCCESSOR_HEARD]
    assert one.follow(100, 30) == []
    one.election.set_ready(True, one.now)
    assert causes(one.follow(100, 5)) == [Trigger.PREEMPTS]


def test_a_master_of_the_lowest_priority_hands_over_too() -> None:
    one = master(settings(1))
    one.election.set_ready(False, one.now)
    assert one.does() == [Handover(Stage.BEGUN, Trigger.NOT_READY), RESIGN]


def test_a_master_that_is_not_ready_goes_on_as_the_last_resort_if_nobody_comes() -> None:
    one = master(settings(150))
    one.election.set_ready(False, one.now)
    actions = one.run(10.0)
    assert RemoveAddresses() not in actions
    assert priorities(actions)[-1] == 1
    assert causes(one.hear(2)) == [Trigger.HIGHER_PRIORITY]


def test_with_a_configured_drop_it_says_less_and_lets_others_decide() -> None:
    one = master(settings(150, unready_drop=60))
    one.run(0.8)
    one.election.set_ready(False, one.now)
    assert one.does() == [Send(advert(90))]
    assert one.election.state is State.MASTER


def test_without_a_link_it_resigns_on_the_paths_it_has_and_drops_the_addresses() -> None:
    one = master(settings(100))
    one.election.link(False, one.now)
    assert one.does() == [
        RESIGN,
        RemoveAddresses(),
        RoleChanged(Role.MASTER, Role.FAULT, Trigger.LINK_LOST),
    ]
    assert one.election.timer() is None


def test_a_director_that_leaves_and_slept_meanwhile_steps_back() -> None:
    one = master(settings(150))
    one.election.failover(one.now)
    assert causes(one.stall(30.0)) == [Trigger.WAS_LATE]
