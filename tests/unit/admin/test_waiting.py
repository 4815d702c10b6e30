"""When a drain is over, and when a realserver is back. Time is an argument."""

from __future__ import annotations

import pytest

from lvsguard.admin.waiting import QUIET_S, SYNC_S, Emptying, Place, Returning
from lvsguard.core.health import Verdict
from lvsguard.core.occupancy import Count
from lvsguard.core.override import Admin
from tests.unit.admin.looks import answer, realserver


def test_no_connection_at_all_is_empty_at_once() -> None:
    assert Emptying().look(answer(7, realserver()), 0.0).over


@pytest.mark.parametrize(("weight", "read"), [(0, 1), (1, 1), (0, None), (None, 1)])
def test_what_was_counted_before_the_weight_was_0_says_nothing(
    weight: int | None, read: int | None
) -> None:
    progress = Emptying().look(answer(7, realserver(weight=weight, read=read)), 0.0)
    assert not progress.over
    assert progress.left[0].why == "the kernel has not been read since"


def test_one_that_is_out_of_the_table_is_empty() -> None:
    assert Emptying().look(answer(7, realserver(weight=None, read=None)), 0.0).over


def test_an_active_connection_is_waited_for_and_counted() -> None:
    emptying = Emptying()
    first = emptying.look(answer(1, realserver(10)), 0.0)
    second = emptying.look(answer(5, realserver(4)), 4.0)
    assert (first.connections, second.connections, second.most) == (10, 4, 10)
    assert (first.rate, second.rate) == (0.0, 1.5)
    assert str(second.left[0].place) == "10.0.0.42:80 in web"
    assert emptying.look(answer(9, realserver(0)), 8.0).over


def test_the_rate_is_that_of_the_last_seconds_and_never_negative() -> None:
    emptying = Emptying()
    for second in range(20):
        progress = emptying.look(answer(second, realserver(100 - second)), float(second))
    assert progress.rate == pytest.approx(1.0)
    for second in range(20, 40):
        progress = emptying.look(answer(second, realserver(81)), float(second))
    assert progress.rate == 0.0
    assert emptying.look(answer(41, realserver(500)), 41.0).rate == 0.0


class TestClosedByTheClient:
    """Inactive connections: over, or closed on one side only."""

    def test_quiet_ones_are_over_after_a_while(self) -> None:
        emptying = Emptying()
        quiet = realserver(0, 30, packets=400)
        assert not emptying.look(answer(1, quiet), 0.0).over
        assert not emptying.look(answer(2, quiet), QUIET_S - 0.1).over
        assert emptying.look(answer(3, quiet), QUIET_S).over

    def test_the_kernel_must_have_been_read_meanwhile(self) -> None:
        emptying = Emptying()
        quiet = realserver(0, 30, packets=400)
        assert not emptying.look(answer(1, quiet), 0.0).over
        assert not emptying.look(answer(1, quiet), 10.0).over
        assert not emptying.look(answer(2, quiet), 11.0).over
        assert emptying.look(answer(3, quiet), 12.0).over

    def test_packets_keep_it_waiting(self) -> None:
        emptying = Emptying()
        for second in range(60):
            progress = emptying.look(
                answer(second, realserver(0, 30, packets=second)), float(second)
            )
            assert progress.left[0].why == "waiting for 2 s without a packet"
        assert progress.connections == 0

    def test_strictly_they_count(self) -> None:
        emptying = Emptying(strict=True)
        for second in range(60):
            progress = emptying.look(answer(second, realserver(0, 30)), float(second))
            assert progress.connections == 30
        assert emptying.look(answer(60, realserver()), 60.0).over

    def test_where_they_count_anyway_they_count_once(self) -> None:
        both = (Count.ACTIVE, Count.INACTIVE)
        emptying = Emptying(strict=True)
        progress = emptying.look(answer(1, realserver(1, 2, remaining=3), waits_for=both), 0.0)
        assert progress.connections == 3


class TestNotTheMaster:
    """A director that does not forward knows what the master has told."""

    def test_nothing_is_over_while_it_cannot_be_known(self) -> None:
        emptying = Emptying()
        for second in range(60):
            progress = emptying.look(
                answer(second, realserver(), here=False, doubt="nobody is heard"), float(second)
            )
        assert not progress.over
        assert progress.notes == ("service web: nobody is heard",)

    def test_what_is_told_takes_a_while(self) -> None:
        emptying = Emptying()
        assert not emptying.look(answer(1, realserver(1), here=False), 0.0).over
        assert not emptying.look(answer(2, realserver(), here=False), 1.0).over
        assert not emptying.look(answer(3, realserver(), here=False), SYNC_S - 0.1).over
        assert emptying.look(answer(4, realserver(), here=False), SYNC_S).over

    def test_becoming_master_ends_that(self) -> None:
        emptying = Emptying()
        assert not emptying.look(answer(1, realserver(), here=False), 0.0).over
        assert emptying.look(answer(2, realserver()), 1.0).over


def test_a_drain_that_somebody_ends_is_given_up() -> None:
    emptying = Emptying()
    emptying.look(answer(1, realserver(5)), 0.0)
    ready = realserver(5, weight=1, admin=Admin.READY, reason="up: L7OK 200 OK")
    progress = emptying.look(answer(2, ready), 1.0)
    assert not progress.over
    assert progress.lost == ("10.0.0.42:80 in web: somebody has ended the drain: up: L7OK 200 OK",)


def test_one_that_a_reload_drops_is_not_called_empty() -> None:
    emptying = Emptying()
    emptying.look(answer(1, realserver(5)), 0.0)
    progress = emptying.look(answer(2), 1.0)
    assert not progress.over
    assert progress.lost == ("10.0.0.42:80 in web: it is not in the configuration any more",)


def test_a_realserver_of_any_port_is_named_by_its_address() -> None:
    assert Place("web", "10.0.0.42", 0).target == "10.0.0.42"
    assert Place("web", "2001:db8::42", 80).target == "[2001:db8::42]:80"


def test_a_lost_quorum_is_told() -> None:
    progress = Emptying().look(answer(1, realserver(5), quorum=(0, 2)), 0.0)
    assert progress.notes == ("service web: live weight 0, needs 2",)


def test_a_restart_of_the_daemon_changes_nothing() -> None:
    """Its reads begin anew; the kernel's counts go on."""
    emptying = Emptying()
    quiet = realserver(0, 30, packets=400)
    emptying.look(answer(500, quiet), 0.0)
    assert not emptying.look(answer(1, quiet), 1.0).over
    assert emptying.look(answer(2, quiet), 2.0).over


class TestBack:
    """After an undrain or an enable."""

    def test_up_and_at_its_whole_weight_it_is(self) -> None:
        back = realserver(weight=5, full=5, admin=Admin.READY)
        assert Returning().look(answer(1, back), 0.0).over

    def test_a_slow_start_is_waited_for(self) -> None:
        rising = realserver(
            weight=2, full=20, admin=Admin.READY, reason="up: L7OK 200 OK; slow start: 2 of 20"
        )
        (left,) = Returning().look(answer(1, rising), 0.0).left
        assert left.why == "weight 2 of 20: up: L7OK 200 OK; slow start: 2 of 20"

    @pytest.mark.parametrize("verdict", [Verdict.DOWN, Verdict.UNKNOWN])
    def test_its_checks_are_waited_for(self, verdict: Verdict) -> None:
        down = realserver(verdict=verdict, admin=Admin.READY, reason="down: L4CON refused")
        (left,) = Returning().look(answer(1, down), 0.0).left
        assert left.why == "down: L4CON refused"

    def test_at_weight_0_it_does_not_serve(self) -> None:
        idle = realserver(weight=0, full=0, admin=Admin.READY, reason="up: its agent says drain")
        (left,) = Returning().look(answer(1, idle), 0.0).left
        assert left.why == "weight 0 of 1: up: its agent says drain"

    def test_what_somebody_else_has_asked_for_ends_the_wait(self) -> None:
        disabled = realserver(admin=Admin.DISABLED, weight=None, reason="disabled by bob")
        progress = Returning().look(answer(1, disabled), 0.0)
        assert progress.lost == (
            "10.0.0.42:80 in web: disabled by bob: `lvsguard enable` ends that",
        )
