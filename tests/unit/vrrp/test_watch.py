"""Which packets are a claim of a VIP by somebody else, and which are not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from lvsguard.core import frame
from lvsguard.core.bpf import FILTERED_MAX, one_of
from lvsguard.vrrp.watch import Claim, claim_in_arp, claim_in_neighbour
from tests.support.bpf import run

OWN, OTHER = bytes.fromhex("020000000029"), bytes.fromhex("020000000028")
VIP, VIP6 = IPv4Address("10.0.0.8"), IPv6Address("fd00::8")
VIPS, MACS = frozenset({ip_address("10.0.0.8"), ip_address("fd00::8")}), frozenset({OWN})


def test_somebody_elses_gratuitous_arp_is_a_claim() -> None:
    claim = claim_in_arp(frame.gratuitous_arp(OTHER, VIP), VIPS, MACS)
    assert claim == Claim(VIP, "02:00:00:00:00:28")


def test_our_own_arp_is_no_claim() -> None:
    assert claim_in_arp(frame.gratuitous_arp(OWN, VIP), VIPS, MACS) is None


def test_a_question_for_the_vip_is_no_claim() -> None:
    assert claim_in_arp(frame.arp_probe(OTHER, VIP), VIPS, MACS) is None
    asked = frame.parse_neighbour_frame(frame.question(OTHER, VIP6))
    assert asked is not None
    assert claim_in_neighbour(asked, VIPS, MACS) is None


def test_an_address_that_is_no_vip_is_no_claim() -> None:
    assert claim_in_arp(frame.gratuitous_arp(OTHER, IPv4Address("10.0.0.9")), VIPS, MACS) is None


def test_somebody_elses_advertisement_is_a_claim() -> None:
    sent = frame.parse_neighbour_frame(frame.announcement(OTHER, VIP6))
    assert claim_in_neighbour(sent, VIPS, MACS) == Claim(VIP6, "02:00:00:00:00:28")
    ours = frame.parse_neighbour_frame(frame.announcement(OWN, VIP6))
    assert claim_in_neighbour(ours, VIPS, MACS) is None


def test_the_filter_lets_through_what_names_a_vip_as_sender() -> None:
    program = one_of([int(VIP), int(VIP) + 4], 28)
    assert run(program, frame.gratuitous_arp(OTHER, VIP))
    assert run(program, frame.gratuitous_arp(OTHER, IPv4Address("10.0.0.12")))
    assert not run(program, frame.gratuitous_arp(OTHER, IPv4Address("10.0.0.9")))
    assert not run(program, frame.arp_probe(OTHER, VIP))
    assert not run(program, b"short")


def test_the_filter_fits_the_kernel_however_many_vips_there_are() -> None:
    for count in (FILTERED_MAX, FILTERED_MAX + 1):
        program = one_of(range(count), 28)
        assert len(program) <= 4096
        assert run(program, frame.gratuitous_arp(OTHER, IPv4Address(count - 1)))
