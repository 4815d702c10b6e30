"""Addresses that went while nobody told of it are put back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from errno import ENOMEM, EPERM

from lvsguard.core.step import AddAddress
from lvsguard.vrrp.mending import Mending
from tests.support.fake_kernel import FakeAddresses
from tests.unit.vrrp.group_message import INTERFACE, SECOND, VIP


class Ground:
    """Its kernel, and what it says."""

    def __init__(self) -> None:
        self.kernel = FakeAddresses({INTERFACE: True})
        self.failed: list[str] = []
        self.mending = Mending(self.kernel, emit=lambda _: None, failed=self.failed.append)
        self.mending.owner.watch({INTERFACE})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While it follows and mends."""
        await self.mending.owner.apply([AddAddress(VIP), AddAddress(SECOND)])
        tasks = [asyncio.create_task(one) for one in (self.mending.follow(), self.mending.mend())]
        await self.turns()
        yield
        await self.turns()
        for task in tasks:
            assert not task.done()
            task.cancel()

    async def turns(self) -> None:
        """Let everything that can run do so."""
        for _ in range(30):
            await asyncio.sleep(0)


async def test_what_went_with_its_event_is_put_back() -> None:
    ground = Ground()
    async with ground.running():
        ground.kernel.drop_silently(VIP)
        await ground.turns()
        assert ground.kernel.held == {SECOND}, "nobody told"
        ground.kernel.lose_changes()
        await ground.kernel.until(lambda: ground.kernel.held == {VIP, SECOND})
    assert ground.failed == []


async def test_what_was_given_up_meanwhile_stays_away() -> None:
    ground = Ground()
    async with ground.running():
        ground.kernel.drop_silently(VIP)
        ground.mending.owner.let_go({VIP})
        ground.kernel.lose_changes()
    assert ground.kernel.held == {SECOND}


async def test_a_read_that_fails_is_told_and_the_next_one_mends() -> None:
    ground = Ground()
    async with ground.running():
        ground.kernel.drop_silently(VIP)
        ground.kernel.fail_reads(ENOMEM)
        ground.kernel.lose_changes()
        await ground.turns()
        (told,) = ground.failed
        assert "injected" in told
        ground.kernel.lose_changes()
        await ground.kernel.until(lambda: VIP in ground.kernel.held)


async def test_an_address_that_the_kernel_refuses_is_told_and_the_others_are_put_back() -> None:
    ground = Ground()
    async with ground.running():
        ground.kernel.drop_silently(VIP)
        ground.kernel.drop_silently(SECOND)
        ground.kernel.fail(EPERM, VIP)
        ground.kernel.lose_changes()
        await ground.kernel.until(lambda: ground.kernel.held == {SECOND})
    assert any("10.0.0.8" in told for told in ground.failed)
