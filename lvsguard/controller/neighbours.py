"""Which MAC address is whose, as the probers find out. A change is an event. It asks nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
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
        self._told: dict[IPAddress, float] = {}

    def met(self, address: IPAddress, mac: str) -> None:
        """A realserver answers from there."""
        before = self._macs.get(address, mac)
        self._macs[address] = mac
        now = self._clock()
        if before != mac and now - self._told.get(address, -inf) >= REPEAT_S:
            self._told[address] = now
            self._emit(MacChanged(str(address), before, mac))

    def keep(self, addresses: frozenset[IPAddress]) -> None:
        """Forget all but these."""
        self._macs = {a: mac for a, mac in self._macs.items() if a in addresses}
        self._told = {a: at for a, at in self._told.items() if a in addresses}

    def at(self, mac: str) -> tuple[IPAddress, ...]:
        """Realservers that answer from a MAC address, the lowest first."""
        found = (address for address, known in self._macs.items() if known == mac)
        return tuple(sorted(found, key=lambda one: (one.version, int(one))))
