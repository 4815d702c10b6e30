"""What is lost on the way is asked again, over another connection, within the timeout.

The kernel drops what asks for a connection while a listener's queue is full, as a bad line would,
and by a filter what comes over a connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lvsguard.core.bpf import Instruction
from lvsguard.core.config import Check, CheckKind, CheckSpec
from lvsguard.core.health import FailureClass, Timing
from lvsguard.kernel.socket_filter import attach
from lvsguard.probes.engine import SPARE_FILES
from tests.unit.probes.realserver import engine, on_engine, probe

pytestmark = pytest.mark.slow


class Deaf:
    """A listener with room for one connection, which is taken."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.listener.setblocking(False)
        self.first = socket.create_connection(self.listener.getsockname())
        self.taken: list[socket.socket] = []

    def listen(self) -> None:
        """Make room."""
        self.taken.append(self.listener.accept()[0])

    def close(self) -> None:
        for sock in (self.listener, self.first, *self.taken):
            sock.close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    with closing(Deaf()) as deaf:
        yield deaf


def check_of(deaf: Deaf, timeout: float) -> Check:
    port = deaf.listener.getsockname()[1]
    return Check(IPv4Address("127.0.0.1"), port, CheckSpec(CheckKind.TCP, Timing(timeout=timeout)))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_lost_request_costs_no_probe(deaf: Deaf) -> None:
    @on_engine
    async def ask() -> None:
        asyncio.get_running_loop().call_later(0.02, deaf.listen)
        result = await probe(check_of(deaf, 0.9))  # the kernel would ask again after 1 s
        assert result.ok, result
        assert engine().spare_files == SPARE_FILES

    ask()


def test_without_files_to_spare_it_waits_for_the_kernel(deaf: Deaf) -> None:
    @on_engine
    async def ask() -> None:
        engine().spare_files = 0
        asyncio.get_running_loop().call_later(0.02, deaf.listen)
        result = await probe(check_of(deaf, 0.9))
        assert (result.code, result.failure) == ("L4TOUT", FailureClass.TIMEOUT)
        assert engine().spare_files == 0

    ask()


def test_nothing_is_left_of_those_who_were_never_heard(deaf: Deaf) -> None:
    @on_engine
    async def ask() -> None:
        before = open_files()
        results = await asyncio.gather(*(probe(check_of(deaf, 0.2)) for _ in range(50)))
        assert {result.code for result in results} == {"L4TOUT"}
        assert engine().spare_files == SPARE_FILES
        assert open_files() == before

    ask()


def test_a_refusal_of_a_later_request_is_an_answer(deaf: Deaf) -> None:
    @on_engine
    async def ask() -> None:
        asyncio.get_running_loop().call_later(0.02, deaf.listener.close)
        result = await probe(check_of(deaf, 0.9))
        assert (result.code, result.failure) == ("L4CON", FailureClass.REFUSED)
        assert engine().spare_files == SPARE_FILES

    ask()


NO_DATA = (
    Instruction(0x80, 0, 0, 0),  # its length, from the TCP header on
    Instruction(0x25, 0, 1, 64),
    Instruction(0x06, 0, 0, 0),
    Instruction(0x06, 0, 0, 0xFFFF),
)
"""Lets through what has no data."""
SO_DETACH_FILTER = 27
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Web:
    """Answers after a while; counts who asks."""

    def __init__(self, after: float) -> None:
        self.after = after
        self.asked = 0
        self.listener = socket.create_server(("127.0.0.1", 0))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await asyncio.sleep(self.after)
            writer.write(ANSWER)
        writer.close()

    def check(self, timeout: float) -> Check:
        port = self.listener.getsockname()[1]
        timing = Timing(timeout=timeout)
        return Check(IPv4Address("127.0.0.1"), port, CheckSpec(CheckKind.HTTP, timing))

    def lose(self, *, lost: bool) -> None:
        """Have the kernel drop what comes over connections that are made from now on."""
        if lost:
            attach(self.listener, NO_DATA)
        else:
            self.listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def test_a_request_that_is_lost_costs_no_probe() -> None:
    @on_engine
    async def ask() -> None:
        web = Web(after=0.0)
        web.lose(lost=True)
        asyncio.get_running_loop().call_later(0.1, lambda: web.lose(lost=False))
        async with await asyncio.start_server(web.serve, sock=web.listener):
            result = await probe(web.check(0.9))
        assert result.ok, result
        assert web.asked == 1
        assert engine().spare_files == SPARE_FILES

    ask()


def test_a_server_that_is_slow_is_asked_once() -> None:
    @on_engine
    async def ask() -> None:
        web = Web(after=0.6)
        async with await asyncio.start_server(web.serve, sock=web.listener):
            result = await probe(web.check(0.9))
        assert result.ok, result
        assert web.asked == 1
        assert engine().spare_files == SPARE_FILES

    ask()


def test_when_every_request_is_lost_that_is_what_is_told() -> None:
    @on_engine
    async def ask() -> None:
        web = Web(after=0.0)
        web.lose(lost=True)
        before = open_files()
        async with await asyncio.start_server(web.serve, sock=web.listener):
            results = await asyncio.gather(*(probe(web.check(0.3)) for _ in range(10)))
        assert {result.code for result in results} == {"L7TOUT"}
        assert engine().spare_files == SPARE_FILES
        await asyncio.sleep(0)
        assert open_files() <= before

    ask()
