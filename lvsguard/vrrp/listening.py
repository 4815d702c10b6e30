"""What a backup knows of the master, and how long that one has been silent. Pure.

Time in which the director did not run is no silence: the ear asks to be woken every 1.5 intervals,
and by how much a wake-up is late the master-down timer is longer. After a stall it listens on for
two intervals, once per silence, because what was sent meanwhile may be lost: a paused host has no
socket to read afterwards.
"""

from __future__ import annotations

from math import inf
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import Advert, Version
from lvsguard.vrrp.timing import brief, master_down, skew
from lvsguard.vrrp.transitions import Trigger

LOOK_UP: Final = 1.5
"""Intervals between wake-ups. More than one, so that adverts which come in time are wake-up enough;
much less than a master-down interval, to see stalls."""
STALL: Final = 0.5
"""A wake-up that is late by more than so many intervals is a stall, less is the timer's jitter."""


class Listening:
    """A backup's ear. ``priority`` is always the listener's own, ``now`` monotonic seconds."""

    __slots__ = (
        "_doubted",
        "_look_up",
        "_lower",
        "_version",
        "deadline",
        "interval",
        "master",
        "master_priority",
        "resigned",
        "wants",
    )

    def __init__(self, version: Version, interval: float) -> None:
        self._version = version
        self._look_up = self.deadline = inf
        self._doubted = self._lower = False
        self.interval = interval
        """The master's, in version 3 as it says (RFC 9568 section 6.1)."""
        self.master: IPAddress | None = None
        self.master_priority = 0
        self.resigned = False
        self.wants: Trigger | None = None
        """Why it would take over now; None as long as the master-down timer of one that is no
        owner runs."""

    @property
    def due(self) -> float:
        """When to wake it."""
        return min(self.deadline, self._look_up)

    @property
    def silent(self) -> bool:
        """Whether the master that was heard last is gone."""
        return self.wants in (Trigger.MASTER_SILENT, Trigger.MASTER_RESIGNED)

    def begin(self, priority: int, interval: float, now: float, *, briefly: bool) -> None:
        """Listen anew, with nobody known."""
        self.interval = interval
        self.master, self.master_priority = None, 0
        wait = brief if briefly else master_down
        self._restart(now, wait(self._version, priority, interval))

    def follow(self, advert: Advert, source: IPAddress, priority: int, now: float) -> None:
        """Accept a master."""
        self.master, self.master_priority = source, advert.priority
        self.interval = interval = advert.interval
        self._restart(now, master_down(self._version, priority, interval))

    def _restart(self, now: float, wait: float) -> None:
        self.wants = None
        self.resigned = self._lower = self._doubted = False
        self._look_up = now + LOOK_UP * self.interval
        self.deadline = now + wait

    def disregard(self, advert: Advert, source: IPAddress) -> None:
        """Hear a master that is to be preempted: the timer runs on."""
        self._lower = True
        self.master, self.master_priority = source, advert.priority

    def hear_resign(self, source: IPAddress, priority: int, now: float) -> bool:
        """Hear a priority 0; whether it counts.

        From others than the master it is late news, of one that left before. It shortens the timer
        once: a repetition must not put the takeover off.
        """
        if self.resigned or self.master not in (None, source):
            return False
        self.resigned = True
        self._hasten(priority, now)
        return True

    def lead(self, cause: Trigger) -> None:
        """Take over without listening first: that is an owner's way."""
        self.deadline = inf
        self.wants = cause

    def preempt_soon(self, priority: int, now: float) -> None:
        """Take over from a master of lower priority after the skew time."""
        if self.master is not None and self.master_priority < priority and self.wants is None:
            self._lower = True
            self._hasten(priority, now)

    def _hasten(self, priority: int, now: float) -> None:
        self.deadline = min(self.deadline, now + skew(self._version, priority, self.interval))

    def wake(self, priority: int, now: float) -> float:
        """Note that the director runs; return the seconds of a stall, 0 if there was none."""
        late = now - self.due
        self._look_up = now + LOOK_UP * self.interval
        if late <= 0:
            return 0.0
        self.deadline += late
        if late <= STALL * self.interval:
            return 0.0
        if not self._doubted:
            self._doubted = True
            again = now + brief(self._version, priority, self.interval)
            self.deadline = max(self.deadline, again) if self.wants is None else again
            self.wants = None
        return late

    def expire(self, now: float) -> bool:
        """Whether the master-down timer has run out just now; ``wants`` is set then."""
        if now < self.deadline:
            return False
        self.deadline = inf
        self.wants = Trigger.MASTER_SILENT
        if self.resigned:
            self.wants = Trigger.MASTER_RESIGNED
        elif self._lower:
            self.wants = Trigger.PREEMPTS
        return True
