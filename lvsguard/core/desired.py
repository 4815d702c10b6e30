"""From facts to what the kernel should hold. Every weight has a reason.

Facts are the config, the verdicts, the overrides, what was found in the kernel at start, and what
is remembered of each service.
"""

from __future__ import annotations

from lvsguard.core.config import ServiceConfig
from lvsguard.core.model import KernelState, Realserver, RealserverKey, VirtualService
from lvsguard.core.placement import Facts, placements
from lvsguard.core.rules import Decision, decide

FALLBACK_SCHEDULERS = frozenset({"mh", "sh"})
"""Keep a weight-0 realserver in their table and drop its packets unless told to fall back
(net/netfilter/ipvs/ip_vs_mh.c, ip_vs_sh.c)."""

SORRY_WEIGHT = 1


def desired(facts: Facts) -> KernelState:
    """The whole state that the kernel should have."""
    services = {s.key: virtual_service(s, facts) for s in facts.config.services}
    return KernelState(services, facts.addresses)


def virtual_service(service: ServiceConfig, facts: Facts) -> VirtualService:
    """One service as the kernel should have it."""
    return programmed(service, decide(service, placements(service, facts), facts))


def programmed(service: ServiceConfig, decision: Decision) -> VirtualService:
    """What was decided of a service, as the kernel should have it."""
    realservers: dict[RealserverKey, Realserver] = {}
    for realserver, placed in zip(service.realservers, decision.placements, strict=True):
        if placed.weight is not None:
            realservers[realserver.key] = Realserver(
                placed.weight,
                realserver.forwarding,
                realserver.tunnel,
                realserver.upper_threshold,
                realserver.lower_threshold,
            )
    sorry = service.sorry_server
    if sorry is not None and decision.sorry:
        realservers[sorry.key] = Realserver(SORRY_WEIGHT, sorry.forwarding, sorry.tunnel)
    flags = service.flags
    if service.scheduler in FALLBACK_SCHEDULERS:
        flags |= {f"{service.scheduler}-fallback"}
    return VirtualService(
        service.scheduler, flags, service.persistence, service.one_packet, realservers
    )
