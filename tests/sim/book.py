"""The real logbook of a simulated director, and what may become of it when its process dies."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from random import Random
from struct import Struct
from typing import Final

from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.logbook import Logbook, blank

FATES: Final = ("kept", "stale", "torn", "lost")
_NUMBER: Final = Struct("<d")


class Book:
    """Memory that outlives a director's processes, and the logbook of the one that runs."""

    def __init__(self, members: Sequence[str]) -> None:
        self._memory = blank()
        self._close = weakref.finalize(self, os.close, self._memory)
        self._logbook = Logbook(self._memory)
        self._places = {name: f"eth0/{name}/51" for name in members}
        self._before = dict.fromkeys(members, 0.0)
        """What it said an advert ago."""

    def spoke(self, name: str, advert: Advert, now: float) -> None:
        """An advert has been sent."""
        self._before[name] = self._logbook.until(self._places[name])
        self._logbook.spoke(self._places[name], advert, now)

    def left(self, name: str) -> None:
        """Somebody else is master, or may be."""
        self._logbook.left(self._places[name])

    def stand_aside(self, name: str, aside: bool) -> None:
        """A failover was asked for, or resumed from."""
        self._logbook.stand_aside(self._places[name], aside)

    def aside(self) -> bool:
        """Whether a process that starts now leaves its successor alone."""
        return any(map(self._logbook.aside, self._places.values()))

    def goes_on(self, now: float) -> bool:
        """Whether a process that starts now goes on where the one before it was."""
        return all(now < self._logbook.until(place) for place in self._places.values())

    def hand_down(self, fate: str, random: Random) -> None:
        """The process has died; the next one opens what is left of its logbook.

        stale: without the last advert. torn: the lower bytes of its time are anything. lost: a new
        one, for the controller has died as well.
        """
        for name, place in self._places.items():
            until = self._logbook.until(place)
            if fate == "stale" and until:
                self._logbook.note(place, self._before[name])
            elif fate == "torn" and until:
                self._logbook.note(place, torn(until, random))
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
