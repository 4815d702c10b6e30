"""Holds the addresses of the elections against the kernel, when its events were lost.

What the kernel tells of is the owner's to put back; here is what nobody told. It decides nothing
about roles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lvsguard.core.event import Event
from lvsguard.core.step import AddAddress
from lvsguard.kernel.port import Addresses, KernelError
from lvsguard.vrrp.ownership import AddressOwner

AGAIN_S: Final = 1.0
"""Until the kernel's events are followed again after they could not be."""


class Mending:
    """An address owner, and what keeps it true."""

    def __init__(
        self,
        addresses: Addresses,
        *,
        emit: Callable[[Event], None],
        failed: Callable[[str], None],
    ) -> None:
        """``failed`` is told what the kernel refused."""
        self._failed = failed
        self._unsettled = asyncio.Event()
        self.owner = AddressOwner(addresses, emit=emit, changed=self._unsettled.set)

    async def follow(self) -> None:
        """Follow the kernel's events for ever."""
        while True:
            try:
                await self.owner.run()
            except KernelError as error:
                self._failed(str(error))
            await asyncio.sleep(AGAIN_S)
            self._unsettled.set()  # what happened meanwhile was not heard

    async def mend(self) -> None:
        """Put back what is missing, whenever something may be. For ever."""
        while True:
            await self._unsettled.wait()
            self._unsettled.clear()
            await self._put_back()

    async def _put_back(self) -> None:
        held = self.owner.held
        try:
            present = await self.owner.read()
        except KernelError as error:
            self._failed(str(error))
            return
        missing = [AddAddress(one) for one in held - present if one in self.owner.held]
        for failure in await self.owner.apply(missing):
            self._failed(failure.message)
