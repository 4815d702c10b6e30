"""A director's admin API for Python programs, asynchronous and typed.

    from lvsguard.client import Director

    async with Director() as director:
        await director.drain("10.0.0.42", reason="kernel update")

It follows version 1 of the API (docs/reference/admin-api.md); the replies are its documents. Every
question raises ``Unreachable`` when no daemon answers that may be asked, and ``Refused`` when it
says no; both texts tell what to do next.
"""

from lvsguard.admin.address import BadAddress, Identity
from lvsguard.admin.failover import FailedOver, Outcome
from lvsguard.admin.protocol import (
    ChangeReply,
    EventReply,
    Failure,
    OverrideReply,
    PlanReply,
    ReloadReply,
    ShareReply,
    VersionReply,
)
from lvsguard.admin.reach import Refused, Unreachable
from lvsguard.admin.realservers import RealserversReply
from lvsguard.admin.status_reply import HealthReply, RealserverReply, ServiceReply, Status, VipReply
from lvsguard.admin.waiting import Progress
from lvsguard.admin.why_reply import WhyAnswer, WhyReply
from lvsguard.client.director import SECONDS, SOCKET, SOCKET_VARIABLE, Director

__all__ = [
    "SECONDS",
    "SOCKET",
    "SOCKET_VARIABLE",
    "BadAddress",
    "ChangeReply",
    "Director",
    "EventReply",
    "FailedOver",
    "Failure",
    "HealthReply",
    "Identity",
    "Outcome",
    "OverrideReply",
    "PlanReply",
    "Progress",
    "RealserverReply",
    "RealserversReply",
    "Refused",
    "ReloadReply",
    "ServiceReply",
    "ShareReply",
    "Status",
    "Unreachable",
    "VersionReply",
    "VipReply",
    "WhyAnswer",
    "WhyReply",
]
