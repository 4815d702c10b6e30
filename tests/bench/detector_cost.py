"""What each detector costs the prober beside the checks, and what all of them cost together.

    python -m tests.bench.detector_cost [--count 1000] [--seconds 10] [--rounds 3]

Two network namespaces on one cable (needs root and veth, no ip_vs): one real prober process in one,
nginx with as many addresses in the other. An http check each second of each realserver, alone, with
a canary, with a question by ARP each 200 ms, and with both, which is the default; they take turns.
Prints a line a measurement, then the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lvsguard.core.config import ArpSpec, CanarySpec, Check, CheckKind, CheckSpec, HttpSpec
from lvsguard.core.health import Timing
from lvsguard.core.tally import Tally
from lvsguard.probes.pool import Probers
from tests.bench.probe_cost import _until, cpu_of, resident
from tests.support.topology_web import start_web
from tests.support.wire_pair import Pair, pair

SETTLE_S = 5.0
OWN, FIRST = IPv4Address("10.9.255.1"), IPv4Address("10.9.0.1")
ARP = ArpSpec(interface="eth0", source=OWN)
DETECTORS: dict[str, tuple[CanarySpec | None, ArpSpec | None]] = {
    "none": (None, None),
    "canary": (CanarySpec(), None),
    "ARP": (None, ARP),
    "canary and ARP": (CanarySpec(), ARP),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one measurement found."""

    cpu: float
    """Milliseconds a second, user and system."""
    memory: int
    """Resident, kB."""
    sockets: int
    checks: float
    """A second."""


def standing(pid: int) -> int:
    """Sockets that the process has open; probes come and go meanwhile."""
    count = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(fd.readlink()).startswith("socket:")
    return count


def prepare(hosts: Pair, count: int) -> list[IPv4Address]:
    """Give the right host all addresses and a server."""
    addresses = [FIRST + number for number in range(count)]
    hosts.left.run("ip", "address", "add", f"{OWN}/16", "dev", "eth0")
    lines = "".join(f"address add {one}/16 dev eth0\n" for one in addresses)
    hosts.right.run("ip", "-batch", "-", given=lines)
    start_web(hosts.right)
    return addresses


async def measure(addresses: list[IPv4Address], detectors: str, seconds: float) -> Cost:
    """Run a prober with these detectors."""
    asked, failed = 0, 0
    met: set[object] = set()

    def tally(tallies: Sequence[Tally]) -> None:
        nonlocal asked, failed
        for one in tallies:
            asked += sum(one.codes.values())
            failed += sum(n for code, n in one.codes.items() if code != "L7OK")

    def died(_prober: int, how: str, _checks: int) -> None:
        raise SystemExit(f"the prober ended: {how}")

    canary, arp = DETECTORS[detectors]
    http = HttpSpec(path="/health")
    spec = CheckSpec(CheckKind.HTTP, Timing(), http=http, own=OWN, canary=canary, arp=arp)
    probers = Probers(
        1,
        record=lambda *_: None,
        tally=tally,
        died=died,
        met=lambda address, _mac: met.add(address),
    )
    probers.configure([Check(address, 80, spec) for address in addresses])
    running = asyncio.create_task(probers.run())
    try:
        await _until(lambda: probers.alive)
        await asyncio.sleep(SETTLE_S)
        if arp and len(met) < len(addresses):
            raise SystemExit(f"only {len(met)} of {len(addresses)} hosts have answered")
        pid = probers.pids[0]
        asked, failed = 0, 0
        before, _ = cpu_of(pid)
        await asyncio.sleep(seconds)
        after, _ = cpu_of(pid)
        sockets = standing(pid)
        if failed or (canary and sockets < len(addresses)):
            raise SystemExit(f"{failed} of {asked} checks failed, {sockets} sockets stand")
        return Cost((after - before) / seconds * 1000, resident(pid), sockets, asked / seconds)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def run(hosts: Pair, count: int, seconds: float, rounds: int) -> None:
    addresses = prepare(hosts, count)
    found: dict[str, list[Cost]] = {name: [] for name in DETECTORS}
    for _ in range(rounds):
        for name, costs in found.items():
            costs.append(await measure(addresses, name, seconds))
            tell(name, costs[-1:])
    print("medians:")
    for name, costs in found.items():
        tell(name, costs)


def tell(name: str, costs: list[Cost]) -> None:
    """Print the medians of some measurements."""
    cpu = statistics.median(cost.cpu for cost in costs)
    memory = statistics.median(cost.memory for cost in costs)
    sockets = statistics.median(cost.sockets for cost in costs)
    checks = statistics.median(cost.checks for cost in costs)
    print(
        f"{name:15} {cpu:7.1f} ms CPU a second, {memory / 1024:.1f} MiB resident,"
        f" {sockets:.0f} sockets, {checks:.0f} checks/s",
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
