"""Segments as IP packets and back, and the envelopes of tun."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import pack

import pytest

from lvsguard.core.checksum import internet_checksum
from lvsguard.core.model import IPAddress, Tunnel, TunnelChecksum, TunnelKind
from lvsguard.probes.segment import ACK, PSH, SYN, Segment, Unreachable, envelope, packet, read

OWN, VIP, RIP = map(IPv4Address, ("10.0.0.41", "10.0.0.8", "10.0.0.42"))
OWN6, VIP6, RIP6 = map(IPv6Address, ("fd00::41", "fd00::8", "fd00::42"))
SEGMENT = Segment(40000, 80, 1, 2, ACK | PSH, 16384, b"GET / HTTP/1.1\r\n\r\n")


def test_a_segment_is_the_bytes_of_rfc_791_and_9293() -> None:
    syn = Segment(40000, 80, 0x01020304, 0, SYN, 16384, mss=1200)
    assert packet(OWN, VIP, syn).hex(" ", 2) == (
        "4500 002c 0000 4000 4006 269c 0a00 0029 0a00 0008"
        " 9c40 0050 0102 0304 0000 0000 6002 4000 a463 0000 0204 04b0"
    )


@pytest.mark.parametrize(("source", "destination"), [(OWN, VIP), (OWN6, VIP6)])
def test_its_checksums_are_right(source: IPAddress, destination: IPAddress) -> None:
    raw = packet(source, destination, SEGMENT)
    head = 20 if source.version == 4 else 40
    if source.version == 4:
        assert internet_checksum(raw[:20]) == 0
    pseudo = source.packed + destination.packed + pack("!IxxxB", len(raw) - head, 6)
    assert internet_checksum(pseudo + raw[head:]) == 0
    assert read(raw) == SEGMENT


def test_a_fragment_and_another_protocol_are_nothing() -> None:
    raw = bytearray(packet(OWN, VIP, SEGMENT))
    raw[6] = 0x20
    assert read(bytes(raw)) is None
    raw[6], raw[9] = 0x40, 17
    assert read(bytes(raw)) is None


def test_what_icmp_says_of_a_segment_is_for_the_port_that_sent_it() -> None:
    quote = packet(OWN, VIP, SEGMENT)[:28]
    raw = packet(RIP, OWN, SEGMENT)
    icmp = (
        raw[:2] + pack("!H", 56) + raw[4:9] + b"\x01" + raw[10:20] + bytes((3, 10, 0, 0)) + bytes(4)
    )
    assert read(icmp + quote) == Unreachable(40000, 1, 10)


@pytest.mark.parametrize(
    ("kind", "protocol", "head"),
    [
        (TunnelKind.IPIP, 4, ""),
        (TunnelKind.GRE, 47, "00000800"),
        (TunnelKind.GUE, 17, "c00117c00046000000040000"),
    ],
)
def test_an_envelope_holds_the_packet_as_it_is(kind: TunnelKind, protocol: int, head: str) -> None:
    inner = packet(OWN, VIP, SEGMENT)
    outer = envelope(Tunnel(kind, 6080), OWN, RIP, 0xC001, inner)
    assert (outer[9], outer[12:16], outer[16:20]) == (protocol, OWN.packed, RIP.packed)
    assert outer[20:] == bytes.fromhex(head) + inner


def test_an_ipv6_packet_in_an_ipv4_envelope_is_protocol_41() -> None:
    outer = envelope(Tunnel(), OWN, RIP, 0, packet(OWN6, VIP6, SEGMENT))
    assert outer[9] == 41


@pytest.mark.parametrize("kind", [TunnelKind.GRE, TunnelKind.GUE])
def test_an_envelope_with_a_checksum_verifies(kind: TunnelKind) -> None:
    outer = envelope(
        Tunnel(kind, 6080, TunnelChecksum.FULL), OWN, RIP, 0xC001, packet(OWN, VIP, SEGMENT)
    )
    covered = outer[20:]
    if kind is TunnelKind.GUE:
        covered = OWN.packed + RIP.packed + pack("!IxxxB", len(covered), 17) + covered
    assert internet_checksum(covered) == 0


def test_udp_over_ipv6_always_has_a_checksum() -> None:
    outer = envelope(Tunnel(TunnelKind.GUE, 6080), OWN6, RIP6, 0xC001, packet(OWN6, VIP6, SEGMENT))
    assert outer[46:48] != b"\0\0"
