"""Attacks on the peer channel: cut off, bounded, told, and the channel of the directors stays."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address

import msgspec
import pytest
import trustme

from lvsguard.admin import peer_link, peer_session
from lvsguard.admin.peer_message import (
    VERSION,
    Beat,
    Digests,
    Hello,
    Key,
    Message,
    Overrides,
    Service,
    Services,
    Times,
    encode,
)
from lvsguard.admin.peer_records import word
from lvsguard.core.ledger import Ledger
from lvsguard.core.override import Override, OverrideKind, Target
from tests.support.peer_pair import (
    ACCOUNT,
    Side,
    credential,
    foreign,
    places,
    raw,
    secured,
    seen,
    sides,
    until,
)

pytestmark = pytest.mark.slow

GOOD_BEAT = Beat(version="0", config="0", programmed=True)
GOOD = (Hello(VERSION, "director1"), GOOD_BEAT)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def two() -> AsyncIterator[Side]:
    """director2, which waits for director1."""
    one, two = sides("director1", "director2")
    one_address = one.config.address
    two.account = replace(ACCOUNT, services=seen(web=2))
    async with two.running():
        await until(lambda: "not connected" in two.channel.peers["director1"].problem, "it listens")
        yield two
        # Whatever was done to it: it takes the next good connection.
        await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            connection = await _with_patience(two, one_address)
        try:
            await say(connection, *GOOD)
            await until(lambda: not two.channel.peers["director1"].silent, "director1 is heard")
        finally:
            await hang_up(connection)


async def _with_patience(two: Side, own: object) -> Connection:
    while True:
        with contextlib.suppress(OSError):
            connection = await secured(two, own, credential())
            head = await connection[0].read(1)
            if head:
                return connection
        await asyncio.sleep(0.2)


def one_of(two: Side) -> object:
    return dict(two.config.others)["director1"]


async def say(connection: Connection, *messages: Message) -> None:
    for message in messages:
        connection[1].write(encode(message))
    await connection[1].drain()


async def hang_up(connection: Connection) -> None:
    connection[1].transport.abort()
    with contextlib.suppress(OSError):
        await connection[1].wait_closed()


async def cut_off(connection: Connection, within_s: float = 8) -> bytes:
    """What came before the other end cut the connection off."""
    came = b""
    async with asyncio.timeout(within_s):
        with contextlib.suppress(OSError):
            while piece := await connection[0].read(4096):
                came += piece
    await hang_up(connection)
    return came


async def test_an_address_that_is_no_director_s_gets_no_handshake(two: Side) -> None:
    (stranger,) = places(1)
    connection = await raw(two, stranger)
    assert await cut_off(connection) == b""
    assert two.told("peer-refused") == [
        f"peer channel: {stranger} was cut off: it is no director of [peer] addresses"
    ]


async def test_another_certificate_reads_nothing(two: Side) -> None:
    connection = await secured(two, one_of(two), foreign())
    # TLS 1.3: a client is done before its certificate is judged. No word of ours may come first.
    with contextlib.suppress(OSError):
        await say(connection, *GOOD)
    assert await cut_off(connection) == b""
    await until(lambda: two.told("peer-refused"), "it is told")
    assert "TLS: " in two.told("peer-refused")[0]
    assert two.channel.peers["director1"].silent


async def test_a_certificate_that_ours_has_signed_is_not_ours(two: Side) -> None:
    """Our certificate counts as an authority to OpenSSL; whoever could sign with it has the key
    anyway, and still must show it itself."""
    authority = trustme.CA()
    leaf = authority.issue_cert("director1")
    pem = leaf.private_key_and_cert_chain_pem.bytes()
    connection = await secured(two, one_of(two), pem)
    assert await cut_off(connection) == b""


async def test_no_certificate_at_all_reads_nothing(two: Side) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = await asyncio.open_connection(
        str(two.config.address), 8850, local_addr=(str(one_of(two)), 0), ssl=context
    )
    assert await cut_off(connection) == b""
    assert two.channel.peers["director1"].silent


async def test_an_old_tls_is_refused(two: Side) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError):  # noqa: PT011 - which one is up to the moment
        await asyncio.open_connection(
            str(two.config.address), 8850, local_addr=(str(one_of(two)), 0), ssl=context
        )
    await until(lambda: two.told("peer-refused"), "it is told")


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000, encode(Hello(VERSION, "director1"))]
)
async def test_plain_text_is_cut_off(two: Side, garbage: bytes) -> None:
    connection = await raw(two, one_of(two))
    connection[1].write(garbage)
    came = await cut_off(connection)
    assert b"director2" not in came
    await until(lambda: two.told("peer-refused"), "it is told")


async def test_who_connects_and_says_nothing_is_cut_off(
    two: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_link, "HANDSHAKE_S", 0.3)
    connection = await raw(two, one_of(two))
    assert await cut_off(connection, 3) == b""
    await until(lambda: two.channel.gate.pending == 0, "its place is free")


async def test_who_has_the_credential_and_says_nothing_is_cut_off(
    two: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_link, "SILENCE_S", 0.3)
    connection = await secured(two, one_of(two), credential())
    assert b"director2" in await cut_off(connection, 3)  # our own hello, and nothing after it
    await until(lambda: two.told("peer-refused"), "it is told")


async def test_a_slow_sender_is_cut_off_in_the_midst_of_a_message(
    two: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_link, "SILENCE_S", 0.4)
    connection = await secured(two, one_of(two), credential())
    await say(connection, *GOOD)
    with contextlib.suppress(OSError):
        for octet in encode(Beat(version="x" * 60, config="slow", programmed=True)):
            connection[1].write(bytes([octet]))
            await connection[1].drain()
            await asyncio.sleep(0.05)
            if connection[1].transport.is_closing():
                break
    await until(lambda: two.told("peer-refused"), "it is told")
    assert "a message of it did not end within 0.4 s" in two.told("peer-refused")[0]
    assert two.channel.gate.refused == 1
    assert two.channel.peers["director1"].problem == "a message of it did not end within 0.4 s"
    beat = two.channel.peers["director1"].beat
    assert beat is None or beat.config != "slow"
    await cut_off(connection)


async def test_who_falls_silent_between_two_messages_is_no_attacker(
    two: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_link, "SILENCE_S", 0.3)
    connection = await secured(two, one_of(two), credential())
    await say(connection, *GOOD)
    await cut_off(connection)
    await until(lambda: not two.channel._sessions, "it is cut off")
    assert two.told("peer-refused") == []
    assert "no message of it within 0.3 s" in two.channel.peers["director1"].problem


async def test_a_reader_that_takes_in_nothing_is_cut_off(
    two: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_link, "SILENCE_S", 0.5)
    connection = await secured(two, one_of(two), credential(), buffer=4096)
    connection[1].transport.pause_reading()  # type: ignore[attr-defined]
    many = {f"{n:063}": seen(x=1)["x"] for n in range(100_000)}  # more than the kernel buffers
    two.account = replace(ACCOUNT, services=many)
    await say(connection, *GOOD)
    beating = asyncio.create_task(_beat_on(connection))
    await until(lambda: two.channel.peers["director1"].beat, "it is heard")
    await until(lambda: not two.channel._sessions, "it is cut off")
    beating.cancel()
    await hang_up(connection)


async def _beat_on(connection: Connection) -> None:
    with contextlib.suppress(OSError):
        while True:
            await say(connection, GOOD[1])
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"\x3b\x9a\xca\x00", "a message of 1000000000 octets; at most 65536"),
        (b"\0\0\0\0", "a message of 0 octets"),
        (b"\0\0\0\x04nope", f"not a message of version {VERSION}"),
        (encode(GOOD[0]), "it has said hello twice"),
    ],
    ids=["huge", "none", "nonsense", "twice"],
)
async def test_what_makes_no_sense_ends_the_connection(two: Side, octets: bytes, why: str) -> None:
    connection = await secured(two, one_of(two), credential())
    await say(connection, *GOOD)
    await until(lambda: two.channel.peers["director1"].beat, "it is heard")
    connection[1].write(octets)
    await cut_off(connection)
    await until(lambda: any(why in told for told in two.told("peer-refused")), why)


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (
            Hello(VERSION - 1, "director1"),
            f"it speaks version {VERSION - 1} of the channel, this one {VERSION}: upgrade",
        ),
        (
            Hello(VERSION + 1, "director1"),
            f"it speaks version {VERSION + 1} of the channel, this one {VERSION}: upgrade",
        ),
        (Hello(VERSION, "director9"), "it says that it is director9, which it cannot be here"),
        (Hello(VERSION, "director2"), "it says that it is director2, which it cannot be here"),
        (GOOD[1], "it has not said hello"),
    ],
    ids=["old version", "new version", "stranger", "myself", "rude"],
)
async def test_a_wrong_hello_is_refused(two: Side, hello: Message, why: str) -> None:
    connection = await secured(two, one_of(two), credential())
    await say(connection, hello, GOOD[1])
    assert b"Beat" not in await cut_off(connection)
    await until(lambda: two.told("peer-refused"), "it is told")
    assert why in two.told("peer-refused")[0]
    assert two.channel.peers["director1"].beat is None


async def test_a_flood_of_messages_is_slowed_down(two: Side) -> None:
    connection = await secured(two, one_of(two), credential())
    await say(connection, GOOD[0])
    flood = b"".join(encode(Services(services=[Service(f"s{n}", 1, 0, 2, 1)])) for n in range(2000))
    connection[1].write(flood)
    begun = asyncio.get_running_loop().time()
    services = two.channel.peers["director1"].services
    await until(lambda: len(services) > peer_link.RATE + 5, "a second has passed", 5)
    assert asyncio.get_running_loop().time() - begun > 0.8
    assert len(services) < 3 * peer_link.RATE
    await hang_up(connection)


async def test_a_storm_of_connections_begins_few_handshakes(two: Side) -> None:
    connections = []
    for _ in range(60):
        with contextlib.suppress(OSError):
            connections.append(await raw(two, one_of(two)))
    await asyncio.sleep(0.1)
    assert two.channel.gate.pending <= 8
    assert "it opens too many connections" in " ".join(two.told("peer-refused"))
    assert len(two.told("peer-refused")) <= 3
    for connection in connections:
        await hang_up(connection)


async def test_a_recorded_connection_cannot_be_played_again() -> None:
    """TLS 1.3 makes new keys for each connection: the octets of one are noise in another."""
    one, two = sides("director1", "director2")
    record: list[bytes] = []
    (relay_address,) = places(1)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        out_reader, out_writer = await raw(two, one.config.address)

        async def back() -> None:
            with contextlib.suppress(OSError):
                while piece := await out_reader.read(65536):
                    writer.write(piece)

        backwards = asyncio.create_task(back())
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                record.append(piece)
                out_writer.write(piece)
        backwards.cancel()
        out_writer.transport.abort()
        writer.transport.abort()

    server = await asyncio.start_server(relay, str(relay_address), 8850)
    one.channel.configure(replace(one.config, others=(("director2", relay_address),)))
    one.account = replace(ACCOUNT, config="recorded")
    async with two.running():
        async with one.running():
            peer = two.channel.peers["director1"]
            await until(lambda: peer.beat and peer.beat.config == "recorded", "it is recorded")
        await until(lambda: two.channel._sessions == {}, "it is over")
        peer.beat = None
        connection = await raw(two, one.config.address)
        with contextlib.suppress(OSError):
            for piece in record:
                connection[1].write(piece)
                await connection[1].drain()
                await asyncio.sleep(0.02)
        await cut_off(connection)
        assert peer.beat is None
        assert any("TLS" in told for told in two.told("peer-refused"))
    server.close()
    await server.wait_closed()


async def test_a_gigabyte_after_a_message_too_long_is_not_read(two: Side) -> None:
    connection = await secured(two, one_of(two), credential())
    await say(connection, *GOOD)
    connection[1].write((1_000_000_000).to_bytes(4))
    sent = 0
    with contextlib.suppress(OSError):
        while sent < 1_000_000_000 and not connection[1].transport.is_closing():
            connection[1].write(b"x" * 65536)
            await connection[1].drain()
            sent += 65536
            await asyncio.sleep(0)
    assert sent < 32 * 1024**2
    await hang_up(connection)
    await until(lambda: any("a message of 1000000000 oct" in t for t in two.told("peer-refused")),
                "it is told")  # fmt: skip


async def test_keys_without_end_are_cut_off(two: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_session, "KEYS_MAX", 3000)
    connection = await secured(two, one_of(two), credential())
    await say(connection, *GOOD)
    with contextlib.suppress(OSError):
        for number in range(5):
            keys = [Key(["service", f"s{number}-{n}"], "0") for n in range(1000)]
            await say(connection, Digests(config="0", keys=keys))
    await cut_off(connection)
    await until(lambda: any("more than 3000 keys" in t for t in two.told("peer-refused")), "told")
    assert two.channel.peers["director1"].keys_of == ""


async def test_times_that_are_no_times_are_an_offset_and_nothing_worse(two: Side) -> None:
    connection = await secured(two, one_of(two), credential())
    await say(connection, GOOD[0])
    peer = two.channel.peers["director1"]
    for clock in (Times(0.0), Times(0.0, 0.0, 0.0), Times(2.0**40, 2.0**40, 0.0), Times(5.0, 9e9)):
        await say(connection, msgspec.structs.replace(GOOD_BEAT, clock=clock))
    await until(lambda: peer.beat is not None and peer.beat.clock == Times(5.0, 9e9), "it is heard")
    assert not peer.silent
    await hang_up(connection)


async def test_a_word_that_is_said_again_after_its_end_changes_nothing(two: Side) -> None:
    """Whoever has the credential may say anything; an old word is still an old word."""
    connection = await secured(two, one_of(two), credential())
    await say(connection, *GOOD)
    ledger, now = Ledger("director1"), time.time()
    drain = Override(Target(ip_address("10.0.0.42")), OverrideKind.DRAIN, "alice", now)
    said = ledger.write(drain, now)
    ended = ledger.end(drain.key, "bob", now)
    assert said is not None
    assert ended is not None
    for record in (said, ended, said, said):
        await say(connection, Overrides(words=[word(record)]))
    await say(connection, msgspec.structs.replace(GOOD_BEAT, config="last"))
    peer = two.channel.peers["director1"]
    await until(lambda: peer.beat is not None and peer.beat.config == "last", "all is heard")
    assert two.drained == set()
    assert [one.override for one in two.records] == [None]
    await hang_up(connection)
