"""Who says an advert on a second path."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.core.dropped import Reason
from lvsguard.core.model import IPAddress
from lvsguard.vrrp import packet
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, Advert, Wire
from lvsguard.vrrp.reception import Datagram, Note, Received, Rejected
from lvsguard.vrrp.speaker import ADDED, introduce, introduced

VIP, OTHER_VIP = ip_address("10.0.0.8"), ip_address("10.0.0.9")
VIP6 = ip_address("fd00::8")
MAIN, BESIDE = ip_address("10.0.0.41"), ip_address("192.168.7.1")
MAIN6, BESIDE6 = ip_address("fe80::41"), ip_address("fe80::7:1")


def advert(*addresses: IPAddress) -> Advert:
    return Advert(51, 100, 1.0, addresses)


@pytest.mark.parametrize(
    ("vip", "main", "beside", "group"),
    [(VIP, MAIN, BESIDE, GROUP_V4), (VIP6, MAIN6, BESIDE6, GROUP_V6)],
)
def test_over_the_wire_an_introduced_advert_is_itself_again_and_says_who_speaks(
    vip: IPAddress, main: IPAddress, beside: IPAddress, group: IPAddress
) -> None:
    said = introduce(advert(vip), main)
    octets = packet.encode(said, Wire(), beside, group)
    heard = packet.decode(Datagram(octets, beside, group, 255), Wire(), advert(vip))
    assert isinstance(heard, Received)
    assert (heard.advert, heard.speaker) == (advert(vip), main)
    assert Note.ADDRESSES not in heard.notes


def test_it_is_longer_by_what_is_added() -> None:
    assert len(introduce(advert(VIP), MAIN).addresses) == 1 + ADDED


@pytest.mark.parametrize("addresses", [(), (VIP,), (VIP, OTHER_VIP), (GROUP_V4,), (VIP, GROUP_V4)])
def test_an_advert_of_a_main_path_introduces_nobody(addresses: tuple[IPAddress, ...]) -> None:
    assert introduced(advert(*addresses)) == (advert(*addresses), None)


@pytest.mark.parametrize("nobody", ["0.0.0.0", "224.0.0.18", "fe80::41"])
def test_who_cannot_speak_introduces_nobody(nobody: str) -> None:
    said = introduced(advert(VIP, GROUP_V4, ip_address(nobody)))
    assert said == (advert(VIP), None)


def test_an_introduction_alone_is_an_advert_without_addresses() -> None:
    octets = packet.encode(introduce(advert(), MAIN), Wire(), BESIDE, GROUP_V4)
    heard = packet.decode(Datagram(octets, BESIDE, GROUP_V4, 255), Wire(), advert(VIP))
    assert isinstance(heard, Rejected)
    assert heard.reason is Reason.COUNT
