"""The weight of a slow start: from 1, in whole equal steps, to its own."""

from __future__ import annotations

import pytest

from lvsguard.core.slow_start import STEPS, next_step, risen


def weights(full: int, duration: float) -> list[int]:
    """Every weight on the way, by going from step to step."""
    now: float | None = 100.0
    found = []
    while now is not None:
        found.append(risen(full, 100.0, duration, now))
        now = next_step(full, 100.0, duration, now)
    return found


@pytest.mark.parametrize(
    ("full", "steps"),
    [(1, [1]), (2, [1, 2]), (5, [1, 2, 3, 4, 5]), (21, list(range(1, 22)))],
)
def test_a_small_weight_rises_by_one(full: int, steps: list[int]) -> None:
    assert weights(full, 30.0) == steps


def test_a_large_weight_rises_in_twenty_equal_steps() -> None:
    found = weights(1001, 60.0)
    assert found == [1 + 50 * n for n in range(STEPS + 1)]


def test_half_of_the_time_is_half_of_the_way() -> None:
    assert risen(101, 0.0, 10.0, 5.0) == 51


def test_a_weight_of_1_and_a_service_without_slow_start_have_no_steps() -> None:
    assert next_step(1, 0.0, 10.0, 0.0) is None
    assert next_step(9, 0.0, 0.0, 0.0) is None
    assert risen(9, 0.0, 0.0, 0.0) == 9


def test_a_weight_of_0_stays_0() -> None:
    assert risen(0, 0.0, 10.0, 0.0) == 0


def test_a_clock_that_seems_to_go_backwards_is_the_first_step() -> None:
    assert risen(10, 5.0, 10.0, 4.0) == 1
