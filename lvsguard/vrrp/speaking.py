"""What a master says, and when. Pure."""

from __future__ import annotations

from math import inf
from typing import Final

from lvsguard.vrrp.action import Send
from lvsguard.vrrp.advert import RESIGN, Advert
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.timing import DOWN_ADVERTS

ANSWER_GAP: Final = 0.1
"""A foreign advert is answered at once, but at most once in so many intervals: a flood of them must
not become a flood of ours."""


class Speaking:
    """A master's voice. ``now`` is monotonic seconds."""

    __slots__ = ("_interval", "_last", "_own", "_resigning", "_settings", "due")

    def __init__(self, settings: Settings, priority: int) -> None:
        self._settings = settings
        self._interval = settings.interval
        self._own = self._advert(priority)
        self._resigning = self._advert(RESIGN)
        self._last = -inf
        self.due = inf
        """When to speak next."""

    def _advert(self, priority: int) -> Advert:
        settings = self._settings
        return Advert(
            settings.vrid, priority, settings.interval, settings.addresses, settings.version
        )

    @property
    def priority(self) -> int:
        """What its adverts say."""
        return self._own.priority

    def set_priority(self, priority: int) -> bool:
        """Say another priority from now on; whether it is another one."""
        changed = priority != self.priority
        self._own = self._advert(priority)
        return changed

    def say(self, now: float) -> Send:
        """The advert of a master."""
        return self._say(self._own, now)

    def resign(self, now: float) -> Send:
        """The advert of a master that leaves."""
        return self._say(self._resigning, now)

    def _say(self, advert: Advert, now: float) -> Send:
        self._last = now
        self.due = now + self._interval
        return Send(advert)

    def answer(self, now: float) -> Send | None:
        """Speak at once; or, if it spoke just before, soon (RFC 9568 section 6.4.3)."""
        earliest = self._last + ANSWER_GAP * self._interval
        if now >= earliest:
            return self.say(now)
        self.due = min(self.due, earliest)
        return None

    def was_late(self, now: float) -> bool:
        """Whether a backup may have taken over for want of adverts of this master.

        Three intervals: less than any backup's master-down interval, so that none was earlier.
        """
        return now - self._last > DOWN_ADVERTS * self._interval
