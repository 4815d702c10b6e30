"""What check says of a realserver: every item right, each mistake, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsguard.kernel.link import Link, LinkAddress
from lvsguard.realserver.arp import announce_is_quiet, effective, ignore_is_quiet
from lvsguard.realserver.check import CheckItem, Outcome, judge, passed
from lvsguard.realserver.model import ArpMode, ArpRule, RealserverSetup
from lvsguard.realserver.observe import Name, Observed

VIP, RIP, VIP6 = IPv4Address("10.0.0.8"), IPv4Address("10.0.0.42"), ip_address("fd00::8")


def addresses(*texts: str) -> tuple[LinkAddress, ...]:
    return tuple(LinkAddress(ip_interface(text)) for text in texts)


LO = Link(index=1, name="lo", up=True, loopback=True, addresses=addresses("127.0.0.1/8"))
ETH0 = Link(index=2, name="eth0", up=True, addresses=addresses("10.0.0.42/24", "fd00::42/64"))
ETH1 = Link(index=3, name="eth1", up=True, addresses=addresses("192.168.1.42/24"))
IPVS0 = Link(
    index=4,
    name="ipvs0",
    kind="dummy",
    up=True,
    no_arp=True,
    addresses=addresses("10.0.0.8/32", "fd00::8/128"),
)
QUIET: dict[Name, int] = {("ipv4", "all", "arp_ignore"): 1, ("ipv4", "all", "arp_announce"): 2}
SETUP = RealserverSetup(vips=(VIP, VIP6), rip=RIP)
RIGHT = Observed(links=(LO, ETH0, ETH1, IPVS0), settings=QUIET, default_links=frozenset({2}))


def wrong(items: tuple[CheckItem, ...]) -> list[tuple[str, str]]:
    return [(item.name, item.subject) for item in items if item.outcome is Outcome.WRONG]


def warned(items: tuple[CheckItem, ...]) -> list[tuple[str, str]]:
    return [(item.name, item.subject) for item in items if item.outcome is Outcome.WARNING]


def with_links(*links: Link) -> Observed:
    return replace(RIGHT, links=links)


def with_settings(**values: int) -> Observed:
    """Keys are link__key, for ipv4."""
    more: dict[Name, int] = {
        ("ipv4", link, key): value
        for name, value in values.items()
        for link, _, key in [name.partition("__")]
    }
    return replace(RIGHT, settings={**QUIET, **more})


def test_a_right_realserver_has_only_right_items() -> None:
    items = judge(SETUP, RIGHT)
    assert {item.outcome for item in items} == {Outcome.OK}
    assert passed(items)
    assert [f"{item.name} {item.subject}" for item in items] == [
        "link ipvs0",
        "vip 10.0.0.8",
        "vip fd00::8",
        "vip-elsewhere 10.0.0.8",
        "vip-elsewhere fd00::8",
        "arp-ignore eth0",
        "arp-announce eth0",
        "arp-ignore eth1",
        "arp-announce eth1",
        "nd fd00::8",
        "rip 10.0.0.42",
        "rp-filter eth0",
        "rp-filter eth1",
    ]


def test_every_item_that_is_not_right_says_what_to_do() -> None:
    bad = Observed(links=(LO, replace(ETH0, addresses=IPVS0.addresses)), rules_unknown="no tool")
    for mode in ArpMode:
        for item in judge(replace(SETUP, mode=mode), bad):
            assert bool(item.remedy) == (item.outcome is not Outcome.OK), item


def test_a_missing_link_is_wrong_and_so_are_its_vips() -> None:
    items = judge(SETUP, with_links(LO, ETH0, ETH1))
    assert wrong(items) == [("link", "ipvs0"), ("vip", "10.0.0.8"), ("vip", "fd00::8")]
    assert not passed(items)


def test_a_link_that_is_down_is_wrong() -> None:
    items = judge(SETUP, with_links(LO, ETH0, ETH1, replace(IPVS0, up=False)))
    assert wrong(items) == [("link", "ipvs0")]
    assert items[0].remedy == "ip link set ipvs0 up"


@pytest.mark.parametrize("prefix", ["10.0.0.8/24", "10.0.0.8/31"])
def test_a_vip_with_a_networks_prefix_is_wrong_even_beside_the_right_one(prefix: str) -> None:
    link = replace(IPVS0, addresses=addresses(prefix, "10.0.0.8/32", "fd00::8/128"))
    items = judge(SETUP, with_links(LO, ETH0, ETH1, link))
    assert wrong(items) == [("vip", "10.0.0.8")]
    assert f"ip addr del {prefix} dev ipvs0" in items[1].remedy


def test_a_vip_that_failed_duplicate_detection_is_wrong() -> None:
    held = (*addresses("10.0.0.8/32"), LinkAddress(ip_interface("fd00::8/128"), settled=False))
    items = judge(SETUP, with_links(LO, ETH0, ETH1, replace(IPVS0, addresses=held)))
    assert wrong(items) == [("vip", "fd00::8")]


def test_a_vip_on_an_interface_that_can_be_asked_is_wrong() -> None:
    eth0 = replace(ETH0, addresses=(*ETH0.addresses, *addresses("10.0.0.8/24", "fd00::8/64")))
    items = judge(SETUP, with_links(LO, eth0, ETH1, IPVS0))
    assert wrong(items) == [
        ("vip-elsewhere", "10.0.0.8"),
        ("vip-elsewhere", "fd00::8"),
        ("nd", "fd00::8"),
    ]


def test_a_vip_on_lo_as_well_harms_nothing() -> None:
    lo = replace(LO, addresses=(*LO.addresses, *addresses("10.0.0.8/32")))
    assert passed(judge(SETUP, with_links(lo, ETH0, ETH1, IPVS0)))


def test_the_vips_may_be_on_lo() -> None:
    lo = replace(LO, addresses=(*LO.addresses, *IPVS0.addresses))
    assert passed(judge(replace(SETUP, link="lo"), with_links(lo, ETH0, ETH1)))


def test_an_ethernet_as_the_link_is_wrong_because_it_answers() -> None:
    eth1 = replace(ETH1, addresses=IPVS0.addresses)
    items = judge(replace(SETUP, link="eth1"), with_links(LO, ETH0, eth1))
    assert ("vip-elsewhere", "10.0.0.8") in wrong(items)


def test_the_settings_of_the_vips_own_link_alone_do_not_help() -> None:
    settings: dict[Name, int] = {
        ("ipv4", "ipvs0", "arp_ignore"): 1,
        ("ipv4", "ipvs0", "arp_announce"): 2,
    }
    items = judge(SETUP, replace(RIGHT, settings=settings))
    assert wrong(items) == [
        (name, link) for link in ("eth0", "eth1") for name in ("arp-ignore", "arp-announce")
    ]


def test_the_settings_of_the_receiving_interfaces_alone_are_enough() -> None:
    settings: dict[Name, int] = {
        ("ipv4", link, key): value
        for link in ("eth0", "eth1")
        for key, value in (("arp_ignore", 1), ("arp_announce", 2))
    }
    assert passed(judge(SETUP, replace(RIGHT, settings=settings)))


def test_an_interfaces_arp_ignore_of_3_undoes_that_of_all() -> None:
    items = judge(SETUP, with_settings(eth0__arp_ignore=3))
    assert wrong(items) == [("arp-ignore", "eth0")]
    item = next(item for item in items if item.outcome is Outcome.WRONG)
    assert item.remedy == "sysctl -w net/ipv4/conf/eth0/arp_ignore=1"


def test_an_interface_that_answers_nothing_at_all_is_a_warning() -> None:
    items = judge(SETUP, with_settings(eth0__arp_ignore=8))
    assert warned(items) == [("arp-ignore", "eth0")]
    assert passed(items)


def test_arp_announce_of_1_is_not_enough() -> None:
    assert ("arp-announce", "eth0") in wrong(judge(SETUP, with_settings(all__arp_announce=1)))


def test_interfaces_that_are_down_are_not_judged() -> None:
    eth1 = replace(ETH1, up=False)
    subjects = {item.subject for item in judge(SETUP, with_links(LO, ETH0, eth1, IPVS0))}
    assert "eth1" not in subjects


@pytest.mark.parametrize("mode", [ArpMode.ARPTABLES, ArpMode.NFTABLES])
def test_each_missing_rule_is_wrong_and_settings_do_not_matter(mode: ArpMode) -> None:
    setup = replace(SETUP, mode=mode)
    bare = replace(RIGHT, settings={})
    assert passed(judge(setup, replace(bare, rules=setup.rules)))
    half = judge(setup, replace(bare, rules=frozenset({ArpRule(VIP)})))
    assert wrong(half) == [("arp-rules", "10.0.0.8")]
    another = judge(setup, replace(bare, rules=frozenset({ArpRule(VIP), ArpRule(VIP, VIP)})))
    assert wrong(another) == [("arp-rules", "10.0.0.8")]


def test_rules_that_cannot_be_read_are_wrong() -> None:
    setup = replace(SETUP, mode=ArpMode.ARPTABLES)
    items = judge(setup, replace(RIGHT, rules_unknown="arptables is not installed: install it"))
    assert wrong(items) == [("arp-rules", "arptables")]


def test_a_dropping_rule_turns_a_vip_elsewhere_into_a_warning() -> None:
    setup = replace(SETUP, mode=ArpMode.ARPTABLES, vips=(VIP,))
    eth0 = replace(ETH0, addresses=(*ETH0.addresses, *addresses("10.0.0.8/24")))
    items = judge(setup, replace(with_links(LO, eth0, IPVS0), rules=setup.rules))
    assert warned(items) == [("vip-elsewhere", "10.0.0.8")]
    assert passed(items)


def test_without_a_mode_loud_arp_is_a_warning() -> None:
    setup = replace(SETUP, mode=ArpMode.NONE)
    items = judge(setup, replace(RIGHT, settings={}))
    assert passed(items)
    assert ("arp-ignore", "eth0") in warned(items)
    assert not warned(judge(setup, RIGHT))


def test_ipv6_alone_needs_no_arp_settings() -> None:
    setup = RealserverSetup(vips=(VIP6,), rip=ip_address("fd00::42"))
    items = judge(setup, replace(RIGHT, settings={}))
    assert passed(items)
    assert not [item for item in items if item.name.startswith("arp")]


def test_proxied_neighbour_discovery_is_a_warning() -> None:
    settings: dict[Name, int] = {
        **QUIET,
        ("ipv6", "eth0", "proxy_ndp"): 1,
        ("ipv6", "eth0", "forwarding"): 1,
    }
    assert warned(judge(SETUP, replace(RIGHT, settings=settings))) == [("nd", "fd00::8")]


def test_a_rip_that_is_not_here_is_wrong() -> None:
    setup = replace(SETUP, rip=IPv4Address("10.0.0.43"))
    assert wrong(judge(setup, RIGHT)) == [("rip", "10.0.0.43")]


def test_strict_reverse_path_filtering_matters_where_the_default_route_is_not() -> None:
    items = judge(SETUP, with_settings(all__rp_filter=1))
    assert warned(items) == [("rp-filter", "eth1")]
    assert passed(items)
    assert not warned(judge(SETUP, with_settings(all__rp_filter=1, eth1__rp_filter=2)))


@given(st.integers(0, 9), st.integers(0, 9))
def test_the_larger_value_counts(everywhere: int, interface: int) -> None:
    value = effective(everywhere, interface)
    items = judge(SETUP, with_settings(all__arp_ignore=everywhere, eth0__arp_ignore=interface))
    assert (("arp-ignore", "eth0") in wrong(items)) == (not ignore_is_quiet(value))


def test_which_values_are_quiet() -> None:
    assert [value for value in range(10) if ignore_is_quiet(value)] == [1, 2, 8]
    assert [value for value in range(10) if announce_is_quiet(value)] == [2]
