"""Records docs/pictures/status-watch.cast, and the README's screens from it: make cast.

Somebody watches a director, a realserver dies and comes back, the other one is drained by keys, and
two commands say why and end that. The director is that of tests/support/cast_director.py. Needs a
network namespace: root, or a kernel that gives everybody one.

`python -m tests.support.cast --to FILE --hurry` writes only FILE, with no pauses for readers.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.cast_director import REALSERVERS, SOCKET, set_up_network
from tests.support.documents import CHECKOUT, blocks
from tests.support.processes import wait_until
from tests.support.recorder import Recorder, Recording

RECORDING = CHECKOUT / "docs/pictures/status-watch.cast"
README = CHECKOUT / "README.md"
WIDTH, HEIGHT = 80, 18
TITLE = "lvsguard status --watch"
PROMPT = "director1# "
SHOWN = ("dead", "drained")
"""Moments that the README shows, in its order."""
INSIDE = "LVSGUARD_CAST_INSIDE"
"""Set in the namespace."""
RULE = "-- events "
COMES = r"[1-9]\S*"
"""A rate."""


class Answers(BaseHTTPRequestHandler):
    """A realserver that is well."""

    def do_GET(self) -> None:
        """Say so."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


class Realserver(ThreadingHTTPServer):
    """On one address."""

    def handle_error(self, *_: object) -> None:
        """Probes end as they like."""


@contextmanager
def web(address: str) -> Iterator[None]:
    """A realserver's server."""
    with Realserver((address, 80), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def director(folder: Path) -> Iterator[None]:
    """The daemon; what it says is in the folder."""
    command = [sys.executable, "-m", "tests.support.cast_director", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log)
        try:
            wait_until((folder / SOCKET).exists, 20, "the director listens")
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def recorder(folder: Path, pauses: float) -> Iterator[Recorder]:
    """A shell of the director, on a terminal."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "PS1": PROMPT,
        "LVSGUARD_SOCKET": str(folder / SOCKET),
        "PYTHONPATH": str(CHECKOUT),
    }
    made = Recorder(["sh", "-i"], environment, WIDTH, HEIGHT, pauses)
    try:
        yield made
    finally:
        made.end()


# -- what is played ----------------------------------------------------------------------------


def play(shown: Recorder) -> None:
    """All of it, with what happens to the realservers meanwhile."""
    first, second = REALSERVERS
    with ExitStack() as later:
        with web(first):
            # One after the other, so that what happened is the same each time.
            command(shown, "lvsguard status --watch")
            shown.until(row(first, "up"), "the first one serves")
            later.enter_context(web(second))
            shown.until(row(second, "up", rate=COMES), "both serve")
            moment(shown, "well", 3)
        shown.until(row(first, "down", rate="-"), "the first one is dead")
        moment(shown, "dead", 4)
        shown.press("w")
        shown.until(has("any other key: back"), "why it is down")
        moment(shown, "why", 5)
        shown.press(" ")
        later.enter_context(web(first))
        shown.until(row(first, "up", rate=COMES), "it is back")
        moment(shown, "back", 2)
        drain(shown, second)
        told(shown, second)


def drain(shown: Recorder, address: str) -> None:
    """Drain it by keys, and watch it become empty."""
    shown.press("\x1b[B")
    shown.pause(1)
    shown.press("d")
    shown.until(has(f"drain {address}:80 of web; why?"), "a reason is asked for")
    shown.type("kernel update")
    shown.press("\r")
    shown.until(row(address, "drain", weight="0/1"), "it is drained")
    shown.until(has("is drained", "1 override"), "that it is")
    moment(shown, "drained", 2)
    shown.until(row(address, "drain", active="0"), "it is empty")
    moment(shown, "empty", 2)
    shown.press("q")
    shown.until(has(PROMPT.strip()), "the shell")


def told(shown: Recorder, address: str) -> None:
    """What commands say of it."""
    command(shown, f"lvsguard why {address} | head -5")
    shown.until(prompted, "why it is out")
    moment(shown, "told", 6)
    command(shown, f"lvsguard undrain {address}")
    shown.until(prompted, "the drain is over")
    moment(shown, "undrained", 2)


def command(shown: Recorder, line: str) -> None:
    """Type it at the prompt."""
    shown.until(prompted, "a prompt")
    shown.type(line, 0.06)
    shown.press("\r")
    shown.until(lambda lines: not prompted(lines), "it begins")


def moment(shown: Recorder, name: str, seconds: float) -> None:
    """A screen that is worth a name, and to be read."""
    shown.name(name)
    shown.pause(seconds)


def prompted(lines: Sequence[str]) -> bool:
    """Whether the shell waits."""
    return [line for line in lines if line][-1:] == [PROMPT.strip()]


def has(*wanted: str) -> Callable[[Sequence[str]], bool]:
    """Whether all this is shown."""
    return lambda lines: all(any(one in line for line in lines) for one in wanted)


def row(
    address: str, state: str, *, weight: str = r"\S+", active: str = r"\d+", rate: str = r"\S+"
) -> Callable[[Sequence[str]], bool]:
    """Whether a realserver's line says this."""
    name = rf"[> ] .*{re.escape(address)}:80"
    wanted = re.compile(rf"{name} +{state} +{weight} +{active} +{rate} ")
    return lambda lines: any(wanted.match(line) for line in lines)


# -- what is written ---------------------------------------------------------------------------


def record(pauses: float) -> Recording:
    """Play it in this namespace."""
    set_up_network()
    with tempfile.TemporaryDirectory(prefix="lvsguard-") as name:
        folder = Path(name)
        with director(folder), recorder(folder, pauses) as shown:
            play(shown)
            return Recording(WIDTH, HEIGHT, TITLE, shown.events)


def readme(text: str, recording: Recording) -> str:
    """The page with the screens of this recording."""
    moments = recording.moments()
    shown = [block.text for block in blocks(text) if RULE in block.text]
    for old, name in zip(shown, SHOWN, strict=True):
        new = "".join(f"{line}\n" for line in moments[name] if line)
        text = text.replace(old, new)
    return text


def alone() -> list[str]:
    """What runs a command in a network namespace of its own."""
    return ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def elsewhere() -> list[str]:
    """What runs this module so."""
    return [*alone(), sys.executable, "-m", "tests.support.cast"]


def main() -> None:
    """Record it, here or in another namespace."""
    parser = argparse.ArgumentParser(description="Records docs/pictures/status-watch.cast.")
    parser.add_argument("--to", type=Path, help="write this file, and nothing else")
    parser.add_argument("--hurry", action="store_true", help="without pauses for readers")
    asked = parser.parse_args()
    if INSIDE not in os.environ:
        command = elsewhere()
        os.environ[INSIDE] = "1"
        os.execvp(command[0], [*command, *sys.argv[1:]])
    recording = record(0.0 if asked.hurry else 1.0)
    (asked.to or RECORDING).write_text(recording.text)
    if asked.to is None:
        README.write_text(readme(README.read_text(), recording))


if __name__ == "__main__":
    main()
