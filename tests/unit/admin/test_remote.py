"""The admin API over real TLS on loopback: who may do what, and attacks that come to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lvsguard.admin import protocol
from lvsguard.admin.address import Identity, Remote
from lvsguard.admin.client import Client
from lvsguard.admin.remote import certificate_names
from lvsguard.admin.server import AdminServer
from lvsguard.cli.exits import Exit
from lvsguard.cli.main import main
from lvsguard.client import Director, Refused, Unreachable
from lvsguard.core.admin_event import AdminRefused
from lvsguard.core.event import Event
from lvsguard.core.override import OverrideKind
from lvsguard.core.remote import CallerRole, RemoteConfig
from lvsguard.serving import Bounds
from tests.support.peer_pair import until
from tests.support.published import Desk
from tests.support.remote_admin import Papers, free_port
from tests.unit.admin.asking import Answer, parse

pytestmark = pytest.mark.slow
BOUNDS = Bounds(connections=6, lifetime=3.0, header=0.5, body=0.5, write=0.5)


@dataclass
class Afar:
    """A director that listens for callers with certificates."""

    papers: Papers
    config: RemoteConfig
    server: AdminServer
    events: list[Event] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.config.listen[1]}"

    @property
    def told(self) -> list[str]:
        return [f"{e.who}: {e.why}" for e in self.events if isinstance(e, AdminRefused)]

    def director(self, identity: Identity) -> Director:
        return Director(self.url, identity=identity, seconds=5)

    async def connect(
        self, context: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.config.listen, ssl=context)

    async def until_told(self, text: str) -> None:
        await until(lambda: any(text in one for one in self.told), text)


@pytest.fixture
async def afar(desk: Desk, socket_path: Path, tmp_path: Path) -> AsyncIterator[Afar]:
    papers = Papers(tmp_path)
    events: list[Event] = []
    server = AdminServer(desk, socket_path, "root", emit=events.append, remote_bounds=BOUNDS)
    afar = Afar(papers, papers.config(), server, events)
    server.configure(afar.config)
    await server.open()
    serving = asyncio.create_task(server.serve_remote())
    await listens(afar)
    yield afar
    # Whatever was done to it: the next good caller is answered.
    async with afar.director(papers.identity("monitor@example.org")) as director:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(Unreachable):
                    await director.version()
                    break
                await asyncio.sleep(0.1)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await server.close()


async def listens(afar: Afar) -> None:
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await afar.connect(None)
                writer.close()
                return
            await asyncio.sleep(0.01)


async def test_who_may_operate_drains_and_is_named(desk: Desk, afar: Afar) -> None:
    async with afar.director(afar.papers.identity("a@b.example", cn="deploy")) as director:
        await director.drain("10.0.0.42", reason="kernel")
        (override,) = desk.picture.overrides()
        assert override.actor == "deploy (from 127.0.0.1)"
        async with asyncio.timeout(5):
            async for event in director.events(since=0):
                assert event.kind == "override-set"
                break


async def test_the_command_lines_client_does_the_same(desk: Desk, afar: Afar) -> None:
    identity = afar.papers.identity("deploy")  # a DNS name this time
    client = Client(Remote("127.0.0.1", afar.config.listen[1], identity))
    status = await asyncio.to_thread(client.status)
    assert status.director == "director1"
    assert not desk.picture.overrides()


async def test_a_director_that_is_dead_is_noticed_by_whoever_follows(afar: Afar) -> None:
    """Who only listens learns of a host that has lost its power from the kernel's probes alone."""
    identity = afar.papers.identity("deploy")
    client = Client(Remote("127.0.0.1", afar.config.listen[1], identity))
    connection = await asyncio.to_thread(client._connect, 5)
    sock = connection.sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, pause, tries = (
        sock.getsockopt(socket.IPPROTO_TCP, one)
        for one in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + pause * tries <= 30
    connection.close()


async def test_commands_take_a_director_and_a_certificate(
    desk: Desk, afar: Afar, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy, monitor = afar.papers.identity("deploy"), afar.papers.identity("monitor@example.org")
    monkeypatch.setenv("LVSGUARD_DIRECTOR", afar.url)
    monkeypatch.setenv("LVSGUARD_CERT", str(deploy.certificate))
    monkeypatch.setenv("LVSGUARD_CA", str(deploy.authority))
    assert await asyncio.to_thread(main, ["drain", "10.0.0.42"]) == Exit.DONE
    assert len(desk.picture.overrides()) == 1
    options = ["--director", afar.url, "--cert", str(monitor.certificate)]
    assert await asyncio.to_thread(main, ["undrain", "10.0.0.42", *options]) == Exit.FAILED
    assert "takes the role operate" in capsys.readouterr().err
    assert len(desk.picture.overrides()) == 1
    options[-1] = "/nonexistent"
    assert await asyncio.to_thread(main, ["status", *options]) == Exit.USAGE
    assert "/nonexistent: not a certificate and its key" in capsys.readouterr().err
    monkeypatch.delenv("LVSGUARD_CERT")
    assert await asyncio.to_thread(main, ["status"]) == Exit.USAGE
    assert "give --cert, --key and --ca" in capsys.readouterr().err


async def test_who_may_read_may_not_drain_and_is_told_which_role_it_takes(
    desk: Desk, afar: Afar
) -> None:
    async with afar.director(afar.papers.identity("monitor@example.org")) as director:
        assert (await director.status()).director == "director1"
        with pytest.raises(Refused, match="has the role read, and this takes the role operate"):
            await director.drain("10.0.0.42")
    assert desk.picture.overrides() == ()
    assert afar.told[-1] == (
        "monitor@example.org (from 127.0.0.1): has the role read,"
        " and POST /v1/overrides takes the role operate"
    )


async def test_a_name_without_a_role_gets_nothing(afar: Afar) -> None:
    async with afar.director(afar.papers.identity("mallory", cn="Mallory\n")) as director:
        with pytest.raises(Refused, match="has no role here") as caught:
            await director.version()
    assert caught.value.failure.code == "forbidden"
    await afar.until_told("Mallory? (from 127.0.0.1): has no role")


async def test_without_a_certificate_nothing_is_answered(afar: Afar) -> None:
    with pytest.raises((OSError, EOFError)):
        await asked(afar, afar.papers.context(None), b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    await afar.until_told("127.0.0.1: it shows no certificate")


async def test_a_certificate_of_another_authority_is_refused_in_words(afar: Afar) -> None:
    identity = afar.papers.identity("deploy", cn="deploy", strange=True)
    async with afar.director(identity) as director:
        with pytest.raises(Unreachable, match="client_ca"):
            await director.status()
    client = Client(Remote("127.0.0.1", afar.config.listen[1], identity))
    with pytest.raises(Unreachable, match="client_ca"):
        await asyncio.to_thread(client.status)
    await afar.until_told("127.0.0.1: its certificate is not accepted")


async def test_a_director_of_another_authority_is_not_asked(afar: Afar) -> None:
    good = afar.papers.identity("deploy", cn="deploy")
    wrong = replace(good, authority=afar.papers.folder / "clients.pem")
    wrong.authority.write_bytes(afar.papers.clients.cert_pem.bytes())
    async with afar.director(wrong) as director:
        with pytest.raises(Unreachable, match="its certificate is not accepted"):
            await director.status()
    with pytest.raises(Unreachable, match="its certificate is not accepted"):
        await asyncio.to_thread(Client(Remote("127.0.0.1", afar.config.listen[1], wrong)).status)


async def test_tls_1_2_is_refused(afar: Afar) -> None:
    context = afar.papers.context(afar.papers.identity("deploy", cn="deploy"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError):  # noqa: PT011 - an alert or a reset, as the kernel has it
        await afar.connect(context)
    await afar.until_told("127.0.0.1: its TLS is older than 1.3")


async def test_plain_http_is_cut_off(afar: Afar) -> None:
    reader, writer = await afar.connect(None)
    writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(5):
        assert b"director1" not in await reader.read()
    writer.close()
    await afar.until_told("127.0.0.1: it speaks HTTP without TLS")


async def test_a_gigabyte_is_cut_off_when_it_is_too_much(
    afar: Afar, caplog: pytest.LogCaptureFixture
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    context = afar.papers.context(afar.papers.identity("deploy", cn="deploy"))
    reader, writer = await afar.connect(context)
    writer.write(b"POST /v1/overrides HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
    sent, begun = 0, time.monotonic()
    with contextlib.suppress(OSError):
        while sent < 1 << 30 and not (reader.at_eof() or writer.is_closing()):
            writer.write(b" " * 65536)
            await writer.drain()
            await asyncio.sleep(0)  # draining what is not full does not yield
            sent += 65536
    assert time.monotonic() - begun < 5
    assert sent < 32 * 1024**2
    writer.transport.abort()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB
    (line,) = [r.getMessage() for r in caplog.records if "admin: " in r.getMessage()]
    assert line.startswith("admin: POST /v1/overrides of deploy (from 127.0.0.1)")
    assert f"body: at most {protocol.BODY_BYTES} bytes" in line


async def test_a_slow_sender_is_refused(afar: Afar) -> None:
    context = afar.papers.context(afar.papers.identity("deploy", cn="deploy"))
    head = b"POST /v1/overrides HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
    answer = await asked(afar, context, head)
    assert (answer.status, answer.json["code"]) == (408, "too-slow")
    reader, writer = await afar.connect(context)
    writer.write(b"GET /v1/status HT")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_who_connects_and_says_nothing_is_cut_off_and_told(afar: Afar) -> None:
    reader, writer = await afar.connect(None)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await afar.until_told("127.0.0.1: it did not finish the handshake in time")


async def test_one_address_has_few_handshakes_at_once(afar: Afar) -> None:
    silent = [await afar.connect(None) for _ in range(12)]
    await afar.until_told("127.0.0.1: there are too many connections")
    for _, writer in silent:
        writer.close()


async def test_connections_are_limited(afar: Afar) -> None:
    context = afar.papers.context(afar.papers.identity("deploy", cn="deploy"))
    held = [await afar.connect(context) for _ in range(BOUNDS.connections)]
    with pytest.raises(OSError):  # noqa: PT011 - cut off before a word of TLS
        await afar.connect(context)
    await afar.until_told("there are too many connections")
    for _, writer in held:
        writer.close()


async def test_roles_and_certificates_change_without_a_restart(desk: Desk, afar: Afar) -> None:
    monitor = afar.papers.identity("monitor@example.org")
    port = afar.config.listen[1]
    roles = (("monitor@example.org", CallerRole.OPERATE),)
    afar.config = replace(afar.papers.config(port), roles=roles)
    afar.server.configure(afar.config)
    await asyncio.sleep(0.1)
    await listens(afar)
    async with afar.director(monitor) as director:
        await director.drain("10.0.0.42")
    (override,) = desk.picture.overrides()
    assert override.kind is OverrideKind.DRAIN


async def test_an_address_that_cannot_be_had_is_told_and_tried_again(
    desk: Desk, socket_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    papers = Papers(tmp_path)
    server = AdminServer(desk, socket_path, "root")
    server.configure(replace(papers.config(), listen=("192.0.2.1", free_port())))
    serving = asyncio.create_task(server.serve_remote())
    await until(lambda: server.trouble != "", "it cannot listen")
    assert "cannot listen on 192.0.2.1" in server.trouble
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
    server.configure(None)
    await until(lambda: server.trouble == "", "it need not listen")
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def test_names_are_those_of_subject_and_alternatives() -> None:
    shown = {
        "subject": ((("organizationName", "x"),), (("commonName", "deploy"),)),
        "subjectAltName": (("DNS", "d.example"), ("IP Address", "10.0.0.1"), ("email", "a@b")),
    }
    assert list(certificate_names(shown)) == ["deploy", "d.example", "a@b"]
    assert list(certificate_names(None)) == []


async def asked(afar: Afar, context: ssl.SSLContext, *chunks: bytes) -> Answer:
    """What comes back."""
    reader, writer = await afar.connect(context)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        async with asyncio.timeout(5):
            raw = await reader.read()
    finally:
        writer.transport.abort()
    if not raw:
        raise EOFError("hung up")
    return parse(raw)
