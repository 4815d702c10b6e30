"""Which realservers of a service a share of it is: for draining in batches. Pure."""

from __future__ import annotations

from lvsguard.admin.status_reply import RealserverReply, ServiceReply
from lvsguard.core.health import Verdict
from lvsguard.core.override import Admin


class ShareRefused(Exception):
    """Nobody is taken. ``code``: of the refusal (resources.STATUSES)."""

    code = ""


class BelowQuorum(ShareRefused):
    """Without the share the service would not be fit to serve."""

    code = "below-quorum"


class NobodyServes(ShareRefused):
    """The share is not out yet, and there is nobody who could be taken."""

    code = "nobody-serves"


def share(service: ServiceReply, percent: int, *, force: bool = False) -> list[RealserverReply]:
    """Those to drain so that ``percent`` of the service's realservers are out, rounded down, at
    least one. Those that are drained or disabled already count; then come those that serve, the one
    with the fewest connections first. Raises BelowQuorum unless ``force``, and NobodyServes."""
    everybody = service.realservers
    ready = [one for one in everybody if one.admin is Admin.READY]
    number = max(len(everybody) * percent // 100, 1) - (len(everybody) - len(ready))
    serving = sorted((one for one in ready if _live(one)), key=lambda one: one.remaining)
    if number > 0 and not serving:
        raise NobodyServes(
            f"no realserver of service {service.name} that could be drained serves: those that are"
            f" not drained or disabled are down or without weight (lvsguard why {service.name})"
        )
    chosen = serving[: max(number, 0)]
    left = service.quorum.have - sum(map(_live, chosen))
    if chosen and left < service.quorum.need and not force:
        raise BelowQuorum(
            f"without {len(chosen)} of its realservers service {service.name} would have a live "
            f"weight of {left}, and needs {service.quorum.need}: take less, or --force"
        )
    return chosen


def _live(one: RealserverReply) -> int:
    """What it adds to the live weight of its service."""
    return (one.full_weight or 0) if one.verdict is not Verdict.DOWN else 0
