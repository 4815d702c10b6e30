"""Intervals that a host may not keep are told at the start."""

from __future__ import annotations

import pytest

from lvsguard.daemon.elections import daring


@pytest.mark.parametrize(
    ("interval", "real_time", "says"),
    [
        (1.0, False, ""),
        (1.0, True, ""),
        (0.1, True, ""),
        (0.99, False, "no real-time priority"),
        (0.1, False, "no real-time priority"),
        (0.09, True, "below 0.1 s"),
        (0.01, False, "below 0.1 s"),
    ],
)
def test_below_100_ms_and_below_1_s_without_real_time_priority_is_daring(
    interval: float, real_time: bool, says: str
) -> None:
    text = daring(interval, real_time=real_time)
    assert (text == "") == (says == "")
    assert says in text
