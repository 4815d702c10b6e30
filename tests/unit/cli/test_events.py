"""events: plain, JSON, following."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from lvsguard.admin.entry import entry
from lvsguard.admin.protocol import EventReply
from lvsguard.cli.events import line, since
from lvsguard.core.event import Stopping
from tests.support.published import NOON
from tests.unit.cli.conftest import Run, Served


def told(text: str, level: str = "error") -> EventReply:
    return EventReply(
        id=1, time="2026-11-23T12:00:00.000Z", kind="drift", level=level, text=text, data={}
    )


def test_events_of_a_time_are_shown(run: Run, served: Served) -> None:
    now = time.time()
    served.desk.history_kept += [
        entry(1, now - 7200, Stopping(keep=False)),
        entry(2, now - 60, Stopping(keep=True)),
    ]
    done = run("events", "--since", "1h", "--socket", str(served.socket))
    assert done.status == 0
    (shown,) = done.out.splitlines()
    assert shown.endswith(
        "info     stopping          stopping: VIPs and IPVS table stay in the kernel"
    )


def test_json_events_are_one_object_a_line(run: Run, served: Served) -> None:
    served.desk.history_kept += [entry(n, NOON, Stopping(keep=True)) for n in (1, 2)]
    done = run(
        "events", "--since", "2026-11-23T00:00:00Z", "--json", "--socket", str(served.socket)
    )
    first, second = map(json.loads, done.out.splitlines())
    assert (first["id"], second["id"]) == (1, 2)
    assert first["data"] == {"keep": True, "left": []}


def test_only_the_newest_are_shown_on_request(run: Run, served: Served) -> None:
    served.desk.history_kept += [entry(n, NOON, Stopping(keep=True)) for n in (1, 2, 3)]
    done = run(
        "events", "--since", "2026-11-23", "-n", "1", "--json", "--socket", str(served.socket)
    )
    assert json.loads(done.out)["id"] == 3


def test_following_shows_what_happens_as_it_happens(served: Served) -> None:
    command = [sys.executable, "-m", "lvsguard", "events", "--follow", "--json"]
    with subprocess.Popen(
        [*command, "--socket", str(served.socket)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        served.happen(Stopping(keep=True), time.time())
        assert json.loads(process.stdout.readline())["data"] == {"keep": True, "left": []}
        served.happen(Stopping(keep=False), time.time())
        assert json.loads(process.stdout.readline())["data"] == {"keep": False, "left": []}
        process.kill()


def test_strangers_cannot_write_to_the_terminal() -> None:
    shown = line(told("503 \x1b[2J\x07bye\u202e"), colours=False)
    assert shown.endswith(r"drift             503 \x1b[2J\x07bye\u202e")


def test_colours_mark_the_level() -> None:
    assert "\x1b[31merror  \x1b[0m" in line(told("x"), colours=True)


def test_since_takes_spans_and_times() -> None:
    assert since("2026-11-23T12:00:00Z") == NOON
    assert since("2026-11-23T12:00:00") == NOON
    assert since("2026-11-23T13:00:00+01:00") == NOON
    assert abs(since("1h30m") - (time.time() - 5400)) < 5


@pytest.mark.parametrize("text", ["yesterday", "1y", "-5m", "", "1h 30m"])
def test_other_times_are_refused(run: Run, text: str) -> None:
    done = run("events", f"--since={text}")
    assert done.status == 2
    assert "give a time such as 90s, 1h, 2d" in done.err
