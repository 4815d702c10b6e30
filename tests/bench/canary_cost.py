"""What canaries cost the prober: CPU and memory, with and without, for as many realservers.

    python -m tests.bench.canary_cost [--count 1000] [--seconds 10] [--rounds 3]

One nginx on 127.0.0.0/8, one target for each check, one real prober process; with and without
canaries take turns. ``idle``: a check each 60 s, so that what is left is the canaries'.
``checked``: a check each second. Prints a line a measurement, then the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from lvsguard.core.config import CanarySpec, Check, CheckKind, CheckSpec, HttpSpec
from lvsguard.core.health import Timing
from lvsguard.probes.pool import Probers
from tests.bench.probe_cost import NGINX, PORT, _process, _until, cpu_of, resident, targets

SETTLE_S = 4.0
INTERVALS = {"idle": 60.0, "checked": 1.0}


def standing(pid: int) -> int:
    """Sockets that the process has open."""
    links = (str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return sum(link.startswith("socket:") for link in links)


async def measure(
    interval: float, canary: CanarySpec | None, count: int, seconds: float
) -> tuple[float, int, int]:
    """CPU (ms a second), resident memory (kB) and sockets of a prober."""

    def died(_prober: int, how: str, _checks: int) -> None:
        raise SystemExit(f"the prober ended: {how}")

    timing = Timing(interval=interval)
    spec = CheckSpec(CheckKind.HTTP, timing, http=HttpSpec(), canary=canary)
    probers = Probers(1, record=lambda *_: None, tally=lambda _: None, died=died)
    probers.configure([Check(address, PORT, spec) for address in targets(count)])
    running = asyncio.create_task(probers.run())
    try:
        await _until(lambda: probers.alive)
        await asyncio.sleep(SETTLE_S)
        pid = probers.pids[0]
        before, _ = cpu_of(pid)
        await asyncio.sleep(seconds)
        after, _ = cpu_of(pid)
        return (after - before) / seconds * 1000, resident(pid), standing(pid)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def run(count: int, seconds: float, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nginx.conf").write_text(NGINX)
        async with _process(["nginx", "-c", str(folder / "nginx.conf"), "-p", name]):
            await asyncio.sleep(1)
            for what, interval in INTERVALS.items():
                found: dict[bool, list[tuple[float, int, int]]] = {False: [], True: []}
                for _ in range(rounds):
                    for with_canary in (False, True):
                        canary = CanarySpec() if with_canary else None
                        one = await measure(interval, canary, count, seconds)
                        found[with_canary].append(one)
                for with_canary, each in found.items():
                    cpu, memory, sockets = (statistics.median(x) for x in zip(*each, strict=True))
                    print(
                        f"{what:8} {count} {'with' if with_canary else 'without':8} canaries:"
                        f" {cpu:7.2f} ms CPU a second, {memory / 1024:.1f} MiB resident,"
                        f" {sockets:.0f} sockets",
                        flush=True,
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="realservers")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    options = parser.parse_args()
    asyncio.run(run(options.count, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
