"""Any row of results: the verdict is what a reading of the whole history gives."""

from __future__ import annotations

from itertools import pairwise, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.core.health import (
    CUT,
    DEFINITE,
    PACE,
    FailureClass,
    Health,
    Result,
    Timing,
    Verdict,
    delay,
    step,
)
from tests.support.examples import examples
from tests.support.fact_strategies import results, timings

Row = list[Result]
ROWS = st.lists(results(), max_size=40)


def healths_over(row: Row, timing: Timing) -> list[Health]:
    """The health at the start and after each result, one a second."""
    healths = [Health()]
    for second, result in enumerate(row, 1):
        healths.append(step(healths[-1], result, timing, float(second)))
    return healths


def counted(row: Row) -> Row:
    return [r for r in row if r.failure is not FailureClass.LOCAL]


def run_length(row: Row) -> int:
    """How many of the latest results are like the last one."""
    return len(list(takewhile(lambda r: r.ok is row[-1].ok, reversed(row))))


@settings(deadline=None, max_examples=examples(150))
@given(ROWS, timings())
def test_a_verdict_changes_only_after_rise_or_fall_results_in_a_row(
    row: Row, timing: Timing
) -> None:
    healths = healths_over(row, timing)
    for number, (before, now) in enumerate(pairwise(healths), 1):
        if before.verdict is now.verdict:
            continue
        latest, length = row[number - 1], run_length(counted(row[:number]))
        if now.verdict is Verdict.UP:
            assert latest.ok
            assert before.verdict is Verdict.UNKNOWN or length >= timing.rise
        else:
            assert now.verdict is Verdict.DOWN
            assert not latest.ok
            assert latest.failure in DEFINITE or length >= timing.fall


@settings(deadline=None, max_examples=examples(150))
@given(ROWS, timings())
def test_a_verdict_always_changes_when_it_must(row: Row, timing: Timing) -> None:
    for number, health in enumerate(healths_over(row, timing)):
        known = counted(row[:number])
        if not known:
            assert health == Health()
            continue
        latest, length = known[-1], run_length(known)
        if latest.ok and length >= timing.rise:
            assert health.verdict is Verdict.UP
        if not latest.ok and (length >= timing.fall or latest.failure in DEFINITE):
            assert health.verdict is Verdict.DOWN
        if any(r.ok for r in known):
            assert health.verdict is not Verdict.UNKNOWN


@settings(deadline=None, max_examples=examples(100))
@given(ROWS, timings())
def test_a_verdict_flaps_no_faster_than_results_arrive(row: Row, timing: Timing) -> None:
    healths = healths_over(row, timing)
    flips = [n for n, (a, b) in enumerate(pairwise(healths), 1) if a.verdict is not b.verdict]
    assert len(flips) <= len(counted(row))
    for earlier, later in pairwise(flips):
        between = len(counted(row[earlier:later]))
        definite = row[later - 1].failure in DEFINITE
        assert between >= (1 if definite else min(timing.rise, timing.fall))


@settings(deadline=None, max_examples=examples(100))
@given(ROWS, timings())
def test_the_delay_is_always_one_of_the_three_intervals(row: Row, timing: Timing) -> None:
    for number, health in enumerate(healths_over(row, timing)):
        known = counted(row[:number])
        agrees = bool(known) and known[-1].ok is (health.verdict is Verdict.UP)
        expected = timing.fast_interval
        if health.verdict is not Verdict.UNKNOWN and agrees:
            up = health.verdict is Verdict.UP
            expected = timing.interval * PACE if up else timing.down_interval
        assert delay(health, timing) == expected
        assert health.settled is (expected != timing.fast_interval)


@settings(deadline=None, max_examples=examples(100))
@given(ROWS, timings())
def test_counts_and_times_tell_the_history(row: Row, timing: Timing) -> None:
    healths = healths_over(row, timing)
    since = 0.0
    for number, (before, now) in enumerate(pairwise(healths), 1):
        known = counted(row[:number])
        if before.verdict is not now.verdict:
            since = float(number)
        assert now.since == since
        if known:
            assert now.result is known[-1]
            assert (now.successes if known[-1].ok else now.failures) == run_length(known)
            assert (now.failures if known[-1].ok else now.successes) == 0


@settings(deadline=None, max_examples=examples(100))
@given(ROWS, timings())
def test_the_cause_is_the_gravest_failure_since_it_went_down(row: Row, timing: Timing) -> None:
    went_down = 0
    for number, (before, now) in enumerate(pairwise(healths_over(row, timing)), 1):
        if now.verdict is not Verdict.DOWN:
            assert now.cause is None
            continue
        if before.verdict is not Verdict.DOWN:
            went_down = number
        failures = [r for r in counted(row[went_down - 1 : number]) if not r.ok]
        dead = [r for r in failures if r.failure in CUT]
        assert now.cause is (dead or failures)[-1]


@settings(deadline=None, max_examples=examples(100))
@given(ROWS, timings())
def test_probes_that_failed_on_the_directors_side_might_as_well_not_have_been(
    row: Row, timing: Timing
) -> None:
    with_them, without = healths_over(row, timing)[-1], healths_over(counted(row), timing)[-1]
    assert (with_them.verdict, with_them.successes, with_them.failures, with_them.cause) == (
        without.verdict,
        without.successes,
        without.failures,
        without.cause,
    )
