"""Claims of VIPs that wait a moment before anybody minds them. Pure.

A director that takes over announces the VIPs before its first advert, so that neighbours know it
before the old master lets go (RFC 9568 section 6.4 has them follow at once). A master that objected
to such a claim, and gave way to the advert a moment later, would have had the last word: neighbours
would send to it for as long as the new master does not announce again, 5 s. So the advert is given
the time that a busy director needs between the two.
"""

from __future__ import annotations

from typing import Final

from lvsguard.vrrp.claims import KEPT_MAX
from lvsguard.vrrp.watch import Claim

ADVERT_S: Final = 0.1
"""Seconds for which the advert of whoever claims is waited for."""


class Overheard:
    """Claims, each once for as long as it waits. Times are monotonic."""

    def __init__(self) -> None:
        self._due: dict[Claim, float] = {}

    def note(self, claim: Claim, now: float) -> None:
        """Somebody claims a VIP. Of more than anybody can have meant the rest is forgotten."""
        if len(self._due) < KEPT_MAX:
            self._due.setdefault(claim, now + ADVERT_S)

    @property
    def due(self) -> float | None:
        """When ``take`` has something next."""
        return next(iter(self._due.values()), None)

    def take(self, now: float) -> list[Claim]:
        """The claims that have waited, the oldest first."""
        waited = [claim for claim, due in self._due.items() if due <= now]
        for claim in waited:
            del self._due[claim]
        return waited
