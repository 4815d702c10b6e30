"""Rise, fall, the three intervals, and why a realserver is down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.core.health import FailureClass, Health, Hint, Result, Timing, Verdict, delay, step

TIMING = Timing(interval=10.0, fast_interval=0.2, down_interval=5.0, rise=2, fall=3)
GOOD = Result(True, "L7OK", "200 OK")
SLOW = Result(False, "L7TOUT", "no answer in 1 s", failure=FailureClass.TIMEOUT)
WRONG = Result(False, "L7STS", "503, expected 200", failure=FailureClass.WRONG)
REFUSED = Result(False, "L4CON", "connection refused", failure=FailureClass.REFUSED)
DEAD = Result(False, "L4CON", "no route to host", failure=FailureClass.HOST_DEAD)
LOCAL = Result(False, "LOCAL", "too many open files", failure=FailureClass.LOCAL)

UP = Health(Verdict.UP, since=1.0, successes=2, result=GOOD)
DOWN = Health(Verdict.DOWN, since=1.0, failures=3, result=SLOW, cause=SLOW)


def after(health: Health, *results: Result, timing: Timing = TIMING) -> Health:
    """Fold results in, one a second from 100 s on."""
    for number, result in enumerate(results):
        health = step(health, result, timing, 100.0 + number)
    return health


# -- verdicts ----------------------------------------------------------------------------------


def test_the_first_success_makes_an_unknown_realserver_up() -> None:
    assert after(Health(), GOOD).verdict is Verdict.UP


def test_a_success_makes_it_up_even_after_failures_that_decided_nothing() -> None:
    assert after(Health(), SLOW, SLOW, GOOD).verdict is Verdict.UP


def test_an_unknown_realserver_goes_down_after_fall_failures() -> None:
    assert after(Health(), SLOW, SLOW).verdict is Verdict.UNKNOWN
    assert after(Health(), SLOW, SLOW, SLOW).verdict is Verdict.DOWN


def test_a_realserver_goes_down_after_fall_consecutive_failures() -> None:
    assert after(UP, SLOW, WRONG).verdict is Verdict.UP
    assert after(UP, SLOW, WRONG, SLOW).verdict is Verdict.DOWN


def test_a_success_in_between_starts_the_count_of_failures_anew() -> None:
    assert after(UP, SLOW, SLOW, GOOD, SLOW, SLOW).verdict is Verdict.UP


def test_a_realserver_rises_after_rise_consecutive_successes() -> None:
    assert after(DOWN, GOOD).verdict is Verdict.DOWN
    assert after(DOWN, GOOD, GOOD).verdict is Verdict.UP


def test_a_failure_in_between_starts_the_count_of_successes_anew() -> None:
    assert after(DOWN, GOOD, SLOW, GOOD).verdict is Verdict.DOWN


@pytest.mark.parametrize("before", [Health(), UP, DOWN])
def test_a_refused_connection_needs_no_second_failure(before: Health) -> None:
    assert after(before, REFUSED).verdict is Verdict.DOWN


@pytest.mark.parametrize("code", ["L4TOUT", "L4CON"])
def test_an_unknown_realserver_that_lacks_the_vip_only_needs_no_second_probe(code: str) -> None:
    lacks = Result(False, code, "answers, the VIP does not", failure=FailureClass.VIP_PATH)
    assert after(Health(), lacks).verdict is Verdict.DOWN
    assert after(UP, lacks, lacks).verdict is Verdict.UP
    assert after(UP, lacks, lacks, lacks).verdict is Verdict.DOWN


def test_one_wrong_answer_on_the_vip_is_not_enough_at_the_start_either() -> None:
    wrong = Result(False, "L7STS", "503 on the VIP", failure=FailureClass.VIP_PATH)
    assert after(Health(), wrong, wrong).verdict is Verdict.UNKNOWN


def test_a_change_of_verdict_keeps_the_hint_that_led_to_it_and_no_later_one() -> None:
    hint, later = Hint("canary", "closed", 4.0), Hint("canary", "reset", 6.0)
    assert step(UP, SLOW, Timing(), 5.0, hint).hint is None
    down = step(UP, REFUSED, Timing(), 5.0, hint)
    assert down.hint == hint
    assert step(down, REFUSED, Timing(), 7.0, later).hint == hint
    assert after(down, GOOD, GOOD).hint is None


def test_what_a_detector_said_of_itself_stands_until_it_says_something_else() -> None:
    assert after(replace(UP, note="no canary"), GOOD, REFUSED).note == "no canary"


def test_no_other_failure_is_definite() -> None:
    for result in (SLOW, WRONG, DEAD):
        assert after(UP, result).verdict is Verdict.UP


def test_rise_and_fall_of_1_decide_at_once() -> None:
    quick = Timing(rise=1, fall=1)
    assert after(UP, SLOW, timing=quick).verdict is Verdict.DOWN
    assert after(DOWN, GOOD, timing=quick).verdict is Verdict.UP


@pytest.mark.parametrize("before", [Health(), UP, DOWN, after(UP, SLOW)])
def test_a_probe_that_failed_on_the_directors_side_changes_nothing(before: Health) -> None:
    assert after(before, LOCAL, LOCAL, LOCAL, LOCAL) == before


def test_a_probe_that_failed_on_the_directors_side_does_not_break_a_row() -> None:
    assert after(UP, SLOW, LOCAL, SLOW, LOCAL, SLOW).verdict is Verdict.DOWN


# -- since and evidence ------------------------------------------------------------------------


def test_since_is_the_time_of_the_last_change_of_verdict() -> None:
    assert after(UP, SLOW, SLOW).since == 1.0
    assert after(UP, SLOW, SLOW, SLOW).since == 102.0
    assert after(UP, SLOW, SLOW, SLOW, SLOW).since == 102.0


def test_the_latest_result_that_counted_is_kept() -> None:
    assert after(UP, SLOW, WRONG).result is WRONG
    assert after(UP, SLOW, LOCAL).result is SLOW


def test_only_a_realserver_that_is_down_has_a_cause() -> None:
    assert after(UP, SLOW, SLOW).cause is None
    assert after(UP, SLOW, SLOW, WRONG).cause is WRONG
    assert after(DOWN, GOOD, GOOD).cause is None


def test_the_cause_stays_while_it_rises() -> None:
    assert after(DOWN, GOOD).cause is SLOW


def test_the_cause_follows_failures_of_the_same_gravity() -> None:
    assert after(DOWN, WRONG).cause is WRONG
    assert after(UP, REFUSED, DEAD).cause is DEAD


def test_a_dead_realserver_that_turns_slow_is_still_down_because_it_was_dead() -> None:
    assert after(UP, REFUSED, SLOW, WRONG).cause is REFUSED


def test_a_slow_realserver_that_turns_dead_is_down_because_it_is_dead() -> None:
    assert after(DOWN, DEAD).cause is DEAD


# -- intervals ---------------------------------------------------------------------------------


def test_a_settled_realserver_that_is_up_is_probed_a_moment_before_the_interval_is_over() -> None:
    assert delay(UP, TIMING) == 9.6875
    assert delay(after(Health(), GOOD), TIMING) == 9.6875


def test_a_settled_realserver_that_is_down_is_probed_at_the_down_interval() -> None:
    assert delay(DOWN, TIMING) == 5.0
    assert delay(after(UP, REFUSED), TIMING) == 5.0


@pytest.mark.parametrize(
    "health", [Health(), after(Health(), SLOW), after(UP, SLOW), after(DOWN, GOOD)]
)
def test_a_realserver_in_transition_is_probed_at_the_fast_interval(health: Health) -> None:
    assert not health.settled
    assert delay(health, TIMING) == 0.2


def test_a_failure_on_the_directors_side_does_not_speed_probes_up() -> None:
    assert delay(after(UP, LOCAL), TIMING) == 9.6875


def test_a_dead_host_is_definite_where_its_link_is_silent_too() -> None:
    up = Health(Verdict.UP)
    silent = Hint("arp", "silent", 1.0, silent=True)
    assert step(up, DEAD, TIMING, 1.0, silent).verdict is Verdict.DOWN
    for result, hint in ((DEAD, Hint("arp", "silent", 1.0)), (DEAD, None), (SLOW, silent)):
        assert step(up, result, TIMING, 1.0, hint).verdict is Verdict.UP
    assert step(up, GOOD, TIMING, 1.0, silent).verdict is Verdict.UP


def test_since_when_a_verdict_was_in_doubt_is_the_begin_of_the_first_probe_of_its_run() -> None:
    bad = Result(False, "L7STS", "503", 0.25, FailureClass.WRONG)
    good = Result(True, "L7OK", "200", 0.5)
    timing = Timing(rise=2, fall=3)
    health = step(Health(), good, timing, 10.0)
    assert (health.verdict, health.doubted) == (Verdict.UP, 9.5)
    for now in (20.0, 21.0, 22.0):
        health = step(health, bad, timing, now)
    assert (health.verdict, health.doubted) == (Verdict.DOWN, 19.75)
    health = step(step(health, bad, timing, 23.0), good, timing, 30.0)
    assert health.doubted == 29.5
    health = step(step(health, bad, timing, 31.0), good, timing, 32.0)
    assert step(health, good, timing, 33.0).doubted == 31.5
    unknown = step(step(Health(), bad, timing, 5.0), bad, timing, 6.0)
    assert (unknown.verdict, unknown.doubted) == (Verdict.UNKNOWN, 4.75)
