"""Realservers of all manners on the loopback, and one probe of one of them."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address, ip_address
from typing import Any, ParamSpec

from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, TcpSpec
from lvsguard.core.health import Result, Timing
from lvsguard.core.model import IPAddress
from lvsguard.probes.engine import Engine, Loop
from lvsguard.probes.kinds import KINDS, ready

P = ParamSpec("P")
Manner = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOCALHOST = IPv4Address("127.0.0.1")


def on_engine(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on the probes' own loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=lambda: Loop(Engine())) as runner:
            runner.run(test(*args, **kwargs))

    return run


def engine() -> Engine:
    """The engine of the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    return loop.engine


@asynccontextmanager
async def realserver(
    manner: Manner, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server of this manner; yields its port."""
    handlers: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        writers.add(writer)
        try:
            await manner(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the prober went away, which is what it may do, or the test is over
        finally:
            writer.close()
            handlers.discard(task)

    server = await asyncio.start_server(serve, address, 0, ssl=tls, backlog=1000)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for _ in range(10):  # one that is being accepted gets as far as its handler
            await asyncio.sleep(0)
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def answers(*parts: bytes, end: bool = True) -> Manner:
    """Read the request's head, send these parts, and close, or not."""

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.001 if len(parts) > 1 else 0)
        if not end:
            await asyncio.sleep(60)

    return manner


def endless(head: bytes, part: bytes) -> Manner:
    """Send a head and then the same part for ever, as fast as it is taken."""

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        many = part * (1 + 8192 // len(part))
        while True:
            writer.write(many)
            await writer.drain()
            # Over TLS drain() does not wait once sending fails: the loss would never be heard of.
            await asyncio.sleep(0)

    return manner


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    while await reader.read(4096):
        pass


async def hangs_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take the request and close."""
    await reader.read(1)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection with an RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def resets(*parts: bytes) -> Manner:
    """Read something, send these parts, then break the connection."""

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for part in parts:
            writer.write(part)
            await writer.drain()
        await asyncio.sleep(0.02 if parts else 0)
        reset(writer)

    return manner


def http_check(
    port: int,
    spec: HttpSpec | None = None,
    *,
    address: IPAddress = LOCALHOST,
    timeout: float = 5.0,
    source: str | None = None,
    own: str | None = None,
) -> Check:
    """An http check."""
    return Check(
        address,
        port,
        CheckSpec(
            CheckKind.HTTP,
            Timing(timeout=timeout),
            source=None if source is None else ip_address(source),
            own=None if own is None else ip_address(own),
            http=spec or HttpSpec(),
        ),
    )


def tcp_check(port: int, spec: TcpSpec | None = None, *, timeout: float = 5.0) -> Check:
    """A tcp check."""
    return Check(LOCALHOST, port, CheckSpec(CheckKind.TCP, Timing(timeout=timeout), tcp=spec))


async def probe(check: Check) -> Result:
    """Make one probe and wait for its result."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Result] = loop.create_future()
    under_way = ready(KINDS, check, engine())(found.set_result)
    alarm: asyncio.TimerHandle | None = None

    def look() -> None:
        nonlocal alarm
        if found.done():
            return
        if engine().now >= under_way.deadline:
            under_way.expire(engine().now - under_way.deadline)
        else:
            alarm = loop.call_later(0.01, look)

    alarm = loop.call_at(min(under_way.deadline, loop.time() + 0.1), look)
    try:
        return await asyncio.wait_for(found, 30)
    finally:
        if alarm is not None:
            alarm.cancel()


async def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Have Python's memory grow by fewer bytes than this, at its peak."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak - before < limit, f"grew by {peak - before} bytes"
    finally:
        tracemalloc.stop()
