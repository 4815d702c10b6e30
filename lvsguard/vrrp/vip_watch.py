"""Watches VIPs without an election for others that claim them: asks each second, and listens.

The VRRP process does the same for those with one. It writes nothing and decides nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from lvsguard.core.config import VipConfig
from lvsguard.core.event import Event
from lvsguard.core.model import IPAddress, VipAddress
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.announce import GAP, SLICE
from lvsguard.vrrp.claims import Claims
from lvsguard.vrrp.frame_socket import FrameSocket
from lvsguard.vrrp.watch import ClaimWatch

EVERY_S: Final = 1.0
"""Between two questions about a VIP."""


class VipWatch:
    """All VIPs without an election of one director."""

    def __init__(
        self, emit: Callable[[Event], None], held: Callable[[], Collection[VipAddress]]
    ) -> None:
        """``held``: the addresses that stand here; only those are asked for."""
        self._emit = emit
        self._held = held
        self._vips: dict[VipAddress, str] = {}
        self._claims = Claims()
        self._frames: dict[str, FrameSocket] = {}
        self._ears: dict[str, ClaimWatch] = {}
        self._interfaces: InterfaceWatch | None = None
        self._changed = asyncio.Event()
        self.trouble = ""
        """Why nobody can be heard, and what to do; empty: nothing is wrong."""

    def configure(self, vips: Iterable[VipConfig]) -> None:
        """Watch these, but for those with an election."""
        self._vips = {one: vip.name for vip in vips if vip.vrrp is None for one in vip.addresses}
        self._close()
        self._changed.set()

    def look(self) -> None:
        """Ask soon: an address or a link changed."""
        self._changed.set()

    async def run(self) -> None:
        """Ask and listen until cancelled."""
        try:
            while True:
                self._changed.clear()
                try:
                    self._open()
                    await self._ask()
                    self.trouble = ""
                except KernelError as error:
                    self.trouble = str(error)
                self._over()
                try:
                    async with asyncio.timeout(EVERY_S):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            self._close()

    async def _ask(self) -> None:
        held = self._held()
        for count, address in enumerate([one for one in self._vips if one in held], 1):
            frames = self._frames.get(address.interface)
            if frames is None:
                return  # configured anew meanwhile
            if self._up(address.interface):
                frames.ask(address.address)
            if not count % SLICE:
                await asyncio.sleep(GAP)

    def _up(self, interface: str) -> bool:
        state = None if self._interfaces is None else self._interfaces.state(interface)
        return state is not None and state.up

    def _open(self) -> None:
        """Have the sockets that the VIPs need, on the interfaces as they are."""
        if not self._vips:
            return
        if self._interfaces is None:
            self._interfaces = InterfaceWatch()
        self._interfaces.read()
        loop = asyncio.get_running_loop()
        for name in {one.interface for one in self._vips}:
            state = self._interfaces.state(name)
            if name not in self._ears:
                addresses = [one.address for one in self._vips if one.interface == name]
                self._ears[name] = ClaimWatch(name, addresses)
                self._frames[name] = FrameSocket(name)
                loop.add_reader(self._ears[name].fileno(), self._hear, self._ears[name])
            self._ears[name].update(state, self._interfaces.macs)
            self._frames[name].update(state, router=False)

    def _hear(self, ear: ClaimWatch) -> None:
        now = time.monotonic()
        held = {(one.interface, one.address): one for one in self._held()}
        for claim in ear.read():
            address: IPAddress = claim.address
            mine = held.get((ear.interface, address))
            name = self._vips.get(mine) if mine is not None else None
            event = None if name is None else self._claims.claim(name, address, claim.mac, now)
            if event is not None:
                self._emit(event)

    def _over(self) -> None:
        for event in self._claims.expire(time.monotonic()):
            self._emit(event)

    def _close(self) -> None:
        for ear in self._ears.values():
            asyncio.get_running_loop().remove_reader(ear.fileno())
            ear.close()
        for frames in self._frames.values():
            frames.close()
        self._ears.clear()
        self._frames.clear()
        if self._interfaces is not None:
            self._interfaces.close()
            self._interfaces = None
