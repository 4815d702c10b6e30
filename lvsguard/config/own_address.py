"""Which of the host's own addresses a check asks from. It looks at what it is given, not at the
kernel.

Left to the kernel the source would be the primary address of the realserver's network, and after
an address flush that may be a VIP, which the realserver holds too and would answer to itself.
"""

from __future__ import annotations

from collections.abc import Collection

from lvsguard.config.review import Interfaces
from lvsguard.core.model import IPAddress


class OwnAddresses:
    """A host's addresses without the VIPs, the best one first."""

    def __init__(self, interfaces: Interfaces | None, vips: Collection[IPAddress]) -> None:
        """Take a host's interfaces; None knows of no address."""
        found = {
            one
            for addresses in (interfaces or {}).values()
            for one in addresses
            if one.ip not in vips and not (one.version == 6 and one.is_link_local)
        }
        self._interfaces = {
            one.ip: name
            for name, addresses in (interfaces or {}).items()
            for one in addresses
            if not one.is_loopback
        }
        self._order = sorted(found, key=lambda one: (-one.network.prefixlen, int(one.ip)))
        self._known: dict[IPAddress, IPAddress | None] = {}

    def facing(self, realserver: IPAddress) -> IPAddress | None:
        """The address in the realserver's network: of the longest prefix, then the lowest. None
        where the realserver is in no network of this host."""
        if realserver not in self._known:  # most realservers serve several services
            # An address of the other family is in no network.
            matching = (one.ip for one in self._order if realserver in one.network)
            self._known[realserver] = next(matching, None)
        return self._known[realserver]

    def interface(self, own: IPAddress) -> str:
        """The interface that an address of this host is on; empty where it is no link to others."""
        return self._interfaces.get(own, "")
