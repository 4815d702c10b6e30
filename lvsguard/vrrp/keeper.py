"""Keeps the addresses of the elections: the address owner, seen from the station.

With a virtual MAC the interface goes up before its addresses come and down after they went.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from lvsguard.core.model import VipAddress
from lvsguard.core.step import AddAddress, RemoveAddress
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import SettingValue, Sysctl
from lvsguard.vrrp import macvlan
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.macvlan import VirtualMac
from lvsguard.vrrp.ownership import AddressOwner


class Keeper:
    """Adds and removes what an instance needs; what could not be done comes back as text."""

    def __init__(self, owner: AddressOwner, sysctl: Sysctl) -> None:
        self._owner = owner
        self._sysctl = sysctl
        self._present: frozenset[VipAddress] = frozenset()
        self._before: dict[str, tuple[SettingValue, ...]] = {}
        """What interfaces had before the first virtual MAC on them."""
        self._made: dict[str, VirtualMac] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether something is still being taken off."""
        return bool(self._dropping)

    async def rest(self) -> None:
        """Wait until all is taken off."""
        while self._dropping:
            await asyncio.wait(self._dropping)

    def watch(self, interfaces: Iterable[str]) -> None:
        """Name the interfaces that VIPs live on."""
        self._owner.watch(interfaces)

    async def find(self, interfaces: Iterable[str]) -> None:
        """Read which addresses there are on these, for ``adopt``. Raises KernelError."""
        self._present = await self._owner.read(interfaces)

    def adopt(self, mine: Instance) -> None:
        """Hold those addresses of an instance that are there already."""
        there = self._present.intersection(mine.addresses)
        self._owner.adopt(there)
        if there and mine.virtual is not None:
            self._made[mine.virtual.name] = mine.virtual

    def holds(self, mine: Instance) -> bool:
        """Whether an address of an instance stands."""
        return not self._owner.held.isdisjoint(mine.addresses)

    def holds_all(self, mine: Instance) -> bool:
        """Whether every address of an instance stands, as far as is known."""
        return self._owner.held.issuperset(mine.addresses)

    def held(self, mine: Instance) -> frozenset[VipAddress]:
        """Addresses of an instance that stand."""
        return self._owner.held.intersection(mine.addresses)

    def drop(self, addresses: Iterable[VipAddress], virtuals: Iterable[VirtualMac]) -> None:
        """Take off what no instance has any more: addresses, then their virtual MACs."""
        steps = [RemoveAddress(one) for one in self._owner.held.intersection(addresses)]
        made = [one for one in virtuals if one.name in self._made]
        if steps or made:
            task = asyncio.ensure_future(self._drop(steps, made))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def _drop(self, steps: list[RemoveAddress], virtuals: list[VirtualMac]) -> None:
        await self._owner.apply(steps)
        for virtual in virtuals:
            del self._made[virtual.name]
            last = all(one.parent != virtual.parent for one in self._made.values())
            before = self._before.pop(virtual.parent, ()) if last else ()
            with contextlib.suppress(KernelError):  # it is down and does no harm
                await macvlan.remove(virtual, self._sysctl, before)

    async def add(self, mine: Instance) -> list[str]:
        """Put the addresses on."""
        if mine.virtual is not None:
            try:
                before = await macvlan.create(mine.virtual, self._sysctl)
                if before:  # none: of IPv6, which changes nothing below
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
        if mine.virtual is not None and mine.virtual.name in self._made:
            try:
                await macvlan.set_up(mine.virtual, up=False)
            except KernelError as error:
                troubles.append(str(error))
        return troubles
