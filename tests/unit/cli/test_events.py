"""events: plain, JSON, following."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from lvsguard.admin.entry import entry
from lvsguard.admin.protocol import EventReply
from lvsguard.cli.events import line, since
from lvsguard.core.event import Stopping
from tests.support.published import NOON
from tests.unit.cli.conftest import Ran, Run, Served


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


@pytest.fixture
def five(served: Served) -> Served:
    """Five events, a minute apart, the last a minute ago."""
    now = time.time()
    served.desk.history_kept += [
        entry(n, now - 60 * (6 - n), Stopping(keep=True)) for n in range(1, 6)
    ]
    return served


def ids(ran: Ran) -> list[int]:
    return [json.loads(text)["id"] for text in ran.out.splitlines()]


def test_events_up_to_a_time_are_shown(run: Run, five: Served) -> None:
    argv = ("--json", "--socket", str(five.socket))
    assert ids(run("events", "--until", "150s", *argv)) == [1, 2, 3]
    assert ids(run("events", "--since", "270s", "--until", "90s", *argv)) == [2, 3, 4]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--since", "1h", "--until", "2h"), "--since is later than --until: give an earlier"),
        (("--until", "2d"), "--since (1d by default) is later than --until: give an earlier"),
        (("--follow", "--until", "1h"), "nothing to follow: leave --follow out"),
        (("--until", "1969-12-31"), "--until is before 1970: give a time such as"),
        (("--until", "9000-01-01"), "until: give a time after 1970, such as"),
    ],
    ids=["swapped", "default", "past", "early", "late"],
)
def test_times_between_which_nothing_can_be_are_refused(
    run: Run, five: Served, argv: tuple[str, ...], says: str
) -> None:
    done = run("events", *argv, "--socket", str(five.socket))
    assert (done.status, done.out) == (2, "")
    assert says in done.err


def test_following_ends_at_the_time_that_was_given(run: Run, five: Served) -> None:
    until = datetime.fromtimestamp(time.time() + 0.5, UTC).isoformat()
    done = run("events", "--follow", "--until", until, "--json", "--socket", str(five.socket))
    assert (done.status, ids(done), done.err) == (0, [1, 2, 3, 4, 5], "")


def test_what_is_left_out_is_said(run: Run, five: Served) -> None:
    argv = ("events", "--json", "--socket", str(five.socket))
    done = run(*argv, "-n", "4")
    assert (done.status, ids(done)) == (0, [2, 3, 4, 5])
    assert done.err == (
        "lvsguard: older ones are left out: give a --limit above 4, or a later --since\n"
    )
    done = run(*argv, "-n", "5")
    assert (ids(done), done.err) == ([1, 2, 3, 4, 5], "")
    served = five.desk
    served.history_kept[:] = [entry(n, time.time() - 1, Stopping(keep=True)) for n in range(10_001)]
    done = run(*argv, "-n", "10000")
    assert len(ids(done)) == 10_000
    assert "older ones may be left out: give an --until before 20" in done.err


def test_a_daemon_that_stops_is_said_by_whoever_follows(five: Served) -> None:
    command = [sys.executable, "-m", "lvsguard", "events", "--follow", "--json", "-n", "2"]
    pipes = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--socket", str(five.socket)], stdout=pipes, stderr=pipes, text=True
    ) as process:
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [4, 5]
        five.end()
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (3, "")
    assert err.splitlines()[0] == "lvsguard: older ones may be left out: give a --limit above 2"
    assert err.splitlines()[1].startswith("lvsguard: the daemon has stopped, nothing is followed")


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
