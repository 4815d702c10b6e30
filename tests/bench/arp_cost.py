"""What asking by ARP costs the prober: CPU and memory, with and without, for as many realservers.

    python -m tests.bench.arp_cost [--count 1000] [--seconds 10] [--rounds 3]

Two network namespaces and a cable; one of them has all the realservers' addresses and answers in
its kernel, the other one real prober process. Each check is a TCP connection each 60 s, so that
what is left is what ARP costs. With and without take turns. Needs root; prints the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

from lvsguard.core.config import ArpSpec, Check, CheckKind, CheckSpec
from lvsguard.core.health import Timing
from lvsguard.probes.pool import Probers
from tests.bench.probe_cost import _until, cpu_of, resident
from tests.support.wire_pair import Pair, pair

SETTLE_S = 5.0
OWN, FIRST = IPv4Address("10.9.255.1"), IPv4Address("10.9.0.1")


def prepare(hosts: Pair, count: int) -> list[IPv4Address]:
    """Give the right host all addresses and a server."""
    addresses = [FIRST + number for number in range(count)]
    hosts.left.run("ip", "address", "add", f"{OWN}/16", "dev", "eth0")
    lines = "".join(f"address add {one}/16 dev eth0\n" for one in addresses)
    hosts.right.run("ip", "-batch", "-", given=lines)
    hosts.right.start("server", "python3", "-m", "http.server", "--bind", "0.0.0.0", "80")
    return addresses


async def measure(addresses: list[IPv4Address], *, ask: bool, seconds: float) -> tuple[float, int]:
    """CPU (ms a second) and resident memory (kB) of a prober."""

    def died(_prober: int, how: str, _checks: int) -> None:
        raise SystemExit(f"the prober ended: {how}")

    arp = ArpSpec(interface="eth0", source=OWN) if ask else None
    spec = CheckSpec(CheckKind.TCP, Timing(interval=60.0), own=OWN, arp=arp)
    met: set[object] = set()
    probers = Probers(
        1,
        record=lambda *_: None,
        tally=lambda _: None,
        died=died,
        met=lambda address, mac: met.add(address),
    )
    probers.configure([Check(address, 80, spec) for address in addresses])
    running = asyncio.create_task(probers.run())
    try:
        await _until(lambda: probers.alive)
        await asyncio.sleep(SETTLE_S)
        if ask and len(met) < len(addresses):
            raise SystemExit(f"only {len(met)} of {len(addresses)} hosts have answered")
        pid = probers.pids[0]
        before, _ = cpu_of(pid)
        await asyncio.sleep(seconds)
        after, _ = cpu_of(pid)
        return (after - before) / seconds * 1000, resident(pid)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def run(hosts: Pair, count: int, seconds: float, rounds: int) -> None:
    addresses = prepare(hosts, count)
    found: dict[bool, list[tuple[float, int]]] = {False: [], True: []}
    for _ in range(rounds):
        for ask in (False, True):
            found[ask].append(await measure(addresses, ask=ask, seconds=seconds))
    for ask, each in found.items():
        cpu, memory = (statistics.median(x) for x in zip(*each, strict=True))
        print(
            f"{count} realservers {'with' if ask else 'without':7} ARP: {cpu:7.2f} ms CPU a second,"
            f" {memory / 1024:.1f} MiB resident",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="realservers")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, pair(Path(name)) as hosts, hosts.left.entered():
        asyncio.run(run(hosts, options.count, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
