"""HTTP answers of hostile and broken servers: bounded time and memory, and the right class."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest

from lvsguard.core.config import HttpSpec
from lvsguard.core.health import FailureClass, Result
from tests.unit.probes.realserver import (
    Manner,
    answers,
    endless,
    http_check,
    memory_below,
    on_engine,
    probe,
    realserver,
    resets,
    silent,
)

pytestmark = pytest.mark.slow

WRONG = FailureClass.WRONG
TIMEOUT = FailureClass.TIMEOUT
HEAD = b"HTTP/1.1 200 OK\r\n"
LIVE = HttpSpec(expect_body="I live")


async def ask(manner: Manner, spec: HttpSpec | None = None, within: float = 10.0) -> Result:
    """Probe a server of this manner, with its memory and its time watched."""
    async with realserver(manner) as port:
        started = time.monotonic()
        with memory_below(2_000_000):
            result = await probe(http_check(port, spec, timeout=within))
        assert time.monotonic() - started < within + 5
    assert len(result.reason) <= 200
    assert result.reason.isprintable()
    return result


def of(result: Result) -> tuple[str, FailureClass | None]:
    return result.code, result.failure


@on_engine
async def test_endless_headers_end_at_16_kib() -> None:
    result = await ask(endless(HEAD, b"X-Filler: and on it goes\r\n"))
    assert of(result) == ("L7RSP", WRONG)
    assert result.reason == "more than 16384 bytes of headers"
    assert result.duration < 5


@on_engine
async def test_one_endless_header_ends_at_16_kib() -> None:
    result = await ask(endless(HEAD + b"X-Filler: ", b"a" * 4096))
    assert result.reason == "more than 16384 bytes of headers"


@on_engine
async def test_an_endless_status_line_ends_at_16_kib() -> None:
    result = await ask(endless(b"HTTP/1.1 200 ", b"O" * 1000))
    assert result.reason == "more than 16384 bytes of headers"


@on_engine
async def test_endless_informational_answers_end_at_16_kib() -> None:
    result = await ask(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"))
    assert result.reason == "more than 16384 bytes of headers"


@on_engine
async def test_a_head_of_legal_size_may_be_followed_by_a_body_in_the_same_packet() -> None:
    head = HEAD + b"X-Filler: " + b"a" * 16000 + b"\r\nContent-Length: 60000\r\n\r\n"
    result = await ask(answers(head + b"." * 59994 + b"I live"), LIVE)
    assert result.ok, result


@on_engine
async def test_an_endless_body_is_judged_by_max_body_of_it() -> None:
    result = await ask(endless(HEAD + b"\r\n", b"no end in sight " * 256), LIVE)
    assert of(result) == ("L7RSP", WRONG)
    assert result.reason == "200, but 'I live' is not in 65536 bytes"


@on_engine
async def test_an_endless_body_after_a_good_status_does_not_matter() -> None:
    assert (await ask(endless(HEAD + b"\r\n", b"no end " * 256))).ok


@on_engine
async def test_a_body_that_is_mostly_chunk_framing_ends() -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    part = b"1;" + b"e" * 1000 + b"\r\nx\r\n"
    result = await ask(endless(head, part), LIVE)
    assert of(result) == ("L7RSP", WRONG)
    assert result.reason == "200, but the body's chunks are more framing than body"


@on_engine
async def test_a_slow_trickle_ends_at_the_total_timeout() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in HEAD + b"X: y\r\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    result = await ask(trickle, within=1.0)
    assert of(result) == ("L7TOUT", TIMEOUT)
    assert result.reason == "connected, but not a whole head within 1 s"
    assert 1.0 <= result.duration < 3


@on_engine
async def test_silence_ends_at_the_total_timeout() -> None:
    result = await ask(silent, within=1.0)
    assert of(result) == ("L7TOUT", TIMEOUT)
    assert result.reason == "connected, but not an answer within 1 s"


@on_engine
async def test_a_body_without_end_in_time_is_a_timeout() -> None:
    head = HEAD + b"Content-Length: 1000\r\n\r\nI l"
    result = await ask(answers(head, end=False), LIVE, within=1.0)
    assert of(result) == ("L7TOUT", TIMEOUT)
    assert result.reason == "connected, but not the whole body within 1 s"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100\r\n\r\nI ", b"Transfer-Encoding: chunked\r\n\r\n9\r\nI "]
)
@on_engine
async def test_a_body_shorter_than_its_head_said_is_wrong(framing: bytes) -> None:
    result = await ask(answers(HEAD + framing), LIVE)
    assert of(result) == ("L7RSP", WRONG)
    assert result.reason == "200, but closed within the body, after 2 bytes of it"


@on_engine
async def test_a_body_longer_than_its_head_said_is_cut_there() -> None:
    result = await ask(answers(HEAD + b"Content-Length: 2\r\n\r\nI live"), LIVE)
    assert result.reason == "200, but 'I live' is not in 2 bytes"


@on_engine
async def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"I live " * 10_000_000)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    result = await ask(answers(head + bomb[:30000], bomb[30000:]), LIVE)
    assert of(result) == ("L7RSP", WRONG)
    assert result.reason.startswith("the body is gzip-encoded though identity was asked")


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ((), "before an answer"),
        ((b"HTTP/1.1 20",), "within the head"),
        ((HEAD + b"Content-Length: 9\r\n\r\nI ",), "within the body"),
    ],
)
@on_engine
async def test_a_reset_is_a_wrong_answer_that_says_where(
    parts: tuple[bytes, ...], where: str
) -> None:
    result = await ask(resets(*parts), LIVE)
    assert of(result) == ("L7RSP", WRONG)
    assert result.reason == f"connection reset by peer {where}"


@on_engine
async def test_a_reset_after_a_whole_answer_does_not_matter() -> None:
    whole = HEAD + b"Content-Length: 6\r\n\r\nI live"
    assert (await ask(resets(whole), LIVE)).ok


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x00\xff\xfe" * 100,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20000 OK\r\n\r\n",
        b"<html>it works</html>",
        HEAD + b"Broken header without colon\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: \x00\r\n\r\n",
    ],
)
@on_engine
async def test_garbage_is_a_wrong_answer(garbage: bytes) -> None:
    result = await ask(answers(garbage), LIVE, within=2.0)
    assert of(result) == ("L7RSP", WRONG)
    assert "HTTP: " in result.reason


@on_engine
async def test_a_status_line_with_control_characters_makes_a_plain_reason() -> None:
    result = await ask(answers(b"HTTP/1.1 500 \x1b[31mred\x07\xff\r\n\r\n"))
    assert result.code in ("L7STS", "L7RSP")


@on_engine
async def test_switching_protocols_is_no_answer_to_a_check() -> None:
    result = await ask(
        answers(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    )
    assert of(result) == ("L7STS", WRONG)


@on_engine
async def test_a_regular_expression_that_explodes_on_a_body_is_stopped() -> None:
    spec = HttpSpec(expect_regex=r"(a+)+$")
    body = b"a" * 40 + b"b"
    started = time.process_time()
    result = await ask(answers(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body), spec)
    assert of(result) == ("L7RSP", WRONG)
    assert "took more than 50 ms of CPU" in result.reason
    assert time.process_time() - started < 1


@on_engine
async def test_a_regular_expression_that_is_none_is_the_directors_own_fault() -> None:
    result = await ask(answers(HEAD + b"\r\n"), HttpSpec(expect_regex="("))
    assert of(result) == ("SOCKERR", FailureClass.LOCAL)


@on_engine
async def test_a_body_in_single_bytes_costs_time_in_proportion() -> None:
    async def crumbs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 60_000)
        writer.write(b"6\r\nI live\r\n0\r\n\r\n")
        await writer.drain()

    started = time.process_time()
    assert (await ask(crumbs, LIVE)).ok
    assert time.process_time() - started < 5
