"""How long an exposition and a status document of many realservers take, and keep the loop.

    python -m tests.bench.exposition [realservers ...]

Prints the whole time, the longest slice (of this thread's own time), how long the loop was kept
from a task that only looks (of that time, too), how late a 1 ms timer of the same loop was, which
knows what else the machine does; and the same for prometheus_client's own writer.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from lvsguard.admin.status import status_json
from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    Config,
    HttpSpec,
    RealserverConfig,
    ServiceConfig,
)
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.serving import Slices
from lvsguard.telemetry.metrics import Metrics
from tests.support.loop_turns import turns
from tests.support.published import NOON, WEB, Picture, realserver, service

EACH = 10
"""Realservers of a service."""
SERIES = 12
"""Families that prometheus_client is given for each realserver."""


async def kept(work: Callable[[], AsyncGenerator[bytes, None]]) -> float:
    """Seconds of this thread that the work kept the loop to itself at worst, with a reader who
    takes all at once."""
    async with turns() as felt:
        async for _ in work():
            pass
    return felt.longest_s


async def lateness(work: Callable[[], AsyncGenerator[bytes, None]]) -> tuple[float, float, int]:
    """Seconds of the work, seconds that a timer was late at worst meanwhile, and bytes."""
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - begun - 0.001)

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.05)
    worst, size = 0.0, 0
    begun = time.perf_counter()
    async for piece in work():
        size += len(piece)
        await asyncio.sleep(0)
    spent = time.perf_counter() - begun
    await asyncio.sleep(0.002)
    ticker.cancel()
    return spent, worst, size


def picture(count: int) -> Picture:
    """So many realservers, in services of ten."""
    return Picture(
        [
            service(
                *(realserver(f"10.{i >> 8}.{i & 255}.{j + 1}") for j in range(EACH)),
                name=f"service{i}",
                key=replace(WEB, port=i % 65535 + 1),
            )
            for i in range(count // EACH)
        ]
    )


def probed(view: Picture) -> Metrics:
    """Metrics of a director that has probed each of them."""
    spec = CheckSpec(CheckKind.HTTP, http=HttpSpec(path="/health"))
    services = tuple(
        ServiceConfig(
            s.name,
            s.key,
            tuple(
                RealserverConfig(r.name, r.key, checks=(Check(r.key.address, r.key.port, spec),))
                for r in s.realservers
            ),
        )
        for s in view.shown
    )
    metrics = Metrics(Config("director1", "eth0", (), services, view.config_digest))
    buckets = (1,) * (len(BUCKETS) + 1)
    metrics.tally(
        [
            Tally(r.checks[0], {"L7OK": 12, "L4CON": 1}, 1.0, buckets, NOON)
            for s in services
            for r in s.realservers
        ]
    )
    return metrics


def stock(count: int) -> Callable[[], AsyncGenerator[bytes, None]]:
    """prometheus_client's own writer with as many series."""
    registry = CollectorRegistry()
    for number in range(SERIES):
        gauge = Gauge(
            f"metric{number}", "One of many.", ["service", "realserver"], registry=registry
        )
        for i in range(count):
            gauge.labels(f"service{i // EACH}", f"10.0.{i >> 8}.{i & 255}:80").set(i)

    async def write() -> AsyncGenerator[bytes, None]:
        yield generate_latest(registry)

    return write


async def main(count: int) -> None:
    view = picture(count)
    metrics = probed(view)
    gc.collect()
    gc.freeze()
    print(f"{count} realservers in {count // EACH} services; milliseconds")
    print(f"{'':34}{'whole':>8}{'slice':>8}{'kept':>8}{'late':>8}{'MB':>8}")
    slices = Slices(clock=time.thread_time)
    rounds: list[tuple[str, Callable[[], AsyncGenerator[bytes, None]]]] = [
        ("exposition, first", lambda: metrics.render(view, slices)),
        ("exposition, again", lambda: metrics.render(view, slices)),
        ("exposition, again", lambda: metrics.render(view, slices)),
        ("status document", lambda: status_json(view, slices)),
        ("status document", lambda: status_json(view, slices)),
    ]
    for number in range(len(rounds) + 1):
        if number == len(rounds):
            # Made last: the garbage collector walks through its objects.
            rounds.append((f"prometheus_client, {SERIES} families", stock(count)))
        name, work = rounds[number]
        slices.longest = 0.0
        spent, late, size = await lateness(work)
        longest, alone = slices.longest, await kept(work)
        numbers = (spent * 1000, longest * 1000, alone * 1000, late * 1000, size / 1e6)
        print(f"{name:34}" + "".join(f"{number:8.1f}" for number in numbers))


if __name__ == "__main__":
    for size in sys.argv[1:] or ("10000",):
        asyncio.run(main(int(size)))
