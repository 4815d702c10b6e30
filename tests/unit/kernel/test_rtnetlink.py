"""Address and link messages: what is read of them, and what is no news."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from struct import pack

import pytest

from lvsguard.kernel.netlink import Malformed, Message, attribute, messages
from lvsguard.kernel.rtnetlink import (
    AddressEntry,
    LinkEntry,
    add_address,
    decode_address,
    decode_link,
    delete_address,
    dump_addresses,
    dump_links,
    get_link,
)

UP, LOWER_UP = 0x1, 0x10000


def message(kind: int, payload: bytes) -> bytes:
    return pack("=IHHII", 16 + len(payload), kind, 0, 1, 0) + payload


def address(family: int, prefix: int, *found: bytes) -> bytes:
    return message(20, pack("=BBBBI", family, prefix, 0, 0, 2) + b"".join(found))


def link(flags: int, *found: bytes, family: int = 0) -> bytes:
    return message(16, pack("=BxHiII", family, 1, 2, flags, 0) + b"".join(found))


def only(raw: bytes) -> Message:
    (found,) = messages(raw)
    return found


def test_an_address_is_the_local_one_where_there_is_a_peer() -> None:
    peer, own = ip_address("10.0.0.9").packed, ip_address("10.0.0.8").packed
    raw = address(AF_INET, 32, attribute(1, peer), attribute(2, own))
    assert decode_address(raw, only(raw)) == AddressEntry(2, ip_address("10.0.0.8"), 32)


def test_an_ipv6_address_has_no_local_one() -> None:
    own = ip_address("2001:db8::8")
    raw = address(AF_INET6, 64, attribute(1, own.packed))
    assert decode_address(raw, only(raw)) == AddressEntry(2, own, 64)


def test_an_address_of_another_family_is_none() -> None:
    raw = address(12, 0)
    assert decode_address(raw, only(raw)) is None


@pytest.mark.parametrize(
    ("flags", "up"), [(UP | LOWER_UP, True), (UP, False), (LOWER_UP, False), (0, False)]
)
def test_a_link_is_up_with_carrier_only(flags: int, up: bool) -> None:
    raw = link(flags, attribute(3, b"eth0\0"))
    assert decode_link(raw, only(raw)) == LinkEntry(2, "eth0", up)


def test_a_bridges_word_about_its_port_is_no_link() -> None:
    raw = link(UP, attribute(3, b"eth0\0"), family=7)
    assert decode_link(raw, only(raw)) is None
    assert decode_link(link(UP), only(link(UP))) is None


@pytest.mark.parametrize(
    ("decode", "raw", "why"),
    [
        (decode_address, message(20, b"\2\0"), "without its header"),
        (decode_address, address(AF_INET, 32), "without an address of its family"),
        (decode_address, address(AF_INET, 32, attribute(1, bytes(16))), "of its family"),
        (decode_link, message(16, b"\0\0"), "without its header"),
    ],
)
def test_a_broken_message_is_malformed(
    decode: Callable[[bytes, Message], object], raw: bytes, why: str
) -> None:
    with pytest.raises(Malformed, match=why):
        decode(raw, only(raw))


def test_requests_are_what_iproute2_sends() -> None:
    assert dump_addresses(1).hex() == "18000000160001030100000000000000" + "00" * 8
    assert dump_links(1).hex() == "20000000120001030100000000000000" + "00" * 16
    assert get_link("eth0", 4, 1)[32:] == attribute(3, b"eth0\0")


def test_an_address_is_added_for_good_and_only_if_it_is_new() -> None:
    body = "0218000007000000" + "080002000a000008" + "080001000a000008"
    address = ip_address("10.0.0.8")
    assert add_address(7, address, 24, 1).hex() == "28000000140005060100000000000000" + body
    assert delete_address(7, address, 24, 1).hex() == "28000000150005000100000000000000" + body


def test_an_ipv6_vip_is_deprecated_and_not_looked_for_twice() -> None:
    raw = add_address(7, ip_address("fd00::8"), 64, 1)
    assert raw[16:24].hex() == "0a40020007000000"  # AF_INET6, /64, IFA_F_NODAD
    assert raw.endswith(attribute(6, bytes(4) + b"\xff" * 4 + bytes(8)))
