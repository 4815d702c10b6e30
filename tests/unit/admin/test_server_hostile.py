"""Attacks on the admin socket by somebody who may open it: refused, bounded, logged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lvsguard.admin import protocol
from lvsguard.admin.server import AdminServer
from lvsguard.serving import Bounds
from tests.support.published import Desk
from tests.unit.admin.asking import ask, exchange, parse

pytestmark = pytest.mark.slow

GIGABYTE = 1_000_000_000
DRAIN = b'{"target":"10.0.0.42","kind":"drain"}'


@pytest.fixture
async def quick(desk: Desk, socket_path: Path) -> AsyncIterator[Path]:
    """A server with bounds that a test can wait for."""
    bounds = Bounds(connections=4, lifetime=2.0, header=0.2, body=0.3, write=0.2)
    server = AdminServer(desk, socket_path, "root", bounds=bounds, followers=1)
    await server.open()
    yield socket_path
    assert (await ask(socket_path, "GET", "/v1/version")).status == 200, "it serves on"
    await server.close()


async def pour(path: Path, head: bytes, piece: bytes, most: int) -> tuple[int, bytes]:
    """How much of an endless body is taken, and what is answered."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(head)
    sent = 0
    with contextlib.suppress(OSError):
        async with asyncio.timeout(10):
            while sent < most and not reader.at_eof():
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                await asyncio.sleep(0)
    answer = b""
    with contextlib.suppress(OSError):
        answer = await reader.read()
    writer.transport.abort()
    return sent, answer


@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        (b"Content-Length: %d" % GIGABYTE, b"x" * 65536),
        (b"Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["told", "chunked"],
)
async def test_a_body_of_a_gigabyte_is_refused_after_a_fraction_of_it(
    quick: Path, framing: bytes, piece: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = b"POST /v1/overrides HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n"
    sent, answer = await pour(quick, head, piece, GIGABYTE)
    assert sent < 32 * 1024**2
    if answer:  # closing over unread octets may be a reset
        assert parse(answer).status == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB
    (line,) = [r.getMessage() for r in caplog.records if "admin: " in r.getMessage()]
    assert line.startswith("admin: POST /v1/overrides of ")
    assert f"body: at most {protocol.BODY_BYTES} bytes" in line


async def test_a_slow_sender_is_refused_and_logged_once(
    quick: Path, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /v1/overrides HTTP/1.1\r\nHost: x\r\nContent-Length: 37\r\n\r\n"
    for _ in range(3):
        reader, writer = await asyncio.open_unix_connection(str(quick))
        writer.write(head)
        with contextlib.suppress(OSError):
            for octet in DRAIN:
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(0.03)
        answer = parse(await reader.read())
        assert (answer.status, answer.json["code"]) == (408, "too-slow")
        writer.close()
    assert desk.picture.kept == {}
    assert (
        len(
            [
                r
                for r in caplog.records
                if "too slow" in r.getMessage() or "within" in r.getMessage()
            ]
        )
        == 1
    )


async def test_a_request_that_is_played_again_changes_nothing_more(quick: Path, desk: Desk) -> None:
    """There is nothing in a request that another could steal; the same one twice is the same."""
    head = b"POST /v1/overrides HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(DRAIN)
    answers = [parse(await exchange(quick, head + DRAIN)) for _ in range(3)]
    assert [one.status for one in answers] == [200] * 3
    assert len(desk.picture.kept) == 1


async def test_one_connection_carries_one_request(quick: Path, desk: Desk) -> None:
    """What is smuggled in behind the first is not read."""
    head = b"POST /v1/overrides HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(DRAIN)
    raw = await exchange(quick, b"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n" + head + DRAIN)
    assert raw.count(b"HTTP/1.1 ") == 1
    assert desk.picture.kept == {}


@pytest.mark.parametrize("path", ["/v0/status", "/v2/status", "/status"])
async def test_another_version_of_the_api_is_told_what_there_is(quick: Path, path: str) -> None:
    answer = await ask(quick, "GET", path)
    assert (answer.status, answer.json["code"]) == (404, "not-found")
    assert "/v1/status" in answer.json["known"]


async def test_a_crowd_is_sent_away_and_logged_once(
    quick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    waiting = [await asyncio.open_unix_connection(str(quick)) for _ in range(4)]
    for _ in range(3):
        assert (
            parse(await exchange(quick, b"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n")).status
            == 503
        )
    for _, writer in waiting:
        writer.transport.abort()
    await asyncio.sleep(0.05)
    (line,) = [r.getMessage() for r in caplog.records if "too many connections" in r.getMessage()]
    assert line.startswith("admin: ")
