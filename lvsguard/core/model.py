"""The vocabulary: what the kernel holds and what the director wants it to hold.

Desired and observed have the same type, so that a plan is a comparison of two values.
Identity (the keys) and state are separate; counters are not part of either.
Nothing here reads, writes or decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

IPAddress = IPv4Address | IPv6Address

WEIGHT_MAX = 65535
"""Largest weight accepted; the kernel takes more, ipvsadm(8) documents 0 to 65535."""


class Protocol(StrEnum):
    """Transport protocol of a virtual service."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class Family(IntEnum):
    """Address family; the numbers are those of ipaddress' ``version``."""

    INET = 4
    INET6 = 6


class Forwarding(StrEnum):
    """Forwarding method (ipvsadm -g, -m, -i). ``local`` and ``bypass`` are only ever observed."""

    DR = "dr"
    NAT = "nat"
    TUN = "tun"
    LOCAL = "local"
    BYPASS = "bypass"


class TunnelKind(StrEnum):
    """Encapsulation of the tun forwarding method (linux/ip_vs.h IP_VS_CONN_F_TUNNEL_TYPE_*)."""

    IPIP = "ipip"
    GUE = "gue"
    GRE = "gre"


class TunnelChecksum(StrEnum):
    """Checksum of the encapsulation (linux/ip_vs.h IP_VS_TUNNEL_ENCAP_FLAG_*)."""

    NONE = "nocsum"
    FULL = "csum"
    REMOTE = "remcsum"


def endpoint(address: IPAddress, port: int) -> str:
    """``10.0.0.8:80`` or ``[2001:db8::8]:80``; the bare address where the port is 0."""
    if port == 0:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """Identity of a virtual service: (protocol, address, port), or a firewall mark and a family."""

    family: Family
    protocol: Protocol | None = None
    address: IPAddress | None = None
    port: int = 0
    fwmark: int = 0
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Looked up for every service and realserver in every pass.
        parts = (self.family, self.protocol, self.address, self.port, self.fwmark)
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def at(cls, protocol: Protocol, address: IPAddress, port: int) -> ServiceKey:
        """Key of a service that listens on an address."""
        return cls(Family(address.version), protocol, address, port)

    @classmethod
    def marked(cls, fwmark: int, family: Family = Family.INET) -> ServiceKey:
        """Key of a service that takes packets with a firewall mark."""
        return cls(family, fwmark=fwmark)

    def __str__(self) -> str:
        if self.address is None:
            return f"fwmark {self.fwmark}" + (" inet6" if self.family is Family.INET6 else "")
        return f"{self.protocol} {endpoint(self.address, self.port)}"


class RealserverKey(NamedTuple):
    """Identity of a realserver inside one virtual service."""

    address: IPAddress
    port: int

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How the tun forwarding method encapsulates."""

    kind: TunnelKind = TunnelKind.IPIP
    port: int = 0
    """UDP port, for gue only."""
    checksum: TunnelChecksum = TunnelChecksum.NONE


@dataclass(frozen=True, slots=True)
class Realserver:
    """A realserver as the kernel holds it."""

    weight: int
    """0 to 65535; 0 is quiescent: no new connections, the existing ones go on."""
    forwarding: Forwarding = Forwarding.DR
    tunnel: Tunnel | None = None
    """Only with the tun forwarding method."""
    upper_threshold: int = 0
    lower_threshold: int = 0


@dataclass(frozen=True, slots=True)
class Persistence:
    """Connections of one client network stay on one realserver."""

    timeout: int = 300
    """Seconds."""
    prefix: int = 32
    """Prefix length of the client network: 1 to 32 for IPv4, 1 to 128 for IPv6."""
    engine: str | None = None
    """Persistence engine, such as ``sip``."""


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A virtual service and its realservers. Scheduler and flags are named as ipvsadm(8) does."""

    scheduler: str
    flags: frozenset[str] = frozenset()
    """Scheduler flags: ``flag-1`` ``flag-2`` ``flag-3``, which sh and mh call fallback and port."""
    persistence: Persistence | None = None
    one_packet: bool = False
    realservers: Mapping[RealserverKey, Realserver] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VipAddress:
    """A VIP as it stands on an interface of the director."""

    interface: str
    address: IPAddress
    prefix: int

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix} dev {self.interface}"


@dataclass(frozen=True, slots=True)
class KernelState:
    """IPVS table and VIP addresses: what is wanted, or what was read."""

    services: Mapping[ServiceKey, VirtualService] = field(default_factory=dict)
    addresses: frozenset[VipAddress] = frozenset()


class Counters(NamedTuple):
    """Counters of a virtual service or a realserver; totals are 64 bits wide, rates per second."""

    connections: int = 0
    in_packets: int = 0
    out_packets: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    active: int = 0
    """Connections counted as active; always 0 for a service."""
    inactive: int = 0
    persistent: int = 0


CounterKey = tuple[ServiceKey, RealserverKey | None]


@dataclass(frozen=True, slots=True)
class Observation:
    """One read of the kernel: its IPVS table, foreign entries included, and the counters."""

    services: Mapping[ServiceKey, VirtualService] = field(default_factory=dict)
    counters: Mapping[CounterKey, Counters] = field(default_factory=dict)
    """By (service, realserver), and by (service, None) for the service itself."""
