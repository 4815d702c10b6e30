"""Until when nobody can have taken over from a master: what a process that is started anew, or put
under a new config, has to know to go on speaking at once.

It lies in shared memory that the controller holds as well, so it outlives either of them. No backup
takes over before three intervals without an advert have passed (``Speaking.was_late``); a master
that writes down the end of that time with each advert is still the master when it looks in time.

A process may be killed between any two instructions, so a time is written by one of them: the next
process reads the old or the new one, and nothing made of both.

A director that handed over because it was asked to leaves its successor alone, whatever process or
config it has since: that stands here, too, in place of a time.
"""

from __future__ import annotations

import mmap
import os
from hashlib import blake2b
from struct import Struct
from typing import Final

from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.timing import DOWN_ADVERTS

SIZE: Final = 1 << 16
"""Bytes: a page for each 256 instances."""
_SLOT: Final = Struct("=8sd")
_KEY: Final = 8
_ASIDE: Final = -1.0


class Logbook:
    """Times by the instance's place on the wire (interface, family, VRID), monotonic."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor``: of ``SIZE`` bytes of shared memory, see ``blank``. Raises OSError and
        ValueError when it is something else."""
        self._memory = mmap.mmap(descriptor, SIZE)
        self._times = memoryview(self._memory).cast("d")
        """All of it as numbers; each second one is a time. One that is set is set at once."""
        self._slots: dict[bytes, int] = {}
        self._free: list[int] = []
        for number, (key, until) in enumerate(_SLOT.iter_unpack(self._memory)):
            if until:
                self._slots[key] = number
            else:
                self._free.append(number)
        self._free.reverse()

    def until(self, place: str) -> float:
        """When another one may be master at the earliest; 0: it was not ours."""
        return max(0.0, self._read(place))

    @property
    def latest(self) -> float:
        """When others may be masters of all that was ours, at the earliest."""
        return max((self._times[2 * number + 1] for number in self._slots.values()), default=0.0)

    def aside(self, place: str) -> bool:
        """Whether a failover keeps it from preempting."""
        return self._read(place) < 0

    def _read(self, place: str) -> float:
        number = self._slots.get(_key(place))
        return 0.0 if number is None else self._times[2 * number + 1]

    def note(self, place: str, until: float) -> None:
        """Write the time down; 0: it is no longer ours."""
        key = _key(place)
        number = self._slots.get(key)
        if number is not None:
            self._times[2 * number + 1] = until
            if not until:
                self._free.append(self._slots.pop(key))
        elif until and self._free:
            self._slots[key] = number = self._free.pop()
            offset = number * _SLOT.size
            self._memory[offset : offset + _KEY] = key
            self._times[2 * number + 1] = until

    def spoke(self, place: str, advert: Advert, now: float) -> None:
        """Write down that an advert has been sent: for how long nobody else can be master."""
        if advert.priority:
            self.note(place, now + DOWN_ADVERTS * advert.interval)
        else:
            self.left(place)

    def left(self, place: str) -> None:
        """Write down that somebody else may be master."""
        if not self.aside(place):
            self.note(place, 0.0)

    def stand_aside(self, place: str, aside: bool) -> None:
        """Write down that a failover keeps it from preempting, or no longer."""
        if aside != self.aside(place):
            self.note(place, _ASIDE if aside else 0.0)

    def close(self) -> None:
        """Give the mapping back."""
        self._times.release()
        self._memory.close()


def blank() -> int:
    """The descriptor of an empty logbook."""
    descriptor = os.memfd_create("lvsguard-vrrp")
    os.ftruncate(descriptor, SIZE)
    return descriptor


def _key(place: str) -> bytes:
    return blake2b(place.encode(), digest_size=_KEY).digest()
