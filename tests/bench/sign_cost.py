"""What agents cost the prober, and passive signs the controller, for as many realservers.

    python -m tests.bench.sign_cost [--count 1000] [--seconds 10] [--rounds 3]

Agents: a server on 127.0.0.0/8 that says 75% to whoever connects, one target for each agent, one
real prober process that asks each every two seconds and does nothing else; none, text and http take
turns. Passive signs: reads of a table as a kernel writes it, with counters that grow, and the time
that one look takes in the middle and at the end of a window.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, ip_address

from lvsguard.controller.passive import Passive
from lvsguard.core.agent import Agent, AgentKind, AgentSpec
from lvsguard.core.config import Config, RealserverConfig, ServiceConfig
from lvsguard.core.model import (
    CounterKey,
    Counters,
    Observation,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.core.passive import WINDOW_S
from lvsguard.kernel.ipvs_dump import TableReader
from lvsguard.probes.pool import Probers
from tests.bench.probe_cost import _until, cpu_of, resident, targets
from tests.support.ipvs_wire import Writer

SETTLE_S = 4.0
HTTP = b"HTTP/1.1 200 OK\r\nRS-Weight: 75%\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
READS = 20


async def text(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as HAProxy's agents do."""
    writer.write(b"75%\n")
    writer.close()


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer by a header."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HTTP)
    writer.close()


async def ask(kind: AgentKind | None, port: int, count: int, seconds: float) -> tuple[float, int]:
    """CPU (ms a second) and resident memory (kB) of a prober that asks; None: nobody."""
    heard = set[Agent]()

    def died(_prober: int, how: str, _checks: int) -> None:
        raise SystemExit(f"the prober ended: {how}")

    probers = Probers(
        1,
        record=lambda *_: None,
        tally=lambda _: None,
        died=died,
        heard=lambda agent, said: heard.add(agent) if said.share == 0.75 else None,
    )
    wanted = kind is not None
    spec = AgentSpec(kind or AgentKind.TEXT)
    agents = [Agent(address, port, 20, spec) for address in targets(count)] if wanted else []
    probers.configure(agents)
    running = asyncio.create_task(probers.run())
    try:
        await _until(lambda: probers.alive)
        await asyncio.sleep(SETTLE_S)
        assert len(heard) == len(agents)
        before, _ = cpu_of(probers.pids[0])
        await asyncio.sleep(seconds)
        after, _ = cpu_of(probers.pids[0])
        return (after - before) / seconds * 1000, resident(probers.pids[0])
    finally:
        running.cancel()
        await asyncio.wait([running])


async def agents(count: int, seconds: float, rounds: int) -> None:
    """Take turns, and print medians."""
    servers = {}
    for kind, manner in ((AgentKind.TEXT, text), (AgentKind.HTTP, http)):
        servers[kind] = await asyncio.start_server(manner, "0.0.0.0", 0, backlog=2000)
    found: dict[AgentKind | None, list[tuple[float, int]]] = {None: []} | {k: [] for k in AgentKind}
    for _ in range(rounds):
        for who, results in found.items():
            port = 0 if who is None else servers[who].sockets[0].getsockname()[1]
            results.append(await ask(who, port, count, seconds))
    for server in servers.values():
        server.close()
    for who, results in found.items():
        cpu, memory = (statistics.median(x) for x in zip(*results, strict=True))
        each = "" if who is None else f", {cpu * 2000 / count:.0f} us an answer"
        print(
            f"agents, {count} {who or 'none'}: {cpu:.1f} ms CPU a second{each},"
            f" {memory / 1024:.1f} MiB resident",
            flush=True,
        )


def table(services: int, each: int) -> dict[ServiceKey, VirtualService]:
    """A table of this shape."""
    entries = {
        RealserverKey(ip_address(f"10.2.{n >> 8}.{n & 255}"), 80): Realserver(1)
        for n in range(each)
    }
    return {
        ServiceKey.at(Protocol.TCP, IPv4Address(0x0A010000 + n), 80): VirtualService(
            "rr", realservers=entries
        )
        for n in range(services)
    }


def read(reader: TableReader, wanted: dict[ServiceKey, VirtualService], turn: int) -> Observation:
    """The table with 40 connections of 6 packets more for each realserver than last time."""
    counters: dict[CounterKey, Counters] = {}
    for key, service in wanted.items():
        size = len(service.realservers)
        counters[key, None] = Counters(40 * turn * size, 240 * turn * size)
        counters |= {(key, r): Counters(40 * turn, 240 * turn) for r in service.realservers}
    writer = Writer()
    for record in reader.begin(writer.services(wanted, counters)):
        dump = writer.realservers(record.key, wanted[record.key], counters, record.sequence)
        for _ in reader.fill(record, dump):
            pass
    return reader.finish()


def took(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def passive(services: int, each: int) -> None:
    """Print what looks at a table of this shape take."""
    wanted = table(services, each)
    config = Config(
        "director1",
        "eth0",
        (),
        tuple(
            ServiceConfig(
                str(key), key, tuple(RealserverConfig(str(r), r) for r in service.realservers)
            )
            for key, service in wanted.items()
        ),
        "0123456789ab",
    )
    reader, signs = TableReader(), Passive()
    within, ends = [], []
    for turn in range(READS):
        seen, now = read(reader, wanted, turn), turn * WINDOW_S
        ends.append(took(partial(signs.look, config, seen, now)))
        within.append(took(partial(signs.look, config, seen, now + 0.1)))
    print(
        f"passive, {services} services of {each}: {statistics.median(within):.2f} ms within a"
        f" window, {statistics.median(ends[1:]):.2f} ms at its end",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="realservers")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    options = parser.parse_args()
    for services, each in ((10, 100), (100, 10), (1000, 10), (10, 1000)):
        passive(services, each)
    asyncio.run(agents(options.count, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
