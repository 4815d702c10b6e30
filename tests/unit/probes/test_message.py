"""The messages between the controller's side and a prober process."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from msgspec import structs

from lvsguard.core.agent import Agent, AgentKind, AgentSpec, Mode, Standing
from lvsguard.core.config import (
    CanaryKind,
    CanarySpec,
    Check,
    CheckKind,
    CheckSpec,
    HttpSpec,
    TcpSpec,
    TlsSpec,
    VipPath,
)
from lvsguard.core.health import FailureClass, Health, Hint, Result, Timing, Verdict
from lvsguard.core.model import Tunnel, TunnelKind
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.probes import message
from lvsguard.probes.channel import Channel
from lvsguard.probes.message import (
    CHUNK,
    Configure,
    Counted,
    Hello,
    MessageError,
    ProbeNow,
    Spec,
    Verdicts,
    Words,
    check_version,
    decode_to_controller,
    decode_to_prober,
    encode,
    take_frames,
)

CHECK = Check(
    IPv6Address("2001:db8::2"),
    8443,
    CheckSpec(
        CheckKind.HTTPS,
        Timing(2.0, 0.1, 5.0, 1.5, 3, 4),
        source=IPv6Address("2001:db8::1"),
        http=HttpSpec(headers=(("A", "b"),), expect_status=frozenset({200, 204}), body="x"),
        tls=TlsSpec(ca_file="/ca.pem"),
        tcp=TcpSpec(b"\x00\xff", b"ok"),
        canary=CanarySpec(8080, CanaryKind.HTTP),
        path=VipPath(ip_address("10.0.0.8"), 80, Tunnel(TunnelKind.GUE, 6080)),
    ),
)
HEALTH = Health(
    Verdict.DOWN,
    12.5,
    failures=3,
    result=Result(False, "L4CON", "connection refused", 0.1, FailureClass.REFUSED),
    hint=Hint("canary", "closed after 12.3 s", 12.4),
    note="no canary",
)


def unframed(frame: bytes) -> bytes:
    (body,) = take_frames(bytearray(frame))
    return body


def test_checks_arrive_as_they_were_sent() -> None:
    other = Check(IPv4Address("10.0.0.42"), 80, CheckSpec(CheckKind.TCP))
    own = replace(other, spec=replace(other.spec, own=IPv4Address("10.0.0.41")))
    sent = [(1, CHECK, HEALTH), (2, other, None), (3, own, None)]
    (configure,) = message.configure(sent, [])
    received = decode_to_prober(unframed(encode(configure)))
    assert isinstance(received, Configure)
    assert list(message.checks(received)) == sent


def test_checks_of_one_spec_carry_it_once() -> None:
    spec = CheckSpec(CheckKind.TCP)
    many = [(n, Check(IPv4Address(n), 80, spec), None) for n in range(CHUNK)]
    (configure,) = message.configure(many, [])
    assert len(configure.specs) == 1
    assert len(encode(configure)) < CHUNK * 40


def test_a_change_is_cut_into_parts_with_removals_first() -> None:
    spec = CheckSpec(CheckKind.TCP)
    many = [(n, Check(IPv4Address(n), 80, spec), None) for n in range(2 * CHUNK + 1)]
    parts = list(message.configure(many, range(CHUNK + 1)))
    assert [(len(part.remove), len(part.add)) for part in parts] == [
        (CHUNK, 0),
        (1, 0),
        (0, CHUNK),
        (0, CHUNK),
        (0, 1),
    ]


def test_verdicts_arrive_as_they_were_sent() -> None:
    received = decode_to_controller(unframed(encode(Verdicts([(7, HEALTH)]))))
    assert received == Verdicts([(7, HEALTH)])


AGENT = Agent(
    IPv6Address("2001:db8::2"),
    9100,
    20,
    AgentSpec(
        AgentKind.HTTP,
        5.0,
        0.5,
        0.25,
        b"x",
        "/load",
        "web",
        IPv6Address("2001:db8::1"),
        IPv6Address("2001:db8::3"),
    ),
)
STANDING = Standing(
    True, True, 0.5, 0.25, Mode.DRAIN, True, "disk", 12.5, "L4CON", 2, "ignored: x", "down", 0.1
)


def test_agents_and_their_words_arrive_as_they_were_sent() -> None:
    other = Agent(IPv4Address("10.0.0.42"), 9100, 1, AgentSpec())
    sent = [(1, AGENT, STANDING), (2, other, None)]
    (configure,) = message.configure_agents(sent)
    received = decode_to_prober(unframed(encode(configure)))
    assert isinstance(received, Configure)
    assert list(message.agents(received)) == sent
    words = decode_to_controller(unframed(encode(Words([(1, STANDING)]))))
    assert words == Words([(1, STANDING)])


def test_an_agent_that_makes_no_sense_is_an_error() -> None:
    (configure,) = message.configure_agents([(1, AGENT, None)])
    bad = structs.replace(configure.agents[0], address="nowhere")
    with pytest.raises(MessageError, match="an agent that makes no sense"):
        list(message.agents(Configure([], [], [], [bad])))


def test_a_hint_arrives_as_it_was_sent() -> None:
    sent = ProbeNow([1, 2], [], Hint("passive", "1.2 packets each", 12.5))
    assert decode_to_prober(unframed(encode(sent))) == sent


def test_counts_become_tallies() -> None:
    buckets = (0,) * len(BUCKETS) + (3,)
    counted = Counted(7, {"L7OK": 2, "L4CON": 1}, 30.0, buckets, 1e9, {"refused": 1}, 2e9)
    assert message.tally(counted, CHECK) == Tally(
        CHECK, {"L7OK": 2, "L4CON": 1}, 30.0, buckets, 1e9, {"refused": 1}, 2e9
    )
    with pytest.raises(MessageError, match="2 buckets, expected 13"):
        message.tally(Counted(7, {}, 0.0, (1, 2), 1e9), CHECK)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00",
        b"GET / HTTP/1.1",
        b"\x92\xa5Other\x01",
        b"\x92\xa5\xff\xff\xff\xff\xff\x01",
        b"\x93\xa5Hello\x01" + b"\x91" * 100_000,
    ],
)
def test_what_is_no_message_is_an_error_that_says_so(garbage: bytes) -> None:
    for decode in (decode_to_prober, decode_to_controller):
        with pytest.raises(MessageError, match=f"not a message of version {message.VERSION}"):
            decode(garbage)


def test_a_message_of_the_other_direction_is_an_error() -> None:
    with pytest.raises(MessageError, match="not a message"):
        decode_to_prober(unframed(encode(Verdicts([]))))


def test_another_version_is_an_error_that_says_what_to_do() -> None:
    check_version(Hello(message.VERSION))
    with pytest.raises(MessageError, match=r"speaks version 99, this one \d.*restart the daemon"):
        check_version(Hello(99))
    with pytest.raises(MessageError, match="expected hello, got Verdicts"):
        check_version(Verdicts([]))


def test_a_check_that_makes_no_sense_is_an_error() -> None:
    spec = Spec(CheckKind.TCP, Timing(), None, None, None, None, None, None, None, None, None)
    for added in (
        message.Added(1, "not an address", 80, 0),
        message.Added(1, "10.0.0.1", 80, 5),
    ):
        with pytest.raises(MessageError, match="makes no sense"):
            list(message.checks(Configure([spec], [added], [])))


def test_frames_come_out_whole_however_they_came_in() -> None:
    stream = encode(Hello(1)) + encode(Verdicts([(1, HEALTH)])) + encode(Hello(2))
    buffer = bytearray()
    frames = []
    for byte in stream:
        buffer.append(byte)
        frames += list(take_frames(buffer))
    assert [decode_to_controller(frame) for frame in frames] == [
        Hello(1),
        Verdicts([(1, HEALTH)]),
        Hello(2),
    ]
    assert not buffer


def test_a_frame_too_long_is_an_error_before_it_is_read() -> None:
    with pytest.raises(MessageError, match="a frame of 4294967295 bytes"):
        list(take_frames(bytearray(b"\xff\xff\xff\xff")))


async def test_a_channel_ends_at_garbage_and_tells_what_it_was() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = await Channel.on(ours, lambda frame: check_version(decode_to_prober(frame)))
        theirs.send(encode(Hello(message.VERSION + 1)))
        error = await asyncio.wait_for(channel.lost, 5)
        assert isinstance(error, MessageError)
        assert f"speaks version {message.VERSION + 1}" in str(error)
        theirs.setblocking(True)
        assert theirs.recv(1) == b""


async def test_a_channel_ends_quietly_when_the_other_end_closes() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.on(ours, lambda _: None)
    theirs.close()
    assert await asyncio.wait_for(channel.lost, 5) is None
    channel.send(Hello(1))


async def test_a_channel_says_when_the_other_end_does_not_keep_up() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = await Channel.on(ours, lambda _: None)
        assert channel.clear
        big = Verdicts([(n, HEALTH) for n in range(200)])
        for _ in range(200):
            channel.send(big)
        assert not channel.clear
        theirs.setblocking(False)
        draining = asyncio.create_task(channel.drain())
        while not draining.done():
            try:
                theirs.recv(1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0)
        assert channel.clear
        channel.close()
        await channel.lost
