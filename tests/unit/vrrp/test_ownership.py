"""The writer of VIP addresses, over addresses in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from errno import EPERM
from ipaddress import ip_address

from lvsguard.core.event import Event, KernelFailed, LinkEvent, Repaired
from lvsguard.core.model import VipAddress
from lvsguard.core.step import AddAddress, RemoveAddress
from lvsguard.vrrp.ownership import LOST, AddressOwner
from tests.support.fake_kernel import FakeAddresses

VIP = VipAddress("eth0", ip_address("10.0.0.8"), 24)
VIP6 = VipAddress("eth0", ip_address("2001:db8::8"), 64)


class Ground:
    """An owner, its kernel, and what it says."""

    def __init__(self) -> None:
        self.kernel = FakeAddresses()
        self.events: list[Event] = []
        self.changes = 0
        self.owner = AddressOwner(self.kernel, emit=self.events.append, changed=self._changed)
        self.owner.watch({"eth0"})

    def _changed(self) -> None:
        self.changes += 1

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """While it follows the kernel's events."""
        task = asyncio.create_task(self.owner.run())
        await self.turns()
        yield
        await self.turns()
        task.cancel()

    async def turns(self) -> None:
        """Let everything that can run do so."""
        for _ in range(20):
            await asyncio.sleep(0)


async def test_what_is_added_is_held_and_what_is_removed_is_not() -> None:
    ground = Ground()
    assert await ground.owner.apply([AddAddress(VIP), AddAddress(VIP6)]) == ()
    assert ground.owner.held == ground.kernel.held == {VIP, VIP6}
    assert await ground.owner.apply([RemoveAddress(VIP)]) == ()
    assert ground.owner.held == ground.kernel.held == {VIP6}


async def test_a_held_address_that_goes_is_put_back_with_one_event() -> None:
    ground = Ground()
    await ground.owner.apply([AddAddress(VIP)])
    async with ground.following():
        ground.kernel.drop(VIP)
        await ground.kernel.until(lambda: VIP in ground.kernel.held)
    assert [type(e) for e in ground.events] == [Repaired]


async def test_an_address_that_it_removed_itself_stays_away() -> None:
    ground = Ground()
    await ground.owner.apply([AddAddress(VIP)])
    async with ground.following():
        await ground.owner.apply([RemoveAddress(VIP)])
    assert ground.kernel.held == set()
    assert ground.events == []


async def test_somebody_elses_address_is_nobodys_business() -> None:
    ground = Ground()
    other = VipAddress("eth0", ip_address("10.0.0.99"), 24)
    async with ground.following():
        ground.kernel.put(other)
        ground.kernel.drop(other)
    assert ground.kernel.held == set()
    assert ground.events == []


async def test_an_address_that_cannot_be_put_back_is_told_and_asked_for_again() -> None:
    ground = Ground()
    await ground.owner.apply([AddAddress(VIP)])
    ground.kernel.fail(EPERM)
    async with ground.following():
        ground.kernel.drop(VIP)
    assert [type(e) for e in ground.events] == [KernelFailed]
    assert ground.owner.held == frozenset()
    assert ground.changes == 1


async def test_a_refused_address_is_a_failure_of_its_step_alone() -> None:
    ground = Ground()
    ground.kernel.fail(EPERM, VIP)
    failures = await ground.owner.apply([AddAddress(VIP), AddAddress(VIP6)])
    assert [f.step for f in failures] == [AddAddress(VIP)]
    assert ground.owner.held == {VIP6}


async def test_a_link_that_changes_is_told_once_each_way() -> None:
    ground = Ground()
    await ground.owner.read()
    async with ground.following():
        ground.kernel.set_link("eth0", up=False)
        ground.kernel.set_link("eth0", up=False)
        ground.kernel.set_link("eth0", up=True)
        ground.kernel.set_link("eth7", up=False)
    assert [str(e) for e in ground.events if isinstance(e, LinkEvent)] == [
        "interface eth0 is down",
        "interface eth0 is up",
    ]
    assert ground.changes == 2
    assert ground.owner.links == {"eth0": True}


async def test_lost_events_are_told_and_make_a_pass_look_again() -> None:
    ground = Ground()
    async with ground.following():
        ground.kernel.lose_changes()
    assert ground.changes == 1
    assert ground.events == [KernelFailed(LOST)]
