"""With which priority a director stands."""

from __future__ import annotations

import pytest

from lvsguard.vrrp.rating import LAST_RESORT, Rating
from tests.unit.vrrp.instance import settings


def test_ready_it_stands_with_what_is_configured_last() -> None:
    one = Rating(settings(100), ready=True)
    assert (one.priority, one.contends) == (100, True)
    one.configure(150)
    assert one.priority == 150


@pytest.mark.parametrize(("asked", "taken"), [(-5, 1), (0, 1), (1, 1), (255, 255), (300, 255)])
def test_a_priority_is_1_to_255(asked: int, taken: int) -> None:
    one = Rating(settings(100), ready=True)
    one.configure(asked)
    assert one.priority == taken


def test_not_ready_it_does_not_contend_and_anybody_is_better() -> None:
    one = Rating(settings(200), ready=False)
    assert (one.priority, one.contends) == (LAST_RESORT, False)
    one.ready = True
    assert (one.priority, one.contends) == (200, True)


@pytest.mark.parametrize(("drop", "said"), [(40, 60), (99, 1), (200, 1)])
def test_where_that_only_lowers_it_it_contends_with_less(drop: int, said: int) -> None:
    one = Rating(settings(100, unready_drop=drop), ready=False)
    assert (one.priority, one.contends) == (said, True)
