"""What the codec says, what it refuses to say, and why it drops what it hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from lvsguard.core.dropped import Reason
from lvsguard.vrrp import link
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, Advert, Checksum, HmacAuth, Version, Wire
from lvsguard.vrrp.checksum import checksum_of
from lvsguard.vrrp.packet import decode, encode, open_ipv4, problem, vrid_of
from lvsguard.vrrp.reception import Datagram, Note, Received, Rejected
from tests.support.vrrp_messages import ADVERT, ADVERT2, ADVERT6, KEY, PEER, SOURCE, SOURCE6, heard

V2 = Wire(Version.V2)
V3 = Wire()
UNICAST = Wire(peers=frozenset({SOURCE}))
KEYS = HmacAuth({1: KEY}, 1)
SIGNED = Wire(auth=KEYS)


def sent(advert: Advert, wire: Wire = V3, sequence: int | None = None) -> bytes:
    six = advert.addresses[0].version == 6
    source, group = (SOURCE6, GROUP_V6) if six else (SOURCE, GROUP_V4)
    return encode(advert, wire, source, group, sequence)


def summed(message: bytes) -> bytes:
    """The message with the checksum that fits it."""
    bare = message[:6] + b"\0\0" + message[8:]
    total = checksum_of(bare, bare[0] >> 4, SOURCE, GROUP_V4, Checksum.RFC5798)
    return bare[:6] + total.to_bytes(2, "big") + bare[8:]


def edited(advert: Advert, wire: Wire = V3, **octets: int) -> bytes:
    """A right message with some octets replaced and summed up again."""
    at = {"kind": 0, "vrid": 1, "priority": 2, "count": 3, "high": 4, "low": 5}
    message = bytearray(sent(advert, wire))
    for name, value in octets.items():
        message[at[name]] = value
    return summed(bytes(message))


def reason(datagram: Datagram, wire: Wire = V3, expected: Advert = ADVERT) -> Reason | None:
    answer = decode(datagram, wire, expected)
    return answer.reason if isinstance(answer, Rejected) else None


def notes(datagram: Datagram, wire: Wire = V3, expected: Advert = ADVERT) -> set[Note]:
    answer = decode(datagram, wire, expected)
    assert isinstance(answer, Received), answer
    return set(answer.notes)


# Rejected, in the order in which it is looked at.


@pytest.mark.parametrize("octets", [0, 1, 7, 8, 11])
def test_a_message_that_is_cut_off_is_dropped(octets: int) -> None:
    assert reason(heard(sent(ADVERT)[:octets])) is Reason.LENGTH


def test_a_count_that_promises_more_addresses_than_there_are_is_dropped() -> None:
    assert reason(heard(edited(ADVERT, count=2))) is Reason.LENGTH
    assert reason(heard(edited(ADVERT, count=255))) is Reason.LENGTH


def test_an_address_beyond_the_count_is_no_padding() -> None:
    two = replace(ADVERT, addresses=(*ADVERT.addresses, IPv4Address("192.0.2.101")))
    assert reason(heard(edited(two, count=1))) is Reason.LENGTH


@pytest.mark.parametrize("padding", [14, 10, 6, 2])
def test_ethernet_padding_is_left_away_also_where_vlan_tags_were(padding: int) -> None:
    """46 octets less 20 of IPv4 and 12 of VRRP leave 14; each tag takes 4."""
    assert notes(heard(sent(ADVERT) + b"\xaa" * padding)) == {Note.PADDED}


@pytest.mark.parametrize("padding", [1, 4, 12, 15, 18, 100])
def test_octets_that_no_ethernet_adds_are_dropped(padding: int) -> None:
    assert reason(heard(sent(ADVERT) + bytes(padding))) is Reason.LENGTH


def test_ipv6_is_never_so_short_that_it_is_padded() -> None:
    one = replace(ADVERT6, addresses=ADVERT6.addresses[:1])
    assert reason(heard(sent(one) + bytes(2), SOURCE6), expected=one) is Reason.LENGTH


def test_another_virtual_router_is_dropped_and_families_are_counted_apart() -> None:
    assert reason(heard(sent(replace(ADVERT, vrid=52)))) is Reason.VRID
    assert reason(heard(sent(ADVERT6), SOURCE6)) is Reason.VRID


@pytest.mark.parametrize("ttl", [0, 1, 64, 254])
def test_a_multicast_that_passed_a_router_is_dropped(ttl: int) -> None:
    assert reason(heard(sent(ADVERT), ttl=ttl)) is Reason.TTL
    assert reason(heard(sent(ADVERT6), SOURCE6, ttl), expected=ADVERT6) is Reason.TTL


def test_another_version_is_dropped() -> None:
    assert reason(heard(sent(ADVERT2, V2))) is Reason.VERSION
    assert reason(heard(sent(ADVERT)), V2, ADVERT2) is Reason.VERSION
    assert reason(heard(edited(ADVERT, kind=0x41))) is Reason.VERSION


def test_version_2_over_ipv6_is_dropped_also_where_version_2_is_spoken() -> None:
    message = bytearray(sent(ADVERT6))
    message[0] = 0x21
    expected = replace(ADVERT6, version=Version.V2)
    assert reason(heard(bytes(message), SOURCE6), V2, expected) is Reason.VERSION


def test_a_signature_is_dropped_where_no_keys_are_set() -> None:
    assert reason(heard(sent(ADVERT, SIGNED, 1))) is Reason.HMAC_UNEXPECTED


def test_authentication_of_version_2_must_be_one_that_is_known() -> None:
    assert reason(heard(edited(ADVERT2, V2, high=2)), V2, ADVERT2) is Reason.AUTH_TYPE
    assert reason(heard(edited(ADVERT2, V2, high=254)), V2, ADVERT2) is Reason.AUTH_TYPE


def test_a_password_on_one_side_only_is_dropped() -> None:
    locked = Wire(Version.V2, password=b"1111")
    assert reason(heard(sent(ADVERT2, V2)), locked, ADVERT2) is Reason.AUTH_MISMATCH
    assert reason(heard(sent(ADVERT2, locked)), V2, ADVERT2) is Reason.AUTH_MISMATCH


def test_another_password_is_dropped_and_what_is_beyond_8_octets_is_no_part_of_it() -> None:
    message = heard(sent(ADVERT2, Wire(Version.V2, password=b"12345678-and-more")))
    assert reason(message, Wire(Version.V2, password=b"12345678"), ADVERT2) is None
    assert reason(message, Wire(Version.V2, password=b"1234567"), ADVERT2) is Reason.AUTH_DATA


def test_the_password_is_found_before_padding() -> None:
    locked = Wire(Version.V2, password=b"1111")
    assert notes(heard(sent(ADVERT2, locked) + bytes(6)), locked, ADVERT2) == {Note.PADDED}


def test_version_2_wants_the_same_interval_and_version_3_does_not() -> None:
    slower2, slower3 = replace(ADVERT2, interval=2.0), replace(ADVERT, interval=2.0)
    assert reason(heard(sent(slower2, V2)), V2, ADVERT2) is Reason.INTERVAL
    answer = decode(heard(sent(slower3)), V3, ADVERT)
    assert isinstance(answer, Received)
    assert answer.advert.interval == 2.0
    assert answer.notes == {Note.INTERVAL}


def test_an_interval_of_0_is_dropped() -> None:
    """RFC 9568 erratum 8301."""
    assert reason(heard(edited(ADVERT, high=0, low=0))) is Reason.INTERVAL
    silent = replace(ADVERT2, interval=0.0)
    assert reason(heard(edited(ADVERT2, V2, low=0)), V2, silent) is Reason.INTERVAL


def test_reserved_bits_of_version_3_are_ignored() -> None:
    assert notes(heard(edited(ADVERT, high=0xF0))) == set()


@pytest.mark.parametrize("kind", [0x30, 0x32, 0x3F])
def test_another_type_than_an_advertisement_is_dropped(kind: int) -> None:
    assert reason(heard(edited(ADVERT, kind=kind))) is Reason.TYPE


@pytest.mark.parametrize(
    ("advert", "wire", "source"),
    [(ADVERT, V3, SOURCE), (ADVERT2, V2, SOURCE), (ADVERT6, V3, SOURCE6)],
    ids=["v3", "v2", "v6"],
)
def test_a_wrong_checksum_is_dropped(
    advert: Advert, wire: Wire, source: IPv4Address | IPv6Address
) -> None:
    message = bytearray(sent(advert, wire))
    message[7] ^= 0x10
    assert reason(heard(bytes(message), source), wire, advert) is Reason.CHECKSUM


def test_a_checksum_for_another_source_is_dropped() -> None:
    assert reason(heard(sent(ADVERT), PEER)) is Reason.CHECKSUM


def test_multicast_and_unicast_do_not_mix() -> None:
    assert reason(heard(sent(ADVERT)), UNICAST) is Reason.CAST
    alone = encode(ADVERT, UNICAST, SOURCE, PEER)
    assert reason(Datagram(alone, SOURCE, PEER, 255)) is Reason.CAST


def test_an_advert_without_addresses_is_dropped() -> None:
    """RFC 9568 erratum 8299."""
    assert reason(heard(summed(edited(ADVERT, count=0)[:8]))) is Reason.COUNT


def test_a_first_ipv6_address_that_is_not_link_local_is_dropped_if_strict_else_noted() -> None:
    """RFC 9568 erratum 8300; keepalived sends such adverts unless it is strict itself."""
    turned = replace(ADVERT6, addresses=ADVERT6.addresses[::-1])
    message = heard(sent(turned), SOURCE6)
    assert reason(message, Wire(strict=True), ADVERT6) is Reason.LINK_LOCAL
    assert notes(message, V3, ADVERT6) == {Note.LINK_LOCAL}


def test_a_unicast_of_a_stranger_is_dropped() -> None:
    stranger = IPv4Address("192.0.2.66")
    message = encode(ADVERT, UNICAST, stranger, PEER)
    assert reason(Datagram(message, stranger, PEER, 255), UNICAST) is Reason.PEER


def test_a_unicast_may_pass_routers_unless_a_least_ttl_is_set() -> None:
    message = Datagram(encode(ADVERT, UNICAST, SOURCE, PEER), SOURCE, PEER, 64)
    assert reason(message, UNICAST) is None
    assert reason(message, replace(UNICAST, unicast_ttl=64)) is None
    assert reason(message, replace(UNICAST, unicast_ttl=65)) is Reason.TTL


# Believed, with notes.


def test_other_addresses_are_no_reason_to_drop_an_advert() -> None:
    """Or each change of a VIP makes two masters."""
    more = replace(ADVERT, addresses=(*ADVERT.addresses, IPv4Address("192.0.2.101")))
    assert notes(heard(sent(more))) == {Note.ADDRESSES}
    assert notes(heard(sent(ADVERT)), V3, more) == {Note.ADDRESSES}


def test_the_order_of_addresses_does_not_matter() -> None:
    two = replace(ADVERT, addresses=(*ADVERT.addresses, IPv4Address("192.0.2.1")))
    turned = replace(two, addresses=two.addresses[::-1])
    assert notes(heard(sent(turned)), V3, two) == set()


def test_the_old_unicast_checksum_is_believed_and_noted() -> None:
    message = Datagram(encode(ADVERT, V3, SOURCE, GROUP_V4), SOURCE, PEER, 255)
    assert notes(message, UNICAST) == {Note.CHECKSUM_OLD_UNICAST}


def test_what_the_link_hands_over_is_read_as_it_is() -> None:
    message = link.Datagram("eth0", SOURCE, GROUP_V4, 255, sent(ADVERT))
    assert isinstance(decode(message, V3, ADVERT), Received)


def test_the_virtual_router_can_be_read_before_anything_is_believed() -> None:
    assert vrid_of(sent(ADVERT)) == 51
    assert vrid_of(b"\x31\x33") is None


# What is not said.


@pytest.mark.parametrize(
    ("advert", "wire", "says"),
    [
        (replace(ADVERT, addresses=()), V3, "0 addresses"),
        (replace(ADVERT, addresses=ADVERT.addresses * 256), V3, "256 addresses"),
        (replace(ADVERT, addresses=ADVERT.addresses + ADVERT6.addresses), V3, "one family"),
        (replace(ADVERT, vrid=0), V3, "vrid 0"),
        (replace(ADVERT, vrid=256), V3, "vrid 256"),
        (replace(ADVERT, priority=256), V3, "priority 256"),
        (replace(ADVERT, priority=-1), V3, "priority -1"),
        (ADVERT, V2, "set them alike"),
        (replace(ADVERT6, version=Version.V2), V2, "no IPv6"),
        (replace(ADVERT, interval=0.0), V3, "0.01 to 40.95"),
        (replace(ADVERT, interval=0.004), V3, "0.01 to 40.95"),
        (replace(ADVERT, interval=40.96), V3, "0.01 to 40.95"),
        (replace(ADVERT, interval=float("inf")), V3, "0.01 to 40.95"),
        (replace(ADVERT, interval=float("nan")), V3, "0.01 to 40.95"),
        (replace(ADVERT2, interval=0.5), V2, "whole seconds"),
        (replace(ADVERT2, interval=256.0), V2, "whole seconds"),
        (ADVERT, Wire(password=b"1111"), "for version 2"),
        (ADVERT2, Wire(Version.V2, password=b""), "not empty"),
        (ADVERT2, Wire(Version.V2, password=b"1", auth=KEYS), "leave one"),
        (ADVERT, Wire(auth=HmacAuth({1: KEY}, 2)), "no key 2"),
    ],
)
def test_what_cannot_be_said_is_told_and_refused(advert: Advert, wire: Wire, says: str) -> None:
    told = problem(advert, wire)
    assert told is not None
    assert says in told
    with pytest.raises(ValueError, match=says):
        encode(advert, wire, SOURCE, GROUP_V4, 1)


def test_an_advert_leaves_from_an_address_of_its_own_family() -> None:
    with pytest.raises(ValueError, match="use one family"):
        encode(ADVERT, V3, SOURCE6, GROUP_V6)


def test_a_signed_advert_needs_a_sequence() -> None:
    with pytest.raises(ValueError, match="next_sequence"):
        encode(ADVERT, SIGNED, SOURCE, GROUP_V4)


def test_the_largest_adverts_are_said_and_believed() -> None:
    for advert, source in ((ADVERT, SOURCE), (ADVERT6, SOURCE6)):
        start = advert.addresses[0]
        full = replace(advert, addresses=tuple(start + n for n in range(255)), interval=40.95)
        answer = decode(heard(sent(full), source), V3, full)
        assert isinstance(answer, Received)
        assert answer.advert == full


# IPv4 headers.


def ipv4(payload: bytes, change: Callable[[bytearray], None] = lambda _: None) -> bytes:
    header = bytearray.fromhex("45c0002000010000ff700000c0000201e0000012")
    header[2:4] = (20 + len(payload)).to_bytes(2, "big")
    change(header)
    return bytes(header) + payload


def test_ip_options_are_taken_off_with_the_header() -> None:
    header = bytearray(ipv4(bytes(4) + sent(ADVERT)))
    header[0] = 0x46
    opened = open_ipv4(bytes(header))
    assert isinstance(opened, Datagram)
    assert opened.payload == sent(ADVERT)


@pytest.mark.parametrize("first", [0x40, 0x44, 0x4F])
def test_an_impossible_header_length_is_dropped(first: int) -> None:
    def change(header: bytearray) -> None:
        header[0] = first

    answer = open_ipv4(ipv4(sent(ADVERT), change))
    assert isinstance(answer, Rejected)
    assert answer.reason is Reason.LENGTH


@pytest.mark.parametrize("total", [0, 19, 33, 65535])
def test_a_total_length_that_does_not_fit_is_dropped(total: int) -> None:
    def change(header: bytearray) -> None:
        header[2:4] = total.to_bytes(2, "big")

    answer = open_ipv4(ipv4(sent(ADVERT), change))
    assert isinstance(answer, Rejected)
    assert answer.reason is Reason.LENGTH


def test_more_octets_than_ethernet_pads_are_dropped() -> None:
    assert isinstance(open_ipv4(ipv4(sent(ADVERT)) + bytes(14)), Datagram)
    assert isinstance(open_ipv4(ipv4(sent(ADVERT)) + bytes(15)), Rejected)
