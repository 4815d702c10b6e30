"""The real logbook of a simulated director, and what may become of it when its process dies."""

from __future__ import annotations

import os
import weakref
from random import Random
from struct import Struct
from typing import Final

from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.logbook import Logbook, blank

PLACE: Final = "eth0/4/51"
FATES: Final = ("kept", "stale", "torn", "lost")
_NUMBER: Final = Struct("<d")


class Book:
    """Memory that outlives a director's processes, and the logbook of the one that runs."""

    def __init__(self) -> None:
        self._memory = blank()
        self._close = weakref.finalize(self, os.close, self._memory)
        self._logbook = Logbook(self._memory)
        self._before = 0.0
        """What it said an advert ago."""

    def spoke(self, advert: Advert, now: float) -> None:
        """An advert has been sent."""
        self._before = self._logbook.until(PLACE)
        self._logbook.spoke(PLACE, advert, now)

    def left(self) -> None:
        """Somebody else is master, or may be."""
        self._logbook.left(PLACE)

    def stand_aside(self, aside: bool) -> None:
        """A failover was asked for, or resumed from."""
        self._logbook.stand_aside(PLACE, aside)

    def aside(self) -> bool:
        """Whether a process that starts now leaves its successor alone."""
        return self._logbook.aside(PLACE)

    def goes_on(self, now: float) -> bool:
        """Whether a process that starts now goes on where the one before it was."""
        return now < self._logbook.until(PLACE)

    def hand_down(self, fate: str, random: Random) -> None:
        """The process has died; the next one opens what is left of its logbook.

        stale: without the last advert. torn: the lower bytes of its time are anything. lost: a new
        one, for the controller has died as well.
        """
        until = self._logbook.until(PLACE)
        if fate == "stale" and until:
            self._logbook.note(PLACE, self._before)
        elif fate == "torn" and until:
            self._logbook.note(PLACE, torn(until, random))
        self._logbook.close()
        if fate == "lost":
            self._close()
            self._memory = blank()
            self._close = weakref.finalize(self, os.close, self._memory)
        self._logbook = Logbook(self._memory)


def torn(time: float, random: Random) -> float:
    """A time of which some lower bytes are those of another."""
    number = bytearray(_NUMBER.pack(time))
    count = random.randrange(1, 7)
    number[:count] = random.randbytes(count)
    found: float = _NUMBER.unpack(number)[0]
    return found
