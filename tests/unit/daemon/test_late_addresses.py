"""Own addresses that come after the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from errno import ENOBUFS
from ipaddress import ip_address

import pytest

from lvsguard.core.config import Config
from lvsguard.core.event import Event, KernelFailed
from lvsguard.core.model import VipAddress
from lvsguard.daemon.late_addresses import LateAddresses
from lvsguard.kernel.port import AddressCame, AddressGone, ChangesLost, KernelError, LinkChanged
from tests.support.rig import HTTP, RS1, VIP, config, realserver, service

OWN = VipAddress("eth0", ip_address("10.0.0.41"), 24)
LACKING = config(service(realserver(RS1)))
FACED = config(service(realserver(RS1, spec=replace(HTTP, own=OWN.address))))


class Scene:
    def __init__(self, first: Config = FACED) -> None:
        self.faced: list[str] = []
        self.events: list[Event] = []
        self.failing = 0
        self._looked = asyncio.Event()
        self.late = LateAddresses(first, self._face, self.events.append)

    async def _face(self, actor: str) -> None:
        if self.failing:
            self.failing -= 1
            raise KernelError("cannot list its interfaces: try again", ENOBUFS)
        self.faced.append(actor)
        self._looked.set()

    async def looked(self, within: float = 3.0) -> bool:
        try:
            async with asyncio.timeout(within):
                await self._looked.wait()
        except TimeoutError:
            return False
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.late.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_an_own_address_that_comes_is_looked_for_once() -> None:
    scene = Scene()
    async with scene.running():
        scene.late.follow(AddressCame(replace(OWN, address=ip_address("10.0.0.99"))))
        scene.late.follow(AddressCame(OWN))
        assert await scene.looked()
    assert scene.faced == ["the director (10.0.0.41 came to eth0)"]


@pytest.mark.parametrize(
    "change", [AddressCame(VIP), AddressGone(OWN), LinkChanged("eth0", up=True)]
)
async def test_a_vip_is_no_own_address_and_nothing_else_brings_one(
    change: AddressCame | AddressGone | LinkChanged,
) -> None:
    scene = Scene()
    async with scene.running():
        scene.late.follow(change)
        assert not await scene.looked(0.3)


async def test_it_looks_again_where_changes_were_lost() -> None:
    scene = Scene()
    async with scene.running():
        scene.late.follow(ChangesLost())
        assert await scene.looked()


async def test_it_looks_at_the_start_where_a_check_has_nothing_to_ask_from() -> None:
    scene = Scene(LACKING)
    async with scene.running():
        assert await scene.looked()
    assert scene.faced == ["the director (an own address came)"]


@pytest.mark.slow
async def test_it_tries_again_where_the_kernel_does_not_say_and_tells_that_once() -> None:
    scene = Scene(LACKING)
    scene.failing = 2
    async with scene.running():
        assert await scene.looked(8)
    assert [type(event) for event in scene.events] == [KernelFailed]
