"""A benchmark that finds a bound broken says so, and one that plays nothing fails."""

from __future__ import annotations

import pytest

from tests.bench.bounds import Bound, quantiles, wanted

EVENTS = ("process killed", "answers 503", "listener closed, connections kept")


def test_a_bound_is_one_of_the_p99() -> None:
    bound = Bound(0.1, failed=20)
    good, lost = [0.05] * 99, [3] * 99
    assert bound.holds([*good, 5.0], [*lost, 400])
    assert not bound.holds([*good[1:], 5.0, 5.0], [*lost, 3])
    assert not bound.holds([*good, 0.05], [*lost[1:], 21, 21])


def test_nothing_may_be_promised_of_failed_connections() -> None:
    assert Bound(1.0).holds([0.9, 1.0], [5000, 5000])


def test_a_bound_says_what_it_promises() -> None:
    assert str(Bound(0.1, failed=20)) == "p99 0.1 s, 20 failed"
    assert str(Bound(1.1, why="interval + 0.1 s")) == "p99 1.1 s (interval + 0.1 s)"


def test_of_few_runs_the_p99_is_the_worst() -> None:
    assert quantiles([1.0, 3.0, 2.0]) == [2.0, 3.0, 3.0]


def test_several_words_may_choose() -> None:
    assert wanted([""], EVENTS) == list(EVENTS)
    assert wanted(["killed", " 503"], EVENTS) == ["process killed", "answers 503"]


def test_a_word_that_chooses_nothing_is_an_error() -> None:
    with pytest.raises(SystemExit) as caught:
        wanted(["kiled"], EVENTS)
    assert "process killed; answers 503" in str(caught.value)
