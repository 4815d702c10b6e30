"""Which of an interface's own addresses adverts come from. Pure.

Never a VIP: it moves, and with it would the address that decides between equal priorities. The
one in use is kept as long as it is there, for the same reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import HeldAddress

_LOCAL: Final = {4: (False,), 6: (True, False)}


def choose(
    addresses: Iterable[HeldAddress],
    *,
    family: int,
    link_local: bool,
    vips: Set[IPAddress],
    current: IPAddress | None = None,
    wanted: IPAddress | None = None,
) -> IPAddress | None:
    """The source for one family; None when the interface has none.

    ``link_local``: IPv6 only, such an address (for the group and for neighbours) or one that is
    not. ``wanted``: the config names it, then it is this one or none.
    """
    fit = [
        one
        for one in addresses
        if one.usable
        and one.address.version == family
        and one.address not in vips
        and (family == 4 or one.address.is_link_local == link_local)
    ]
    found = [one.address for one in fit]
    if wanted is not None and (family == 4 or wanted.is_link_local == link_local):
        return wanted if wanted in found else None
    if current in found:
        return current
    fit.sort(key=lambda one: (one.deprecated, one.secondary))  # stable: the kernel's order
    return fit[0].address if fit else None


class Sources:
    """Those of one interface, as its addresses come and go."""

    def __init__(
        self, families: Iterable[int], vips: Iterable[IPAddress], wanted: Iterable[IPAddress]
    ) -> None:
        """``vips`` are never a source; ``wanted``: addresses that the config names as sources."""
        self._kinds = [(f, local) for f in families for local in _LOCAL[f]]
        self._vips = frozenset(vips)
        self._wanted: dict[tuple[int, bool], IPAddress] = {
            (one.version, one.is_link_local): one for one in wanted
        }
        self.own: frozenset[IPAddress] = frozenset()
        """All addresses of the interface but VIPs."""
        self.chosen: dict[tuple[int, bool], IPAddress | None] = {}
        """By family, and whether link-local."""

    def update(self, held: Collection[HeldAddress]) -> None:
        """Choose among these."""
        for family, local in self._kinds:
            self.chosen[family, local] = choose(
                held,
                family=family,
                link_local=local,
                vips=self._vips,
                current=self.chosen.get((family, local)),
                wanted=self._wanted.get((family, local)),
            )
        self.own = frozenset(one.address for one in held) - self._vips

    def any(self, family: int) -> bool:
        """Whether there is a source of a family at all."""
        return any(one for (of, _), one in self.chosen.items() if of == family)

    def to(self, destination: IPAddress) -> IPAddress | None:
        """The source of what goes to ``destination``; None: there is none now."""
        six = destination.version == 6
        local = six and (destination.is_link_local or destination.is_multicast)
        return self.chosen.get((destination.version, local))
