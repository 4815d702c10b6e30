"""What a check ``via = "vip"`` costs the prober, beside one of the realserver's own address.

    python -m tests.bench.vip_path_cost [--count 200] [--rate 500] [--seconds 10] [--rounds 3]

Two network namespaces on one cable (needs root and veth, no ip_vs): the prober in one, nginx with
many addresses and a VIP in the other. Both kinds take turns. Prints a line a measurement, then the
medians.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, VipPath
from lvsguard.core.health import Timing
from lvsguard.core.tally import Tally
from lvsguard.probes.pool import Probers
from tests.bench.probe_cost import _until, cpu_of
from tests.support.topology_web import start_web
from tests.support.wire_pair import Pair, namespaces_problem, pair

VIP = IPv4Address("10.0.0.8")
FIRST = IPv4Address("10.0.1.0")
SETTLE_S = 3.0
KINDS = ("own address", "vip")


def prepare(hosts: Pair, count: int) -> None:
    """Give the realserver its addresses, and a web server that answers on all of them."""
    lines = [f"address add {FIRST + n}/32 dev lo" for n in range(count)]
    hosts.right.run("ip", "-batch", "-", given="\n".join([*lines, f"address add {VIP}/32 dev lo"]))
    hosts.left.run("ip", "route", "add", "10.0.0.0/16", "dev", "eth0")
    start_web(hosts.right)


async def measure(hosts: Pair, kind: str, count: int, rate: float, seconds: float) -> float:
    """CPU (µs) of a prober for each check."""
    asked, failed = 0, 0

    def tally(tallies: Sequence[Tally]) -> None:
        nonlocal asked, failed
        for one in tallies:
            asked += sum(one.codes.values())
            failed += sum(n for code, n in one.codes.items() if code != "L7OK")

    def died(_prober: int, how: str, _checks: int) -> None:
        raise SystemExit(f"the prober ended: {how}")

    interval = count / rate
    spec = CheckSpec(CheckKind.HTTP, Timing(interval=interval), http=HttpSpec())
    if kind == "vip":
        spec = replace(spec, path=VipPath(VIP, 80))
    spec = replace(spec, own=IPv4Address("10.0.0.41"))
    probers = Probers(1, record=lambda *_: None, tally=tally, died=died)
    probers.configure([Check(FIRST + n, 80, spec) for n in range(count)])
    with hosts.left.entered():
        running = asyncio.create_task(probers.run())
        try:
            await _until(lambda: probers.alive)
            await asyncio.sleep(SETTLE_S)
            asked = failed = 0
            before, _ = cpu_of(probers.pids[0])
            await asyncio.sleep(seconds)
            after, _ = cpu_of(probers.pids[0])
        finally:
            running.cancel()
            await asyncio.wait([running])
    if failed:
        print(f"{kind}: {failed} of {asked} checks failed")
    return (after - before) / max(asked, 1) * 1e6


async def run(count: int, rate: float, seconds: float, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pair(Path(folder)) as hosts:
        prepare(hosts, count)
        found: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind in KINDS:
                cost = await measure(hosts, kind, count, rate, seconds)
                found[kind].append(cost)
                print(f"{kind}: {cost:.0f} µs CPU a check", flush=True)
        for kind, costs in found.items():
            print(f"median, {kind}: {statistics.median(costs):.0f} µs CPU a check")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="realservers")
    parser.add_argument("--rate", type=float, default=500.0, help="checks a second, of all")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    options = parser.parse_args()
    if problem := namespaces_problem():
        raise SystemExit(problem)
    asyncio.run(run(options.count, options.rate, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
