"""Keeps the addresses of the elections: the address owner, seen from the station.

With a virtual MAC the interface goes up before its addresses come and down after they went.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from lvsguard.core.model import VipAddress
from lvsguard.core.step import AddAddress, RemoveAddress
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import SettingValue, Sysctl
from lvsguard.vrrp import macvlan
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.ownership import AddressOwner


class Keeper:
    """Adds and removes what an instance needs; what could not be done comes back as text."""

    def __init__(self, owner: AddressOwner, sysctl: Sysctl) -> None:
        self._owner = owner
        self._sysctl = sysctl
        self._present: frozenset[VipAddress] = frozenset()
        self._before: dict[str, tuple[SettingValue, ...]] = {}
        """What interfaces had before the first virtual MAC on them."""
        self._made: dict[str, macvlan.VirtualMac] = {}
        self._dropping: set[asyncio.Future[Any]] = set()

    def watch(self, interfaces: Iterable[str]) -> None:
        """Name the interfaces that VIPs live on."""
        self._owner.watch(interfaces)

    async def find(self) -> None:
        """Read which addresses there are, for ``adopt``. Raises KernelError."""
        self._present = await self._owner.read()

    def adopt(self, mine: Instance) -> None:
        """Hold those addresses of an instance that are there already."""
        self._owner.adopt(self._present.intersection(mine.addresses))

    def holds(self, mine: Instance) -> bool:
        """Whether an address of an instance stands."""
        return not self._owner.held.isdisjoint(mine.addresses)

    def held(self, mine: Instance) -> frozenset[VipAddress]:
        """Addresses of an instance that stand."""
        return self._owner.held.intersection(mine.addresses)

    def drop(self, addresses: Iterable[VipAddress]) -> None:
        """Take off what no instance has any more."""
        steps = [RemoveAddress(one) for one in self._owner.held.intersection(addresses)]
        if steps:
            task = asyncio.ensure_future(self._owner.apply(steps))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    def retire(self, mine: Instance) -> None:
        """The instance is gone; its virtual MAC goes as well, if no other has taken it up."""
        if mine.virtual is not None and mine.virtual.name in self._made and not self.holds(mine):
            task = asyncio.ensure_future(self._unmake(self._made.pop(mine.virtual.name)))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def _unmake(self, virtual: macvlan.VirtualMac) -> None:
        last = all(one.parent != virtual.parent for one in self._made.values())
        before = self._before.pop(virtual.parent, ()) if last else ()
        with contextlib.suppress(KernelError):  # it is down and does no harm
            await macvlan.remove(virtual, self._sysctl, before)

    async def add(self, mine: Instance) -> list[str]:
        """Put the addresses on."""
        if mine.virtual is not None:
            try:
                before = await macvlan.create(mine.virtual, self._sysctl)
                self._before.setdefault(mine.virtual.parent, before)
                self._made[mine.virtual.name] = mine.virtual
                await macvlan.set_up(mine.virtual, up=True)
            except KernelError as error:
                return [str(error)]
        failed = await self._owner.apply([AddAddress(one) for one in mine.addresses])
        return [failure.message for failure in failed]

    async def remove(self, mine: Instance) -> list[str]:
        """Take the addresses off."""
        failed = await self._owner.apply([RemoveAddress(one) for one in mine.addresses])
        troubles = [failure.message for failure in failed]
        if mine.virtual is not None:
            try:
                await macvlan.set_up(mine.virtual, up=False)
            except KernelError as error:
                troubles.append(str(error))
        return troubles
