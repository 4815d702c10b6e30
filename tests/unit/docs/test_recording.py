"""The recording of ``status --watch``: that it plays, what the README shows of it, and that the
program draws so today."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from lvsguard.cli.watch_draw import draw
from lvsguard.core.health import Verdict
from tests.support.cast import README, RECORDING, RULE, SHOWN, alone, elsewhere, readme
from tests.support.documents import CHECKOUT
from tests.support.emulator import Emulator
from tests.support.published import NOON, Picture, realserver, service
from tests.support.recorder import Recording
from tests.unit.cli.watching import watched

READABLE_S = (30.0, 60.0)
SETTLED = 2
"""Events at the top of each screen that come in the same order each time."""
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


@pytest.fixture
def recording() -> Recording:
    return Recording.read(RECORDING)


def test_it_is_an_asciicast_of_the_second_version() -> None:
    header, *events = map(json.loads, RECORDING.read_text().splitlines())
    assert {name: type(header[name]) for name in ("version", "width", "height")} == {
        "version": int,
        "width": int,
        "height": int,
    }
    assert header["version"] == 2
    for at, kind, text in events:
        assert isinstance(at, float | int)
        assert kind in ("o", "m")
        assert isinstance(text, str)
    times = [at for at, _, _ in events]
    assert all(before <= after for before, after in pairwise([0.0, *times]))
    assert READABLE_S[0] < times[-1] < READABLE_S[1]


def test_a_terminal_knows_all_of_it_and_is_left_as_it_was(recording: Recording) -> None:
    screen = Emulator(recording.width, recording.height)
    took_it = False
    for _, kind, text in recording.events:
        if kind == "o":
            screen.write(text)
        took_it |= screen.alternate
    assert took_it
    assert not screen.alternate
    assert screen.cursor


def test_the_readme_shows_its_screens(recording: Recording) -> None:
    page = README.read_text()
    assert readme(page, recording) == page
    assert str(RECORDING.relative_to(CHECKOUT)) in page


async def test_it_has_the_headings_and_the_keys_that_are_drawn_today(recording: Recording) -> None:
    # With a name: it is as wide as the recording's.
    dead = realserver(name="rs1", verdict=Verdict.DOWN)
    both = [dead, realserver("10.0.0.43", name="rs2")]
    drawn = draw(await watched(Picture([service(*both)])), recording.width, recording.height, NOON)
    now = drawn.plain.split("\n")
    shown = recording.moments()["dead"]
    for heading in ("director1  ", "  REALSERVER", "web  ", "-- events "):
        assert heading_of(shown, heading) == heading_of(now, heading)
    assert shown[-1] == now[-1].rstrip()


def heading_of(lines: Sequence[str], begin: str) -> str:
    """The line, without numbers, which are those of the moment."""
    return re.sub(r"\d+", "N", next(line for line in lines if line.startswith(begin))).rstrip()


def no_namespace() -> str:
    """Why it cannot be played here."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare or ip is missing (apt-get install util-linux iproute2)"
    tried = subprocess.run([*alone(), "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


@pytest.mark.slow
def test_what_is_played_today_shows_what_was_recorded(recording: Recording, tmp_path: Path) -> None:
    if lacks := no_namespace():
        pytest.skip(lacks)
    made = tmp_path / "today.cast"
    command = [*elsewhere(), "--to", str(made), "--hurry"]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, "LVSGUARD_CAST_INSIDE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, today = recording.moments(), Recording.read(made).moments()
    assert set(SHOWN) < before.keys() == today.keys()
    for name, screen in before.items():
        assert words(screen) == words(today[name]), f"{name}: make cast"


def words(screen: Sequence[str]) -> list[str]:
    """A screen without what is another one each time: times, counts, and the oldest events. The
    columns stay: the line with their headings has no numbers."""
    lines = list(screen)
    if (
        rule := next((n for n, line in enumerate(lines) if line.startswith(RULE)), None)
    ) is not None:
        del lines[rule + 1 + SETTLED : -1]
    text = "\n".join(lines).partition("what happened")[0]
    if "what would bring it back" in text:  # where sentences are broken depends on the times
        return [neutral(word) for word in text.split()]
    return [
        " ".join(map(neutral, re.sub(r"\S*…$", "…", line).split()))
        if re.search(r"\d", line)
        else line
        for line in text.split("\n")
    ]


def neutral(word: str) -> str:
    """A word without its numbers, if it is no address."""
    if _ADDRESS.search(word):
        return word
    return re.sub(r"(N[smhd])+", "T", re.sub(r"\b[0-9a-f]{10}\b|\d+(\.\d+)?", "N", word))
