"""HTTP answers of good servers, over real connections."""

from __future__ import annotations

import asyncio
import errno
import socket
from ipaddress import IPv6Address

import pytest

from lvsguard.core.config import HttpSpec
from lvsguard.core.health import FailureClass, Result
from lvsguard.probes.http import headers, host_header, request
from tests.unit.probes.realserver import (
    LOCALHOST,
    answers,
    free_port,
    hangs_up,
    http_check,
    on_engine,
    probe,
    realserver,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nI live"


async def ask(spec: HttpSpec, *parts: bytes, end: bool = True, within: float = 5.0) -> Result:
    async with realserver(answers(*parts, end=end)) as port:
        return await probe(http_check(port, spec, timeout=within))


@on_engine
async def test_an_expected_status_is_success() -> None:
    result = await ask(HttpSpec(), OK)
    assert (result.ok, result.code, result.reason) == (True, "L7OK", "200 OK")
    assert 0 < result.duration < 1


@on_engine
async def test_another_status_is_a_wrong_answer_that_names_both() -> None:
    result = await ask(
        HttpSpec(expect_status=frozenset({200, 204})), b"HTTP/1.1 503 Gone Fishing\r\n\r\n"
    )
    assert (result.code, result.failure) == ("L7STS", FailureClass.WRONG)
    assert result.reason == "503 Gone Fishing, expected 200, 204"
    assert result.seen == "503 Gone Fishing"


@on_engine
async def test_a_redirect_is_an_answer_and_never_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert (await ask(HttpSpec(), head)).reason == "302 Found, expected 200"
    assert (await ask(HttpSpec(expect_status=frozenset({302})), head)).ok


@on_engine
async def test_the_status_decides_before_the_body_has_come() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    assert (await ask(HttpSpec(), head, end=False, within=60)).ok


@on_engine
async def test_an_expected_text_decides_as_soon_as_it_is_seen_even_across_parts() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    spec = HttpSpec(expect_body="I live")
    assert (await ask(spec, head, b"yes, I l", b"ive and ", end=False, within=60)).ok


@on_engine
async def test_a_missing_text_is_a_wrong_answer_with_a_reason() -> None:
    result = await ask(HttpSpec(expect_body="happy"), OK)
    assert (result.code, result.failure) == ("L7RSP", FailureClass.WRONG)
    assert result.reason == "200, but 'happy' is not in 6 bytes"
    assert result.seen == "I live"


@on_engine
async def test_the_bytes_that_decided_are_kept_bounded_and_printable_and_no_header() -> None:
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: secret\r\n\r\n"
    result = await ask(HttpSpec(expect_body="happy"), head + b"\x1b[31m\n" + b"x" * 1000)
    assert result.seen == "?[31m?" + "x" * 74
    assert (await ask(HttpSpec(expect_body="I live"), OK)).seen == ""


@pytest.mark.parametrize(
    "parts",
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nI l\r\n3\r\nive\r\n0\r\n\r\n",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nI ", b"live"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK,),
        tuple(OK[i : i + 1] for i in range(len(OK))),
        (OK + b"and what nobody asked for",),
    ],
    ids=["chunked", "until-close", "informational-first", "byte-by-byte", "trailing-data"],
)
@on_engine
async def test_a_body_is_read_however_it_is_framed(parts: tuple[bytes, ...]) -> None:
    assert (await ask(HttpSpec(expect_regex="^I live$"), *parts)).reason == "200 OK"


@on_engine
async def test_a_regular_expression_sees_the_whole_body_and_no_less() -> None:
    assert (await ask(HttpSpec(expect_regex=r"^I (live|breathe)$"), OK)).ok
    result = await ask(HttpSpec(expect_regex="^I$"), OK)
    assert result.reason == "200, but expect_regex does not match in 6 bytes"


@on_engine
async def test_text_and_regular_expression_must_both_be_there() -> None:
    both = HttpSpec(expect_body="live", expect_regex="^You")
    assert not (await ask(both, OK)).ok
    assert (await ask(HttpSpec(expect_body="live", expect_regex="^I"), OK)).ok


@on_engine
async def test_a_body_is_judged_by_max_body_bytes_of_it() -> None:
    spec = HttpSpec(expect_body="live", max_body=4)
    assert (await ask(spec, OK)).reason == "200, but 'live' is not in 4 bytes"


@on_engine
async def test_a_head_request_is_decided_by_the_head() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    assert (await ask(HttpSpec(method="HEAD"), head, end=False, within=60)).ok
    result = await ask(HttpSpec(method="HEAD", expect_body="x"), head, end=False, within=60)
    assert "use GET" in result.reason


@on_engine
async def test_an_encoded_body_is_never_unpacked_and_says_why() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz"
    result = await ask(HttpSpec(expect_body="live"), head)
    assert result.code == "L7RSP"
    assert "gzip-encoded though identity was asked" in result.reason
    assert (await ask(HttpSpec(), head)).ok


@on_engine
async def test_the_request_carries_method_path_host_headers_and_body() -> None:
    seen = bytearray()

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.readuntil(b"\r\n\r\n"))
        seen.extend(await reader.readexactly(3))
        writer.write(OK)

    spec = HttpSpec(
        method="POST",
        path="/health?deep=1",
        host="www.example",
        headers=(("X-Probe", "1"), ("user-agent", "mine")),
        body="hi!",
    )
    async with realserver(manner) as port:
        assert (await probe(http_check(port, spec))).ok
    lines = seen.decode().split("\r\n")
    assert lines[0] == "POST /health?deep=1 HTTP/1.1"
    assert lines[1:-2] == [
        "Host: www.example",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
        "Content-Length: 3",
        "X-Probe: 1",
        "user-agent: mine",
    ]
    assert lines[-1] == "hi!"


@on_engine
async def test_a_request_larger_than_the_socket_buffer_goes_out_in_parts() -> None:
    size = 8_000_000

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)
        await reader.readexactly(size)
        writer.write(OK)

    async with realserver(manner) as port:
        result = await probe(http_check(port, HttpSpec(method="POST", body="x" * size)))
    assert result.ok, result


@on_engine
async def test_an_answer_before_the_request_was_read_still_counts() -> None:
    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\n")

    async with realserver(manner) as port:
        spec = HttpSpec(method="POST", body="x" * 8_000_000)
        result = await probe(http_check(port, spec))
    assert result.code == "L7STS", result


def test_the_host_header_is_the_realservers_address_unless_configured() -> None:
    assert host_header(HttpSpec(), LOCALHOST, 80) == "127.0.0.1"
    assert host_header(HttpSpec(), LOCALHOST, 8080) == "127.0.0.1:8080"
    assert host_header(HttpSpec(), IPv6Address("2001:db8::1"), 80) == "[2001:db8::1]"
    assert host_header(HttpSpec(host="www.example"), LOCALHOST, 8080) == "www.example"


def test_a_request_asks_for_an_unencoded_body_and_the_end_of_the_connection() -> None:
    sent = dict(headers(HttpSpec(), "h"))
    assert sent["Accept-Encoding"] == "identity"
    assert sent["Connection"] == "close"
    assert request(HttpSpec(), "h").endswith(b"\r\n\r\n")


@on_engine
async def test_a_refused_connection_is_definite() -> None:
    result = await probe(http_check(await free_port()))
    assert (result.code, result.failure) == ("L4CON", FailureClass.REFUSED)
    assert result.reason == "connection refused"


@on_engine
async def test_no_connection_in_time_is_a_timeout_of_layer_four() -> None:
    with socket.socket() as full:
        # A full accept queue: the kernel drops further connection requests.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]
        try:
            for sock in crowd:
                sock.setblocking(False)
                assert sock.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
            await asyncio.sleep(0.05)
            result = await probe(http_check(port, timeout=0.6))
        finally:
            for sock in crowd:
                sock.close()
    assert (result.code, result.failure) == ("L4TOUT", FailureClass.TIMEOUT)
    assert result.reason == "no connection within 600 ms"
    assert 0.6 <= result.duration < 0.8


@on_engine
async def test_a_server_that_hangs_up_gave_a_wrong_answer() -> None:
    async with realserver(hangs_up) as port:
        result = await probe(http_check(port))
    assert (result.code, result.failure) == ("L7RSP", FailureClass.WRONG)


@on_engine
async def test_ipv6_and_a_source_address_work() -> None:
    peers: list[str] = []

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await answers(OK)(reader, writer)

    async with realserver(manner, "::1") as port:
        assert (await probe(http_check(port, address=IPv6Address("::1")))).ok
    async with realserver(manner) as port:
        assert (await probe(http_check(port, source="127.0.0.7"))).ok
    assert peers == ["::1", "127.0.0.7"]


@on_engine
async def test_a_source_address_that_is_not_here_is_the_directors_own_fault() -> None:
    result = await probe(http_check(await free_port(), source="192.0.2.1"))
    assert (result.code, result.failure) == ("SOCKERR", FailureClass.LOCAL)
    assert "source address is not on this director" in result.reason


@on_engine
async def test_the_own_address_is_taken_while_it_is_here_and_source_wins_over_it() -> None:
    peers: list[str] = []

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await answers(OK)(reader, writer)

    async with realserver(manner) as port:
        assert (await probe(http_check(port, own="127.0.0.7"))).ok
        assert (await probe(http_check(port, own="192.0.2.1"))).ok
        assert (await probe(http_check(port, own="127.0.0.7", source="127.0.0.8"))).ok
    assert peers == ["127.0.0.7", "127.0.0.1", "127.0.0.8"]
    result = await probe(http_check(port, own="127.0.0.7", source="192.0.2.1"))
    assert (result.code, result.failure) == ("SOCKERR", FailureClass.LOCAL)
