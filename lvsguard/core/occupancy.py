"""Which connections a drain waits for: what the kernel counts, and what each count means. Pure.

With direct routing the kernel sees what clients send and nothing of the answers, so no count says
"over". ``active`` are TCP connections of which the client has not sent a FIN. ``inactive`` are
those of which it has, for 2 minutes more; and all of UDP, as long as a client is remembered, for
the kernel never calls these active (net/netfilter/ipvs/ip_vs_ctl.c, __ip_vs_update_dest binds
connections as inactive, and only the protocols with states change that). ``persistent`` are the
templates that lead a client back.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from lvsguard.core.config import IpvsSettings, ServiceConfig
from lvsguard.core.model import Counters, Protocol


class Count(StrEnum):
    """A count of the kernel's for one realserver of one service. Public."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PERSISTENT = "persistent"


def waits_for(service: ServiceConfig, settings: IpvsSettings) -> tuple[Count, ...]:
    """The counts that must be 0 before a realserver of this service that drains gets no packet
    more of a client; none where the kernel remembers no client (one-packet scheduling)."""
    counts: list[Count] = []
    if not service.one_packet:
        counts.append(Count.ACTIVE)
        if service.key.protocol in (Protocol.UDP, None) or _sticks_to_port(settings):
            counts.append(Count.INACTIVE)
    if service.persistence is not None and settings.sysctls.get("expire_quiescent_template") == "0":
        counts.append(Count.PERSISTENT)
    return tuple(counts)


def remaining(counts: Iterable[Count], counters: Counters) -> int:
    """How many connections (and templates) are left of those."""
    return sum(int(getattr(counters, count)) for count in counts)


def _sticks_to_port(settings: IpvsSettings) -> bool:
    """Whether a new connection from a port that a client has just used goes where the old one
    went, weight 0 or not.

    It does not with expire_nodest_conn (ip_vs_core.c, ip_vs_in: a SYN of a connection whose
    destination has weight 0 is scheduled anew; before Linux 5.16 unless conn_reuse_mode is 0), nor
    with bit 2 of conn_reuse_mode, which alone covers FIN_WAIT, the last state that direct routing
    sees (is_new_conn_expected).
    """
    reuse = settings.sysctls.get("conn_reuse_mode", "1")
    if settings.sysctls.get("expire_nodest_conn") == "1":
        return reuse == "0"
    return reuse not in ("2", "3")
