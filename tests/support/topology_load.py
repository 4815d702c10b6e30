"""A client that opens N new HTTP connections a second and says what became of each.

Starts as a process of its own in the client's namespace (`python -m tests.support.topology_load`),
so that neither the test nor the daemon under test delays it. Requests begin on a fixed time grid,
whether the ones before have ended or not; one that begins late says so by `late_s`.
"""

from __future__ import annotations

import argparse
import errno
import itertools
import json
import select
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import wait_until
from tests.support.topology_http import error_name, whole_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

    from tests.support.processes import Process
    from tests.support.topology import Host


IP_BIND_ADDRESS_NO_PORT = 24
"""linux/in.h; Python has it from 3.12 on."""


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
    client: Host,
    target: str,
    per_second: float,
    *,
    timeout_s: float = 2,
    path: str = "/",
    sources: Sequence[str] = (),
) -> Load:
    """Start asking `address:port` from a host, in turn from its addresses ``sources`` if there are
    any, and wait for the first answer."""
    # A port is free again after 60 s (TIME_WAIT): the default range would last for 470 a second.
    client.run(
        "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65000", "net.ipv4.tcp_tw_reuse=1"
    )
    number = sum(1 for process in client.processes.started if ".load" in process.name)
    file = client.processes.logs / f"{client.name}.load{number}.jsonl"
    file.touch()
    command = [sys.executable, "-m", __name__, target, str(per_second), str(file)]
    process = client.start(
        f"load{number}", *command, "--timeout", str(timeout_s), "--path", path, "--from", *sources
    )

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


def come_from(connection: socket.socket, source: str) -> None:
    """Let a connection come from an address; empty: from whichever."""
    if source:  # the port is chosen with the destination, as without
        connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        connection.bind((source, 0))


@dataclass(slots=True)
class _Attempt:
    """A request under way."""

    connection: socket.socket
    due: float
    at: float
    sent: bool = False
    data: bytes = b""


class _Client:
    """One epoll loop: about eight system calls a request, for a guest where each costs 30 us."""

    def __init__(self, options: argparse.Namespace, output: TextIO) -> None:
        host, _, port = options.target.rpartition(":")
        self._target = (host.strip("[]"), int(port))
        self._family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        self._request = f"GET {options.path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode()
        self._every_s = 1 / options.per_second
        self._timeout_s = options.timeout
        self._output = output
        self._sources = itertools.cycle(options.sources or [""])
        self._epoll = select.epoll()
        self._attempts: dict[int, _Attempt] = {}  # by descriptor, the oldest first
        self._stopping = False

    def stop(self, *_: object) -> None:
        self._stopping = True

    def run(self) -> None:
        """Begin requests on the grid until stopped, then wait for those under way."""
        due = flush_at = time.monotonic()
        while self._attempts or not self._stopping:
            now = time.monotonic()
            while due <= now and not self._stopping:
                self._begin(due)
                due += self._every_s
            self._expire(now)
            wait_s = 0.05 if self._stopping else min(max(due - time.monotonic(), 0), 0.05)
            for descriptor, _ in self._epoll.poll(wait_s):
                self._go_on(self._attempts[descriptor])
            if now > flush_at:  # a write for each request would cost as much as the request
                self._output.flush()
                flush_at = now + 0.05

    def _begin(self, due: float) -> None:
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        attempt = _Attempt(socket.socket(self._family, kind), due, time.monotonic())
        come_from(attempt.connection, next(self._sources))
        code = attempt.connection.connect_ex(self._target)
        if code not in (0, errno.EINPROGRESS):
            self._end(attempt, error=error_name(OSError(code, "")))
            return
        descriptor = attempt.connection.fileno()
        self._attempts[descriptor] = attempt
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def _go_on(self, attempt: _Attempt) -> None:
        """Do what the socket is ready for; edge-triggered, so one event may mean both."""
        try:
            if not attempt.sent:
                attempt.connection.send(self._request)
                attempt.sent = True
                return
            received = attempt.connection.recv(4096)
        except BlockingIOError:
            return
        except OSError as failure:
            self._end(attempt, error=error_name(failure))
            return
        attempt.data += received
        answer = whole_answer(attempt.data)
        if answer is not None:
            self._end(attempt, *answer)
        elif not received:
            self._end(attempt, error=error_name(EOFError()))

    def _expire(self, now: float) -> None:
        expired = []
        for attempt in self._attempts.values():
            if attempt.at + self._timeout_s > now:
                break
            expired.append(attempt)
        for attempt in expired:
            self._end(attempt, error=error_name(TimeoutError()))

    def _end(self, attempt: _Attempt, status: int = 0, body: str = "", error: str = "") -> None:
        self._attempts.pop(attempt.connection.fileno(), None)
        attempt.connection.close()
        took_s = time.monotonic() - attempt.at
        ended = Request(attempt.at, took_s, attempt.at - attempt.due, status, body, error)
        print(json.dumps(asdict(ended)), file=self._output)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("per_second", type=float)
    parser.add_argument("file", type=Path)
    parser.add_argument("--timeout", type=float, default=2)
    parser.add_argument("--path", default="/")
    parser.add_argument("--from", dest="sources", nargs="*", default=[])
    options = parser.parse_args()
    with options.file.open("w") as output:
        client = _Client(options, output)
        signal.signal(signal.SIGTERM, client.stop)
        client.run()


if __name__ == "__main__":
    _main()
