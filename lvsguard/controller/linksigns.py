"""What the kernel reports of links, addresses and neighbours, as hints to the probers.

A link that comes back, an own address that comes or goes, and a neighbour that the kernel gives up
each make probes at once. A link that goes makes none: nothing could be asked over it, and what is
found meanwhile is doubted (``sight``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

from lvsguard.core.config import Check
from lvsguard.core.health import Hint
from lvsguard.core.model import IPAddress
from lvsguard.kernel.port import AddressCame, AddressGone, Change, LinkChanged, NeighbourFailed

Give = Callable[[Collection[Check], Hint], None]

DETECTOR: Final = "link"


class LinkSigns:
    """Turns changes that the kernel reports into hints."""

    def __init__(
        self,
        checks: Callable[[], Collection[Check]],
        give: Give,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``checks``: those that run now. ``give``: has some probed, whatever their verdict."""
        self._checks = checks
        self._give = give
        self._clock = clock
        self._down: set[str] = set()

    def follow(self, change: Change) -> None:
        """Take a change."""
        match change:
            case LinkChanged(interface, False):
                self._down.add(interface)
            case LinkChanged(interface, True) if interface in self._down:
                self._down.discard(interface)
                found = [one for one in self._checks() if _may_use(one, interface)]
                self._hint(found, f"{interface} is up again")
            case AddressCame(address) | AddressGone(address):
                came = isinstance(change, AddressCame)
                found = [one for one in self._checks() if address.address in _own(one)]
                verb = "came to" if came else "left"
                self._hint(found, f"{address.address} {verb} {address.interface}")
            case NeighbourFailed(realserver):
                found = [one for one in self._checks() if one.address == realserver]
                self._hint(found, "the kernel finds it on its link no more")

    def _hint(self, checks: Collection[Check], what: str) -> None:
        if checks:
            self._give(checks, Hint(DETECTOR, what, self._clock()))


def _may_use(check: Check, interface: str) -> bool:
    """Whether a check may ask through an interface: unless it is known to use another."""
    arp = check.spec.arp
    return arp is None or arp.interface in ("", interface)


def _own(check: Check) -> set[IPAddress | None]:
    """Addresses of this director that a check asks from."""
    arp = check.spec.arp
    return {check.spec.own, check.spec.source, None if arp is None else arp.source}
