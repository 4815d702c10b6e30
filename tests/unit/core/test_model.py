"""Keys are values, and print as people and ipvsadm write them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.core.model import (
    Family,
    IPAddress,
    Protocol,
    RealserverKey,
    ServiceKey,
    VipAddress,
    endpoint,
)
from tests.unit.core.sample import MARK, ON_ETH0, ONE, VIP, WEB

SIX: IPAddress = ip_address("2001:db8::8")


@pytest.mark.parametrize(
    ("address", "port", "text"),
    [
        (VIP, 80, "10.0.0.8:80"),
        (VIP, 0, "10.0.0.8"),
        (SIX, 80, "[2001:db8::8]:80"),
        (SIX, 0, "2001:db8::8"),
    ],
)
def test_an_endpoint_has_brackets_only_where_a_port_follows(
    address: IPAddress, port: int, text: str
) -> None:
    assert endpoint(address, port) == text
    assert str(RealserverKey(address, port)) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (WEB, "tcp 10.0.0.8:80"),
        (ServiceKey.at(Protocol.UDP, SIX, 53), "udp [2001:db8::8]:53"),
        (ServiceKey.at(Protocol.TCP, VIP, 0), "tcp 10.0.0.8"),
        (MARK, "fwmark 7"),
        (ServiceKey.marked(7, Family.INET6), "fwmark 7 inet6"),
    ],
)
def test_a_service_key_prints_for_people(key: ServiceKey, text: str) -> None:
    assert str(key) == text


def test_the_family_follows_from_the_address() -> None:
    assert WEB.family is Family.INET
    assert ServiceKey.at(Protocol.TCP, SIX, 80).family is Family.INET6


def test_equal_keys_are_one_key() -> None:
    again = ServiceKey.at(Protocol("tcp"), ip_address("10.0.0.8"), 80)
    assert {WEB: 1, again: 2} == {WEB: 2}
    assert {ONE: 1, RealserverKey(ip_address("10.0.0.42"), 80): 2} == {ONE: 2}


@pytest.mark.parametrize(
    "other",
    [
        ServiceKey.at(Protocol.UDP, VIP, 80),
        ServiceKey.at(Protocol.TCP, VIP, 443),
        ServiceKey.at(Protocol.TCP, ip_address("10.0.0.9"), 80),
        ServiceKey.at(Protocol.TCP, SIX, 80),
        MARK,
    ],
)
def test_protocol_address_and_port_all_tell_services_apart(other: ServiceKey) -> None:
    assert other != WEB


def test_one_mark_is_two_services_one_for_each_family() -> None:
    assert ServiceKey.marked(7) != ServiceKey.marked(7, Family.INET6)
    assert ServiceKey.marked(7) != ServiceKey.marked(8)


def test_a_vip_on_another_interface_or_with_another_prefix_is_another_entry() -> None:
    assert len({ON_ETH0, VipAddress("eth0", VIP, 32), VipAddress("eth1", VIP, 24)}) == 3
    assert str(ON_ETH0) == "10.0.0.8/24 dev eth0"
