"""Own addresses that come after the start: from then on checks ask from them.

What a check asks from is fixed when the config is read. A director that boots may have no address
by then (DHCP, a link that negotiates), and without one its probes leave from the VIP, whose answers
stay with the realservers: all of them would be down until somebody reloads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from lvsguard.core.config import Config
from lvsguard.core.event import Event, KernelFailed
from lvsguard.core.model import IPAddress
from lvsguard.kernel.port import AddressCame, Change, ChangesLost, KernelError

SETTLE_S: Final = 0.1
"""Addresses seldom come alone: those of one link make one change."""
PAUSE_S: Final = 1.0
"""Least time between two looks: somebody may add and remove addresses all the time."""
PAUSE_MAX_S: Final = 30.0
"""Between looks at a kernel that does not answer."""

Face = Callable[[str], Awaitable[None]]


class LateAddresses:
    """Has the config look for own addresses when one has come."""

    def __init__(self, config: Config, face: Face, emit: Callable[[Event], None]) -> None:
        """``face`` takes over what has come, for an actor; it may raise KernelError."""
        self._face = face
        self._emit = emit
        self._came = asyncio.Event()
        self._what = "an own address came"
        self._vips: frozenset[IPAddress] = frozenset()
        self.configure(config)
        if _lacks(config):  # it may have come between the reading of the config and now
            self._came.set()

    def configure(self, config: Config) -> None:
        """Put another config in force."""
        self._vips = frozenset(one.address for one in config.addresses)

    def follow(self, change: Change) -> None:
        """Take a change that the kernel reports."""
        match change:
            case AddressCame(address) if address.address not in self._vips:
                self._what = f"{address.address} came to {address.interface}"
                self._came.set()
            case ChangesLost():
                self._came.set()

    async def run(self) -> None:
        """Look each time that one has come, until cancelled."""
        pause, told = PAUSE_S, ""
        while True:
            await self._came.wait()
            await asyncio.sleep(SETTLE_S)
            self._came.clear()
            try:
                await self._face(f"the director ({self._what})")
            except KernelError as error:
                if str(error) != told:  # once, however long it lasts
                    told = str(error)
                    self._emit(KernelFailed(told))
                self._came.set()
                pause = min(2 * pause, PAUSE_MAX_S)
            else:
                pause, told = PAUSE_S, ""
            await asyncio.sleep(pause)


def _lacks(config: Config) -> bool:
    """Whether a check has nothing to ask from."""
    return any(
        check.spec.own is None and check.spec.source is None
        for service in config.services
        for realserver in service.realservers
        for check in realserver.checks
    )
