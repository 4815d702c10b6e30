"""What the kernel reports of links, addresses and neighbours, as hints to the probers.

A link that comes back, an own address that comes or goes, and a neighbour that the kernel gives up
each make probes at once. A link that goes makes none: nothing could be asked over it, and what is
found meanwhile is doubted (``sight``). Nor does a neighbour whose checks are down already: each
probe of it has the kernel look for it once more, and give it up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final, Protocol

from lvsguard.controller.factbook import FactBook
from lvsguard.core.config import Check
from lvsguard.core.health import Hint
from lvsguard.core.model import IPAddress
from lvsguard.kernel.port import AddressCame, AddressGone, Change, LinkChanged, NeighbourFailed


class Give(Protocol):
    """Hands a hint to the probers."""

    def __call__(self, checks: Collection[Check], hint: Hint, *, down: bool = False) -> None:
        """Have those probed that are up; ``down``: and those that are not."""


DETECTOR: Final = "link"


class LinkSigns:
    """Turns changes that the kernel reports into hints."""

    def __init__(
        self,
        book: Callable[[], FactBook],
        give: Give,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``book``: has the checks that run now."""
        self._book = book
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
                found = [one for one in self._book().checks if _may_use(one, interface)]
                self._hint(found, f"{interface} is up again")
            case AddressCame(address) | AddressGone(address):
                came = isinstance(change, AddressCame)
                found = [one for one in self._book().checks if address.address in _own(one)]
                verb = "came to" if came else "left"
                self._hint(found, f"{address.address} {verb} {address.interface}")
            case NeighbourFailed(realserver):
                checks = self._book().checks_of(realserver)
                self._hint(checks, "the kernel finds it on its link no more", down=False)

    def _hint(self, checks: Collection[Check], what: str, *, down: bool = True) -> None:
        if checks:
            self._give(checks, Hint(DETECTOR, what, self._clock()), down=down)


def _may_use(check: Check, interface: str) -> bool:
    """Whether a check may ask through an interface: unless it is known to use another."""
    arp = check.spec.arp
    return arp is None or arp.interface in ("", interface)


def _own(check: Check) -> set[IPAddress | None]:
    """Addresses of this director that a check asks from."""
    arp = check.spec.arp
    return {check.spec.own, check.spec.source, None if arp is None else arp.source}
