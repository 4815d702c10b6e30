"""What a realserver setup may be, and what follows from it."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_interface

import pytest

from lvsguard.kernel.link import Link, LinkAddress
from lvsguard.realserver.model import (
    ArpMode,
    ArpRule,
    RealserverSetup,
    SetupError,
    elsewhere,
    host_interface,
)

VIP = IPv4Address("10.0.0.8")
RIP = IPv4Address("10.0.0.42")


def test_vips_carry_their_full_prefix_so_that_no_route_comes_with_them() -> None:
    setup = RealserverSetup(vips=(VIP, ip_address("fd00::8")))
    assert list(map(str, setup.interfaces)) == ["10.0.0.8/32", "fd00::8/128"]
    assert setup.ipv4_vips == (VIP,)


def test_rules_exist_only_in_the_modes_that_use_them_and_only_for_ipv4() -> None:
    vips = (VIP, ip_address("fd00::8"))
    wanted = {ArpRule(VIP), ArpRule(VIP, RIP)}
    for mode in (ArpMode.ARPTABLES, ArpMode.NFTABLES):
        assert RealserverSetup(vips=vips, rip=RIP, mode=mode).rules == wanted
    for mode in (ArpMode.SYSCTL, ArpMode.NONE):
        assert not RealserverSetup(vips=vips, rip=RIP, mode=mode).rules


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SetupError) as caught:
        RealserverSetup(
            vips=(VIP, VIP, ip_address("224.0.0.1")), rip=VIP, link="a/b", mode=ArpMode.SYSCTL
        )
    assert caught.value.problems == (
        "VIP 10.0.0.8 is given twice: name it once",
        "224.0.0.1 cannot be a VIP: use a unicast address that clients can reach",
        "10.0.0.8 is given as VIP and as RIP: the RIP is this host's own address",
        "link 'a/b': an interface name has no '/', ':' or space and is not '.' or '..'",
    )


@pytest.mark.parametrize("mode", [ArpMode.ARPTABLES, ArpMode.NFTABLES])
@pytest.mark.parametrize("rip", [None, ip_address("fd00::42")])
def test_rule_modes_need_an_ipv4_rip(mode: ArpMode, rip: IPv4Address | None) -> None:
    with pytest.raises(SetupError, match="needs this host's own IPv4 address"):
        RealserverSetup(vips=(VIP,), rip=rip, mode=mode)
    RealserverSetup(vips=(ip_address("fd00::8"),), rip=rip, mode=mode)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "127.0.0.1", "ff02::1", "::1", "fe80::8", "::ffff:10.0.0.8", "fd00::8%2"]
)
def test_an_address_that_clients_cannot_use_is_no_vip(address: str) -> None:
    with pytest.raises(SetupError, match="cannot be a VIP"):
        RealserverSetup(vips=(ip_address(address),))


def test_no_vip_is_a_problem() -> None:
    with pytest.raises(SetupError, match="no VIP is given"):
        RealserverSetup(vips=())


@pytest.mark.parametrize("link", ["", "all", "default", "a" * 16, "eth0:1", "..", "a b"])
def test_a_link_that_the_kernel_would_not_take_is_refused(link: str) -> None:
    with pytest.raises(SetupError, match="link"):
        RealserverSetup(vips=(VIP,), link=link)


@pytest.mark.parametrize("link", ["lo", "ipvs0", "eth0.100", "a" * 15])
def test_a_link_of_any_other_name_is_taken(link: str) -> None:
    assert RealserverSetup(vips=(VIP,), link=link).link == link


def test_elsewhere_counts_only_interfaces_that_can_be_asked() -> None:
    held = (LinkAddress(ip_interface("10.0.0.8/24")), LinkAddress(ip_interface("10.0.0.41/24")))
    ethernet = Link(index=2, name="eth0", addresses=held)
    silent = (
        Link(index=1, name="lo", loopback=True, addresses=held),
        Link(index=3, name="ifb0", no_arp=True, addresses=held),
        Link(index=4, name="ipvs0", kind="dummy", addresses=held),
    )
    setup = RealserverSetup(vips=(VIP,))
    assert elsewhere(setup, silent) == ()
    assert elsewhere(setup, (*silent, ethernet)) == ((ip_interface("10.0.0.8/24"), ethernet),)


def test_host_interface_is_the_address_with_its_full_prefix() -> None:
    assert str(host_interface(ip_address("fd00::8"))) == "fd00::8/128"
