"""The seed network as values, for tests that tell one rule each."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from lvsguard.core.model import (
    IPAddress,
    KernelState,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VipAddress,
    VirtualService,
)

VIP: IPAddress = ip_address("10.0.0.8")
ON_ETH0 = VipAddress("eth0", VIP, 24)
OTHER_VIP: IPAddress = ip_address("10.0.0.9")
WEB = ServiceKey.at(Protocol.TCP, VIP, 80)
TLS = ServiceKey.at(Protocol.TCP, VIP, 443)
OTHER_WEB = ServiceKey.at(Protocol.TCP, OTHER_VIP, 80)
MARK = ServiceKey.marked(7)
ONE = RealserverKey(ip_address("10.0.0.42"), 80)
TWO = RealserverKey(ip_address("10.0.0.43"), 80)
THREE = RealserverKey(ip_address("10.0.0.44"), 80)


def serving(weights: Mapping[RealserverKey, int], scheduler: str = "rr") -> VirtualService:
    """A service whose realservers have these weights."""
    return VirtualService(scheduler, realservers={k: Realserver(w) for k, w in weights.items()})


def state(services: Mapping[ServiceKey, VirtualService], *addresses: VipAddress) -> KernelState:
    """A kernel's state."""
    return KernelState(services, frozenset(addresses))
