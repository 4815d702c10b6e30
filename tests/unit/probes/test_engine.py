"""The engine as a selector of asyncio, and its alarms."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Iterator

import pytest

from lvsguard.probes.engine import ALARMS_MAX, Engine
from tests.unit.probes.realserver import engine, on_engine


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bell:
    """Notes when it rang."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.alarm = 0
        self.rang: list[float] = []
        self.at: list[float] = []
        self._clock = clock

    def ring(self, due: float) -> None:
        self.rang.append(due)
        if self._clock is not None:
            self.at.append(self._clock.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def still(clock: Clock) -> Iterator[Engine]:
    """An engine under a clock that stands."""
    still = Engine(clock)
    yield still
    still.close()


def test_alarms_ring_in_the_order_of_their_times(still: Engine, clock: Clock) -> None:
    order: list[str] = []

    class Named(Bell):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def ring(self, due: float) -> None:
            order.append(self.name)

    for name, due in (("third", 1003.0), ("first", 1001.0), ("second", 1002.0)):
        still.wake(due, Named(name))
    clock.now = 1002.5
    still.select(0)
    assert order == ["first", "second"]
    clock.now = 1003.0
    still.select(0)
    assert order == ["first", "second", "third"]


def test_a_new_alarm_takes_the_place_of_the_old_one(still: Engine, clock: Clock) -> None:
    bell = Bell()
    still.wake(1001.0, bell)
    still.wake(1000.5, bell)
    clock.now = 1002.0
    still.select(0)
    assert bell.rang == [1000.5]


def test_a_cancelled_alarm_does_not_ring(still: Engine, clock: Clock) -> None:
    bell = Bell()
    still.wake(1001.0, bell)
    still.sleep(bell)
    clock.now = 1002.0
    still.select(0)
    assert bell.rang == []


def test_cancelled_alarms_do_not_pile_up(still: Engine) -> None:
    bell = Bell()
    for count in range(100_000):
        still.wake(2000.0 + count, bell)
    assert len(still._heap) < 5000


def test_a_crowd_of_alarms_leaves_room_for_answers(still: Engine, clock: Clock) -> None:
    ours, theirs = socket.socketpair()
    bells = [Bell() for _ in range(ALARMS_MAX * 3)]
    seen: list[int] = []

    class Reader:
        def ready(self, events: int) -> None:
            seen.append(sum(len(bell.rang) for bell in bells))

    with ours, theirs:
        still.watch(ours.fileno(), select.EPOLLIN, Reader())
        for bell in bells:
            still.wake(1000.0, bell)
        still.select(0)
        theirs.send(b"x")
        still.select(0)
        assert seen == [ALARMS_MAX]
        still.forget(ours.fileno())


def test_what_has_arrived_counts_before_an_alarm_that_is_late(still: Engine, clock: Clock) -> None:
    ours, theirs = socket.socketpair()
    order: list[str] = []

    class Both(Bell):
        def ready(self, events: int) -> None:
            order.append("answer")

        def ring(self, due: float) -> None:
            order.append("alarm")

    with ours, theirs:
        both = Both()
        still.watch(ours.fileno(), select.EPOLLIN, both)
        still.wake(1001.0, both)
        theirs.send(b"x")
        clock.now = 1060.0
        still.select(0)
        still.forget(ours.fileno())
    assert order == ["answer", "alarm"]


@on_engine
async def test_asyncio_has_its_turn_while_probes_keep_the_engine_busy() -> None:
    class Restless(Bell):
        def ring(self, due: float) -> None:
            self.rang.append(due)
            engine().wake(engine().now, self)

    restless = Restless()
    engine().wake(engine().now, restless)
    started = time.monotonic()
    await asyncio.sleep(0.02)
    assert 0.02 <= time.monotonic() - started < 0.2
    assert len(restless.rang) > 100
    engine().sleep(restless)


@on_engine
async def test_what_a_probe_hands_to_asyncio_happens_at_once() -> None:
    done = asyncio.get_running_loop().create_future()

    class Telling(Bell):
        def ring(self, due: float) -> None:
            done.set_result(None)

    engine().wake(engine().now + 0.01, Telling())
    started = time.monotonic()
    await asyncio.wait_for(done, 5)
    assert time.monotonic() - started < 1


@on_engine
async def test_streams_servers_and_child_processes_work_on_it() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    assert await reader.read() == b"HELLO\n"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    reading, writing = socket.socketpair()
    with reading, writing:
        seen = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, seen.set)
        loop.add_writer(reading, seen.set)
        writing.send(b"x")
        await asyncio.wait_for(seen.wait(), 5)
        assert loop.remove_writer(reading)
        assert loop.remove_reader(reading)
        assert not loop.remove_reader(reading)
