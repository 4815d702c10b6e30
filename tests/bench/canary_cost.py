"""What canaries cost the prober: CPU and memory, with and without, for as many realservers.

    python -m tests.bench.canary_cost [--count 1000] [--seconds 10] [--rounds 3]

One nginx on 127.0.0.0/8, one target for each check, one real prober process; checks with and
without canaries take turns, http checks with tcp and http ones, https checks with tls and http
ones. ``idle``: a check each 60 s, so that what is left is the canaries'; its ``opening`` is what
the CPU until then is more than without canaries, for each. ``checked``: a check each second, only
over http, for a thousand handshakes a second are more than a prober does. Prints a line a
measurement, then the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme

from lvsguard.core.config import (
    CanaryKind,
    CanarySpec,
    Check,
    CheckKind,
    CheckSpec,
    HttpSpec,
    TlsSpec,
)
from lvsguard.core.health import Timing
from lvsguard.probes.pool import Probers
from tests.bench.probe_cost import _process, _until, cpu_of, resident, targets

SETTLE_S = 12.0
"""A thousand handshakes of canaries take five seconds, and those of the first checks some, too."""
PORTS = {CheckKind.HTTP: 18099, CheckKind.HTTPS: 18098}
NAME = "rs.example.org"
NGINX = f"""\
worker_processes 1; daemon off; pid nginx.pid; error_log error.log;
worker_rlimit_nofile 16000;
events {{ worker_connections 8000; }}
http {{
  access_log off; client_header_timeout 1h; keepalive_timeout 1h;
  server {{
    listen 0.0.0.0:{PORTS[CheckKind.HTTP]} backlog=4096;
    listen 0.0.0.0:{PORTS[CheckKind.HTTPS]} ssl backlog=4096;
    ssl_certificate server.pem; ssl_certificate_key server.pem;
    location / {{ return 200 "I live\\n"; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A kind of check and of canary."""

    check: CheckKind
    canary: CanaryKind | None

    def __str__(self) -> str:
        return f"{self.check} checks, {self.canary or 'no'} canaries"


KINDS = (
    Contestant(CheckKind.HTTP, None),
    Contestant(CheckKind.HTTP, CanaryKind.TCP),
    Contestant(CheckKind.HTTP, CanaryKind.HTTP),
    Contestant(CheckKind.HTTPS, None),
    Contestant(CheckKind.HTTPS, CanaryKind.TLS),
    Contestant(CheckKind.HTTPS, CanaryKind.HTTP),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one prober."""

    until: float
    """CPU seconds from its start until all has settled."""
    cpu: float
    """CPU milliseconds a second from then on."""
    resident: int
    """kB."""
    sockets: int


def standing(pid: int) -> int:
    """Sockets that the process has open."""
    links = (str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return sum(link.startswith("socket:") for link in links)


async def measure(
    contestant: Contestant, interval: float, count: int, seconds: float, authority: Path
) -> Cost:
    """Let one prober run."""

    def died(_prober: int, how: str, _checks: int) -> None:
        raise SystemExit(f"the prober ended: {how}")

    kind, canary = contestant.check, contestant.canary
    spec = CheckSpec(
        kind,
        Timing(interval=interval, timeout=min(interval, 5.0)),
        http=HttpSpec(host=NAME),
        tls=TlsSpec(ca_file=str(authority)) if kind is CheckKind.HTTPS else None,
        canary=None if canary is None else CanarySpec(kind=canary),
    )
    probers = Probers(1, record=lambda *_: None, tally=lambda _: None, died=died)
    probers.configure([Check(address, PORTS[kind], spec) for address in targets(count)])
    running = asyncio.create_task(probers.run())
    try:
        await _until(lambda: probers.alive)
        pid = probers.pids[0]
        start, _ = cpu_of(pid)
        await asyncio.sleep(SETTLE_S)
        before, _ = cpu_of(pid)
        await asyncio.sleep(seconds)
        after, _ = cpu_of(pid)
        cpu = (after - before) / seconds * 1000
        return Cost(before - start, cpu, resident(pid), standing(pid))
    finally:
        running.cancel()
        await asyncio.wait([running])


async def compare(
    what: str,
    interval: float,
    kinds: tuple[Contestant, ...],
    options: argparse.Namespace,
    authority: Path,
) -> None:
    """Let them take turns, and print the medians."""
    found: dict[Contestant, list[Cost]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind in kinds:
            one = await measure(kind, interval, options.count, options.seconds, authority)
            found[kind].append(one)
            print(f"{what} {kind}: {one}", flush=True)
    until: dict[CheckKind, float] = {}
    for kind, each in found.items():
        start = statistics.median(one.until for one in each)
        more = start - until.setdefault(kind.check, start)
        print(
            f"{what:8} {options.count} {kind}:"
            f" {statistics.median(one.cpu for one in each):7.2f} ms CPU a second,"
            f" {statistics.median(one.resident for one in each) / 1024:.1f} MiB resident,"
            f" {statistics.median(one.sockets for one in each):.0f} sockets,"
            f" {more / options.count * 1e6:.0f} us CPU more an opening",
            flush=True,
        )


async def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        own = ca.issue_cert(NAME).private_key_and_cert_chain_pem
        own.write_to_path(str(folder / "server.pem"))
        (folder / "nginx.conf").write_text(NGINX)
        async with _process(["nginx", "-c", str(folder / "nginx.conf"), "-p", name]):
            await asyncio.sleep(1)
            authority = folder / "ca.pem"
            await compare("idle", 60.0, KINDS, options, authority)
            await compare("checked", 1.0, KINDS[:3], options, authority)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="realservers")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
