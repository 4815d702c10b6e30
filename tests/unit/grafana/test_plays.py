"""What the lab's Prometheus is asked for the dashboards: all of it, in one play or another."""

from __future__ import annotations

from tests.support.prometheus_dashboards import (
    IN_THIRD,
    NEITHER,
    NOT_IN_FIRST,
    NOT_IN_SECOND,
    asked,
    excused,
)


def test_a_query_that_one_play_cannot_show_is_shown_by_another() -> None:
    for expr in asked():
        missing = excused(expr, NOT_IN_FIRST) and excused(expr, NOT_IN_SECOND)
        assert not missing or excused(expr, (*IN_THIRD, *NEITHER)), expr


def test_an_exception_is_of_a_query_that_is_there() -> None:
    for part in (*NEITHER, *IN_THIRD, *NOT_IN_FIRST, *NOT_IN_SECOND):
        assert any(part in expr for expr in asked()), part
