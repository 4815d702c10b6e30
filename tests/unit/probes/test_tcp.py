"""tcp checks, over real connections."""

from __future__ import annotations

import asyncio

from lvsguard.core.config import TcpSpec
from lvsguard.core.health import FailureClass
from tests.unit.probes.realserver import (
    endless,
    free_port,
    hangs_up,
    memory_below,
    on_engine,
    probe,
    realserver,
    resets,
    silent,
    tcp_check,
)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"+PONG " + await reader.read(100))
    await writer.drain()
    await asyncio.sleep(60)


@on_engine
async def test_a_connection_is_success_where_nothing_is_expected() -> None:
    async with realserver(silent) as port:
        result = await probe(tcp_check(port))
        assert (result.ok, result.code, result.reason) == (True, "L4OK", "connected")
        assert (await probe(tcp_check(port, TcpSpec(send=b"QUIT\r\n")))).code == "L4OK"


@on_engine
async def test_an_expected_answer_is_success_before_the_peer_closes() -> None:
    async with realserver(echo) as port:
        result = await probe(tcp_check(port, TcpSpec(b"PING", b"PONG"), timeout=30))
    assert (result.ok, result.code) == (True, "L7OK")


@on_engine
async def test_a_banner_may_be_expected_without_sending() -> None:
    async def banner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in (b"22", b"0 mail", b".example ESMTP\r\n"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.005)
        await asyncio.sleep(60)

    async with realserver(banner) as port:
        assert (await probe(tcp_check(port, TcpSpec(expect=b"220 mail")))).ok


@on_engine
async def test_a_refused_connection_is_definite() -> None:
    result = await probe(tcp_check(await free_port()))
    assert (result.code, result.failure) == ("L4CON", FailureClass.REFUSED)


@on_engine
async def test_no_expected_answer_in_time_is_a_timeout_of_layer_seven() -> None:
    async with realserver(silent) as port:
        result = await probe(tcp_check(port, TcpSpec(b"PING", b"PONG"), timeout=0.1))
    assert (result.code, result.failure) == ("L7TOUT", FailureClass.TIMEOUT)
    assert result.reason == "connected, but no 'PONG' within 100 ms"


@on_engine
async def test_a_close_or_a_reset_before_the_expected_answer_is_wrong() -> None:
    spec = TcpSpec(b"PING", b"PONG")
    async with realserver(hangs_up) as port:
        closed = await probe(tcp_check(port, spec))
    async with realserver(resets(b"-ERR")) as port:
        broken = await probe(tcp_check(port, spec))
    assert (closed.code, closed.failure) == ("L7RSP", FailureClass.WRONG)
    assert (broken.code, broken.failure) == ("L7RSP", FailureClass.WRONG)
    assert broken.reason == "connection reset by peer, after 4 bytes"


@on_engine
async def test_an_endless_answer_is_judged_by_its_first_64_kib() -> None:
    async def chatter(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"blah " * 1000)
            await writer.drain()

    async with realserver(chatter) as port:
        with memory_below(2_000_000):
            result = await probe(tcp_check(port, TcpSpec(expect=b"PONG")))
    assert result.code == "L7RSP"
    assert result.reason == "'PONG' is not in the first 65536 bytes"


@on_engine
async def test_an_endless_stream_does_not_starve_another_probe() -> None:
    async with realserver(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as port:
        slow = asyncio.create_task(
            probe(tcp_check(port, TcpSpec(b"GET / HTTP/1.1\r\n\r\n", b"never"), timeout=1))
        )
        async with realserver(silent) as quick:
            assert (await probe(tcp_check(quick))).duration < 0.5
        assert not (await slow).ok
