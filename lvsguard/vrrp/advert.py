"""The vocabulary of VRRP: what an advertisement says and how an instance speaks.

Shared by the codec (packet), the election and the process. Pure values: nothing here reads,
writes, keeps time or decides. Octets are the codec's business alone: intervals are seconds here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

IPAddress = IPv4Address | IPv6Address

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


class Version(IntEnum):
    """VRRP version: 2 (RFC 3768, IPv4 only) or 3 (RFC 5798, RFC 9568)."""

    V2 = 2
    V3 = 3


class Checksum(StrEnum):
    """What the checksum of version 3 over IPv4 covers; the other three cases have one form each."""

    RFC5798 = "rfc5798"
    """IPv4 pseudo-header and message: what keepalived speaks by default."""
    RFC9568 = "rfc9568"
    """The message alone."""


class HmacMode(StrEnum):
    """How firmly an instance asks for the authentication trailer of keepalived 2.4.

    The three steps of bringing it to running directors: all to ``receive-only``, all to
    ``permissive``, all to ``enforce``.
    """

    RECEIVE_ONLY = "receive-only"
    """Sends none. A trailer that is there is verified; adverts without one are believed."""
    PERMISSIVE = "permissive"
    """Sends one. A trailer that is there is verified; adverts without one are believed."""
    ENFORCE = "enforce"
    """Sends one. Adverts without one are dropped."""


@dataclass(frozen=True, slots=True)
class HmacAuth:
    """Keys of the authentication trailer (keepalived's ``auth_hmac``)."""

    keys: Mapping[int, bytes]
    """Key by its id, 0 to 255; each 32 to 64 octets. Any of them is believed."""
    send_key: int
    """Id of the key to sign with."""
    mode: HmacMode = HmacMode.ENFORCE
    window: float | None = None
    """Seconds that a sender's clock may differ; None: clocks are not compared, only order is."""


@dataclass(frozen=True, slots=True)
class Advert:
    """One VRRP advertisement, whatever it looked like on the wire."""

    vrid: int
    priority: int
    """0 (resigns) to 255 (owns the addresses)."""
    interval: float
    """Seconds between adverts: steps of 0.01 up to 40.95 in version 3, of 1 up to 255 in 2."""
    addresses: tuple[IPAddress, ...]
    """Of one family; at most 255."""
    version: Version = Version.V3


@dataclass(frozen=True, slots=True)
class Wire:
    """How an instance speaks, and what it demands of what it hears."""

    version: Version = Version.V3
    checksum: Checksum = Checksum.RFC5798
    """The form that is sent; both are believed. Only version 3 over IPv4 has a choice."""
    password: bytes | None = None
    """Version 2 only: simple text password, 1 to 8 octets (longer ones are cut, as keepalived
    does)."""
    auth: HmacAuth | None = None
    peers: frozenset[IPAddress] = field(default_factory=frozenset)
    """Unicast peers; empty means multicast."""
    unicast_ttl: int | None = None
    """Least TTL or hop limit of a unicast advert; None: not looked at, as keepalived does (its
    IPv6 unicast leaves with the kernel's default of 64)."""

    @property
    def unicast(self) -> bool:
        """Whether adverts go to peers one by one."""
        return bool(self.peers)
