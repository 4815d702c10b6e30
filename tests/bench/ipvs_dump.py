"""What a read of a large IPVS table costs, against `ipvsadm -Sn` in the same run.

    tests/lab/run python -m tests.bench.ipvs_dump [runs]

10,000 realservers in two shapes. ``unchanged`` is what the controller does every second: the same
table, other counters; ``one changed`` is a read after one weight was edited, ``first`` one with
nothing remembered. Of an unchanged read it says how much is the kernel's (the same system calls,
their answers thrown away) and how much is ours. CPU of user-mode Linux is told by the wall clock:
its one processor does nothing else, and its own accounting counts system calls as the program's.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from lvsguard.core.model import Protocol, Realserver, RealserverKey, ServiceKey, VirtualService
from lvsguard.core.step import EditRealserver
from lvsguard.kernel.genl import GenericNetlink
from lvsguard.kernel.ipvs import LinuxIpvs
from lvsguard.kernel.ipvs_codec import GENL_NAME, Command
from lvsguard.kernel.ipvs_dump import Record, TableReader
from tests.support.ipvs_table import steps_to

THEIRS = "ipvsadm -Sn"
SHAPES = ((1000, 10), (10, 1000))
RUNS = 15


def table(services: int, each: int) -> dict[ServiceKey, VirtualService]:
    """A table of this shape, dr and rr."""
    entries = {
        RealserverKey(ip_address(f"10.2.{n >> 8}.{n & 255}"), 80): Realserver(1)
        for n in range(each)
    }
    return {
        ServiceKey.at(Protocol.TCP, ip_address(f"10.1.{n >> 8}.{n & 255}"), 80): VirtualService(
            "rr", realservers=entries
        )
        for n in range(services)
    }


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    await work()
    return (time.perf_counter() - begun) * 1e3


async def stretch(work: Callable[[], Awaitable[object]]) -> float:
    """The longest time in milliseconds that the call kept the loop from somebody else."""
    worst, last = 0.0, time.perf_counter()

    async def others() -> None:
        nonlocal worst, last
        while True:
            now = time.perf_counter()
            worst, last = max(worst, now - last), now
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    await asyncio.sleep(0)
    last, worst = time.perf_counter(), 0.0
    await work()
    worst = max(worst, time.perf_counter() - last)
    other.cancel()
    return worst * 1e3


async def ipvsadm() -> None:
    """The opponent, output thrown away by the same means as ours is kept: a pipe."""
    subprocess.run(("ipvsadm", "-Sn"), check=True, capture_output=True)


class Bare:
    """The same requests and answers as a read, and nothing done with them."""

    def __init__(self, netlink: GenericNetlink, records: list[Record]) -> None:
        self._netlink = netlink
        self._records = records

    async def read(self) -> None:
        """One round of system calls."""
        await self._netlink.dump(Command.GET_SERVICE, b"", 0)
        for record in self._records:
            await self._netlink.dump(Command.GET_DEST, record.request, record.sequence)


@dataclass(slots=True)
class Measured:
    """One shape: milliseconds of each run by contender, with `ipvsadm -Sn` as THEIRS."""

    services: int
    each: int
    filled_s: float
    times: dict[str, list[float]] = field(default_factory=dict)
    stretches: list[float] = field(default_factory=list)

    def ratio(self, name: str) -> float:
        """What a contender took, by medians, where ipvsadm took 1."""
        return statistics.median(self.times[name]) / statistics.median(self.times[THEIRS])


async def measure(services: int, each: int, runs: int) -> Measured:
    """Fill the table, and let the contenders take turns."""
    subprocess.run(("ipvsadm", "-C"), check=True)
    ipvs = await LinuxIpvs.open()
    wanted = table(services, each)
    begun = time.perf_counter()
    failures = await ipvs.apply(steps_to(wanted))
    found = Measured(services, each, time.perf_counter() - begun)
    assert not failures
    netlink = await GenericNetlink.open(GENL_NAME)
    bare = Bare(netlink, TableReader().begin(await netlink.dump(Command.GET_SERVICE, b"", 0)))
    await ipvs.read()
    key, service = next(iter(wanted.items()))
    realserver, entry = next(iter(service.realservers.items()))
    times = found.times
    weight = 1
    gc.collect()
    gc.freeze()
    for _ in range(runs):
        times.setdefault(THEIRS, []).append(await timed(ipvsadm))
        # A fork leaves every page of this process to be copied, which the controller's reads,
        # with no fork before each, do not pay for.
        await ipvs.read()
        times.setdefault("unchanged", []).append(await timed(ipvs.read))
        times.setdefault("system calls", []).append(await timed(bare.read))
        found.stretches.append(await stretch(ipvs.read))
        forgetful = await LinuxIpvs.open()
        times.setdefault("first", []).append(await timed(forgetful.read))
        await forgetful.close()
        weight += 1
        await ipvs.apply([EditRealserver(key, realserver, Realserver(weight), entry)])
        times.setdefault("one changed", []).append(await timed(ipvs.read))
        counters = (await ipvs.read()).counters

        begun = time.perf_counter()
        counted = sum(1 for _ in counters.values())
        times.setdefault("all counters", []).append((time.perf_counter() - begun) * 1e3)
        assert counted == services * (each + 1)
    netlink.close()
    await ipvs.close()
    gc.unfreeze()
    return found


def report(found: Measured) -> None:
    """Print one shape."""
    times, stretches = found.times, found.stretches
    median = {name: statistics.median(values) for name, values in times.items()}
    print(
        f"\n{found.services} services x {found.each} realservers"
        f" ({found.filled_s:.2f} s to write), ms"
    )
    for name, values in times.items():
        print(
            f"  {name:14} median {median[name]:7.1f}  min {min(values):7.1f}"
            f"  max {max(values):7.1f}  x ipvsadm {found.ratio(name):5.2f}"
        )
    ours = median["unchanged"]
    kernel = min(median["system calls"], ours)
    least = min(times["system calls"]), min(times["unchanged"])
    print(
        f"  of an unchanged read: {kernel:.1f} ms system calls ({kernel / ours:.0%}),"
        f" {ours - kernel:.1f} ms comparing (at best {least[0]:.1f} of"
        f" {least[1]:.1f}); longest stretch median"
        f" {statistics.median(stretches):.1f}, max {max(stretches):.1f} ms"
    )
    print(f"  at one read a second: {ours / 10:.1f} % of this processor")


async def main() -> None:
    """Both shapes."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    calls = 2000
    begun = time.perf_counter()
    for _ in range(calls):
        time.sleep(0)
    print(f"a system call costs {(time.perf_counter() - begun) / calls * 1e6:.1f} us here")
    for services, each in SHAPES:
        report(await measure(services, each, runs))


if __name__ == "__main__":
    asyncio.run(main())
