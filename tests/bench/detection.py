"""How soon a realserver that fails is out of the kernel's table, and what it costs clients.

    tests/lab/run python -m tests.bench.detection [--runs N] [--only WORD,WORD]

keepalived (delay_loop 1), lvsguard's check each second alone, and lvsguard as it is, with the same
events at all phases of the check. From the event to the kernel's table (weight 0, or out of it),
which is read each 2 ms; a client opens 200 connections a second meanwhile. Beside each table stands
how long the guest itself stood still: nobody can be quicker than that. It ends with 1 where
lvsguard as it is did not keep what is promised.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.bounds import quantiles, verdict, wanted
from tests.bench.detection_plays import Closed, Dead, Hung, Killed, Unwell
from tests.bench.detection_systems import SYSTEMS
from tests.support.processes import wait_until
from tests.support.stillness import stillness
from tests.support.topology import VIP, seed_network
from tests.support.topology_load import failures, start_load
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.detection_plays import Play
    from tests.bench.detection_systems import System
    from tests.support.stillness import Stillness
    from tests.support.topology import Host, Network

PER_SECOND = 200.0
CLIENT_S = 2.0
"""A client waits so long for its answer."""
OUT_MAX_S = 15.0
IN_MAX_S = 60.0
HELD = "lvsguard"
"""The system that is held to what is promised."""
RS1 = "0A00002A:0050"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one event did to one system, run by run."""

    out_s: list[float]
    """From the event to the kernel's table."""
    failed: list[int]
    """New connections that got no answer, from the event until it was out."""
    still_s: float
    """The longest that the guest stood still between an event and its end."""

    def __str__(self) -> str:
        times = "/".join(f"{value:.3f}" for value in quantiles(self.out_s))
        lost = "/".join(str(value) for value in quantiles(self.failed))
        return f"{times} s, {lost} failed ({self.still_s:.3f} s still)"


class Table:
    """The kernel's table on a director. It is opened once: looking must cost the guest little."""

    def __init__(self, host: Host) -> None:
        with host.entered():
            self._file = os.open("/proc/thread-self/net/ip_vs", os.O_RDONLY)

    def weight(self) -> int:
        """rs1's; 0 when it is not there."""
        for line in os.pread(self._file, 4096, 0).decode().splitlines():
            if RS1 in line and "->" in line:
                return int(line.split()[3])
        return 0

    def close(self) -> None:
        os.close(self._file)


def measure(
    network: Network, system: System, play: Play, still: Stillness, runs: int, chance: random.Random
) -> Seen:
    """Play it so often under one system."""
    director = network.director1
    director.run("ipvsadm", "-C")
    process = system.start(director)
    table = Table(director)
    wait_until(lambda: table.weight() > 0, IN_MAX_S, f"{system.name} serves", every_s=0.05)
    time.sleep(3)  # what it learns of a server it has learnt
    load = start_load(network.client, f"{VIP}:80", PER_SECOND, timeout_s=CLIENT_S)
    clock = time.monotonic
    windows, still_s = [], 0.0
    for _ in range(runs):
        time.sleep(1 + chance.random())
        begun = clock()
        play.happen()
        while table.weight() and clock() - begun < OUT_MAX_S:
            time.sleep(0.002)
        windows.append((begun, clock()))
        still_s = max(still_s, still.longest_s(begun))
        if play.rescues:
            time.sleep(CLIENT_S + 0.1)  # an undo would answer clients that still wait
        play.undo()
        wait_until(lambda: table.weight() > 0, IN_MAX_S, "rs1 is back", every_s=0.05)
    table.close()
    requests = failures(load.stop())
    assert process.running, process.text()[-2000:]
    process.stop(20)
    director.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0", check=False)
    lost = [sum(a - 0.02 <= r.at <= b + 0.02 for r in requests) for a, b in windows]
    return Seen([b - a for a, b in windows], lost, still_s)


def main() -> None:
    """Play all, print a row as soon as it is known."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100, help="of each event under each system")
    parser.add_argument("--only", default="", help="events that have one of these in their name")
    parser.add_argument("--systems", default=",".join(one.name for one in SYSTEMS))
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(os.environ.get("LVSGUARD_ARTIFACTS", folder), "detection")
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        with seed_network(logs) as network, stillness(logs) as still:
            chosen = options.systems.split(",")
            systems = [one for one in SYSTEMS if one.name in chosen]
            well = show(network, still, systems, options.runs, options.only)
    print(f"\ntook {time.monotonic() - begun:.0f} s")
    sys.exit(not well)


def show(
    network: Network, still: Stillness, systems: Sequence[System], runs: int, only: str
) -> bool:
    """The table; whether lvsguard kept what is promised."""
    for realserver in network.realservers:
        realserver.hold_vip()
    web, _ = (start_web(realserver) for realserver in network.realservers)
    closed = Closed(web)
    plays: list[Play] = [Killed(web), Dead(network), Hung(web), Unwell(web), closed]
    print(f"{runs} runs each: p50/p99/max from the event to the table; failed connections likewise")
    print(f"| event | {' | '.join(one.name for one in systems)} | promised | holds |")
    print(f"|---|{'---|' * len(systems)}---|---|")
    chosen, well = wanted(only.split(","), [play.event for play in plays]), True
    for play in plays:
        if play.event not in chosen:
            continue
        if play is closed:
            closed.begin()
        cells, holds = [], ""
        for system in systems:
            seen = measure(network, system, play, still, runs, random.Random(42))
            cells.append(str(seen))
            if system.name == HELD:
                held = play.bound.holds(seen.out_s, seen.failed)
                well, holds = well and held, verdict(holds=held)
            print(f"  {play.event}: {system.name}: {cells[-1]}", flush=True)
        print(f"| {play.event} | {' | '.join(cells)} | {play.bound} | {holds} |", flush=True)
        if play is closed:
            closed.end()
    return well


if __name__ == "__main__":
    main()
