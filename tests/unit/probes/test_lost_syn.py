"""A connection request that is lost is made again, over another connection, within the timeout.

The kernel drops what asks for a connection while a listener's queue is full, as a bad line would.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lvsguard.core.config import Check, CheckKind, CheckSpec
from lvsguard.core.health import FailureClass, Timing
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
