"""Timer arithmetic, against figures of the RFCs and of keepalived."""

from __future__ import annotations

import pytest

from lvsguard.vrrp.advert import Version
from lvsguard.vrrp.timing import longest_master_down, master_down, skew


@pytest.mark.parametrize(
    ("priority", "interval", "seconds"),
    [(100, 1.0, 3.609375), (254, 1.0, 3.0078125), (100, 0.1, 0.3609375), (255, 1.0, 3.00390625)],
)
def test_version_3_scales_the_skew_with_the_masters_interval(
    priority: int, interval: float, seconds: float
) -> None:
    assert master_down(Version.V3, priority, interval) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("priority", "interval", "seconds"), [(100, 1.0, 3.609375), (100, 5.0, 15.609375)]
)
def test_version_2_skews_by_a_part_of_a_second_whatever_the_interval(
    priority: int, interval: float, seconds: float
) -> None:
    assert master_down(Version.V2, priority, interval) == pytest.approx(seconds)


@pytest.mark.parametrize("version", Version)
def test_a_higher_priority_acts_sooner_and_none_later_than_the_longest(version: Version) -> None:
    downs = [master_down(version, priority, 1.0) for priority in range(1, 256)]
    assert downs == sorted(downs, reverse=True)
    assert max(downs) == longest_master_down(version, 1.0)
    assert 0 < skew(version, 255, 1.0) < skew(version, 1, 1.0) < 1.0
