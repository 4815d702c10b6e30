"""The recording of ``status --watch``: what the README shows of it, and that it is drawn so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest

from lvsguard.cli.watch_draw import draw
from tests.support.documents import CHECKOUT, blocks
from tests.support.published import NOON, Picture, realserver, service
from tests.unit.cli.watching import watched

RECORDING = CHECKOUT / "docs/pictures/status-watch.cast"
_HOME, _ESCAPE = "\x1b[H", re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CLOCK = re.compile(r" +\d\d:\d\d:\d\d$")


def frames() -> list[list[str]]:
    """Each screen as its lines but the empty ones, which the README leaves out: every one is drawn
    whole from the upper left corner on."""
    _, *events = map(json.loads, RECORDING.read_text().splitlines())
    drawn = "".join(text for _, kind, text in events if kind == "o")
    screens = [_ESCAPE.sub("", part) for part in drawn.split(_HOME)[1:]]
    return [full(one.split("\r\n")) for one in screens if one]


def screens() -> list[list[str]]:
    """Those that the README shows."""
    shown = [block.text.split("\n") for block in blocks((CHECKOUT / "README.md").read_text())]
    return [full(lines) for lines in shown if any(one.startswith("-- events ") for one in lines)]


def full(lines: Iterable[str]) -> list[str]:
    return [line.rstrip() for line in lines if line.strip()]


def test_the_readme_shows_a_screen_before_a_key_and_one_after() -> None:
    assert len(screens()) == 2
    assert len(frames()) > 10


@pytest.mark.parametrize("number", [0, 1])
def test_what_the_readme_shows_is_in_the_recording(number: int) -> None:
    assert screens()[number] in frames()


def test_there_the_server_dies_before_the_other_one_is_drained() -> None:
    before, after = (frames().index(one) for one in screens())
    assert before < after


async def test_the_recording_has_the_headings_and_the_keys_that_are_drawn_today() -> None:
    shown = Picture([service(realserver(), realserver("10.0.0.43"))])
    drawn = draw(await watched(shown), 80, 18, NOON).plain.split("\n")
    now = full(drawn)
    for screen in screens():
        assert _CLOCK.sub("", screen[0]) == _CLOCK.sub("", now[0])
        for heading in ("  REALSERVER", "web  ", "-- events "):
            assert heading_of(screen, heading) == heading_of(now, heading)
    assert screens()[0][-1] == now[-1]


def heading_of(lines: list[str], begin: str) -> str:
    """The line, without numbers, which are those of the moment."""
    return re.sub(r"\d+", "N", next(line for line in lines if line.startswith(begin)))
