"""``lvsguard status --watch`` in a real terminal, against a real admin server."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.core.override import Override, OverrideKind, Target
from tests.support.published import NOON, seed_services
from tests.support.recorder import Recorder
from tests.unit.cli.conftest import Served

pytestmark = pytest.mark.slow

SECONDS = 20.0


class Terminal:
    """A terminal with the command in it, as its controlling terminal."""

    def __init__(self, served: Served, **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        self.size(80, 24)
        self.before = termios.tcgetattr(self.ours)
        command = [sys.executable, "-m", "lvsguard", "status", "--watch", "--interval", "0.1s"]
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        # As a shell starts it: under nohup, or in the background, the tests have signals ignored.
        begin = ["env", "--default-signal", "setsid", "--ctty"]
        self.process = subprocess.Popen(
            [*begin, *command, "--socket", str(served.socket)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=kept | {"TERM": "xterm-256color"} | environment,
        )
        os.close(theirs)
        self.shown = b""

    def size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def until(self, wanted: str) -> str:
        """Read until the terminal has shown it since it was asked last; that text."""
        end = time.monotonic() + SECONDS
        while wanted not in (plain := _plain(self.shown)):
            assert time.monotonic() < end, (
                f"not shown within {SECONDS} s: {wanted}\n{plain[-3000:]}"
            )
            if select.select([self.ours], [], [], 0.2)[0]:
                self.shown += os.read(self.ours, 65536)
        self.shown = b""
        return plain

    def wait(self) -> int:
        """Until the command has ended; its status."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.ours], [], [], 0.1)[0]:
                with suppress(OSError):
                    self.shown += os.read(self.ours, 65536)
        return self.process.wait(1)


def _plain(shown: bytes) -> str:
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown)
    return text.decode(errors="replace")


@contextmanager
def terminal(served: Served, **environment: str) -> Iterator[Terminal]:
    terminal = Terminal(served, **environment)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()
        os.close(terminal.ours)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_drain_is_set_and_ended_by_keys_and_the_terminal_is_left_as_it_was(
    served: Served,
) -> None:
    kept = served.desk.picture.kept
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        shown.type("d")
        shown.until("drain 10.0.0.42:80 of web; why?")
        shown.type("disk\r")
        shown.until("10.0.0.42:80 of web is drained")
        (held,) = kept.values()
        assert (held.kind, held.target.service, held.reason) == ("drain", "web", "disk")
        shown.until("1 override")
        shown.type("u")
        shown.until("end the drain of 10.0.0.42:80 in web by")
        shown.type("\r")
        shown.until("is not drained any more")
        assert not kept
        shown.type("q")
        assert shown.wait() == 0
        assert termios.tcgetattr(shown.ours) == shown.before
        assert b"\x1b[?1049l" in shown.shown  # back from the alternate screen
        assert b"\x1b[?25h" in shown.shown  # with a cursor


def test_whose_drain_the_keys_replace_or_end_is_told(served: Served) -> None:
    target = Target(ip_address("10.0.0.42"), 80, "web")
    held = Override(target, OverrideKind.DRAIN, "alice (uid 7)", NOON, "new disk")
    served.desk.picture.kept[held.key] = held
    with terminal(served) as shown:
        shown.until("1 override")
        shown.type("d")
        shown.until("drain 10.0.0.42:80 of web, which is drained by alice (uid 7); why?")
        shown.type("\r")
        shown.until("is drained; replaced: drain of")
        served.desk.picture.kept[held.key] = held
        shown.type("u")
        shown.until("end the drain of 10.0.0.42:80 in web by")
        shown.type("\r")
        shown.until("is not drained any more; ended: drain of")
        shown.type("q")
        assert shown.wait() == 0


def test_why_tells_the_reason_and_what_happened(served: Served) -> None:
    drain = Override(Target(ip_address("10.0.0.43")), OverrideKind.DRAIN, "bob", NOON, "new disk")
    served.desk.picture.kept[drain.key] = drain
    with terminal(served) as shown:
        shown.until("10.0.0.43:80")
        shown.type("\x1b[B")
        shown.until("10.0.0.43:80 in web: L4CON connection refused")
        shown.type("w")
        text = shown.until("any other key: back")
        assert "bob drained it at" in text
        assert "reason: new disk" in text
        assert "lvsguard undrain 10.0.0.43" in text
        shown.type("x")
        shown.until("q quit")


def test_an_arrow_that_comes_in_two_parts_is_no_escape(served: Served) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.43:80")
        shown.type("d")
        shown.until("why?")
        for part in ("\x1b", "[B"):  # as a slow network cuts it
            shown.type(part)
            time.sleep(0.03)
        shown.type("disk\r")
        shown.until("10.0.0.42:80 of web is drained")
        (held,) = served.desk.picture.kept.values()
        assert held.reason == "disk"


def test_a_filter_and_another_size_are_followed(served: Served) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        assert "IDLE" not in shown.until("NEW/S")
        shown.size(130, 30)
        os.killpg(shown.process.pid, signal.SIGWINCH)
        shown.until("IDLE")
        shown.type("/rs2\r")
        shown.until("[rs2]")
        assert "10.0.0.42" not in shown.until("[rs2]").split("services")[-1].split("events")[0]


def test_a_restart_of_the_daemon_is_said_and_survived(served: Served) -> None:
    elsewhere = served.socket.with_name("elsewhere")
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        served.socket.rename(elsewhere)
        text = shown.until("no lvsguard listens on")
        assert "not connected since" in text
        served.desk.picture.started += 60
        elsewhere.rename(served.socket)
        shown.until("connected again: the daemon was restarted")
        served.desk.picture.shown = [
            replace(one, why=("something new",)) for one in seed_services()
        ]
        shown.until("something new")


def test_ctrl_c_is_an_end_as_good_as_q(served: Served) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        shown.type("\x03")
        assert shown.wait() == 0
        assert termios.tcgetattr(shown.ours) == shown.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(
    served: Served, number: signal.Signals
) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        shown.process.send_signal(number)
        assert shown.wait() == -number
        assert termios.tcgetattr(shown.ours) == shown.before
        assert b"\x1b[?1049l" in shown.shown
        assert b"\x1b[?25h" in shown.shown


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(served: Served) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    names = {"PS1": "$ ", "TERM": "xterm-256color", "LVSGUARD_SOCKET": str(served.socket)}
    shown = Recorder(["sh", "-i"], {**os.environ, **names, "PATH": path}, 80, 24)
    try:
        shown.until(lambda lines: lines[0] == "$", "a prompt")
        shown.type("lvsguard status --watch\r", 0)
        for _ in range(2):
            shown.until(lambda lines: "q quit" in lines[-1], "the screen")
            shown.press("\x1a")
            shown.until(lambda lines: any("Stopped" in line for line in lines), "the shell")
            shown.until(lambda _: shown.screen.cursor and shown.echoes, "as it was")
            assert not shown.screen.alternate
            shown.type("fg\r", 0)
        shown.until(lambda lines: "q quit" in lines[-1], "the screen again")
        assert not shown.echoes
        shown.type("?", 0)
        shown.until(lambda lines: lines[-1] == "any key: back", "that keys are taken")
        shown.type("xq", 0)
        shown.until(lambda _: shown.echoes and not shown.screen.alternate, "the shell again")
    finally:
        shown.end()


def test_a_job_that_was_stopped_is_ended_without_a_trace(served: Served) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        shown.process.send_signal(signal.SIGSTOP)
        shown.process.send_signal(signal.SIGTERM)
        shown.process.send_signal(signal.SIGCONT)
        assert shown.wait() == -signal.SIGTERM
        assert termios.tcgetattr(shown.ours) == shown.before


def test_what_else_stopped_it_and_changed_the_terminal_is_got_over(served: Served) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        shown.process.send_signal(signal.SIGSTOP)
        termios.tcsetattr(shown.ours, termios.TCSANOW, shown.before)
        shown.process.send_signal(signal.SIGCONT)
        shown.until("q quit")
        shown.type("?")  # without a line feed
        shown.until("any key: back")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "xterm-mono"}])
def test_a_terminal_without_colour_gets_none(served: Served, environment: dict[str, str]) -> None:
    with terminal(served, **environment) as shown:
        while b"10.0.0.43:80" not in shown.shown:
            shown.shown += os.read(shown.ours, 65536)
        assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", shown.shown)
    with terminal(served) as shown:
        while b"L4CON" not in shown.shown:
            shown.shown += os.read(shown.ours, 65536)
        assert re.search(rb"\x1b\[[0-9;]*3[0-7]m", shown.shown)


def test_a_terminal_that_can_draw_nothing_gets_lines(served: Served) -> None:
    with terminal(served, TERM="dumb") as shown:
        for _ in range(3):
            shown.until("rs2 10.0.0.43:80  down")
        shown.shown += os.read(shown.ours, 65536)
        assert b"\x1b" not in shown.shown
        shown.type("\x03")
        assert shown.wait() == 0


def test_a_daemon_that_hangs_is_said(served: Served) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        hung = threading.Event()
        served.loop.call_soon_threadsafe(hung.wait, SECONDS)
        shown.until("no answer for 3s: what is below was so then")
        hung.set()
        shown.shown = b""
        while "no answer" in shown.until("q quit"):
            pass


def test_a_daemon_that_hangs_does_not_keep_the_keys(served: Served) -> None:
    with terminal(served) as shown:
        shown.until("10.0.0.42:80")
        served.loop.call_soon_threadsafe(time.sleep, 4)
        time.sleep(0.5)
        begun = time.monotonic()
        shown.type("w")
        shown.until("asking the daemon ...")
        shown.type("?")
        shown.until("any key: back")
        shown.type("xq")
        assert shown.wait() == 0
        assert time.monotonic() - begun < 3
    # What waits to be accepted is accepted first: asyncio loses a connection whose server is closed
    # between the two steps of that.
    awake = threading.Event()
    served.loop.call_soon_threadsafe(awake.set)
    assert awake.wait(SECONDS)
