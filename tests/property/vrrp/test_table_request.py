"""Requests for the connection table: round trips, and nothing that comes in raises."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.vrrp import HmacAuth, HmacMode
from lvsguard.vrrp.table_request import (
    Answer,
    Request,
    Rule,
    decode,
    encode,
    genuine,
    program,
)
from tests.support.bpf import run

FAMILIES: st.SearchStrategy[Literal[4, 6]] = st.sampled_from((4, 6))
KEYS = st.binary(min_size=32, max_size=64)
REQUESTS = st.builds(Request, st.integers(1, 255), FAMILIES, st.binary(min_size=8, max_size=8))
MESSAGES = REQUESTS | st.builds(Answer, REQUESTS, st.none() | st.integers(0, 0xFFFF_FFFF))
SIGNERS = st.none() | st.builds(lambda key: HmacAuth({7: key}, 7), KEYS)
ALMOST = st.builds(
    lambda head, rest: head + rest,
    st.sampled_from((b"", b"LVSG", b"LVSG\x01", b"LVSG\x01\x33\x04\x00")),
    st.binary(max_size=64),
)


@given(MESSAGES, SIGNERS)
def test_what_is_said_is_heard(message: Request | Answer, auth: HmacAuth | None) -> None:
    datagram = encode(message, auth)
    assert decode(datagram) == message
    assert genuine(datagram, auth)


@given(ALMOST, SIGNERS)
def test_whatever_comes_is_a_message_of_ours_or_nothing(data: bytes, auth: HmacAuth | None) -> None:
    message = decode(data)
    if message is not None:
        assert encode(message, None) == data[:20]
    assert genuine(data, auth) in (True, False)


@given(ALMOST, KEYS)
def test_without_the_key_nothing_is_believed(data: bytes, key: bytes) -> None:
    assert not genuine(data, HmacAuth({1: key}, 1, HmacMode.ENFORCE))


@given(
    MESSAGES.map(lambda message: encode(message, None)) | ALMOST,
    st.frozensets(st.tuples(st.integers(1, 255), FAMILIES), max_size=5),
    st.sampled_from((255, 64, 1)),
    FAMILIES,
)
def test_the_filter_lets_through_exactly_the_requests_that_are_served(
    data: bytes, served: frozenset[tuple[int, Literal[4, 6]]], ttl: int, family: Literal[4, 6]
) -> None:
    code = program(Rule(served), family)
    udp = bytes(8) + data
    hops = bytes(8 if family == 4 else 7) + bytes([ttl]) + bytes(40)
    message = decode(data)
    kept = bool(run(code, udp, network=hops + udp))
    meant = isinstance(message, Request) and (message.vrid, message.family) in served
    if meant and ttl == 255:
        assert kept
    if kept:
        assert ttl == 255
        assert data[:5] == b"LVSG\1"
        assert (data[5], data[6]) in served
