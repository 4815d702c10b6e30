"""What happens to realservers that are well, and must change no verdict."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from tests.support.director import wall
from tests.support.processes import run
from tests.support.reloading_servers import SERVERS, apache, nginx
from tests.support.topology import SWITCH

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.director_seed import Seed
    from tests.support.reloading_servers import Reloading
    from tests.support.topology import Host

RELOAD_EVERY_S = 2.0
TO, BACK = "delay 50ms 50ms loss 5%", "loss 5%"
"""The line to the realserver and back: 5 % of the packets are lost in each direction, and those to
it take anything up to 100 ms, so that they overtake each other."""
BUSY = 4
"""Processes that use all the CPU that they get; the guest has one."""

Tick = Callable[[], object]
"""To be called again and again while the play goes on."""
Play = Callable[["Seed"], AbstractContextManager[Tick]]


@contextlib.contextmanager
def _served(seed: Seed, start: Callable[[Host, Path], Reloading]) -> Iterator[Reloading]:
    """Another server in the place of rs1's nginx; it is in when this begins."""
    host, director = seed.network.rs1, seed.director
    seed.webs[0].kill()
    director.wait_for_weights(rs1=None)
    server = start(host, seed.network.artifacts / "other-server")
    director.wait_for_weights(30, rs1=1)
    director.wait_for_verdicts(rs1="up", rs2="up")
    try:
        yield server
    finally:
        server.process.kill()
        director.wait_for_weights(rs1=None)
        seed.webs[0].start()
        director.wait_for_weights(30, rs1=1)


@contextlib.contextmanager
def reloads(seed: Seed, *, start: Callable[[Host, Path], Reloading]) -> Iterator[Tick]:
    """The server reloads every 2 s."""
    with _served(seed, start) as server:
        last = time.monotonic()

        def tick() -> None:
            nonlocal last
            if time.monotonic() - last >= RELOAD_EVERY_S:
                last = time.monotonic()
                server.reload()

        yield tick


@contextlib.contextmanager
def served(seed: Seed, *, start: Callable[[Host, Path], Reloading]) -> Iterator[Tick]:
    """The server is as it is."""
    with _served(seed, start):
        yield lambda: None


@contextlib.contextmanager
def bad_line(seed: Seed) -> Iterator[Tick]:
    """The line to rs1 loses and delays packets."""
    host = seed.network.rs1
    lines = ((SWITCH, host.name, TO), (host.name, "eth0", BACK))
    for where, device, trouble in lines:
        change = ["qdisc", "replace", "dev", device, "root", "netem", *trouble.split()]
        run(["tc", "-n", where, *change])
    try:
        yield lambda: None
    finally:
        for where, device, _ in lines:
            run(["tc", "-n", where, "qdisc", "del", "dev", device, "root"])


@contextlib.contextmanager
def no_cpu(seed: Seed) -> Iterator[Tick]:
    """The realserver's CPU is in use by others, which in the lab is everybody's."""
    host = seed.network.rs1
    spin = (sys.executable, "-c", "while True: pass")
    busy = [host.start(f"busy{number}", *spin) for number in range(BUSY)]
    try:
        yield lambda: None
    finally:
        for one in busy:
            one.kill()


PLAYS: dict[str, Play] = {
    **{f"{name} reloads": partial(reloads, start=start) for name, start in SERVERS.items()},
    "connections idle for 1 s": partial(served, start=partial(nginx, idle=1)),
    "one worker": partial(served, start=partial(apache, one_worker=True)),
    "5 % loss, 50 ms": bad_line,
    "no CPU left": no_cpu,
}


def changes(seed: Seed, play: Play, seconds: float, settle_s: float = 2.0) -> list[str]:
    """What the director told of verdicts while this was played; none of it was true."""
    with play(seed) as tick:
        since, end = wall(), time.monotonic() + seconds
        while time.monotonic() < end:
            tick()
            time.sleep(0.1)
        time.sleep(settle_s)
        return [event.text for event in seed.director.events("health", since)]
