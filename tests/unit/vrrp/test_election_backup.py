"""A backup: whom it follows, when it takes over, and what a stall of its own is worth."""

from __future__ import annotations

import pytest

from lvsguard.core.snapshot import Role
from lvsguard.vrrp.action import (
    AddAddresses,
    Announce,
    HoldLapsed,
    MasterResigned,
    Occasion,
    RoleChanged,
    Send,
    Stalled,
)
from lvsguard.vrrp.advert import Version
from lvsguard.vrrp.transitions import State, Trigger
from tests.unit.vrrp.instance import (
    GREATER,
    LOCAL,
    LOWER,
    Instance,
    advert,
    backup,
    causes,
    priorities,
    settings,
)


def test_it_takes_over_when_the_master_was_silent_for_the_master_down_interval() -> None:
    one = backup(settings(100))
    heard = one.now
    assert one.run(3.6) == []
    taken = one.run(0.1)
    assert one.became(RoleChanged)[-1] - heard == pytest.approx(3.609375)
    assert causes(taken) == [Trigger.MASTER_SILENT]


def test_it_takes_the_addresses_then_announces_then_says_so_then_tells() -> None:
    one = backup(settings(100))
    assert one.run(3.7) == [
        AddAddresses(),
        Announce(Occasion.TAKEOVER),
        Send(advert(100)),
        RoleChanged(Role.BACKUP, Role.MASTER, Trigger.MASTER_SILENT),
    ]


def test_a_lone_director_is_master_one_master_down_interval_after_its_start() -> None:
    one = Instance(settings(100)).start()
    assert one.election.role is Role.BACKUP
    one.run(10)
    assert one.became(RoleChanged)[-1] == pytest.approx(1003.609375)


def test_the_owner_is_master_at_once() -> None:
    one = Instance(settings(255)).start()
    assert one.election.role is Role.MASTER
    assert causes([action for _, action in one.asked]) == [Trigger.STARTED, Trigger.OWNER_STARTED]


def test_an_owner_that_is_held_back_begins_as_backup() -> None:
    one = Instance(settings(255))
    one.election.hold_preempt(True, one.now)
    assert one.start().election.role is Role.BACKUP


def test_nothing_happens_before_the_start_delay_is_over() -> None:
    one = Instance(settings(100, start_delay=5.0)).start()
    one.hear(200)
    one.run(6.0)
    assert one.became(RoleChanged) == [1005.0]
    assert one.election.master is None


def test_priority_0_makes_it_take_over_after_the_skew_time_alone() -> None:
    one = backup(settings(100))
    assert one.hear(0) == [MasterResigned(LOWER)]
    assert one.run(0.6) == []
    assert causes(one.run(0.1)) == [Trigger.MASTER_RESIGNED]


def test_a_repeated_priority_0_does_not_put_the_takeover_off() -> None:
    one = backup(settings(100))
    one.hear(0)
    one.run(0.5)
    assert one.hear(0) == []
    assert causes(one.run(0.2)) == [Trigger.MASTER_RESIGNED]


def test_priority_0_of_another_than_the_master_is_late_news() -> None:
    one = backup(settings(100))
    assert one.hear(0, GREATER) == []
    assert one.run(3.0) == []


def test_a_successor_that_spoke_first_is_followed() -> None:
    one = backup(settings(100))
    one.hear(0)
    one.run(0.3)
    one.hear(120, GREATER)
    assert one.run(3.0) == []
    assert one.election.master == GREATER


def test_it_preempts_a_lower_priority_after_the_master_down_interval() -> None:
    one = Instance(settings(150)).start()
    actions = one.follow(100, 4)
    assert causes(actions) == [Trigger.PREEMPTS]


def test_without_preempt_it_follows_a_lower_priority() -> None:
    one = Instance(settings(150, preempt=False)).start()
    assert one.follow(100, 60) == []


def test_an_equal_priority_is_followed() -> None:
    one = Instance(settings(100)).start()
    assert one.follow(100, 60) == []


def test_preempt_delay_counts_from_the_first_advert_of_the_lower_master() -> None:
    one = Instance(settings(150, preempt_delay=20.0)).start()
    assert one.follow(200, 30) == []
    assert one.follow(100, 21) == []
    assert causes(one.follow(100, 4)) == [Trigger.PREEMPTS]


def test_preempt_delay_does_not_leave_a_silent_master_in_place() -> None:
    one = Instance(settings(150, preempt_delay=300.0)).start()
    one.follow(100, 5)
    assert causes(one.run(3.5)) == [Trigger.MASTER_SILENT]


def test_held_preemption_waits_and_follows_the_skew_time_after_the_release() -> None:
    one = Instance(settings(150))
    one.election.hold_preempt(True, one.now)
    one.start()
    assert one.follow(100, 60) == []
    one.election.hold_preempt(False, one.now)
    assert one.run(0.4) == []
    assert causes(one.run(0.1)) == [Trigger.PREEMPTS]


def test_held_preemption_lapses_at_its_deadline() -> None:
    one = Instance(settings(150))
    one.election.hold_preempt(True, one.now, until=one.now + 10)
    one.start()
    assert one.follow(100, 9) == []
    actions = one.follow(100, 3)
    assert HoldLapsed() in actions
    assert causes(actions) == [Trigger.PREEMPTS]


def test_held_preemption_does_not_leave_a_silent_or_resigning_master_in_place() -> None:
    for resign in (True, False):
        one = Instance(settings(150))
        one.election.hold_preempt(True, one.now)
        one.start()
        one.follow(100, 5)
        if resign:
            one.hear(0)
        assert one.run(1.0 if resign else 3.5)
        assert one.election.role is Role.MASTER


def test_version_3_learns_the_masters_interval_and_goes_back_to_its_own_as_master() -> None:
    one = Instance(settings(100)).start()
    one.hear(150, interval=5.0)
    assert one.run(17.9) == []
    taken = one.run(0.2)
    assert causes(taken) == [Trigger.MASTER_SILENT]
    assert [a.advert.interval for a in taken if isinstance(a, Send)] == [1.0]
    assert priorities(one.run(3.0)) == [100, 100, 100]


def test_the_interval_of_a_master_that_is_to_be_preempted_is_not_learned() -> None:
    one = Instance(settings(150)).start()
    one.hear(100, interval=40.0)
    assert causes(one.run(3.5)) == [Trigger.PREEMPTS]


def test_version_2_takes_over_after_its_own_arithmetic() -> None:
    one = Instance(settings(100, interval=5.0, version=Version.V2)).start()
    one.hear(150, interval=5.0)
    assert one.run(15.6) == []
    assert causes(one.run(0.1)) == [Trigger.MASTER_SILENT]


def test_its_own_voice_and_other_routers_are_not_heard() -> None:
    one = Instance(settings(100)).start()
    one.hear(200, LOCAL)
    one.election.receive(advert(200).__class__(52, 200, 1.0, ()), LOWER, one.now)
    one.hear(200, interval=0.0)
    assert one.election.master is None


# Its own stalls.


def test_adverts_read_after_a_stall_count_before_its_timer_does() -> None:
    """What the caller does after a stall: read the socket, then expire."""
    one = backup(settings(100))
    one.now += 10.0
    one.hear(150)
    assert one.stall(0.0) == []
    assert one.run(3.5) == []


def test_after_a_stall_without_adverts_it_listens_for_two_more_intervals() -> None:
    one = backup(settings(100))
    assert [type(action) for action in one.stall(10.0)] == [Stalled]
    assert one.run(1.5) == []
    one.hear(150)
    assert one.run(3.5) == []


def test_also_when_the_stall_began_at_the_end_of_the_master_down_interval() -> None:
    """Another backup may have taken over while it did not run."""
    one = backup(settings(100))
    one.run(3.5)
    assert [type(action) for action in one.stall(10.0)] == [Stalled]
    assert one.run(2.5) == []
    assert causes(one.run(0.2)) == [Trigger.MASTER_SILENT]


def test_after_a_stall_a_dead_master_is_still_replaced() -> None:
    one = backup(settings(100))
    one.stall(10.0)
    assert causes(one.run(3.7)) == [Trigger.MASTER_SILENT]


def test_time_asleep_is_no_silence() -> None:
    """Awake for less than a master-down interval in all: too little to call the master dead."""
    one = backup(settings(100))
    one.run(1.0)
    one.stall(5.0)
    assert one.run(2.0) == []
    assert causes(one.run(1.0)) == [Trigger.MASTER_SILENT]


def test_a_timer_that_is_always_late_does_not_put_a_takeover_off_for_ever() -> None:
    one = backup(settings(100))
    for _ in range(8):
        due = one.election.timer()
        assert due is not None
        one.stall(due - one.now + 1.0)
        if one.election.role is Role.MASTER:
            break
    assert one.election.role is Role.MASTER


def test_jitter_of_the_timer_is_no_stall() -> None:
    one = backup(settings(100))
    due = one.election.timer()
    assert due is not None
    assert one.stall(due - one.now + 0.01) == []


# Readiness and link.


def test_a_backup_that_is_not_ready_takes_over_from_nobody() -> None:
    one = Instance(settings(100), ready=False).start()
    assert one.run(60.0) == []
    assert one.election.role is Role.BACKUP


def test_it_takes_over_when_it_becomes_ready_and_nobody_is_there() -> None:
    one = Instance(settings(100), ready=False).start()
    one.run(60.0)
    one.election.set_ready(True, one.now)
    assert causes(one.does()) == [Trigger.MASTER_SILENT]


def test_it_does_not_preempt_while_it_is_not_ready() -> None:
    one = Instance(settings(150), ready=False).start()
    assert one.follow(1, 30) == []


def test_with_a_configured_drop_it_contends_with_less() -> None:
    one = Instance(settings(150, unready_drop=60), ready=False).start()
    taken = one.run(5.0)
    assert causes(taken) == [Trigger.MASTER_SILENT]
    assert priorities(taken)[0] == 90
    one.election.set_ready(True, one.now)
    assert priorities(one.does()) == [150]


def test_a_drop_never_says_priority_0() -> None:
    one = Instance(settings(50, unready_drop=200), ready=False).start()
    assert priorities(one.run(5.0))[0] == 1


def test_without_a_link_it_is_in_fault_and_listens_anew_when_it_is_back() -> None:
    one = backup(settings(100))
    one.election.link(False, one.now)
    assert causes(one.does()) == [Trigger.LINK_LOST]
    assert one.run(60.0) == []
    assert one.election.timer() is None
    one.election.link(True, one.now)
    one.does()
    assert one.run(3.5) == []
    assert causes(one.run(0.2)) == [Trigger.MASTER_SILENT]


def test_started_without_a_link_it_is_in_fault() -> None:
    one = Instance(settings(100))
    one.election.link(False, one.now)
    assert one.start().election.state is State.FAULT


def test_who_may_not_take_over_knows_that_the_master_is_gone() -> None:
    one = Instance(settings(100), ready=False).start()
    one.hear(150, GREATER)
    one.run(3.0)
    assert one.election.master == GREATER
    one.run(2.0)
    assert one.election.master is None
    assert one.election.state is State.BACKUP
    one.hear(150, GREATER)
    assert one.election.master == GREATER
