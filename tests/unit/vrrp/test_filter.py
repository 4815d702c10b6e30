"""What the kernel's filter lets through to a VRRP socket."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from lvsguard.core.bpf import DROP_ALL
from lvsguard.core.dropped import Discard
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6
from lvsguard.vrrp.filter import (
    PRESSED_SAMPLE,
    PROGRAM_MAX,
    SAMPLE,
    TRUSTED_MAX,
    Rule,
    Voice,
    judge,
    program,
)
from tests.support.bpf import run

PEER, STRANGER = IPv4Address("10.0.0.40"), IPv4Address("10.0.0.66")
PEER6, STRANGER6 = IPv6Address("fe80::40"), IPv6Address("fe80::66")
ADVERT = bytes.fromhex("313364010064a802c0000264")  # version 3, vrid 51
RULE = Rule(4, frozenset({51}))
RULE6 = Rule(6, frozenset({51}))
NO_LUCK = 0xFFFF_FFFF  # a random number that lets no sample through


def packet(
    payload: bytes = ADVERT,
    source: IPv4Address = PEER,
    destination: IPv4Address = GROUP_V4,
    ttl: int = 255,
    options: bytes = b"",
) -> bytes:
    first = bytes([0x40 | 5 + len(options) // 4]) + bytes(7) + bytes([ttl, 112, 0, 0])
    return first + source.packed + destination.packed + options + payload


def header6(
    source: IPv6Address = PEER6, destination: IPv6Address = GROUP_V6, hops: int = 255
) -> bytes:
    return bytes([0x60, 0, 0, 0, 0, 12, 112, hops]) + source.packed + destination.packed


def keeps(rule: Rule, data: bytes, *, random: int = NO_LUCK, network: bytes = b"") -> bool:
    return run(program(rule), data, network=network, random=random) > 0


def test_an_advert_of_a_configured_vrid_is_let_through() -> None:
    assert keeps(RULE, packet())
    assert keeps(RULE, packet(options=bytes(8)))
    assert keeps(RULE6, ADVERT, network=header6())


def test_what_cannot_concern_us_is_dropped() -> None:
    for payload in (
        b"\x31\x34" + ADVERT[2:],
        b"\x41" + ADVERT[1:],
        b"\x32" + ADVERT[1:],
        b"",
        b"1",
    ):
        assert not keeps(RULE, packet(payload)), payload
        assert not keeps(RULE6, payload, network=header6()), payload
    assert not keeps(RULE, packet(ttl=254))
    assert not keeps(RULE6, ADVERT, network=header6(hops=64))


def test_unicast_may_come_over_a_router() -> None:
    assert keeps(RULE, packet(destination=IPv4Address("10.0.0.41"), ttl=60))
    there = header6(destination=IPv6Address("ff02::13"), hops=60)
    assert keeps(RULE6, ADVERT, network=there)


def test_a_sample_of_the_rest_is_let_through() -> None:
    other = packet(b"\x31\x34" + ADVERT[2:])
    kept = sum(keeps(RULE, other, random=number) for number in range(4 * SAMPLE))
    assert kept == 4


def voice(source: IPv4Address | IPv6Address, payload: bytes = ADVERT) -> Voice:
    return Voice(source, payload[:8])


def test_under_pressure_known_voices_are_heard_and_a_sample_of_the_others() -> None:
    pressed = Rule(4, frozenset({51}), frozenset({voice(PEER)}), pressed=True)
    assert keeps(pressed, packet())
    assert keeps(pressed, packet(options=bytes(8)))
    kept = sum(keeps(pressed, packet(source=STRANGER), random=n) for n in range(PRESSED_SAMPLE))
    assert kept == 1
    pressed6 = Rule(6, frozenset({51}), frozenset({voice(PEER6), voice(PEER)}), pressed=True)
    assert keeps(pressed6, ADVERT, network=header6())
    assert not keeps(pressed6, ADVERT, network=header6(STRANGER6))


def test_who_forges_a_known_sender_must_say_just_what_it_said() -> None:
    pressed = Rule(4, frozenset({51}), frozenset({voice(PEER)}), pressed=True)
    for at in range(2, 8):
        forged = bytearray(ADVERT)
        forged[at] ^= 1
        assert not keeps(pressed, packet(bytes(forged))), at


def test_a_program_fits_the_kernel_with_every_vrid_and_the_most_voices() -> None:
    voices = frozenset(voice(IPv6Address(int(PEER6) + n)) for n in range(2 * TRUSTED_MAX))
    everything = Rule(6, frozenset(range(1, 256)), voices, pressed=True)
    code = program(everything)
    assert len(code) <= PROGRAM_MAX
    assert all(0 <= one.jt <= 255 and 0 <= one.jf <= 255 for one in code)
    unpressed = Rule(6, frozenset(range(1, 256)))
    for vrid in (1, 128, 255):
        advert = bytes([0x31, vrid]) + ADVERT[2:]
        assert keeps(unpressed, advert, network=header6())
    assert keeps(everything, ADVERT, network=header6())
    assert not keeps(unpressed, b"\x31\x00" + ADVERT[2:], network=header6())


def test_a_socket_that_is_not_set_up_gets_nothing() -> None:
    assert run(DROP_ALL, packet()) == 0


def test_every_reason_is_named() -> None:
    def why(destination: IPv4Address, ttl: int, first: int, vrid: int, length: int) -> object:
        return judge({51}, destination, ttl, first, vrid, length)

    assert why(GROUP_V4, 255, 0x31, 51, 12) is None
    assert why(GROUP_V4, 255, 0x21, 51, 20) is None
    assert why(GROUP_V4, 255, 0x31, 51, 7) is Discard.SHORT
    assert why(GROUP_V4, 255, 0x11, 51, 12) is Discard.VERSION
    assert why(GROUP_V4, 254, 0x31, 51, 12) is Discard.TTL
    assert why(GROUP_V4, 255, 0x31, 52, 12) is Discard.VRID
