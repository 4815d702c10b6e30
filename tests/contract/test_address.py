"""Addresses and their changes: the same rules in memory and on the real kernel."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from errno import EEXIST, ENODEV
from ipaddress import ip_address

import pytest

from lvsguard.core.model import VipAddress
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.port import (
    AddressCame,
    AddressGone,
    Change,
    ChangesLost,
    KernelError,
    LinkChanged,
)
from tests.support.address_rig import (
    LINK,
    OTHER,
    AddressRig,
    FakeAddressRig,
    LinuxAddressRig,
    linux_address_rig,
)

VIP = VipAddress(LINK, ip_address("10.0.0.8"), 24)
VIP32 = VipAddress(LINK, ip_address("10.0.0.8"), 32)
VIP6 = VipAddress(LINK, ip_address("2001:db8::8"), 64)
ELSEWHERE = VipAddress(OTHER, ip_address("10.0.0.9"), 24)
NOWHERE = VipAddress("none0", ip_address("10.0.0.8"), 24)
EACH = pytest.mark.parametrize("vip", [VIP, VIP32, VIP6, replace(VIP6, prefix=128)], ids=str)
BOTH = (LINK, OTHER)


@pytest.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.kernel)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[AddressRig]:
    if request.param == "fake":
        yield FakeAddressRig()
    else:
        async with linux_address_rig() as real:
            yield real


async def held(rig: AddressRig) -> frozenset[VipAddress]:
    """What the port and everybody else see, without the kernel's own link-local addresses."""
    seen = frozenset(a for a in await rig.addresses.read(BOTH) if not a.address.is_link_local)
    assert seen == rig.witness()
    return seen


@EACH
async def test_an_address_comes_and_goes_once(rig: AddressRig, vip: VipAddress) -> None:
    assert await held(rig) == frozenset()
    assert await rig.addresses.add(vip)
    assert not await rig.addresses.add(vip)
    assert await held(rig) == {vip}
    assert await rig.addresses.remove(vip)
    assert not await rig.addresses.remove(vip)
    assert await held(rig) == frozenset()


async def test_addresses_are_read_of_the_interfaces_that_were_asked_for(rig: AddressRig) -> None:
    for vip in (VIP, VIP6, ELSEWHERE):
        await rig.addresses.add(vip)
    assert await rig.addresses.read([OTHER]) >= {ELSEWHERE}
    assert not await rig.addresses.read([OTHER]) & {VIP, VIP6}
    assert await rig.addresses.read(["none0"]) == frozenset()
    assert await rig.addresses.read([]) == frozenset()
    assert await held(rig) == {VIP, VIP6, ELSEWHERE}


async def test_a_second_ipv4_prefix_is_a_second_address(rig: AddressRig) -> None:
    await rig.addresses.add(VIP)
    assert await rig.addresses.add(VIP32)
    assert await held(rig) == {VIP, VIP32}
    await rig.addresses.remove(VIP)
    assert await held(rig) == {VIP32}


async def test_a_second_ipv6_prefix_is_refused_with_what_to_do(rig: AddressRig) -> None:
    await rig.addresses.add(VIP6)
    other = replace(VIP6, prefix=128)
    with pytest.raises(KernelError, match="another prefix length") as caught:
        await rig.addresses.add(other)
    assert caught.value.errno == EEXIST
    assert await held(rig) == {VIP6}


async def test_a_missing_interface_is_named(rig: AddressRig) -> None:
    with pytest.raises(KernelError, match="there is no interface none0") as caught:
        await rig.addresses.add(NOWHERE)
    assert caught.value.errno == ENODEV
    assert not await rig.addresses.remove(NOWHERE)


async def test_links_are_up_or_down_or_not_there(rig: AddressRig) -> None:
    rig.set_link(OTHER, up=False)
    assert await rig.addresses.links([LINK, OTHER, "none0"]) == {LINK: True, OTHER: False}
    rig.drop_link(OTHER)
    assert await rig.addresses.links([LINK, OTHER]) == {LINK: True}
    assert await rig.addresses.links([]) == {}


async def test_what_somebody_else_does_is_seen_at_the_next_read(rig: AddressRig) -> None:
    await rig.addresses.add(VIP)
    assert await held(rig) == {VIP}
    rig.put(ELSEWHERE)
    assert await held(rig) == {VIP, ELSEWHERE}
    rig.drop(VIP)
    assert await held(rig) == {ELSEWHERE}


async def expect(changes: AsyncIterator[Change], *wanted: Change) -> None:
    """Assert that these changes come, in this order; others, such as IPv6's own, may be between."""
    for change in wanted:
        async with asyncio.timeout(10):
            while await anext(changes) != change:
                pass


@EACH
async def test_addresses_are_reported_whoever_changes_them(
    rig: AddressRig, vip: VipAddress
) -> None:
    changes = rig.addresses.changes()
    rig.put(vip)
    await expect(changes, AddressCame(vip))
    rig.drop(vip)
    await expect(changes, AddressGone(vip))
    # Linux reports an IPv6 address a little later, and not at all when it is gone by then.
    await rig.addresses.add(vip)
    await expect(changes, AddressCame(vip))
    await rig.addresses.remove(vip)
    await expect(changes, AddressGone(vip))


async def test_links_are_reported_when_they_change(rig: AddressRig) -> None:
    changes = rig.addresses.changes()
    rig.set_link(LINK, up=False)
    await expect(changes, LinkChanged(LINK, up=False))
    rig.set_link(LINK, up=True)
    await expect(changes, LinkChanged(LINK, up=True))
    await rig.addresses.add(VIP)
    rig.drop_link(LINK)
    await expect(changes, AddressGone(VIP), LinkChanged(LINK, up=False, present=False))
    rig.add_link(LINK)
    await expect(changes, LinkChanged(LINK, up=False))
    rig.set_link(LINK, up=True)
    await expect(changes, LinkChanged(LINK, up=True))


async def test_changes_count_from_the_call_on(rig: AddressRig) -> None:
    await rig.addresses.add(VIP)
    changes = rig.addresses.changes()
    rig.put(ELSEWHERE)
    async with asyncio.timeout(10):
        first = await anext(changes)
    assert first == AddressCame(ELSEWHERE)


async def test_everybody_who_listens_hears_everything(rig: AddressRig) -> None:
    one, two = rig.addresses.changes(), rig.addresses.changes()
    rig.put(VIP)
    await expect(one, AddressCame(VIP))
    await expect(two, AddressCame(VIP))


async def test_closing_ends_the_changes_of_those_who_wait_and_of_those_who_come_late(
    rig: AddressRig,
) -> None:
    async def follow() -> list[Change]:
        return [change async for change in changes]

    changes = rig.addresses.changes()
    waiting = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await rig.addresses.close()
    async with asyncio.timeout(10):
        assert await waiting == []
        assert [change async for change in changes] == []


@pytest.mark.kernel
async def test_a_renamed_link_goes_and_comes() -> None:
    async with linux_address_rig() as rig:
        changes = rig.addresses.changes()
        await rig.addresses.add(VIP)
        await expect(changes, AddressCame(VIP))
        rig.set_link(LINK, up=False)
        subprocess.run(("ip", "link", "set", LINK, "name", "vip9"), check=True)
        try:
            await expect(
                changes, LinkChanged(LINK, up=False, present=False), LinkChanged("vip9", up=False)
            )
        finally:
            subprocess.run(("ip", "link", "del", "vip9"), check=True)
        await expect(changes, AddressGone(replace(VIP, interface="vip9")))


@pytest.mark.kernel
async def test_an_ipv6_address_is_usable_at_once() -> None:
    """No duplicate address detection: a VIP that is tentative for a second answers nobody."""
    async with linux_address_rig() as rig:
        await rig.addresses.add(VIP6)
        shown = subprocess.run(
            ("ip", "-6", "addr", "show", LINK), capture_output=True, text=True, check=True
        )
        (line,) = [line for line in shown.stdout.splitlines() if "2001:db8::8" in line]
        assert "nodad" in line
        assert "tentative" not in line


@pytest.mark.kernel
async def test_an_ipv6_vip_is_no_source_of_the_directors_own_packets() -> None:
    """Realservers hold the VIP: an answer to a probe that came from it would never leave them."""
    async with linux_address_rig() as rig:
        own = ("ip", "addr", "add", "2001:db8::41/64", "dev", LINK, "nodad")
        subprocess.run(own, check=True)
        await rig.addresses.add(VIP6)
        chosen = subprocess.run(
            ("ip", "-6", "route", "get", "2001:db8::42"), capture_output=True, text=True, check=True
        )
        assert "src 2001:db8::41 " in chosen.stdout


@pytest.mark.kernel
async def test_an_overflow_is_told_and_what_follows_is_heard() -> None:
    """ENOBUFS: nobody reads while more changes than fit the buffer happen."""
    async with linux_address_rig() as rig:
        narrow = LinuxAddresses(receive_buffer=50_000)
        changes = narrow.changes()
        for number in range(250):
            vip = replace(VIP32, address=ip_address(f"10.0.1.{number}"))
            await rig.addresses.add(vip)
        await expect(changes, ChangesLost())
        assert len(await narrow.read([LINK])) >= 250
        rig.drop(vip)
        await expect(changes, AddressGone(vip))
        await narrow.close()


@pytest.mark.kernel
async def test_an_unchanged_interface_reads_as_the_same_set() -> None:
    async with linux_address_rig() as rig:
        await rig.addresses.add(VIP)
        assert await rig.addresses.read([LINK]) is await rig.addresses.read([LINK])
        one = await rig.addresses.read([LINK])
        await rig.addresses.add(ELSEWHERE)
        assert await rig.addresses.read([LINK]) == one
        assert await rig.addresses.read([LINK, OTHER]) == one | {ELSEWHERE} | {
            a for a in await rig.addresses.read([OTHER]) if a.address.is_link_local
        }


@pytest.mark.kernel
async def test_a_link_that_is_made_anew_under_its_name_is_another_link() -> None:
    async with linux_address_rig() as rig:
        await rig.addresses.add(VIP)
        rig.drop_link(LINK)
        rig.add_link(LINK)
        assert await rig.addresses.read([LINK]) == frozenset()
        assert await rig.addresses.add(VIP)
        assert isinstance(rig, LinuxAddressRig)
        assert rig.witness() == {VIP}


@pytest.mark.kernel
async def test_ipv6_that_is_off_is_named() -> None:
    async with linux_address_rig() as rig:
        subprocess.run(("sysctl", "-qw", f"net.ipv6.conf.{LINK}.disable_ipv6=1"), check=True)
        with pytest.raises(KernelError, match="IPv6 is off on this interface"):
            await rig.addresses.add(VIP6)
