"""Times and texts as people read and write them."""

from __future__ import annotations

import argparse

import pytest

from lvsguard.cli.arguments import duration
from lvsguard.cli.text import ago, count, paint, printable, span
from tests.support.published import NOON


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172800), ("1w", 604800)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "5x", "-1s", "1h 5m", "s5", "9" * 40, "٣s", "nan"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give a time such as"):
        duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (11520, "3h12m"),
        (90061, "1d01h"),
    ],
)
def test_spans_have_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_never_is_a_dash() -> None:
    assert ago(None) == "-"
    assert ago("2026-11-23T11:59:48.000Z", NOON) == "12s"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain ünïcode", "plain ünïcode"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb", r"a\nb"),
        ("\u202e\u200b", r"\u202e\u200b"),
        ("\udcff", r"\udcff"),
    ],
)
def test_control_characters_are_spelled_out(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_counts_have_a_plural() -> None:
    assert [count(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]


def test_paint_is_for_those_who_want_it() -> None:
    assert paint("x", "red", wanted=True) == "\x1b[31mx\x1b[0m"
    assert paint("x", "red", wanted=False) == "x"
