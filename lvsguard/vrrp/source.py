"""Which of an interface's own addresses adverts come from. Pure.

Never a VIP: it moves, and with it would the address that decides between equal priorities. The
one in use is kept as long as it is there, for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import HeldAddress


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
