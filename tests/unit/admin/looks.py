"""Answers of GET /v1/realservers, from a few values."""

from __future__ import annotations

from lvsguard.admin.realservers import FollowedService, RealserversReply
from lvsguard.admin.status_reply import Connections, Quorum, RealserverReply
from lvsguard.core.health import Verdict
from lvsguard.core.model import Forwarding, Protocol
from lvsguard.core.occupancy import Count
from lvsguard.core.override import Admin


def realserver(
    active: int = 0,
    inactive: int = 0,
    *,
    packets: int = 0,
    persistent: int = 0,
    remaining: int | None = None,
    weight: int | None = 0,
    read: int | None = 0,
    full: int | None = 0,
    admin: Admin = Admin.DRAIN,
    verdict: Verdict = Verdict.UP,
    reason: str = "drained by alice: disk",
    address: str = "10.0.0.42",
) -> RealserverReply:
    """One that drains, and is empty."""
    return RealserverReply(
        name=address,
        address=address,
        port=80,
        verdict=verdict,
        admin=admin,
        weight=weight,
        configured_weight=1,
        since=None,
        reason=reason,
        connections=Connections(
            active=active, inactive=inactive, persistent=persistent, packets=packets
        ),
        full_weight=full,
        weight_read=read,
        remaining=active if remaining is None else remaining,
    )


def followed(
    *realservers: RealserverReply,
    here: bool = True,
    doubt: str = "",
    waits_for: tuple[Count, ...] = (Count.ACTIVE,),
    quorum: tuple[int, int] = (1, 1),
) -> FollowedService:
    """A service of this director."""
    return FollowedService(
        name="web",
        address="10.0.0.8:80",
        protocol=Protocol.TCP,
        scheduler="rr",
        forwarding=Forwarding.DR,
        quorum=Quorum(have=quorum[0], need=quorum[1]),
        realservers=list(realservers),
        here=here,
        doubt=doubt,
        waits_for=list(waits_for),
    )


def answer(reads: int, *realservers: RealserverReply, **more: object) -> list[RealserversReply]:
    """What one look finds."""
    return [RealserversReply(reads=reads, services=[followed(*realservers, **more)])]  # type: ignore[arg-type]
