"""The vocabulary of VRRP: what an advertisement says and how an instance speaks.

Shared by the codec (packet), the election and the process. Pure values: nothing here reads,
writes, keeps time or decides. Octets are the codec's business alone: intervals are seconds here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.core.vrrp import Checksum, HmacAuth, HmacMode, Version

__all__ = ["Advert", "Checksum", "HmacAuth", "HmacMode", "Version", "Wire"]

PROTOCOL: Final = 112
"""IP protocol number of VRRP."""
GROUP_V4: Final = IPv4Address("224.0.0.18")
GROUP_V6: Final = IPv6Address("ff02::12")
TTL: Final = 255
"""RFC 9568 section 5.1.1.3: a packet that a router forwarded has less, and is not believed."""
OWNER: Final = 255
"""Priority of the router that owns the addresses (RFC 9568 section 5.2.4)."""
RESIGN: Final = 0
"""Priority of a master that stops: a backup takes over after its skew time alone."""
ADDRESSES_MAX: Final = 255
"""The count of addresses is one octet."""


@dataclass(frozen=True, slots=True)
class Advert:
    """One VRRP advertisement, whatever it looked like on the wire."""

    vrid: int
    """1 to 255; IPv4 and IPv6 count for themselves."""
    priority: int
    """0 (resigns) to 255 (owns the addresses)."""
    interval: float
    """Seconds between adverts: steps of 0.01 up to 40.95 in version 3, of 1 up to 255 in 2."""
    addresses: tuple[IPAddress, ...]
    """Of one family; 1 to 255."""
    version: Version = Version.V3


@dataclass(frozen=True, slots=True)
class Wire:
    """How an instance speaks, and what it demands of what it hears."""

    version: Version = Version.V3
    checksum: Checksum = Checksum.RFC5798
    """The form that is sent; both are believed. Only version 3 over IPv4 has a choice."""
    password: bytes | None = field(default=None, repr=False)
    """Version 2 only: simple text password, from 1 octet on; what is beyond 8 is cut off, as
    keepalived does."""
    auth: HmacAuth | None = None
    peers: frozenset[IPAddress] = frozenset()
    """Unicast peers; empty means multicast."""
    unicast_ttl: int | None = None
    """Least TTL or hop limit of a unicast advert; None: not looked at, for keepalived's over IPv6
    leaves with the kernel's default of 64."""
    strict: bool = False
    """Also drop what RFC 9568 forbids but running peers do: IPv6 adverts whose first address is
    not link-local."""

    @property
    def unicast(self) -> bool:
        """Whether adverts go to peers one by one."""
        return bool(self.peers)
