"""A director's adverts beside all that its other processes do at their busiest: each is in time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from lvsguard.core.vrrp import VrrpConfig
from tests.bench import probe_cost, scrape
from tests.support.director import tell
from tests.support.stillness import Stillness, stillness
from tests.support.topology import Host
from tests.support.vrrp_child import children, listening, vip_group
from tests.support.wire_pair import namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
INTERVAL_S = 0.2
LATE_MAX_S = 0.02
IDLE_S, BUSY_S = 3.0, 7.0
PROBES_PER_SECOND, REALSERVERS = 2_000, 10_000


@dataclass(frozen=True, slots=True)
class Late:
    """How late an advert was, and for how long an idle real-time timer was, meanwhile. Seconds."""

    late: float
    still: float


@dataclass(slots=True)
class Load:
    """What the processes beside were asked, and how late a timer in the controller was, s."""

    probes: int = 0
    scrapes: int = 0
    reloads: int = 0
    late_s: float = 0.0


async def test_every_advert_is_in_time_beside_a_busy_controller_and_its_probers(
    tmp_path: Path,
) -> None:
    with (
        pair(tmp_path) as hosts,
        children(tmp_path, hosts.left) as (child,),
        stillness(tmp_path) as still,
        hosts.left.entered(),
    ):
        child.serve(vip_group(vrrp=VrrpConfig(51, priority=150, interval=INTERVAL_S)))
        child.until_role("master")
        assert child.fresh_counts().real_time
        with listening(hosts.right, "idle") as heard:
            await asyncio.sleep(IDLE_S)
        idle = lateness(heard[0].adverts(), still)
        load = Load()
        async with loads(hosts.left, tmp_path, load):
            with listening(hosts.right, "busy") as heard:
                await asyncio.sleep(BUSY_S)
        busy = lateness(heard[0].adverts(), still)
        for name, late in (("idle", idle), ("busy", busy)):
            tell(
                name,
                adverts=len(late),
                late_ms=1e3 * max(one.late for one in late),
                beyond_ms=1e3 * max(one.late - one.still for one in late),
                still_ms=1e3 * max(one.still for one in late),
            )
        tell(
            "beside",
            probes=load.probes,
            scrapes=load.scrapes,
            reloads=load.reloads,
            controller_late_ms=1e3 * load.late_s,
        )
        assert load.probes > 0.5 * PROBES_PER_SECOND * BUSY_S
        assert load.scrapes
        assert load.reloads
        assert load.late_s > LATE_MAX_S, "adverts of the controller itself would be in time, too"
        assert len(busy) > 0.9 * BUSY_S / INTERVAL_S
        assert [one for one in busy if one.late > LATE_MAX_S + one.still] == []
        assert child.role() == "master"


def lateness(adverts: list[float], still: Stillness) -> list[Late]:
    """Of every advert (wall clock) but the first."""
    clock = time.time() - time.monotonic()
    return [
        Late(after - before - INTERVAL_S, still.within_s(before - clock, after - clock))
        for before, after in pairwise(adverts)
    ]


@contextlib.asynccontextmanager
async def loads(host: Host, folder: Path, load: Load) -> AsyncIterator[None]:
    """Probers at their rate, and a controller that is scraped and given another config, again and
    again; all in processes of their own, all at work when the block begins."""
    (folder / "nginx.conf").write_text(probe_cost.NGINX)
    host.start("nginx", "nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder))
    ended = asyncio.Event()
    with scrape.begun("--serve", str(REALSERVERS)) as controller:
        assert controller.stdout is not None
        port = int(await asyncio.to_thread(controller.stdout.readline))

        async def scrapes() -> None:
            while not ended.is_set():
                assert await asyncio.to_thread(scrape.scrape, port) > 1e6
                load.scrapes += 1

        async def reloads() -> None:
            while not ended.is_set():
                weight = 2 + load.reloads % 2
                late_s = await asyncio.to_thread(scrape.ask, controller, str(weight))
                load.reloads, load.late_s = load.reloads + 1, max(load.late_s, late_s)

        async with (
            probe_cost.lvsguard(PROBES_PER_SECOND, folder),
            asyncio.TaskGroup() as group,
        ):
            await probe_cost._until(lambda: probe_cost.requests_seen() > PROBES_PER_SECOND)
            group.create_task(scrapes())
            group.create_task(reloads())
            before = probe_cost.requests_seen()
            yield
            load.probes = probe_cost.requests_seen() - before
            ended.set()
