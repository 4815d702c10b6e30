"""CPU per HTTP check, a new connection each: lvsguard's prober, aiohttp, keepalived's checker.

    python -m tests.bench.probe_cost [--rates 500,5000] [--seconds 10] [--rounds 3]
    tests/lab/run python -m tests.bench.probe_cost --rates 500
    tests/lab/run python -m tests.bench.probe_cost --rates 5000 --only lvsguard,keepalived

All probe one nginx on 127.0.0.0/8, one target for each check, an interval of 1 s; they take turns
in one run. Counted is the CPU time of the probing process alone (for lvsguard the real prober
process with its heartbeats and counts), divided by the requests that nginx saw. keepalived takes
part where there is IPVS, which its checker wants. Prints a line a measurement and the ratios.
Where a rate is more than the machine can do, what is told is the CPU of each check that was made.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec
from lvsguard.core.health import Timing
from lvsguard.probes.pool import Probers

PORT, SEEN_PORT = 18099, 18098
FIRST = IPv4Address("127.1.0.1")
WARM_S = 3.0
PATIENCE_S = 120.0
"""For a contestant to begin, and for nginx to say what it has seen: on a saturated machine."""

NGINX = f"""\
worker_processes 1; daemon off; pid nginx.pid; error_log error.log;
worker_rlimit_nofile 16000;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  server {{
    listen 0.0.0.0:{PORT} backlog=4096;
    location / {{ return 200 "I live\\n"; }}
  }}
  server {{
    listen 127.0.0.1:{SEEN_PORT};
    location /seen {{ stub_status; }}
  }}
}}
"""

KEEPALIVED = """\
global_defs {{
  checker_log_all_failures false
}}
virtual_server 127.0.0.1 80 {{
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
{realservers}
}}
"""

REAL_SERVER = """\
  real_server {address} {port} {{
    weight 1
    HTTP_GET {{
      url {{
        path /
        status_code 200
      }}
      connect_timeout 1
    }}
  }}
"""

Contestant = Callable[[int, Path], AbstractAsyncContextManager[int]]
"""Probes so many targets once a second, in a process of its own; yields its pid."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One contestant's turn."""

    name: str
    rate: int
    seen: float
    """Requests a second that nginx saw."""
    cost: float
    """CPU microseconds a request."""
    user: float
    resident: int
    """kB."""

    @property
    def used(self) -> float:
        """Of a core."""
        return self.seen * self.cost / 1e6


def targets(rate: int) -> list[IPv4Address]:
    return [FIRST + number for number in range(rate)]


@asynccontextmanager
async def lvsguard(rate: int, _folder: Path) -> AsyncIterator[int]:
    def died(_prober: int, how: str, _checks: int) -> None:
        raise SystemExit(f"the prober ended: {how}")

    spec = CheckSpec(CheckKind.HTTP, Timing(), http=HttpSpec())
    probers = Probers(1, record=lambda *_: None, tally=lambda _: None, died=died)
    probers.configure([Check(address, PORT, spec) for address in targets(rate)])
    running = asyncio.create_task(probers.run())
    try:
        await _until(lambda: probers.alive)
        yield probers.pids[0]
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def by_aiohttp(rate: int, _folder: Path) -> AsyncIterator[int]:
    command = [sys.executable, "-m", "tests.bench.probe_cost", "--as-aiohttp", str(rate)]
    async with _process(command) as process:
        yield process.pid


@asynccontextmanager
async def keepalived(rate: int, folder: Path) -> AsyncIterator[int]:
    config = folder / "keepalived.conf"
    servers = [REAL_SERVER.format(address=address, port=PORT) for address in targets(rate)]
    config.write_text(KEEPALIVED.format(realservers="".join(servers)))
    pid_files = [f"--pid={folder}/k.pid", f"--checkers_pid={folder}/c.pid"]
    command = ["keepalived", "-f", str(config), "--check", "--dont-fork", "--no-syslog"]
    async with _process([*command, *pid_files]):
        child = folder / "c.pid"
        await _until(lambda: child.exists() and child.read_text().strip())
        yield int(child.read_text())


@asynccontextmanager
async def _process(command: list[str]) -> AsyncIterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
    finally:
        if process.poll() is None:
            process.terminate()
        await asyncio.to_thread(process.wait)


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.1)


async def probe_with_aiohttp(rate: int) -> None:
    """What one writes without an engine: a task a target, a session, a new connection each."""
    import aiohttp

    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    # Beyond what it can do, a timeout of 1 s would leave it only failures to count.
    timeout = aiohttp.ClientTimeout(total=60.0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def check(address: IPv4Address, due: float) -> None:
            while True:
                await asyncio.sleep(due - loop.time())
                try:
                    async with session.get(f"http://{address}:{PORT}/") as response:
                        await response.read()
                except (aiohttp.ClientError, TimeoutError):
                    pass
                due = max(due + 1.0, loop.time())

        now = loop.time()
        async with asyncio.TaskGroup() as tasks:
            for number, address in enumerate(targets(rate)):
                tasks.create_task(check(address, now + number / rate))


def requests_seen() -> int:
    """Requests that nginx has served."""
    where = f"http://127.0.0.1:{SEEN_PORT}/seen"  # not behind thousands of others' connections
    with urllib.request.urlopen(where, timeout=PATIENCE_S) as answer:
        return int(answer.read().split(b"\n")[2].split()[2])


def cpu_of(pid: int) -> tuple[float, float]:
    """Seconds of CPU of a process, in all and in user mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    user, system = int(fields[11]) / tick, int(fields[12]) / tick
    exact = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return exact or user + system, user


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


async def measure(
    name: str, contestant: Contestant, rate: int, seconds: float, folder: Path
) -> Measured:
    async with contestant(rate, folder) as pid:
        idle = requests_seen()
        await _until(lambda: requests_seen() - idle > rate / 10)
        await asyncio.sleep(WARM_S)
        cpu, user = cpu_of(pid)
        seen, started = requests_seen(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, user = (b - a for a, b in zip((cpu, user), cpu_of(pid), strict=True))
        passed = time.monotonic() - started
        seen = requests_seen() - seen - 1
        memory = resident(pid)
    return Measured(
        name, rate, seen / passed, cpu / max(seen, 1) * 1e6, user / max(seen, 1) * 1e6, memory
    )


async def run(rates: list[int], seconds: float, rounds: int, only: frozenset[str]) -> None:
    contestants: dict[str, Contestant] = {"lvsguard": lvsguard, "aiohttp": by_aiohttp}
    if Path("/proc/net/ip_vs").exists() and os.geteuid() == 0:
        contestants["keepalived"] = keepalived
    else:
        print("no IPVS or not root: keepalived's checker does not run here")
    contestants = {who: one for who, one in contestants.items() if not only or who in only}
    results: list[Measured] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nginx.conf").write_text(NGINX)
        async with _process(["nginx", "-c", str(folder / "nginx.conf"), "-p", name]):
            await asyncio.sleep(1)
            for rate in rates:
                for _ in range(rounds):
                    for who, contestant in contestants.items():
                        result = await measure(who, contestant, rate, seconds, folder)
                        results.append(result)
                        print(
                            f"{who:10} {rate:5}/s: saw {result.seen:7.1f}/s"
                            f" ({result.used:.0%} of a core),"
                            f" {result.cost:7.1f} us a check ({result.user:6.1f} in user mode),"
                            f" {result.resident / 1024:.1f} MiB",
                            flush=True,
                        )
                summarize([result for result in results if result.rate == rate])


def summarize(results: list[Measured]) -> None:
    """Print each contestant's median, and its ratio to keepalived's, or to aiohttp's."""
    costs: dict[str, list[float]] = {}
    for result in results:
        costs.setdefault(result.name, []).append(result.cost)
    medians = {name: statistics.median(each) for name, each in costs.items()}
    base = next(who for who in ("keepalived", "aiohttp", *medians) if who in medians)
    for name, median in medians.items():
        low, high = min(costs[name]), max(costs[name])
        print(
            f"{results[0].rate}/s {name}: median {median:.0f} us ({low:.0f} to {high:.0f}),"
            f" {median / medians[base]:.2f} x {base}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rates", default="500,5000", help="checks a second, with commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
    parser.add_argument("--only", default="", help="contestants, with commas; else all")
    parser.add_argument("--as-aiohttp", type=int, metavar="RATE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_aiohttp:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        asyncio.run(probe_with_aiohttp(options.as_aiohttp))
        return
    rates = [int(rate) for rate in options.rates.split(",")]
    only = frozenset(filter(None, options.only.split(",")))
    asyncio.run(run(rates, options.seconds, options.rounds, only))


if __name__ == "__main__":
    main()
