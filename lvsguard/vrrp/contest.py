"""Two masters, seen from the one that stays: when to say so and when to announce again. Pure.

The other one announced the addresses when it took them. So they are announced again at once, in
between while it goes on (its neighbours may not hear us at all), and once more when it is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.action import Action, Announce, Conflict, ConflictOver, Occasion

ANNOUNCE_EVERY: Final = 5.0
"""Seconds between announcements in a contest that lasts; keepalived's ``garp_lower_prio_delay``."""
SILENT_AFTER: Final = 3
"""Intervals without a foreign advert after which a contest is over."""


@dataclass(slots=True)
class Contest:
    """One foreign master, from its first advert heard to its silence."""

    source: IPAddress
    began: float
    heard: float
    ends: float
    announces: float

    @classmethod
    def begin(
        cls, source: IPAddress, priority: int, interval: float, now: float
    ) -> tuple[Contest, list[Action]]:
        """Open a contest; return what to do about it."""
        contest = cls(source, now, now, now + SILENT_AFTER * interval, now + ANNOUNCE_EVERY)
        return contest, [Conflict(source, priority), Announce(Occasion.CONTESTED)]

    def hear(self, interval: float, now: float) -> None:
        """It is still there."""
        self.heard = now
        self.ends = now + SILENT_AFTER * interval

    @property
    def due(self) -> float:
        """When ``expire`` has something to do."""
        return min(self.ends, self.announces)

    def expire(self, now: float) -> list[Action]:
        """What to do now; it is over if ``now`` is not before ``ends``."""
        if now >= self.ends:
            over = ConflictOver(self.source, self.heard - self.began)
            return [over, Announce(Occasion.CONTESTED)]
        if now >= self.announces:
            self.announces = now + ANNOUNCE_EVERY
            return [Announce(Occasion.CONTESTED)]
        return []


@dataclass(slots=True)
class Tie:
    """Another master of the same priority, whose address is greater: since when, and until when it
    was heard."""

    began: float
    heard: float
