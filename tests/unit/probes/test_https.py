"""https checks against real TLS servers with certificates of all manners."""

from __future__ import annotations

import asyncio
import datetime
import gc
import os
import ssl
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, TlsSpec
from lvsguard.core.health import FailureClass, Result, Timing
from tests.unit.probes.realserver import (
    LOCALHOST,
    Manner,
    answers,
    endless,
    free_port,
    hangs_up,
    memory_below,
    on_engine,
    probe,
    realserver,
    resets,
    silent,
)

pytestmark = pytest.mark.slow

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nI live"
LIVES = answers(OK)
WWW = HttpSpec(host="www.example:8443")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_side(
    authority: trustme.CA, *names: str, until: datetime.datetime | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=until).configure_cert(context)
    return context


def https_check(
    port: int,
    tls: TlsSpec | None,
    http: HttpSpec = WWW,
    *,
    timeout: float = 5.0,
    source: str | None = None,
    own: str | None = None,
) -> Check:
    return Check(
        LOCALHOST,
        port,
        CheckSpec(
            CheckKind.HTTPS,
            Timing(timeout=timeout),
            source=None if source is None else ip_address(source),
            own=None if own is None else ip_address(own),
            http=http,
            tls=tls,
        ),
    )


async def ask(
    context: ssl.SSLContext | None,
    tls: TlsSpec,
    http: HttpSpec = WWW,
    manner: Manner = LIVES,
    within: float = 5.0,
) -> Result:
    async with realserver(manner, tls=context) as port:
        return await probe(https_check(port, tls, http, timeout=within))


def of(result: Result) -> tuple[str, FailureClass | None]:
    return result.code, result.failure


@on_engine
async def test_the_certificate_is_verified_for_the_host_headers_name(
    authority: trustme.CA, ca_file: str
) -> None:
    result = await ask(server_side(authority, "www.example"), TlsSpec(ca_file=ca_file))
    assert (result.ok, result.code, result.reason) == (True, "L7OK", "200 OK")


@on_engine
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    "answer", [OK, b"HTTP/1.1 204 Nothing\r\n\r\n", b"HTTP/1.1 503 No\r\n\r\n"]
)
async def test_the_end_of_the_certificate_is_told_whatever_the_answer(
    authority: trustme.CA, ca_file: str, verify: bool, answer: bytes
) -> None:
    until = datetime.datetime(2030, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    spec = TlsSpec(ca_file=ca_file, verify=verify)
    context = server_side(authority, "www.example", until=until)
    assert (await ask(context, spec, manner=answers(answer))).expires == until.timestamp()


@on_engine
async def test_the_name_may_be_configured_and_is_sent_as_sni(
    authority: trustme.CA, ca_file: str
) -> None:
    names: list[str | None] = []
    context = server_side(authority, "other.example")
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    spec = TlsSpec(server_name="other.example", ca_file=ca_file)
    assert (await ask(context, spec)).ok
    assert names == ["other.example"]


@on_engine
async def test_without_a_name_the_certificate_must_carry_the_address(
    authority: trustme.CA, ca_file: str
) -> None:
    spec = TlsSpec(ca_file=ca_file)
    assert (await ask(server_side(authority, "127.0.0.1"), spec, HttpSpec())).ok
    result = await ask(server_side(authority, "www.example"), spec, HttpSpec())
    assert of(result) == ("L6RSP", FailureClass.WRONG)
    assert result.reason == "the certificate is not valid for 127.0.0.1"


@on_engine
async def test_a_certificate_for_another_name_is_wrong(authority: trustme.CA, ca_file: str) -> None:
    result = await ask(server_side(authority, "other.example"), TlsSpec(ca_file=ca_file))
    assert of(result) == ("L6RSP", FailureClass.WRONG)
    assert result.reason == "the certificate is not valid for www.example"


@on_engine
async def test_an_expired_certificate_is_wrong(authority: trustme.CA, ca_file: str) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    context = server_side(authority, "www.example", until=past)
    result = await ask(context, TlsSpec(ca_file=ca_file))
    assert of(result) == ("L6RSP", FailureClass.WRONG)
    assert result.reason == "the certificate has expired"


@on_engine
async def test_an_unknown_ca_is_wrong_by_default_and_accepted_when_told_so(
    authority: trustme.CA,
) -> None:
    context = server_side(authority, "www.example")
    result = await ask(context, TlsSpec())
    assert of(result) == ("L6RSP", FailureClass.WRONG)
    assert result.reason == "the certificate's CA is unknown: name it as ca_file to trust it"
    assert (await ask(context, TlsSpec(verify=False))).ok


@on_engine
async def test_a_new_ca_file_is_seen_without_a_restart(
    authority: trustme.CA, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    spec = TlsSpec(ca_file=str(path))
    context = server_side(authority, "www.example")
    missing = await ask(context, spec)
    assert of(missing) == ("SOCKERR", FailureClass.LOCAL)
    assert missing.reason == f"ca_file {path} cannot be used: no such file or directory; correct it"
    path.write_text("no certificate")
    os.utime(path, ns=(1, 1))
    assert of(await ask(context, spec)) == ("SOCKERR", FailureClass.LOCAL)
    authority.cert_pem.write_to_path(str(path))
    assert (await ask(context, spec)).ok


@on_engine
async def test_a_server_without_tls_is_named_so() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    result = await ask(None, TlsSpec(), manner=plain)
    assert of(result) == ("L6RSP", FailureClass.WRONG)
    assert result.reason == "the realserver does not speak TLS on this port"


@pytest.mark.parametrize("manner", [hangs_up, resets()])
@on_engine
async def test_a_broken_handshake_is_wrong(manner: Manner) -> None:
    result = await ask(None, TlsSpec(), manner=manner)
    assert of(result) == ("L6RSP", FailureClass.WRONG)
    assert "during the TLS handshake" in result.reason


@on_engine
async def test_a_refused_connection_is_definite() -> None:
    result = await probe(https_check(await free_port(), TlsSpec()))
    assert of(result) == ("L4CON", FailureClass.REFUSED)
    assert result.reason == "connection refused"


@on_engine
async def test_the_timeout_is_one_for_all_and_says_where_it_struck(
    authority: trustme.CA, ca_file: str
) -> None:
    context, spec = server_side(authority, "www.example"), TlsSpec(ca_file=ca_file)
    handshake = await ask(None, spec, manner=silent, within=0.2)
    answer = await ask(context, spec, manner=silent, within=2.0)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nI "
    body = await ask(
        context,
        spec,
        HttpSpec(host="www.example", expect_body="x"),
        answers(head, end=False),
        within=2.0,
    )
    for result, code in ((handshake, "L6TOUT"), (answer, "L7TOUT"), (body, "L7TOUT")):
        assert of(result) == (code, FailureClass.TIMEOUT)
    assert handshake.reason == "connected, but no end of the TLS handshake within 200 ms"
    assert answer.reason == "TLS is up, but not an answer within 2 s"
    assert body.reason == "TLS is up, but not the whole body within 2 s"
    assert handshake.duration < 2


@on_engine
async def test_the_same_answers_are_judged_as_over_http(
    authority: trustme.CA, ca_file: str
) -> None:
    context, spec = server_side(authority, "www.example"), TlsSpec(ca_file=ca_file)

    async def result(http: HttpSpec, *parts: bytes) -> tuple[str, str]:
        found = await ask(context, spec, http, answers(*parts))
        return found.code, found.reason

    live = HttpSpec(host="www.example", expect_body="I live")
    redirect = b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n\r\n"
    assert await result(WWW, redirect) == ("L7STS", "302 Found, expected 200")
    assert await result(live, OK) == ("L7OK", "200 OK")
    assert await result(live, OK.replace(b"live", b"die.")) == (
        "L7RSP",
        "200, but 'I live' is not in 6 bytes",
    )
    zipped = OK.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")
    assert (await result(live, zipped))[1].startswith("the body is gzip-encoded")
    short = OK.replace(b": 6", b": 60").replace(b"live", b"die.")
    assert await result(live, short) == ("L7RSP", "200, but closed within the body")
    assert await result(live, b"") == ("L7RSP", "closed before an answer")
    code, reason = await result(live, b"SSH-2.0-OpenSSH\r\n\r\n")
    assert (code, reason[:10]) == ("L7RSP", "not HTTP: ")
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Filler: and on it goes\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Filler: ", b"a" * 4096),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"no end in sight " * 256),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 500),
    ],
    ids=["headers", "header", "body", "chunks"],
)
@on_engine
async def test_endless_answers_end_in_bounded_memory(
    authority: trustme.CA, ca_file: str, head: bytes, part: bytes
) -> None:
    context, spec = server_side(authority, "www.example"), TlsSpec(ca_file=ca_file)
    http = HttpSpec(host="www.example", expect_body="I live")
    await ask(context, spec)  # what is loaded once does not count
    with memory_below(8_000_000):
        result = await ask(context, spec, http, endless(head, part), within=5)
    assert of(result) == ("L7RSP", FailureClass.WRONG), result


@on_engine
async def test_request_source_and_body_go_out_as_configured(
    authority: trustme.CA, ca_file: str
) -> None:
    seen: list[str] = []

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.extend([*head.split("\r\n"), writer.get_extra_info("peername")[0]])
        seen.append((await reader.readexactly(3)).decode())
        writer.write(OK)

    http = HttpSpec(
        "POST", "/a?b=%20c", "www.example", (("X-Probe", "1"), ("User-Agent", "mine")), "hi!"
    )
    context = server_side(authority, "www.example")
    async with realserver(manner, tls=context) as port:
        check = https_check(port, TlsSpec(ca_file=ca_file), http, source="127.0.0.7")
        result = await probe(check)
    assert result.ok, result
    assert seen[0] == "POST /a?b=%20c HTTP/1.1"
    assert {"Host: www.example", "X-Probe: 1", "User-Agent: mine"} <= set(seen)
    assert {"Content-Length: 3", "Accept-Encoding: identity"} <= set(seen)
    assert seen[-2:] == ["127.0.0.7", "hi!"]


@on_engine
async def test_the_own_address_is_taken_while_it_is_here(
    authority: trustme.CA, ca_file: str
) -> None:
    peers: list[str] = []

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await answers(OK)(reader, writer)

    spec = TlsSpec(ca_file=ca_file)
    async with realserver(manner, tls=server_side(authority, "www.example")) as port:
        for own in ("127.0.0.7", "192.0.2.1"):
            result = await probe(https_check(port, spec, own=own))
            assert result.ok, result
        assert (await probe(https_check(port, spec, own="127.0.0.7", source="127.0.0.8"))).ok
    assert peers == ["127.0.0.7", "127.0.0.1", "127.0.0.8"]
    result = await probe(https_check(port, spec, own="127.0.0.7", source="192.0.2.1"))
    assert of(result) == ("SOCKERR", FailureClass.LOCAL)


@on_engine
async def test_probes_leave_no_socket_behind_even_at_peers_that_never_close(
    authority: trustme.CA, ca_file: str
) -> None:
    context, spec = server_side(authority, "www.example"), TlsSpec(ca_file=ca_file)
    async with realserver(answers(OK, end=False), tls=context) as port:
        await probe(https_check(port, spec))
        gc.collect()
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        for _ in range(20):
            assert (await probe(https_check(port, spec))).ok
        await asyncio.sleep(0.05)
        # the server's own ends are here too, as long as the client's are open
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before + 2


@on_engine
async def test_a_crowd_of_first_probes_does_not_time_out_by_its_own_weight(
    authority: trustme.CA, ca_file: str
) -> None:
    context, spec = server_side(authority, "www.example"), TlsSpec(ca_file=ca_file)
    async with realserver(answers(OK), tls=context) as port:
        checks = [https_check(port, spec, timeout=1.0) for _ in range(150)]
        results = await asyncio.gather(*(probe(check) for check in checks))
    assert all(result.ok for result in results), {result.reason for result in results}
