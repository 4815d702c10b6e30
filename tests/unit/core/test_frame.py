"""The frames that announce and ask: what is in them, and what is not read."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from lvsguard.core import frame
from lvsguard.core.frame import ArpOperation
from tests.support.golden import Golden

MAC = bytes.fromhex("020000000029")
VIP, VIP6 = IPv4Address("10.0.0.8"), IPv6Address("fd00::8")


def test_the_frames_are_the_ones_that_are_kept(golden: Golden) -> None:
    frames = {
        "gratuitous ARP": frame.announcement(MAC, VIP),
        "ARP probe": frame.question(MAC, VIP),
        "unsolicited NA of a router": frame.announcement(MAC, VIP6, router=True),
        "unsolicited NA of a host": frame.announcement(MAC, VIP6),
        "NS of duplicate address detection": frame.question(MAC, VIP6),
    }
    golden.check("vrrp/frames.txt", "".join(f"{k}\n  {v.hex(' ', 2)}\n" for k, v in frames.items()))


def test_a_gratuitous_arp_names_the_address_twice() -> None:
    arp = frame.parse_arp(frame.gratuitous_arp(MAC, VIP))
    assert arp == frame.Arp(ArpOperation.REQUEST, MAC, VIP, frame.BROADCAST, VIP, MAC)


def test_a_probe_comes_from_no_address() -> None:
    arp = frame.parse_arp(frame.arp_probe(MAC, VIP))
    assert arp == frame.Arp(ArpOperation.REQUEST, MAC, IPv4Address(0), bytes(6), VIP, MAC)


@pytest.mark.parametrize("router", [False, True])
def test_an_unsolicited_advertisement_overrides_and_tells_the_mac(router: bool) -> None:
    read = frame.parse_neighbour_frame(frame.unsolicited_advertisement(MAC, VIP6, router=router))
    assert read == frame.Neighbour(
        advertisement=True,
        target=VIP6,
        mac=MAC,
        source=VIP6,
        destination=IPv6Address("ff02::1"),
        router=router,
        override=True,
        source_mac=MAC,
    )


def test_duplicate_detection_tells_no_mac_and_goes_to_the_solicited_node() -> None:
    sent = frame.duplicate_solicitation(MAC, IPv6Address("fd00::12:3456"))
    assert sent.startswith(bytes.fromhex("3333ff123456"))
    read = frame.parse_neighbour_frame(sent)
    assert read is not None
    assert (read.advertisement, read.mac, read.source) == (False, b"", IPv6Address(0))
    assert read.destination == IPv6Address("ff02::1:ff12:3456")


def test_padding_behind_a_frame_is_ignored() -> None:
    for sent in (frame.gratuitous_arp(MAC, VIP), frame.announcement(MAC, VIP6)):
        padded = sent + bytes(60)
        assert frame.parse_arp(padded) == frame.parse_arp(sent)
        assert frame.parse_neighbour_frame(padded) == frame.parse_neighbour_frame(sent)


def test_a_wrong_checksum_is_not_read() -> None:
    good = frame.announcement(MAC, VIP6)
    for at in range(14 + 40, len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x10
        assert frame.parse_neighbour_frame(bytes(bad)) is None, at


def test_an_advertisement_that_passed_a_router_is_not_read() -> None:
    forwarded = bytearray(frame.announcement(MAC, VIP6))
    forwarded[14 + 7] = 254
    assert frame.parse_neighbour_frame(bytes(forwarded)) is None


@pytest.mark.parametrize(
    ("at", "value"),
    [(12, 0x86), (15, 6), (17, 1), (18, 8), (19, 6), (21, 3)],
    ids=["ethertype", "hardware", "protocol", "mac length", "address length", "operation"],
)
def test_another_kind_of_arp_is_not_read(at: int, value: int) -> None:
    bad = bytearray(frame.gratuitous_arp(MAC, VIP))
    bad[at] = value
    assert frame.parse_arp(bytes(bad)) is None


def test_mac_addresses_are_read_and_written() -> None:
    assert frame.mac_bytes("02:00:00:00:00:29") == MAC
    assert frame.mac_text(MAC) == "02:00:00:00:00:29"
    for wrong in ("", "02:00", "02:00:00:00:00:00:29", "0200:00000029"):
        with pytest.raises(ValueError, match=r"write it like|non-hexadecimal"):
            frame.mac_bytes(wrong)


def test_a_question_names_who_asks_so_that_the_answer_comes_back() -> None:
    own, asked = IPv4Address("10.0.0.41"), IPv4Address("10.0.0.42")
    to = bytes.fromhex("02000000002a")
    for whom, ethernet in ((b"", frame.BROADCAST), (to, to)):
        raw = frame.request(MAC, own, asked, whom)
        arp = frame.parse_arp(raw)
        assert arp is not None
        assert raw[:6] == ethernet
        assert (arp.operation, arp.sender, arp.target) == (ArpOperation.REQUEST, own, asked)
        assert (arp.sender_mac, arp.source_mac) == (MAC, MAC)


def test_a_question_over_ipv6_goes_to_one_host_or_to_its_group() -> None:
    own, asked = IPv6Address("fd00::41"), IPv6Address("fd00::42")
    to = bytes.fromhex("02000000002a")
    for whom, link, destination in (
        (b"", "3333ff000042", IPv6Address("ff02::1:ff00:42")),
        (to, "02000000002a", asked),
    ):
        raw = frame.request(MAC, own, asked, whom)
        found = frame.parse_neighbour_frame(raw)
        assert found is not None
        assert raw[:6].hex() == link
        assert (found.advertisement, found.target, found.mac) == (False, asked, MAC)
        assert (found.source, found.destination) == (own, destination)


def test_a_question_across_families_is_an_error() -> None:
    with pytest.raises(ValueError, match="name two of one family"):
        frame.request(MAC, IPv4Address("10.0.0.41"), IPv6Address("fd00::42"))
