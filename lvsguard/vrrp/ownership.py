"""The writer of VIP addresses: puts them on, takes them off, and puts them back at once.

The only place that decides when an address is written. On a lone director it runs beside the
controller; the VRRP process takes it over as it is. It knows nothing of IPVS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lvsguard.core.event import Event, KernelFailed, LinkEvent, Repaired
from lvsguard.core.model import VipAddress
from lvsguard.core.step import AddAddress, AddressStep, RemoveAddress
from lvsguard.kernel.port import (
    AddressCame,
    Addresses,
    AddressGone,
    Change,
    ChangesLost,
    KernelError,
    LinkChanged,
    NeighbourFailed,
    StepFailure,
)

LOST = (
    "changes of addresses and links were lost (ENOBUFS: more came at once than the socket holds):"
    " all are read again now; if this goes on, find out what changes so many (ip monitor)"
)


class AddressOwner:
    """Holds VIP addresses on their interfaces and mends them as the kernel's events come in."""

    def __init__(
        self,
        kernel: Addresses,
        *,
        emit: Callable[[Event], None],
        changed: Callable[[], None],
        also: Callable[[Change], None] = lambda change: None,
    ) -> None:
        """``changed`` is called when an address or link changed, so that a pass looks again;
        ``also`` gets each change that the kernel reports, after what it asks for is done."""
        self._kernel = kernel
        self._emit = emit
        self._changed = changed
        self._also = also
        self._held: set[VipAddress] = set()
        self._interfaces: frozenset[str] = frozenset()
        self._links: dict[str, tuple[bool, bool]] = {}

    @property
    def held(self) -> frozenset[VipAddress]:
        """The addresses that stand on their interface because of this owner."""
        return frozenset(self._held)

    @property
    def links(self) -> dict[str, bool]:
        """The watched interfaces and whether each is up with carrier."""
        return {name: up and present for name, (up, present) in self._links.items()}

    def watch(self, interfaces: Iterable[str]) -> None:
        """Name the interfaces that VIPs live on, and those that realservers are behind."""
        self._interfaces = frozenset(interfaces)
        self._links = {n: s for n, s in self._links.items() if n in self._interfaces}

    async def read(self, also: Iterable[str] = ()) -> frozenset[VipAddress]:
        """Every address, VIP or not, on the watched interfaces, on those of held addresses, and
        on these. Raises KernelError."""
        held = {address.interface for address in self._held}
        addresses = await self._kernel.read(self._interfaces.union(held, also))
        states = await self._kernel.links(self._interfaces)
        for name in self._interfaces:
            self._note_link(LinkChanged(name, states.get(name, False), name in states))
        return addresses

    async def apply(self, steps: Sequence[AddressStep]) -> tuple[StepFailure, ...]:
        """Write addresses; what could not be written is returned with its reason."""
        failures: list[StepFailure] = []
        for step in steps:
            try:
                await self._write(step)
            except KernelError as error:
                failures.append(StepFailure(step, error.errno, str(error)))
        return tuple(failures)

    def adopt(self, addresses: Iterable[VipAddress]) -> None:
        """Hold addresses that are on their interface already."""
        self._held.update(addresses)

    def let_go(self, addresses: Iterable[VipAddress]) -> None:
        """Hold these no longer; where they stand, they stay: another owner takes them up."""
        self._held.difference_update(addresses)

    async def _write(self, step: AddressStep) -> None:
        match step:
            case AddAddress(address):
                # A pass may see the loss before its event arrives: whoever adds it reports it.
                lost = address in self._held
                self._held.add(address)
                try:
                    added = await self._kernel.add(address)
                except KernelError:
                    self._held.discard(address)
                    raise
                if lost and added:
                    self._report(address)
            case RemoveAddress(address):
                # Let go first, or the kernel's own event would bring it back.
                self._held.discard(address)
                try:
                    await self._kernel.remove(address)
                except KernelError:
                    # Still there and still ours: the next pass must not take it for foreign.
                    self._held.add(address)
                    raise

    async def run(self) -> None:
        """Follow the kernel's events until cancelled."""
        async for change in self._kernel.changes():
            await self._follow(change)
            self._also(change)

    async def _follow(self, change: Change) -> None:
        match change:
            case AddressGone(address) if address in self._held:
                await self._put_back(address)
            case AddressCame() | AddressGone() | NeighbourFailed():
                pass
            case LinkChanged(interface) if interface in self._interfaces:
                if self._note_link(change):
                    self._changed()
            case ChangesLost():
                self._emit(KernelFailed(LOST))
                self._changed()

    async def _put_back(self, address: VipAddress) -> None:
        try:
            if not await self._kernel.add(address):
                return
        except KernelError as error:
            self._held.discard(address)
            self._emit(KernelFailed(str(error)))
            self._changed()
            return
        self._report(address)

    def _report(self, address: VipAddress) -> None:
        step = AddAddress(address)
        self._emit(Repaired("address", str(address), "it was removed by somebody else", (step,)))

    def _note_link(self, change: LinkChanged) -> bool:
        now = (change.up, change.present)
        before = self._links.get(change.interface)
        self._links[change.interface] = now
        if before == now:
            return False
        if before is not None or now != (True, True):
            self._emit(LinkEvent(change.interface, change.up, change.present))
        return True
