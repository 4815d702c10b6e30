"""When a master announces its VIPs anew because somebody else claims one. Pure.

Neighbours that heard the claim send to the wrong host until they hear this director again. But who
claims from the virtual router's own MAC address is another router of it (RFC 9568 section 7.3), and
perhaps the next master, which announces before its first advert: FRR does so over IPv6, a second
ahead. To object then would turn the neighbours to a director that is about to step back, and FRR
does not announce again. So its advert is waited for; whether to announce then is the election's.
"""

from __future__ import annotations

from math import inf
from typing import Final

from lvsguard.core.frame import mac_text
from lvsguard.vrrp.claims import SILENT_AFTER
from lvsguard.vrrp.contest import ANNOUNCE_EVERY
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.macvlan import VirtualMac
from lvsguard.vrrp.watch import Claim

PATIENCE: Final = 2
"""Intervals for which the advert of a router that claims is waited for."""


class Objections:
    """What was claimed and objected to, by instance. Times are monotonic."""

    def __init__(self) -> None:
        self._raised: dict[str, float] = {}
        self._routers: dict[str, tuple[float, float, float]] = {}
        """When another router of the instance began to claim, when it did last, and when it did
        last without being asked."""

    def due(self, mine: Instance, claim: Claim, now: float) -> bool:
        """Whether to announce now, since this was claimed. What others heard, too, is answered at
        once; an answer to a question of this director's can wait."""
        if now < self.waits_until(mine, claim, now):
            return False
        pause = ANNOUNCE_EVERY if claim.asked else 0.0
        if now - self._raised.get(mine.name, -inf) < pause:
            return False
        self._raised[mine.name] = now
        return True

    def waits_until(self, mine: Instance, claim: Claim, now: float) -> float:
        """Until when the advert of a router that claims is waited for; a stranger says none."""
        vrid = mine.settings.vrid
        router = VirtualMac("", mine.interface, vrid, mine.family)
        if claim.mac != mac_text(router.mac):
            return now
        begun, heard, told = self._routers.get(mine.name, (now, now, -inf))
        # One that only answered, as FRR does while it starts, takes over when it says so itself.
        if now - heard >= SILENT_AFTER or (not claim.asked and now - told >= SILENT_AFTER):
            begun = now
        self._routers[mine.name] = (begun, now, told if claim.asked else now)
        return begun + PATIENCE * mine.settings.interval
