"""A client that opens N new HTTP connections a second and says what became of each.

Starts as a process of its own in the client's namespace (`python -m tests.support.topology_load`),
so that neither the test nor the daemon under test delays it. Requests begin on a fixed time grid,
whether the ones before have ended or not; one that begins late says so by `late_s`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import wait_until
from tests.support.topology_http import error_name, exchange

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from tests.support.processes import Process
    from tests.support.topology import Host


@dataclass(frozen=True, slots=True)
class Request:
    """One request: begun at `at` (monotonic clock, s), ended after `took_s`."""

    at: float
    took_s: float
    late_s: float
    status: int
    """0 when there was no whole answer."""
    body: str
    error: str
    """"" or refused, reset, unreachable, closed, timeout."""

    @property
    def failed(self) -> bool:
        """Whether it got no answer at all; a 503 is an answer."""
        return self.error != ""


@dataclass(frozen=True, slots=True)
class Load:
    """A running load client."""

    process: Process
    file: Path

    def requests(self) -> list[Request]:
        """Return what has ended so far, in the order of the beginnings."""
        whole, _, _ = self.file.read_text().rpartition("\n")
        ended = [Request(**json.loads(line)) for line in whole.splitlines()]
        return sorted(ended, key=lambda request: request.at)

    def stop(self) -> list[Request]:
        """Begin no more requests, wait for those under way, and return all of them."""
        self.process.signal(signal.SIGTERM)
        assert self.process.wait(15) == 0, self.process.text()
        return self.requests()


def start_load(
    client: Host, target: str, per_second: float, *, timeout_s: float = 2, path: str = "/"
) -> Load:
    """Start asking `address:port` from a host, and wait for the first answer."""
    # A port is free again after 60 s (TIME_WAIT): the default range would last for 470 a second.
    client.run(
        "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65000", "net.ipv4.tcp_tw_reuse=1"
    )
    number = sum(1 for process in client.processes.started if ".load" in process.name)
    file = client.processes.logs / f"{client.name}.load{number}.jsonl"
    file.touch()
    command = [sys.executable, "-m", __name__, target, str(per_second), str(file)]
    process = client.start(f"load{number}", *command, "--timeout", str(timeout_s), "--path", path)

    def begun() -> bool:
        assert process.running, process.text()
        return file.stat().st_size > 0

    wait_until(begun, 20, f"a first request ends (log: {process.log})")
    return Load(process, file)


def answered_by(requests: Iterable[Request]) -> Counter[str]:
    """Count the answers by what the answer said, which is the realserver's name."""
    return Counter(request.body for request in requests if not request.failed)


def failures(requests: Iterable[Request]) -> list[Request]:
    """Return the requests that got no answer."""
    return [request for request in requests if request.failed]


def outage_s(requests: Iterable[Request]) -> float:
    """Return the seconds from the first failed request's beginning to the last one's end."""
    failed = failures(requests)
    if not failed:
        return 0.0
    return max(r.at + r.took_s for r in failed) - min(r.at for r in failed)


async def _ask(target: tuple[str, int], request: bytes, due: float, timeout_s: float) -> Request:
    at = time.monotonic()
    status, body, error = 0, "", ""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(connection, target)
                status, body = await exchange(connection, request)
        except (OSError, EOFError, TimeoutError) as failure:
            error = error_name(failure)
    return Request(at, time.monotonic() - at, at - due, status, body, error)


async def _run(options: argparse.Namespace, output: TextIO) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    host, _, port = options.target.rpartition(":")
    target = (host.strip("[]"), int(port))
    request = f"GET {options.path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode()
    async with asyncio.TaskGroup() as group:
        due = time.monotonic()
        while not stop.is_set():
            task = group.create_task(_ask(target, request, due, options.timeout))
            task.add_done_callback(lambda t: print(json.dumps(asdict(t.result())), file=output))
            due += 1 / options.per_second
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(due - time.monotonic(), 0)):
                    await stop.wait()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("per_second", type=float)
    parser.add_argument("file", type=Path)
    parser.add_argument("--timeout", type=float, default=2)
    parser.add_argument("--path", default="/")
    options = parser.parse_args()
    with options.file.open("w", buffering=1) as output:
        asyncio.run(_run(options, output))


if __name__ == "__main__":
    _main()
