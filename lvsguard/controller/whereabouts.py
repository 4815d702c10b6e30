"""Finds out from the kernel which realserver has a MAC address that no prober has met: one without
a check, or whose checks do without ARP.

Only while somebody claims a VIP and has no name. The kernel's own neighbour table is read; for whom
it knows nothing it is had to ask, for a few at a time: the table is small, and what is forwarded
needs its room.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from math import inf
from typing import Final, Protocol

from lvsguard.controller.neighbours import Neighbours
from lvsguard.core.model import IPAddress
from lvsguard.kernel.nexthop import Neighbour, NextHop, Paths
from lvsguard.kernel.port import KernelError
from lvsguard.serving import Slices

TICK_S: Final = 1.0
FIRST_S: Final = 1.0
"""After the first look: whom the kernel was had to ask has answered by then, or is not there."""
AGAIN_S: Final = 60.0
"""Between later ones, as long as somebody has no name."""
ASKED_MAX: Final = 64
"""Realservers that the kernel is had to ask for in one look."""
_MAC_BYTES: Final = 6


class Kernel(Protocol):
    """What is asked of the kernel: see ``kernel.nexthop.Paths``."""

    def route(self, destination: IPAddress) -> NextHop | None:
        """Who is next on the way. Raises KernelError."""

    def neighbour(self, hop: NextHop) -> Neighbour:
        """What is known of it. Raises KernelError."""

    def resolve(self, hop: NextHop) -> None:
        """Have the kernel ask for it. Raises KernelError."""

    def close(self) -> None:
        """Give the socket back."""


class Whereabouts:
    """Of the realservers of one director."""

    def __init__(
        self,
        neighbours: Neighbours,
        *,
        sought: Callable[[], Collection[IPAddress]],
        named: Callable[[], None],
        kernel: Kernel | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``sought``: of whom the MAC address is wanted now. ``named``: called after each look."""
        self._neighbours = neighbours
        self._sought = sought
        self._named = named
        self._kernel = Paths() if kernel is None else kernel
        self._clock = clock
        self._wake = asyncio.Event()
        self._looks = 0
        self._due = inf
        self._last: IPAddress | None = None
        """Who was asked last to answer the kernel."""

    def seek(self) -> None:
        """Somebody without a name claims a VIP: look soon."""
        self._looks = 0
        self._due = self._clock()
        self._wake.set()

    async def run(self) -> None:
        """Look when it is time, and have late news told, until cancelled."""
        try:
            while True:
                await self.turn()
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
        finally:
            self._kernel.close()

    async def turn(self) -> None:
        """Do what is due."""
        self._neighbours.settle()
        if self._clock() < self._due:
            return
        sought = self._sought()
        self._due = inf
        if not sought:
            return
        self._looks += 1
        self._due = self._clock() + (FIRST_S if self._looks == 1 else AGAIN_S)
        await self._look(sought)
        self._named()

    def _in_turn(self, sought: Collection[IPAddress]) -> list[IPAddress]:
        """Those first that come after who was asked last: many may never answer."""
        ordered = sorted(sought, key=_order)
        last = self._last
        if last is None:
            return ordered
        later = [one for one in ordered if _order(one) > _order(last)]
        return later + ordered[: len(ordered) - len(later)]

    async def _look(self, sought: Collection[IPAddress]) -> None:
        slices, left = Slices(), ASKED_MAX
        for address in self._in_turn(sought):
            try:
                hop = self._kernel.route(address)
                if hop is None or hop.neighbour != address:
                    continue  # behind a gateway, whose MAC address is not its own
                mac = self._kernel.neighbour(hop).mac
                if len(mac) == _MAC_BYTES:
                    self._neighbours.seen(address, mac.hex(":"))
                elif left > 0:
                    left -= 1
                    self._last = address
                    self._kernel.resolve(hop)
            except KernelError:
                continue  # no route to it now; the next look asks again
            if slices.due():
                await slices.rest()


def _order(address: IPAddress) -> tuple[int, int]:
    return address.version, int(address)
