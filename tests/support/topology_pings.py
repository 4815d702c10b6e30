"""Long-lived connections: each sends a small request at an interval and reports stalls and breaks.

Starts as a process of its own in the client's namespace (`python -m tests.support.topology_pings`).
A ping is an HTTP request over the kept connection, so nginx on a realserver answers it; the next
one waits for the answer. A connection that breaks is not opened again; one that has a known end
(`last_s`) closes there, and the next begins.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.topology_http import error_name, exchange
from tests.support.topology_load import come_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.processes import Process
    from tests.support.topology import Host

PING = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"


@dataclass(slots=True)
class Connection:
    """What became of one long-lived connection."""

    realserver: str = ""
    pings: int = 0
    worst_s: float = 0.0
    """The longest that a ping waited for its answer: the worst stall."""
    worst_at: float = 0.0
    """When that ping was sent (monotonic clock, s)."""
    broken: str = ""
    """"" while it lives, else refused, reset, unreachable, closed, timeout."""
    broken_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Pings:
    """A running client with long-lived connections."""

    process: Process
    file: Path

    def stop(self) -> list[Connection]:
        """Close all connections; return what became of each."""
        self.process.signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.process.text()
        return [Connection(**entry) for entry in json.loads(self.file.read_text())]


def start_pings(
    client: Host,
    target: str,
    count: int,
    *,
    every_s: float = 0.1,
    timeout_s: float = 30,
    last_s: float = 0,
    sources: Sequence[str] = (),
) -> Pings:
    """Open `count` connections to `address:port` and wait until each has its first answer.

    A ping without an answer within `timeout_s` counts as a break. With `last_s` each ends after so
    long, and another one takes its place. They come in turn from the client's addresses `sources`
    if there are any.
    """
    number = sum(1 for process in client.processes.started if ".pings" in process.name)
    file = client.processes.logs / f"{client.name}.pings{number}.json"
    command = [sys.executable, "-m", __name__, target, str(count), str(file)]
    options = ["--every", str(every_s), "--timeout", str(timeout_s), "--last", str(last_s)]
    options += ["--from", *sources]
    process = client.start(f"pings{number}", *command, *options)
    process.wait_for("all connected", 30)
    return Pings(process, file)


async def _keep(
    target: tuple[str, int],
    connections: list[Connection],
    begun: asyncio.Event,
    options: argparse.Namespace,
) -> None:
    """One connection after the other until cancelled or broken."""
    while True:
        connection = Connection()
        connections.append(connection)
        await _ping(target, connection, begun, options)
        if connection.broken:
            return


async def _ping(
    target: tuple[str, int],
    connection: Connection,
    begun: asyncio.Event,
    options: argparse.Namespace,
) -> None:
    """Ping until its end, until cancelled or broken; `begun` is set after the first answer, or the
    break."""
    end = time.monotonic() + options.last if options.last else float("inf")
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    waiting_since: float | None = None
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as kept:
        try:
            come_from(kept, next(options.turn))
            await asyncio.get_running_loop().sock_connect(kept, target)
            while time.monotonic() < end:
                waiting_since = sent = time.monotonic()
                async with asyncio.timeout(options.timeout):
                    _, connection.realserver = await exchange(kept, PING)
                waiting_since = None
                connection.pings += 1
                begun.set()
                _note_wait(connection, sent)
                await asyncio.sleep(max(sent + options.every - time.monotonic(), 0))
        except (OSError, EOFError, TimeoutError) as failure:
            connection.broken = error_name(failure)
            connection.broken_at = time.monotonic()
        finally:
            begun.set()
            if waiting_since is not None:  # a ping without an answer is a stall so far
                _note_wait(connection, waiting_since)


def _note_wait(connection: Connection, sent: float) -> None:
    took = time.monotonic() - sent
    if took > connection.worst_s:
        connection.worst_s, connection.worst_at = took, sent


async def _run(options: argparse.Namespace) -> list[Connection]:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    host, _, port = options.target.rpartition(":")
    target = (host.strip("[]"), int(port))
    connections: list[Connection] = []
    begun = [asyncio.Event() for _ in range(options.count)]
    tasks = []
    for event in begun:
        tasks.append(asyncio.create_task(_keep(target, connections, event, options)))
        await asyncio.sleep(options.every / options.count)  # spread over the interval
    for event in begun:
        await event.wait()
    print("all connected", flush=True)
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return connections


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("count", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--every", type=float, default=0.1)
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--last", type=float, default=0)
    parser.add_argument("--from", dest="sources", nargs="*", default=[])
    options = parser.parse_args()
    options.turn = itertools.cycle(options.sources or [""])
    connections = asyncio.run(_run(options))
    options.file.write_text(json.dumps([asdict(connection) for connection in connections]))


if __name__ == "__main__":
    _main()
