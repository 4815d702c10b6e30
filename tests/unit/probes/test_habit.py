"""What a canary learns of its server's manners, with time as an argument."""

from __future__ import annotations

import pytest

from lvsguard.probes.habit import (
    BACKOFF_S,
    OUTLIVED,
    RENEW_AT,
    RETRY_S,
    SHORT_S,
    TRIAL_AFTER,
    Habit,
)


def lived(habit: Habit, age: float, now: float = 1000.0, *, well: bool = True) -> float:
    """A connection that the server closed at this age; the pause before the next."""
    habit.opened(now)
    pause = habit.closed(now + age, "closed", by_server=True)
    if well:
        habit.well()
    return pause


def accustomed(limit: float) -> Habit:
    habit = Habit()
    for _ in range(2):
        lived(habit, limit)
    return habit


def test_two_closes_at_the_same_age_by_a_server_that_is_well_are_its_idle_limit() -> None:
    habit = Habit()
    lived(habit, 60.0)
    assert habit.limit is None
    lived(habit, 60.3)
    assert habit.limit == 60.0
    assert habit.opened(0.0) == pytest.approx(60.0 * RENEW_AT)


def test_closes_at_different_ages_are_no_limit() -> None:
    habit = Habit()
    for age in (60.0, 5.0, 31.0, 3.0):
        lived(habit, age)
    assert habit.limit is None


def test_closes_of_a_server_that_was_not_well_teach_nothing() -> None:
    habit = Habit()
    for _ in range(5):
        lived(habit, 60.0, well=False)
    assert habit.limit is None


def told(habit: Habit, limit: float, now: float = 0.0) -> float | None:
    """When a connection is renewed whose server says how long it may idle."""
    return habit.opened(now, limit)


def test_a_limit_that_the_server_tells_is_heeded_at_once_and_for_good() -> None:
    habit = Habit()
    for _ in range(3 * TRIAL_AFTER):
        assert told(habit, 5.0) == pytest.approx(5.0 * RENEW_AT)
        assert habit.outgrown(5.0 * RENEW_AT)
    assert told(habit, 15.0) == pytest.approx(15.0 * RENEW_AT)


def test_a_limit_below_a_second_is_not_heeded() -> None:
    habit = Habit()
    assert told(habit, 0.0) is None
    assert habit.limit is None


def test_a_limit_that_proves_wrong_is_not_heeded_again() -> None:
    habit = Habit()
    for _ in range(2):
        told(habit, 75.0, 1000.0)
        habit.closed(1030.0, "closed", by_server=True)
        habit.well()
    assert habit.limit == 30.0
    assert told(habit, 75.0) == pytest.approx(30.0 * RENEW_AT)


def test_a_connection_may_have_to_be_renewed_whatever_is_known() -> None:
    habit = Habit()
    for _ in range(3):
        assert habit.opened(100.0, most=25.0) == 125.0
        assert habit.outgrown(125.0)
    for _ in range(2):
        lived(habit, 10.0)
    assert habit.opened(0.0, most=25.0) == pytest.approx(10.0 * RENEW_AT)


def test_a_limit_is_forgotten_that_was_outlived_before_that() -> None:
    habit = accustomed(22.0)
    for _ in range(TRIAL_AFTER):
        habit.opened(0.0, most=25.0)
        assert habit.outgrown(22.0 * RENEW_AT)
    assert habit.opened(0.0, most=25.0) == 25.0
    assert habit.outgrown(25.0)
    assert habit.limit is None


def test_broken_connections_teach_nothing() -> None:
    habit = Habit()
    for _ in range(3):
        habit.opened(0.0)
        habit.closed(60.0, "reset", by_server=False)
        habit.well()
    assert habit.limit is None


def test_a_connection_is_renewed_before_the_limit() -> None:
    habit = accustomed(10.0)
    due = habit.opened(0.0)
    assert due is not None
    assert due < 10.0 * 0.9
    assert habit.outgrown(due)


def test_a_limit_of_a_second_is_learnt_too() -> None:
    habit = accustomed(1.0)
    assert habit.opened(0.0) == pytest.approx(0.85)


def test_a_limit_that_the_server_no_longer_has_is_forgotten_after_a_trial() -> None:
    habit = accustomed(10.0)
    for _ in range(TRIAL_AFTER):
        habit.opened(0.0)
        assert habit.outgrown(10.0 * RENEW_AT)
    assert habit.opened(0.0) == 10.0 * OUTLIVED
    assert not habit.outgrown(10.0 * OUTLIVED)
    assert habit.limit is None
    assert habit.opened(0.0) is None


def test_a_limit_that_stands_the_trial_is_renewed_by_again() -> None:
    habit = accustomed(10.0)
    for _ in range(TRIAL_AFTER):
        habit.opened(0.0)
        habit.outgrown(10.0 * RENEW_AT)
    lived(habit, 10.0)
    assert habit.limit == 10.0
    assert habit.opened(0.0) == pytest.approx(10.0 * RENEW_AT)


def test_a_limit_that_was_lowered_is_learnt_anew() -> None:
    habit = accustomed(60.0)
    lived(habit, 20.0)
    assert habit.limit == 60.0
    lived(habit, 20.0)
    assert habit.limit == 20.0


def test_a_server_that_closes_at_once_is_asked_ever_less_and_then_given_up() -> None:
    habit = Habit()
    pauses = [lived(habit, 0.01) for _ in BACKOFF_S]
    assert pauses == [*BACKOFF_S[1:], RETRY_S]
    assert habit.given_up
    assert habit.why == f"{len(BACKOFF_S)} connections in a row: closed"
    assert habit.limit is None


def test_a_server_that_died_starts_afresh_but_one_that_was_given_up_does_not() -> None:
    habit = Habit()
    for _ in range(5):
        lived(habit, 0.01)
    assert habit.died()
    assert lived(habit, 0.01) == BACKOFF_S[1]
    habit.unwanted("one at a time")
    assert not habit.died()
    assert habit.given_up


def test_refusals_count_as_connections_that_ended_at_once() -> None:
    habit = Habit()
    for _ in BACKOFF_S:
        pause = habit.failed("connection refused")
    assert (habit.given_up, pause) == (True, RETRY_S)


def test_a_connection_that_lives_ends_the_backoff() -> None:
    habit = Habit()
    for _ in range(5):
        lived(habit, 0.01)
    assert lived(habit, SHORT_S) == BACKOFF_S[0]
    assert not habit.given_up


def test_one_that_does_harm_is_given_up_at_once() -> None:
    habit = Habit()
    habit.opened(0.0)
    assert habit.unwanted("one at a time") == RETRY_S
    assert (habit.given_up, habit.why) == (True, "one at a time")


def test_after_giving_up_a_connection_that_lives_makes_all_well_again() -> None:
    habit = Habit()
    habit.unwanted("one at a time")
    habit.opened(0.0)
    assert habit.why == ""
    habit.closed(30.0, "closed", by_server=True)
    assert not habit.given_up
