"""A scrape of a whole controller by another process, and what it does to timers beside it.

    python -m tests.bench.scrape [realservers ...]

A process of its own runs the controller as the daemon does: its facts, its passes over a table in
memory and the telemetry server. It is scraped by HTTP as Prometheus does it, first after the start
and then some times more. Printed are how long a scrape took, how late a timer of the controller's
loop was at worst meanwhile (each 10 ms), and how late that of an idle process was, with real-time
priority where that is allowed. Beside them a rest of two seconds without a scrape, for the machine
has others to serve, too. As root a real VRRP process speaks each 10 ms all the while, in a
namespace of its own: how late its latest advert left at most, by its own count, in each of these
times and the moment after it; below, all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from lvsguard.controller.view import LiveView
from lvsguard.core.config import Config
from lvsguard.core.health import Health, Verdict
from lvsguard.core.model import Observation, Protocol, RealserverKey, ServiceKey
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.telemetry.http import TelemetryServer
from lvsguard.telemetry.metrics import Metrics
from lvsguard.telemetry.processes import usage
from lvsguard.vrrp.message import LATENESS
from tests.support.fake_kernel import FakeIpvs
from tests.support.rig import OK, VIP, Rig, config, realserver, service
from tests.support.vrrp_child import Child, children, vip_group
from tests.support.wire_pair import namespaces_problem, pair

EACH = 10
"""Realservers of a service."""
TICK_S = 0.01
SCRAPES = 5
REST_S = 2.0
PRIORITY = 20
# As the systemd unit sets them.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
}
ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def large(count: int, weight: int = 1) -> Config:
    """So many realservers, in services of ten."""
    return config(
        *(
            service(
                *(
                    realserver(
                        RealserverKey(ip_address(f"10.{i >> 8}.{i & 255}.{j + 1}"), 80), weight
                    )
                    for j in range(EACH)
                ),
                name=f"service{i}",
                key=ServiceKey.at(Protocol.TCP, VIP.address, i + 1),
            )
            for i in range(count // EACH)
        )
    )


# -- the controller's process ------------------------------------------------------------------


class Late:
    """How late a timer was since it was asked last."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        """Tick until cancelled."""
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self.worst = max(self.worst, time.monotonic() - due)


class Unchanged(FakeIpvs):
    """A table that is read as the kernel's is: what is the same as before is the same objects."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: tuple[int, Observation] | None = None

    async def read(self) -> Observation:
        if self._seen is None or self._seen[0] != self.writes:
            self._seen = self.writes, await super().read()
        return self._seen[1]


async def serve(count: int) -> None:
    """Run a controller of that size; prints its port, then at each line of input how late its loop
    was since the last one. A line with a weight: a reload that gives it to every realserver."""
    held = large(count)
    rig = Rig(held, Path(tempfile.mkdtemp()), Unchanged())
    metrics = Metrics(held)
    view = LiveView(rig.controller, rig.owner, config_path="", probers=lambda: (1, 1))
    await rig.turn()
    checks = [check for s in held.services for r in s.realservers for check in r.checks]
    for check in checks:
        rig.controller.record(check, Health(Verdict.UP, time.monotonic(), result=OK))
    await rig.turn()
    buckets = (1,) * (len(BUCKETS) + 1)
    metrics.tally([Tally(check, {"L7OK": 13}, 1.0, buckets, time.time()) for check in checks])
    server = TelemetryServer(view, metrics, "127.0.0.1", 0)
    late = Late()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(one) for one in (server.run(), rig.controller.run(), late.watch())
        ]
        await server.listening.wait()
        await asyncio.sleep(1)
        gc.collect()
        gc.freeze()
        late.worst = 0.0
        print(server.port, flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            if weight := int(line.strip() or 0):
                assert await rig.controller.reload(large(count, weight)) >= count
            print(late.worst, flush=True)
            late.worst = 0.0
        for task in tasks:
            task.cancel()


# -- the one that stands for the VRRP process --------------------------------------------------


def idle() -> None:
    """Tick; at each line of input print how late the worst tick was since the last one."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    os.set_blocking(0, False)
    worst, due = 0.0, time.monotonic()
    while True:
        due += TICK_S
        time.sleep(max(0.0, due - time.monotonic()))
        worst = max(worst, time.monotonic() - due)
        with contextlib.suppress(BlockingIOError):
            if not os.read(0, 100):
                return
            print(worst, flush=True)
            worst, due = 0.0, time.monotonic()


# -- the one that measures ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Round:
    """One scrape, or a rest. Seconds."""

    took: float
    cpu: float
    """Of the controller."""
    loop: float
    other: float
    advert: str
    """How late the latest advert left, ms; empty: nobody speaks."""
    size: int


@contextlib.contextmanager
def begun(*what: str) -> Iterator[subprocess.Popen[str]]:
    """The controller (``--serve COUNT``) or the idle timer (``--idle``), until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.scrape", *what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    ) as process:
        yield process  # leaving closes its input, and that ends it


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    used = usage(pid)
    assert used is not None, "it has ended"
    return used[0]


def ask(process: subprocess.Popen[str], what: str = "") -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{what}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def scrape(port: int) -> int:
    """Fetch all of it; bytes."""
    size = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        request = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {ACCEPT}\r\n\r\n"
        connection.sendall(request.encode())
        while data := connection.recv(1 << 18):
            size += len(data)
    return size


class Adverts:
    """How late a VRRP process sends, by its own count."""

    def __init__(self, speaker: Child) -> None:
        self._speaker = speaker
        self._first = self._last = tuple(speaker.fresh_counts().lateness)

    def worst_ms(self) -> str:
        """Of those since the last time that this was asked, as a bound."""
        self._speaker.listen(1.2)  # what it has told meanwhile is read
        before, self._last = self._last, tuple(self._speaker.fresh_counts().lateness)
        late = [now > then for then, now in zip(before, self._last, strict=True)]
        worst = max((at for at, some in enumerate(late) if some), default=0)
        return f"<={1000 * LATENESS[worst]:g}" if worst < len(LATENESS) else ">1000"

    def told(self) -> str:
        """All of them, by how late they were."""
        late = [now - then for then, now in zip(self._first, self._last, strict=True)]
        edges = [*(f"up to {1000 * edge:g} ms" for edge in LATENESS), "more"]
        return ", ".join(f"{n} {edge}" for edge, n in zip(edges, late, strict=True) if n)


def measure(
    controller: subprocess.Popen[str],
    other: subprocess.Popen[str],
    speaks: Adverts | None,
    port: int,
) -> Round:
    """One scrape; no port: a rest."""
    ask(controller), ask(other)
    begun, before = time.monotonic(), cpu_s(controller.pid)
    size = scrape(port) if port else 0
    if not port:
        time.sleep(REST_S)
    took = time.monotonic() - begun
    cpu = cpu_s(controller.pid) - before
    loop, idle_s = ask(controller), ask(other)
    return Round(took, cpu, loop, idle_s, speaks.worst_ms() if speaks else "", size)


@contextlib.contextmanager
def adverts() -> Iterator[Adverts | None]:
    """Let a VRRP process speak meanwhile, and print how late it was; None: it may not."""
    if problem := namespaces_problem():
        print(f"no adverts beside it: {problem}")
        yield None
        return
    with (
        tempfile.TemporaryDirectory() as name,
        pair(Path(name)) as hosts,
        children(Path(name), hosts.left) as (speaker,),
    ):
        speaker.serve(vip_group("web", vrrp=VrrpConfig(51, priority=150, interval=TICK_S)))
        speaker.until_role("master")
        speaks = Adverts(speaker)
        yield speaks
    print(f"         adverts each {1000 * TICK_S:g} ms meanwhile, late by: {speaks.told()}")


def rounds(count: int) -> None:
    """Measure one size, and print it."""
    with contextlib.ExitStack() as stack:
        speaks = stack.enter_context(adverts())
        controller, other = (
            stack.enter_context(begun(*what)) for what in (("--serve", str(count)), ("--idle",))
        )
        assert controller.stdout is not None
        port = int(controller.stdout.readline())
        times = ["first", "rest", *["again"] * (SCRAPES - 1), "rest"]
        for name in times:
            one = measure(controller, other, speaks, 0 if name == "rest" else port)
            numbers = (one.took, one.cpu, 1e3 * one.loop, 1e3 * one.other)
            told = "".join(f"{number:9.2f}" for number in numbers)
            print(f"{count:8} {name:6}{told}{one.advert or '-':>11}{one.size / 1e6:9.2f}")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["--serve", count]:
            asyncio.run(serve(int(count)))
        case ["--idle"]:
            idle()
        case _:
            print(json.dumps({"load": os.getloadavg()[0], "cpus": os.cpu_count()}))
            heads = "".join(f"{head:>9}" for head in ("took s", "CPU s", "loop ms", "idle ms"))
            print(f"{'':15}{heads}{'advert ms':>11}{'MB':>9}")
            for size in arguments or ("1000", "37000"):
                rounds(int(size))


if __name__ == "__main__":
    main(sys.argv[1:])
