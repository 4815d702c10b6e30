"""What directors say to each other about the connection table, and what the kernel lets through."""

from __future__ import annotations

import pytest

from lvsguard.core.vrrp import HmacAuth, HmacMode
from lvsguard.vrrp.table_request import Answer, Request, Rule, decode, encode, genuine, program
from tests.support.bpf import run

NONCE = bytes(range(8))
REQUEST = Request(51, 4, NONCE)
COMING, DONE = Answer(REQUEST, None), Answer(REQUEST, 50)
OLD, NEW = b"o" * 32, b"n" * 32
AUTH = HmacAuth({1: OLD, 2: NEW}, 2)


def let_through(data: bytes, *, family: int = 4, ttl: int = 255, rule: Rule | None = None) -> bool:
    """Whether the kernel hands the datagram up, as a UDP socket's filter sees it."""
    rule = rule or Rule(frozenset({(51, 4), (51, 6)}), frozenset({NONCE}))
    udp = bytes(8) + data
    network = bytes(8) + bytes([ttl]) + bytes(11) if family == 4 else bytes(7) + bytes([ttl])
    code = program(rule, 4 if family == 4 else 6)
    return bool(run(code, udp, network=network + bytes(40) + udp))


def test_the_octets_are_as_documented() -> None:
    assert encode(REQUEST, None) == b"LVSG\x01\x33\x04\x00" + NONCE + bytes(4)
    assert encode(COMING, None) == b"LVSG\x01\x33\x04\x02" + NONCE + bytes(4)
    assert encode(DONE, None) == b"LVSG\x01\x33\x04\x01" + NONCE + bytes([0, 0, 0, 50])
    assert len(encode(DONE, AUTH)) == 20 + 16


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"LVSG",
        encode(REQUEST, None) + b"\0",
        b"LVSH" + encode(REQUEST, None)[4:],
        b"LVSG\x02\x33\x04\x00" + bytes(12),
        b"LVSG\x01\x00\x04\x00" + bytes(12),
        b"LVSG\x01\x33\x05\x00" + bytes(12),
        b"LVSG\x01\x33\x04\x03" + bytes(12),
        b"LVSG\x01\x33\x04\x00" + bytes(11) + b"\1",
        b"LVSG\x01\x33\x04\x02" + bytes(11) + b"\1",
    ],
    ids=["empty", "short", "long", "magic", "version", "vrid", "family", "kind", "asks", "coming"],
)
def test_what_is_not_ours_is_nothing(datagram: bytes) -> None:
    assert decode(datagram) is None


@pytest.mark.parametrize("mode", HmacMode)
def test_who_has_a_key_is_believed_whatever_the_mode(mode: HmacMode) -> None:
    signed = encode(REQUEST, HmacAuth({9: OLD}, 9, HmacMode.ENFORCE))
    assert genuine(signed, HmacAuth(AUTH.keys, 2, mode))


@pytest.mark.parametrize("mode", HmacMode)
def test_who_has_another_key_is_not_believed_whatever_the_mode(mode: HmacMode) -> None:
    signed = encode(REQUEST, HmacAuth({1: b"x" * 32}, 1))
    assert not genuine(signed, HmacAuth(AUTH.keys, 2, mode))


def test_only_enforce_wants_a_digest_so_that_keys_can_be_rolled_out() -> None:
    plain = encode(REQUEST, None)
    believed = {mode: genuine(plain, HmacAuth(AUTH.keys, 2, mode)) for mode in HmacMode}
    assert believed == {
        HmacMode.RECEIVE_ONLY: True,
        HmacMode.PERMISSIVE: True,
        HmacMode.ENFORCE: False,
    }
    assert encode(REQUEST, HmacAuth(AUTH.keys, 2, HmacMode.RECEIVE_ONLY)) == plain
    assert genuine(encode(REQUEST, AUTH), None)


def test_a_digest_holds_for_its_own_octets_only() -> None:
    signed = encode(DONE, AUTH)
    for at in range(20):
        changed = bytearray(signed)
        changed[at] ^= 1
        assert not genuine(bytes(changed), AUTH)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("auth", [None, AUTH])
def test_the_kernel_lets_through_what_is_asked_for(family: int, auth: HmacAuth | None) -> None:
    request = Request(51, 4 if family == 4 else 6, NONCE)
    for message in (request, Answer(request, None), Answer(request, 9)):
        assert let_through(encode(message, auth), family=family)


@pytest.mark.parametrize("family", [4, 6])
def test_the_kernel_drops_everything_else(family: int) -> None:
    request = Request(51, 4 if family == 4 else 6, NONCE)
    asked = encode(request, None)
    assert not let_through(asked, family=family, ttl=254)
    assert not let_through(asked + b"\0", family=family)
    assert not let_through(asked[:-1], family=family)
    assert not let_through(b"LVSH" + asked[4:], family=family)
    assert not let_through(asked[:4] + b"\2" + asked[5:], family=family)
    assert not let_through(encode(Request(52, request.family, NONCE), None), family=family)
    other = Answer(Request(51, request.family, b"somebody"), 9)
    assert not let_through(encode(other, None), family=family)
    for message in (request, Answer(request, 9)):
        assert not let_through(encode(message, None), family=family, rule=Rule())


def test_a_filter_for_every_virtual_router_fits_into_the_kernel() -> None:
    served = frozenset((vrid, 4 if four else 6) for vrid in range(1, 256) for four in (0, 1))
    rule = Rule(served, frozenset(bytes([n]) * 8 for n in range(16)))  # type: ignore[arg-type]
    assert len(program(rule, 4)) < 4096
    for vrid in (1, 128, 255):
        assert let_through(encode(Request(vrid, 4, NONCE), None), rule=rule)
