"""Frames round-trip, nothing that arrives raises, and the filter is its rule in Python."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core import frame
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6
from lvsguard.vrrp.filter import Rule, judge, program
from lvsguard.vrrp.watch import Claim, claim_in_arp, claim_in_neighbour
from tests.support.bpf import run

MACS = st.binary(min_size=6, max_size=6)
V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda one: not one.is_multicast)
NO_LUCK = 0xFFFF_FFFF


@given(MACS, V4)
def test_arp_round_trips(mac: bytes, address: IPv4Address) -> None:
    for sent in (frame.gratuitous_arp(mac, address), frame.arp_probe(mac, address)):
        read = frame.parse_arp(sent)
        assert read is not None
        assert (read.sender_mac, read.source_mac, read.target) == (mac, mac, address)


@given(MACS, V6, st.booleans())
def test_neighbour_discovery_round_trips(mac: bytes, address: IPv6Address, router: bool) -> None:
    told = frame.parse_neighbour_frame(frame.announcement(mac, address, router=router))
    assert told is not None
    assert (told.target, told.mac, told.router, told.override) == (address, mac, router, True)
    asked = frame.parse_neighbour_frame(frame.question(mac, address))
    assert asked is not None
    assert (asked.target, asked.advertisement) == (address, False)


@given(st.binary(max_size=200))
def test_no_frame_raises(raw: bytes) -> None:
    arp = b"\0" * 12 + b"\x08\x06" + raw
    ipv6 = b"\0" * 12 + b"\x86\xdd" + raw
    for data in (raw, arp, ipv6):
        frame.parse_arp(data)
        frame.parse_neighbour_frame(data)


@given(MACS, V6, st.data())
def test_a_damaged_advertisement_never_raises_nor_lies_about_its_target(
    mac: bytes, address: IPv6Address, data: st.DataObject
) -> None:
    good = frame.announcement(mac, address)
    at = data.draw(st.integers(14, len(good) - 1))
    damaged = bytearray(good)
    damaged[at] ^= data.draw(st.integers(1, 255))
    read = frame.parse_neighbour_frame(bytes(damaged))
    assert read is None or (read.target, read.mac) == (address, mac)


@given(MACS, V4, V6, st.booleans())
def test_a_claim_is_made_by_others_only(
    mac: bytes, vip: IPv4Address, vip6: IPv6Address, ours: bool
) -> None:
    own = frozenset({mac} if ours else ())
    claim = claim_in_arp(frame.gratuitous_arp(mac, vip), {vip}, own)
    assert claim == (None if ours else Claim(vip, frame.mac_text(mac)))
    told = frame.parse_neighbour_frame(frame.announcement(mac, vip6))
    claim = claim_in_neighbour(told, {vip6}, own)
    assert claim == (None if ours else Claim(vip6, frame.mac_text(mac)))


PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda first, vrid, rest: bytes((first, vrid)) + rest,
        st.sampled_from([0x21, 0x31, 0x32, 0x11]),
        st.integers(0, 255),
        st.binary(max_size=40),
    ),
)
VRIDS = st.frozensets(st.integers(0, 255), max_size=20)


@given(
    VRIDS,
    PAYLOADS,
    st.sampled_from([GROUP_V4, IPv4Address("10.0.0.41")]),
    st.integers(253, 255),
    st.integers(0, 10),
)
def test_the_ipv4_filter_is_its_rule(
    vrids: frozenset[int], payload: bytes, destination: IPv4Address, ttl: int, options: int
) -> None:
    header = bytes([0x45 + options]) + bytes(7) + bytes([ttl, 112]) + bytes(2)
    header += bytes(4) + destination.packed + bytes(4 * options)
    kept = run(program(Rule(4, vrids)), header + payload, random=NO_LUCK)
    first, vrid = payload[:2] if len(payload) >= 2 else (0, 0)
    assert (kept > 0) == (judge(vrids, destination, ttl, first, vrid, len(payload)) is None)


@given(
    VRIDS,
    PAYLOADS,
    st.sampled_from([GROUP_V6, IPv6Address("ff02::13"), IPv6Address("fd00::41")]),
    st.integers(253, 255),
)
def test_the_ipv6_filter_is_its_rule(
    vrids: frozenset[int], payload: bytes, destination: IPv6Address, hops: int
) -> None:
    header = bytes([0x60, 0, 0, 0, 0, 0, 112, hops]) + bytes(16) + destination.packed
    kept = run(program(Rule(6, vrids)), payload, network=header + payload, random=NO_LUCK)
    first, vrid = payload[:2] if len(payload) >= 2 else (0, 0)
    assert (kept > 0) == (judge(vrids, destination, hops, first, vrid, len(payload)) is None)


@given(st.binary(max_size=60), st.sampled_from([4, 6]))
def test_no_packet_runs_the_filter_over_its_end(raw: bytes, family: int) -> None:
    rule = Rule(4 if family == 4 else 6, frozenset({51}))
    run(program(rule), raw, network=raw)
