"""The status page on a real kernel: what is in the table is on the page within a second.

Its stream is read by a plain client, and the page by a real Chromium in the guest. What the page
can do besides is in tests/browser, on the host.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.by import By

from tests.support.chromium import browser, logged
from tests.support.director import tell
from tests.support.director_config import LISTEN
from tests.support.processes import wait_until
from tests.support.topology_load import start_load

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from selenium.webdriver import Chrome

    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SOON_S = 1.0
WITHIN_S = 10.0


class Page:
    """What a page knows, from the messages of the stream."""

    def __init__(self, stream: socket.socket) -> None:
        # Version 1.0 has no chunks.
        stream.sendall(b"GET /stream HTTP/1.0\r\nHost: director1\r\n\r\n")
        self._messages = self._read(stream)
        self.head: dict[str, Any] = {}
        self.rows: dict[int, dict[str, Any]] = {}
        self.live: dict[int, list[Any]] = {}

    def _read(self, stream: socket.socket) -> Generator[tuple[str, Any], None, None]:
        name = ""
        with stream.makefile("rb") as lines:
            for line in lines:
                kind, _, rest = line.decode().rstrip("\r\n").partition(": ")
                if kind == "event":
                    name = rest
                elif kind == "data":
                    yield name, json.loads(rest)

    def close(self) -> None:
        """Read no more."""
        self._messages.close()

    def until(self, condition: Callable[[], bool]) -> None:
        """Read on until it holds."""
        end = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < end, (self.head, self.rows, self.live)
            name, data = next(self._messages)
            if name == "head":
                self.head = data
            elif name == "rows":
                self.rows |= {row["id"]: row for row in data}
            elif name == "live":
                self.live |= {one[0]: one for one in data}

    def row(self, address: str) -> dict[str, Any]:
        return next((r for r in self.rows.values() if r["address"] == address), {})

    def rate(self, address: str) -> float:
        return self.live.get(self.row(address).get("id", -1), [0, 0, 0, None])[3] or 0.0


def test_a_state_is_on_the_page_within_a_second_of_the_kernel(seed: Seed) -> None:
    director = seed.director
    with director.host.entered():
        stream = socket.create_connection(LISTEN, timeout=WITHIN_S)
    with closing(stream), closing(Page(stream)) as page:
        page.until(lambda: all(page.row(f"10.0.0.{n}:80").get("verdict") == "up" for n in (42, 43)))
        assert [vip["role"] for vip in page.head["vips"]] == ["master"]
        assert (page.head["director"], page.head["troubles"]) == ("director1", [])

        seed.webs[0].kill()
        director.wait_for_weights(3, rs1=None, rs2=1)
        in_kernel = time.monotonic()
        page.until(lambda: page.row("10.0.0.42:80")["weight"] is None)
        down_s = time.monotonic() - in_kernel
        assert page.row("10.0.0.42:80")["verdict"] == "down"
        assert "refused" in page.row("10.0.0.42:80")["reason"]

        seed.webs[0].start()
        director.wait_for_weights(10, rs1=1, rs2=1)
        in_kernel = time.monotonic()
        page.until(lambda: page.row("10.0.0.42:80")["weight"] == 1)
        up_s = time.monotonic() - in_kernel

        director.run("drain", "10.0.0.43", "--for", "1h", "--reason", "kernel update")
        director.wait_for_weights(3, rs1=1, rs2=0)
        in_kernel = time.monotonic()
        page.until(lambda: page.row("10.0.0.43:80")["admin"] == "drain")
        drained_s = time.monotonic() - in_kernel
        page.until(lambda: bool(page.head["overrides"]))
        (held,) = page.head["overrides"]
        assert (held["target"], held["reason"]) == ("10.0.0.43", "kernel update")
        assert 3500 < held["expires"] - held["since"] <= 3601
        director.run("undrain", "10.0.0.43")

        load = start_load(seed.client, "10.0.0.8:80", per_second=40)
        page.until(lambda: page.rate("10.0.0.42:80") > 5)
        load.stop()
    tell("page", down_s=down_s, up_s=up_s, drained_s=drained_s)
    assert max(down_s, up_s, drained_s) < SOON_S


WATCH = """
const rows = () => document.querySelectorAll("table[aria-label] tr");
window.seen = [];
new MutationObserver(() => {
  window.seen.push([Date.now() / 1000, [...rows()].map(row => row.innerText)]);
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""
"""Notes what the tables show, and when: asking the browser takes longer than what is measured."""


def shown_at(driver: Chrome, address: str, words: str) -> float:
    """When the row of a realserver showed this first since the watch began (wall clock)."""

    def moments() -> list[float]:
        seen = driver.execute_script("return window.seen")
        return [at for at, rows in seen if any(address in r and words in r for r in rows)]

    wait_until(lambda: bool(moments()), WITHIN_S, f"{address} shows {words!r}", every_s=0.1)
    return min(moments())


def test_a_state_is_in_a_browser_within_a_second_of_the_kernel(seed: Seed, tmp_path: Path) -> None:
    director = seed.director
    with director.host.entered(), browser(tmp_path) as driver:
        driver.get(f"http://{LISTEN[0]}:{LISTEN[1]}/")
        body = driver.find_element(By.TAG_NAME, "body")
        wait_until(lambda: body.get_attribute("data-ready") == "true", 60, "all of it is shown")
        driver.execute_script(WATCH)

        seed.webs[0].kill()
        director.wait_for_weights(3, rs1=None, rs2=1)
        in_kernel = time.time()
        down_s = shown_at(driver, "10.0.0.42", "refused") - in_kernel

        director.run("drain", "10.0.0.43", "--for", "1h", "--reason", "kernel update")
        director.wait_for_weights(3, rs1=None, rs2=0)
        in_kernel = time.time()
        drained_s = shown_at(driver, "10.0.0.43", "kernel update") - in_kernel
        director.run("undrain", "10.0.0.43")

        driver.execute_script("window.seen = []")
        seed.webs[0].start()
        director.wait_for_weights(10, rs1=1, rs2=1)
        in_kernel = time.time()
        up_s = shown_at(driver, "10.0.0.42", "up") - in_kernel
        complaints = [entry["message"] for entry in logged(driver, "browser")]
    tell("browser", down_s=down_s, up_s=up_s, drained_s=drained_s)
    assert max(down_s, up_s, drained_s) < SOON_S
    assert complaints == []


class Screen:
    """`lvsguard status --watch` in a terminal of 80 columns, as an operator has it over SSH."""

    def __init__(self, place: Path) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 18, 80, 0, 0))
        command = [sys.executable, "-m", "lvsguard", "status", "--watch", "--interval", "0.3s"]
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command, "--socket", str(place / "lvsguard.sock")],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"},
        )
        os.close(theirs)
        self.shown = ""

    def until(self, *wanted: str) -> str:
        """Read until one frame has all of it; that frame."""
        end = time.monotonic() + 3 * WITHIN_S
        while True:
            # Each frame is drawn whole, from the top left corner.
            for frame in reversed(re.split(r"\x1b\[H", self.shown)):
                plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame).replace("\r", "")
                if all(word in plain for word in wanted):
                    self.shown = ""
                    return "\n".join(line.rstrip() for line in plain.splitlines())
            assert time.monotonic() < end, f"{wanted} not in:\n{self.shown[-4000:]}"
            if select.select([self.ours], [], [], 0.2)[0]:
                self.shown += os.read(self.ours, 65536).decode(errors="replace")

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


def test_the_screen_shows_a_death_and_drains_by_a_key(seed: Seed) -> None:
    director = seed.director
    load = start_load(seed.client, "10.0.0.8:80", per_second=40)
    with closing(Screen(director.place)) as screen:
        frames = [screen.until("10.0.0.42:80", "10.0.0.43:80", "new/s")]
        seed.webs[0].kill()
        frames.append(screen.until("down", "refused", "1 down"))
        screen.type("\x1b[B")
        screen.until("> 10.0.0.43:80")
        screen.type("d")
        screen.type("kernel update")
        frames.append(screen.until("drain 10.0.0.43:80 of web; why? kernel update_"))
        seed.webs[0].start()
        director.wait_for_weights(10, rs1=1, rs2=1)
        screen.type("\r")
        director.wait_for_weights(10, rs1=1, rs2=0)
        frames.append(screen.until("1 override", "kernel update", "10.0.0.43:80 of web is drained"))
        screen.type("u\r")
        director.wait_for_weights(10, rs1=1, rs2=1)
        frames.append(screen.until("is not drained any more"))
        screen.type("q")
        assert screen.process.wait(10) == 0
    load.stop()
    director.config.with_name("watch.txt").write_text("\n\f\n".join(frames))
