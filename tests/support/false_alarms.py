"""What happens to realservers that are well, and must change no verdict.

Each play shows that it was one: the canary stands at its beginning and at its end, and a server
that was told to reload did so.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from tests.support.canary_watch import wait_for_canary
from tests.support.director import wall
from tests.support.director_config import HTTP_CHECK, Service, Setup
from tests.support.processes import run
from tests.support.reloading_servers import AUTHORITY, SERVERS, TLS_NAME, apache, nginx
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
SINGS_AGAIN_S = 60.0
"""Who closes what was opened a moment ago is opened to ever more slowly (``habit.BACKOFF_S``)."""
OTHER = "other-server"
"""Folder of the server that stands in for rs1's nginx."""

Tick = Callable[[], object]
"""To be called again and again while the play goes on."""
Play = Callable[["Seed"], AbstractContextManager[Tick]]


def http_check(canary: str) -> str:
    """The seed's check with a ``canary``."""
    return f"{HTTP_CHECK[:-1]}, canary = {canary} }}"


def https_check(folder: Path, canary: str = "true") -> str:
    """The seed's check over TLS, of a server of ``reloading_servers`` in that folder."""
    tls = f'kind = "https", port = 443, host = "{TLS_NAME}", ca_file = "{folder / AUTHORITY}"'
    return http_check(canary).replace('kind = "http"', tls, 1)


@contextlib.contextmanager
def served(
    seed: Seed,
    *,
    start: Callable[[Host, Path], Reloading],
    canary: str = "true",
    tls: bool = False,
    sings: bool = True,
) -> Iterator[Tick]:
    """Another server in the place of rs1's nginx, the only one; it is in when this begins.
    ``sings``: whether the canary stands, at the beginning and at the end."""
    with _served(seed, start, canary, tls=tls, sings=sings):
        yield lambda: None


@contextlib.contextmanager
def reloads(
    seed: Seed,
    *,
    start: Callable[[Host, Path], Reloading],
    canary: str = "true",
    tls: bool = False,
) -> Iterator[Tick]:
    """The server reloads every 2 s, or as soon as it has done so in a slow guest."""
    with _served(seed, start, canary, tls=tls, sings=True) as server:
        due, told, generation = time.monotonic() + RELOAD_EVERY_S, 0, server.generation()

        def tick() -> None:
            nonlocal due, told, generation
            now = time.monotonic()
            if now < due:
                return
            if told and (seen := server.generation()) == generation:
                due = now + RELOAD_EVERY_S / 4
                return
            generation = seen if told else generation
            due = now + RELOAD_EVERY_S
            server.reload()
            told += 1

        yield tick
        assert told >= 2, f"it reloaded {max(told - 1, 0)} times"


@contextlib.contextmanager
def _served(
    seed: Seed,
    start: Callable[[Host, Path], Reloading],
    canary: str,
    *,
    tls: bool,
    sings: bool,
) -> Iterator[Reloading]:
    host, director = seed.network.rs1, seed.director
    seed.webs[0].kill()
    director.wait_for_weights(rs1=None)
    folder = seed.network.artifacts / OTHER
    server = start(host, folder)
    check = https_check(folder, canary) if tls else http_check(canary)
    _serve(seed, check, [host])
    port = 443 if tls else 80
    try:
        if sings:
            wait_for_canary(seed.network.director1, host, port)
        yield server
        if sings:
            wait_for_canary(seed.network.director1, host, port, SINGS_AGAIN_S)
            assert "no canary" not in director.realserver(host.address).reason
    finally:
        server.process.kill()
        director.wait_for_weights(rs1=None)
        seed.webs[0].start()
        _serve(seed, HTTP_CHECK, list(seed.network.realservers[:2]))


def _serve(seed: Seed, check: str, hosts: list[Host]) -> None:
    """Have the director check these, and wait until they are in, and nobody else is."""
    service = Service(check=check, realservers={str(host.address): 1 for host in hosts})
    seed.director.configure(Setup(services=(service,)))
    seed.director.client.reload()
    weights = {host.name: 1 if host in hosts else None for host in seed.network.realservers}
    seed.director.wait_for_weights(30, **weights)
    seed.director.wait_for_verdicts(**{host.name: "up" for host in hosts})


@contextlib.contextmanager
def bad_line(seed: Seed) -> Iterator[Tick]:
    """The lines to all realservers lose and delay packets."""
    hosts = list(seed.network.realservers)
    _serve(seed, HTTP_CHECK, hosts)
    lines = [
        line for host in hosts for line in ((SWITCH, host.name, TO), (host.name, "eth0", BACK))
    ]
    for where, device, trouble in lines:
        change = ["qdisc", "replace", "dev", device, "root", "netem", *trouble.split()]
        run(["tc", "-n", where, *change])
    try:
        yield lambda: None
    finally:
        for where, device, _ in lines:
            run(["tc", "-n", where, "qdisc", "del", "dev", device, "root"])
        _serve(seed, HTTP_CHECK, hosts[:2])


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


ASKS = '{ kind = "http" }'
PLAYS: dict[str, Play] = {
    **{f"{name} reloads": partial(reloads, start=start) for name, start in SERVERS.items()},
    **{
        f"{name} reloads, http canary": partial(reloads, start=start, canary=ASKS)
        for name, start in SERVERS.items()
    },
    **{
        f"{name} reloads, TLS": partial(reloads, start=SERVERS[name], tls=True)
        for name in ("nginx", "haproxy")
    },
    "nginx reloads, http canary over TLS": partial(reloads, start=nginx, canary=ASKS, tls=True),
    "connections idle for 1 s": partial(served, start=partial(nginx, idle=1)),
    "connections idle for 1 s, http canary": partial(
        served, start=partial(nginx, idle=1), canary=ASKS
    ),
    "one worker": partial(served, start=partial(apache, one_worker=True)),
    # It is in the way, and goes before a probe has failed.
    "one worker, http canary": partial(
        served, start=partial(apache, one_worker=True), canary=ASKS, sings=False
    ),
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
