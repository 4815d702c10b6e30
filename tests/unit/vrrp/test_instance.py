"""One instance on the wire: what it is made of, how it speaks, what it believes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.core.dropped import Reason
from lvsguard.core.model import IPAddress
from lvsguard.core.vrrp import HmacAuth
from lvsguard.vrrp import packet
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, TTL, Advert, Version, Wire
from lvsguard.vrrp.auth import next_sequence
from lvsguard.vrrp.instance import NOWHERE, Instance, families, member, standing_on
from lvsguard.vrrp.link import Datagram, Link
from lvsguard.vrrp.reception import Received, Rejected
from lvsguard.vrrp.speaker import introduce
from tests.unit.vrrp.group_message import INTERFACE, SECOND, VIP, VIP6, VRRP, put

PEER = ip_address("10.0.0.41")
OTHER = ip_address("10.0.0.42")
BESIDE, PEER_BESIDE = "lvsg-beside", ip_address("192.168.7.1")
KEYS = HmacAuth({1: b"x" * 32}, 1)
WALL = 1_700_000_000.0


def said(
    mine: Instance, source: IPAddress = PEER, sequence: int | None = None, priority: int = 150
) -> Datagram:
    """An advert of another director for the VIP of an instance."""
    settings = mine.settings
    advert = Advert(settings.vrid, priority, 1.0, settings.addresses, settings.version)
    wire = Wire(version=settings.version, auth=mine.auth)
    octets = packet.encode(advert, wire, source, mine.destination, sequence)
    return Datagram(INTERFACE, source, mine.destination, TTL, octets)


def signed(mine: Instance) -> Datagram:
    """The same with the trailer that it signs with."""
    return said(mine, sequence=next_sequence(None, WALL, None))


# What it is made of.


def test_a_vip_group_has_an_instance_for_each_family_that_it_has_addresses_of() -> None:
    assert families(put(VIP, SECOND)) == (4,)
    assert families(put(VIP6)) == (6,)
    assert families(put(VIP6, VIP)) == (4, 6)


def test_each_takes_the_addresses_of_its_family() -> None:
    group = put(VIP, VIP6, SECOND)
    four, six = Instance(group, 4), Instance(group, 6)
    assert (four.name, six.name) == (member("web", 4), "web/6")
    assert (four.addresses, six.addresses) == ((VIP, SECOND), (VIP6,))
    assert four.settings.addresses == (VIP.address, SECOND.address)
    assert (four.place, six.place) == (f"{INTERFACE}/4/51", f"{INTERFACE}/6/51")
    assert (four.destination, six.destination) == (GROUP_V4, GROUP_V6)


def test_it_speaks_from_the_address_of_its_family_that_the_config_names() -> None:
    group = put(
        VIP,
        VIP6,
        vrrp=replace(VRRP, source=ip_address("10.0.0.40"), source6=ip_address("fe80::40")),
    )
    assert str(Instance(group, 4).source) == str(Instance(group, 4).settings.local) == "10.0.0.40"
    assert str(Instance(group, 6).source) == "fe80::40"
    plain = Instance(put(VIP, VIP6), 6)
    assert plain.source is None
    assert plain.settings.local == NOWHERE[6]


def test_with_peers_of_its_family_it_speaks_to_them_and_not_to_the_group() -> None:
    group = put(VIP, VIP6, vrrp=replace(VRRP, peers=(OTHER, PEER, ip_address("fe80::41"))))
    assert Instance(group, 4).destination == PEER
    assert Instance(group, 6).destination == ip_address("fe80::41")
    assert Instance(put(VIP, VIP6, vrrp=replace(VRRP, peers=(PEER,))), 6).destination == GROUP_V6


def test_a_heartbeat_is_another_path_of_the_same_instance() -> None:
    mine = Instance(put(VIP, vrrp=replace(VRRP, heartbeat=(BESIDE,))), 4)
    assert mine.paths == (INTERFACE, BESIDE)
    assert mine.interface == INTERFACE


def test_a_virtual_mac_has_the_addresses_on_an_interface_of_its_own() -> None:
    group = put(VIP, VIP6, vrrp=replace(VRRP, virtual_mac=True))
    four, six = Instance(group, 4), Instance(group, 6)
    assert four.virtual is not None
    assert six.virtual is not None
    assert four.addresses == (replace(VIP, interface=four.virtual.name),)
    assert four.interface == INTERFACE, "adverts go out of the one below"
    assert standing_on(group) == {four.virtual.name, six.virtual.name}
    assert standing_on(put(VIP, VIP6)) == {INTERFACE}


# What it hears.


@pytest.fixture
def beside() -> Instance:
    """An instance with a second path, and peers on its main one."""
    more = replace(VRRP, heartbeat=(BESIDE,), peers=(PEER,), unicast_ttl=254)
    return Instance(put(VIP, vrrp=more), 4)


def test_over_a_second_path_it_hears_who_speaks_and_not_where_from(beside: Instance) -> None:
    advert = Advert(51, 150, 1.0, (VIP.address,))
    octets = packet.encode(introduce(advert, PEER), Wire(), PEER_BESIDE, GROUP_V4)
    heard = beside.hear(Datagram(BESIDE, PEER_BESIDE, GROUP_V4, TTL, octets), WALL)
    assert isinstance(heard, Received)
    assert (heard.advert, heard.speaker, heard.notes) == (advert, PEER, frozenset())


def test_peers_are_those_of_the_main_path_and_the_second_one_is_multicast(beside: Instance) -> None:
    on_main = said(beside)
    assert isinstance(beside.hear(on_main, WALL), Received)
    stray = beside.hear(replace(on_main, interface=BESIDE), WALL)
    assert isinstance(stray, Rejected)
    assert stray.reason is Reason.CAST
    routed = beside.hear(replace(on_main, interface=BESIDE, ttl=254), WALL)
    assert isinstance(routed, Rejected)
    assert routed.reason is Reason.TTL


@pytest.mark.parametrize(("asked", "least"), [(None, 255), (64, 64), (1, 1)])
def test_a_peers_advert_comes_from_the_same_link_unless_the_config_allows_more(
    asked: int | None, least: int
) -> None:
    mine = Instance(put(VIP, vrrp=replace(VRRP, peers=(PEER,), unicast_ttl=asked)), 4)
    assert isinstance(mine.hear(replace(said(mine), ttl=least), WALL), Received)
    forged = mine.hear(replace(said(mine), ttl=least - 1), WALL)
    assert isinstance(forged, Rejected)
    assert forged.reason is Reason.TTL


def test_a_peer_over_ipv6_may_send_with_its_kernels_own_hop_limit() -> None:
    peer = ip_address("fd00::41")
    mine = Instance(put(VIP6, vrrp=replace(VRRP, peers=(peer,))), 6)
    assert isinstance(mine.hear(replace(said(mine, peer), ttl=64), WALL), Received)


@pytest.mark.parametrize("version", [Version.V2, Version.V3])
def test_an_advert_for_it_is_believed_and_counted(version: Version) -> None:
    mine = Instance(put(VIP, vrrp=replace(VRRP, version=version)), 4)
    heard = mine.hear(said(mine), WALL)
    assert isinstance(heard, Received)
    assert heard.advert.priority == 150
    assert (mine.received, mine.rejected) == (1, {})


def test_one_that_gives_up_is_counted() -> None:
    mine = Instance(put(VIP), 4)
    for priority in (0, 150):
        assert isinstance(mine.hear(said(mine, priority=priority), WALL), Received)
    assert (mine.received, mine.resignations) == (2, 1)


def test_what_is_not_believed_is_counted_by_its_reason() -> None:
    mine = Instance(put(VIP), 4)
    good = said(mine)
    for _ in range(2):
        heard = mine.hear(replace(good, ttl=64), WALL)
        assert isinstance(heard, Rejected)
    spoiled = replace(good, payload=bytes([*good.payload[:-1], good.payload[-1] ^ 1]))
    mine.hear(spoiled, WALL)
    assert mine.received == 0
    assert mine.rejected == {Reason.TTL: 2, Reason.CHECKSUM: 1}


def test_a_stranger_is_not_believed_where_peers_are_configured() -> None:
    mine = Instance(put(VIP, vrrp=replace(VRRP, peers=(PEER,))), 4)
    mine.hear(said(mine), WALL)
    mine.hear(said(mine, source=OTHER), WALL)
    assert (mine.received, mine.rejected) == (1, {Reason.PEER: 1})


def test_what_was_heard_once_is_no_advert_a_second_time_when_it_is_signed() -> None:
    mine = Instance(put(VIP, vrrp=replace(VRRP, auth=KEYS)), 4)
    advert = signed(mine)
    assert isinstance(mine.hear(advert, WALL), Received)
    again = mine.hear(advert, WALL)
    assert isinstance(again, Rejected)
    assert again.reason is Reason.HMAC_REPLAY


def test_the_same_advert_over_another_path_is_no_replay_though_it_has_the_same_source() -> None:
    """VLANs of one card have one MAC address, and so one link-local address."""
    mine = Instance(put(VIP, vrrp=replace(VRRP, auth=KEYS, heartbeat=(BESIDE,))), 4)
    advert = signed(mine)
    for interface in (advert.interface, BESIDE):
        assert isinstance(mine.hear(replace(advert, interface=interface), WALL), Received)
        assert isinstance(mine.hear(replace(advert, interface=interface), WALL), Rejected)


def test_under_a_new_config_it_goes_on_counting_and_guarding_against_replays() -> None:
    before = Instance(put(VIP, vrrp=replace(VRRP, auth=KEYS)), 4)
    advert = signed(before)
    before.hear(advert, WALL)
    before.hear(replace(advert, ttl=64), WALL)
    before.sent, before.conflicts, before.claims = 7, 2, 3
    before.resigned, before.resignations, before.late = 4, 5, 6
    after = Instance(put(VIP, SECOND, vrrp=replace(VRRP, auth=KEYS)), 4)
    after.inherit(before)
    assert (after.sent, after.received, after.conflicts, after.claims) == (7, 1, 2, 3)
    assert (after.resigned, after.resignations, after.late) == (4, 5, 6)
    assert after.rejected == {Reason.TTL: 1}
    again = after.hear(advert, WALL)
    assert isinstance(again, Rejected)
    assert again.reason is Reason.HMAC_REPLAY


# What it says.


def test_where_no_advert_can_go_out_it_says_why_for_each_path_and_counts_none() -> None:
    mine = Instance(put(VIP, vrrp=replace(VRRP, heartbeat=(BESIDE,))), 4)
    links = [Link(name, {4: {51}}) for name in mine.paths]
    try:
        troubles = mine.say(Advert(51, 100, 1.0, (VIP.address,)), PEER, links, WALL)
    finally:
        for link in links:
            link.close()
    assert [one.split(":")[0] for one in troubles] == [
        f"no advert goes out of {INTERFACE}",
        f"no advert goes out of {BESIDE}",
    ]
    assert all("there is no interface" in one for one in troubles)
    assert mine.sent == 0
