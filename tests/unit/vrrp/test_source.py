"""Which own address adverts come from."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import HeldAddress
from lvsguard.vrrp.source import Sources, choose

VIPS = frozenset({ip_address("10.0.0.8"), ip_address("fe80::8"), ip_address("fd00::8")})


def held(text: str, *, usable: bool = True, secondary: bool = False) -> HeldAddress:
    return HeldAddress(ip_address(text), 24, usable=usable, secondary=secondary)


def v4(
    *addresses: HeldAddress, current: str | None = None, wanted: str | None = None
) -> IPAddress | None:
    return choose(
        addresses,
        family=4,
        link_local=False,
        vips=VIPS,
        current=ip_address(current) if current else None,
        wanted=ip_address(wanted) if wanted else None,
    )


def test_the_primary_address_is_the_source() -> None:
    assert v4(held("10.0.0.41"), held("10.0.0.42")) == ip_address("10.0.0.41")
    both = held("10.0.0.40", secondary=True), held("192.0.2.1")
    assert v4(*both) == ip_address("192.0.2.1")


def test_a_vip_is_never_the_source_even_when_it_is_the_primary_address() -> None:
    after_a_flush = held("10.0.0.8"), held("10.0.0.41", secondary=True)
    assert v4(*after_a_flush) == ip_address("10.0.0.41")
    assert v4(held("10.0.0.8")) is None


def test_the_source_in_use_is_kept_while_it_is_there() -> None:
    two = held("10.0.0.41"), held("10.0.0.42", secondary=True)
    assert v4(*two, current="10.0.0.42") == ip_address("10.0.0.42")
    assert v4(two[0], current="10.0.0.42") == ip_address("10.0.0.41")


def test_the_configured_source_is_that_one_or_none() -> None:
    two = held("10.0.0.41"), held("10.0.0.42")
    assert v4(*two, wanted="10.0.0.42") == ip_address("10.0.0.42")
    assert v4(*two, wanted="10.0.0.43") is None


@pytest.mark.parametrize(("link_local", "expected"), [(True, "fe80::41"), (False, "fd00::41")])
def test_ipv6_has_a_link_local_source_and_another(link_local: bool, expected: str) -> None:
    addresses = [held(one) for one in ("fe80::8", "fd00::8", "fd00::41", "fe80::41")]
    found = choose(addresses, family=6, link_local=link_local, vips=VIPS)
    assert found == ip_address(expected)


def test_an_address_whose_duplicate_detection_is_not_over_is_no_source() -> None:
    tentative = held("fe80::41", usable=False)
    assert choose([tentative], family=6, link_local=True, vips=VIPS) is None


# All sources of an interface.


def test_what_goes_to_the_group_or_a_neighbour_has_a_link_local_source() -> None:
    one = Sources((4, 6), VIPS, ())
    one.update([held("10.0.0.41"), held("fd00::41"), held("fe80::41"), held("fe80::8")])
    for to in ("ff02::12", "fe80::42"):
        assert one.to(ip_address(to)) == ip_address("fe80::41")
    assert one.to(ip_address("fd00::42")) == ip_address("fd00::41")
    assert one.to(ip_address("224.0.0.18")) == ip_address("10.0.0.41")
    assert one.own == {ip_address("10.0.0.41"), ip_address("fd00::41"), ip_address("fe80::41")}


def test_a_family_without_an_address_of_its_own_has_no_source() -> None:
    one = Sources((4, 6), VIPS, ())
    one.update([held("10.0.0.8"), held("fd00::41")])
    assert (one.any(4), one.any(6)) == (False, True)
    assert one.to(ip_address("10.0.0.42")) is None
    one.update(())
    assert (one.any(6), one.own) == (False, frozenset())


def test_a_family_that_no_instance_has_gets_none() -> None:
    one = Sources((4,), VIPS, ())
    one.update([held("10.0.0.41"), held("fe80::41")])
    assert not one.any(6)


def test_each_source_is_kept_while_it_is_there_and_the_configured_one_is_insisted_on() -> None:
    one = Sources((4, 6), VIPS, [ip_address("fd00::9")])
    one.update([held("10.0.0.41")])
    one.update([held("10.0.0.40"), held("10.0.0.41"), held("fd00::41"), held("fe80::41")])
    assert one.to(ip_address("10.0.0.42")) == ip_address("10.0.0.41")
    assert one.to(ip_address("fd00::42")) is None
    assert one.to(ip_address("ff02::12")) == ip_address("fe80::41")
