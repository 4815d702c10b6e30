"""Rise and fall of what a priority depends on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.track import UNKNOWN, Condition, Finding, fold
from lvsguard.core.vrrp import Track, TrackKind

TRACK = Track(TrackKind.FILE, "/run/maintenance", rise=3, fall=2)
WELL, ILL = Finding(True), Finding(False, "file /run/maintenance is there")


def after(*findings: Finding) -> Condition:
    condition = UNKNOWN
    for finding in findings:
        condition = fold(condition, finding, TRACK)
    return condition


def test_the_first_look_decides_alone() -> None:
    assert after(ILL).well is False
    assert after(WELL).well is True


def test_it_is_not_well_after_fall_looks_in_a_row() -> None:
    assert after(WELL, ILL).well is True
    assert after(WELL, ILL, WELL, ILL).well is True
    assert after(WELL, ILL, ILL) == Condition(False, ILL.why)


def test_it_is_well_again_after_rise_looks_in_a_row() -> None:
    assert after(ILL, WELL, WELL, ILL, WELL, WELL) == Condition(False, ILL.why, against=2)
    assert after(ILL, WELL, WELL, WELL) == Condition(True)


def test_a_look_that_can_tell_nothing_does_not_count() -> None:
    blind = Finding(None, "the first verdicts of service web are awaited")
    assert after(blind) == Condition(None, blind.why)
    assert after(WELL, ILL, blind, ILL).well is False
    assert after(WELL, blind, blind, blind).well is True


def test_the_latest_reason_is_told() -> None:
    assert after(ILL, Finding(False, "worse")).why == "worse"


@given(st.lists(st.sampled_from([WELL, ILL]), min_size=1))
def test_it_only_ever_changes_after_a_whole_row(findings: list[Finding]) -> None:
    condition = UNKNOWN
    for number, finding in enumerate(findings):
        before, condition = condition, fold(condition, finding, TRACK)
        if number and before.well is not condition.well:
            row = findings[number + 1 - (TRACK.rise if condition.well else TRACK.fall) : number + 1]
            assert {one.well for one in row} == {condition.well}
