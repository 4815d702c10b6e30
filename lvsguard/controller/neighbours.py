"""Which MAC address is whose, as the probers find out. A change is an event. It asks nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from math import inf
from typing import Final

from lvsguard.core.event import Event, MacChanged
from lvsguard.core.model import IPAddress

REPEAT_S: Final = 60.0
"""Between two events of one realserver: two hosts that have its address take turns."""


class Neighbours:
    """The MAC addresses of realservers on the director's links."""

    def __init__(
        self, emit: Callable[[Event], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._macs: dict[IPAddress, str] = {}
        self._seen: dict[IPAddress, str] = {}
        self._told: dict[IPAddress, tuple[str, float]] = {}
        """The MAC address that was named last, and when."""
        self._unsaid: set[IPAddress] = set()

    def met(self, address: IPAddress, mac: str) -> None:
        """A realserver answers from there."""
        self._macs[address] = mac
        self._tell(address)

    def seen(self, address: IPAddress, mac: str) -> None:
        """The kernel sends to a realserver there. What the probers find out counts before it."""
        self._seen[address] = mac

    def settle(self) -> None:
        """Tell what was too soon to tell, and still holds."""
        for address in list(self._unsaid):
            self._tell(address)

    def keep(self, asked: Collection[IPAddress], realservers: Collection[IPAddress]) -> None:
        """Forget all but these: whom the probers ask, and who is in the config."""
        self._macs = {a: mac for a, mac in self._macs.items() if a in asked}
        self._told = {a: told for a, told in self._told.items() if a in asked}
        self._unsaid.intersection_update(asked)
        self._seen = {a: mac for a, mac in self._seen.items() if a in realservers}

    def at(self, mac: str) -> tuple[IPAddress, ...]:
        """Realservers that answer from a MAC address, the lowest first."""
        found = (address for address, known in self._known() if known == mac)
        return tuple(sorted(found, key=lambda one: (one.version, int(one))))

    def _known(self) -> Iterator[tuple[IPAddress, str]]:
        yield from self._macs.items()
        yield from (one for one in self._seen.items() if one[0] not in self._macs)

    def _tell(self, address: IPAddress) -> None:
        mac, now = self._macs[address], self._clock()
        before, at = self._told.setdefault(address, (mac, -inf))
        self._unsaid.discard(address)
        if before == mac:
            return
        if now - at < REPEAT_S:
            self._unsaid.add(address)
            return
        self._told[address] = mac, now
        self._emit(MacChanged(str(address), before, mac))
