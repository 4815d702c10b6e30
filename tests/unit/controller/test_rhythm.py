"""When the next read is due, and how long verdicts gather."""

from __future__ import annotations

import pytest

from lvsguard.controller.rhythm import (
    CROWD,
    CROWD_S,
    CROWDED,
    FLOOR_S,
    PUT_OFF_S,
    REST,
    Rhythm,
    more_come,
)


def test_the_first_read_is_due_at_once() -> None:
    assert Rhythm().until_read(0.0) == 0


@pytest.mark.parametrize("took", [0.001, 0.395, 0.9])
def test_a_read_is_due_a_resync_after_the_last_one_began_however_long_it_took(took: float) -> None:
    rhythm = Rhythm()
    rhythm.read(100.0, 100.0 + took, cpu=0.02, resync=1.0)
    assert rhythm.until_read(100.0 + took) == pytest.approx(1.0 - took)
    assert rhythm.until_read(101.5) == 0


def test_ten_thousand_realservers_on_a_slow_machine_are_read_each_second() -> None:
    """The dearest seen in user-mode Linux (docs/benchmarks.md)."""
    rhythm = Rhythm()
    rhythm.read(100.0, 100.395, cpu=0.3, resync=1.0)
    assert rhythm.until_read(100.0) == pytest.approx(1.0)


@pytest.mark.parametrize("cpu", [0.4, 1.2, 30.0])
def test_reads_take_a_third_of_the_core_at_most(cpu: float) -> None:
    rhythm, now, busy = Rhythm(), 0.0, 0.0
    for _ in range(10):
        rhythm.read(now, now + cpu, cpu, resync=1.0)
        now += cpu
        busy += cpu
        now += rhythm.until_read(now)
    assert busy / now == pytest.approx(1 / (1 + REST))


def test_a_crowd_of_first_verdicts_puts_the_read_off_and_never_by_more_than_its_bound() -> None:
    rhythm = Rhythm()
    rhythm.read(100.0, 100.2, cpu=0.2, resync=1.0)
    for now in (100.5, 101.5, 104.5):
        rhythm.quick(now, now + 0.01, CROWD, first=True)
        assert rhythm.until_read(now) == pytest.approx(101.0 + PUT_OFF_S - now)
    assert rhythm.until_read(101.0 + PUT_OFF_S) == 0


def test_a_crowd_in_a_pass_with_a_read_puts_the_next_one_off_even_if_it_took_a_resync() -> None:
    """Seen at 10,000 realservers on a slow machine: read followed read, and no quick pass came."""
    rhythm = Rhythm()
    rhythm.read(100.0, 100.2, cpu=0.2, resync=1.0)
    rhythm.whole(CROWD, first=True)
    assert rhythm.until_read(101.5) == pytest.approx(PUT_OFF_S - 0.5)
    rhythm.read(105.0, 105.2, cpu=0.2, resync=1.0)
    rhythm.whole(CROWD, first=False)
    assert rhythm.until_read(106.0) == 0


@pytest.mark.parametrize(("services", "first"), [(CROWD - 1, True), (1000, False)])
def test_nothing_else_puts_the_read_off(services: int, first: bool) -> None:
    rhythm = Rhythm()
    rhythm.read(100.0, 100.2, cpu=0.2, resync=1.0)
    rhythm.quick(100.5, 100.6, CROWD, first=True)
    rhythm.quick(100.6, 100.7, services, first=first)
    assert rhythm.until_read(100.7) == pytest.approx(0.3)


def test_a_verdict_waits_for_others_of_its_moment_only() -> None:
    rhythm = Rhythm()
    assert rhythm.gather(100.0) == FLOOR_S
    rhythm.quick(100.0, 100.01, 1, first=False)
    assert rhythm.gather(100.02 + CROWD_S) == FLOOR_S


def test_while_pass_follows_pass_most_of_the_time_is_left_to_others() -> None:
    rhythm = Rhythm()
    rhythm.quick(100.0, 100.01, 1, first=False)
    assert rhythm.gather(100.02) == pytest.approx(0.04)
    rhythm.quick(101.0, 102.0, 1000, first=True)
    assert rhythm.gather(102.0) == CROWD_S


def test_a_pass_that_decided_nothing_is_not_followed_by_another() -> None:
    rhythm = Rhythm()
    rhythm.quick(100.0, 100.01, 0, first=False)
    assert rhythm.gather(100.02) == FLOOR_S


def test_a_crowd_is_waited_for_while_it_comes_and_not_for_ever() -> None:
    assert more_come(CROWDED, 0.0)
    assert not more_come(CROWDED - 1, 0.0)
    assert not more_come(1000, CROWD_S)
