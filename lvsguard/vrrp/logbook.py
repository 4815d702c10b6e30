"""Until when nobody can have taken over from a master: what a process that is started anew, or put
under a new config, has to know to go on speaking at once.

It lies in shared memory that the controller holds as well, so it outlives either of them. No backup
takes over before three intervals without an advert have passed (``Speaking.was_late``); a master
that writes down the end of that time with each advert is still the master when it looks in time.
"""

from __future__ import annotations

import mmap
import os
from hashlib import blake2b
from struct import Struct
from typing import Final

SIZE: Final = 1 << 16
"""Bytes: a page for each 256 instances."""
_SLOT: Final = Struct("=8sd")
_UNTIL: Final = Struct("=d")
_KEY: Final = 8


class Logbook:
    """Times by the instance's place on the wire (interface, family, VRID), monotonic."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor``: of ``SIZE`` bytes of shared memory, see ``blank``. Raises OSError and
        ValueError when it is something else."""
        self._memory = mmap.mmap(descriptor, SIZE)
        self._slots: dict[bytes, int] = {}
        self._free: list[int] = []
        for offset in range(SIZE - _SLOT.size, -1, -_SLOT.size):
            key, until = _SLOT.unpack_from(self._memory, offset)
            if until:
                self._slots[key] = offset + _KEY
            else:
                self._free.append(offset)

    def until(self, place: str) -> float:
        """When another one may be master at the earliest; 0: it was not ours."""
        offset = self._slots.get(_key(place))
        until: float = _UNTIL.unpack_from(self._memory, offset)[0] if offset is not None else 0.0
        return until

    def note(self, place: str, until: float) -> None:
        """Write the time down; 0: it is no longer ours."""
        key = _key(place)
        offset = self._slots.get(key)
        if offset is not None and until:
            _UNTIL.pack_into(self._memory, offset, until)
        elif offset is not None:
            _UNTIL.pack_into(self._memory, offset, 0.0)
            self._free.append(self._slots.pop(key) - _KEY)
        elif until and self._free:
            offset = self._free.pop()
            _SLOT.pack_into(self._memory, offset, key, until)
            self._slots[key] = offset + _KEY

    def close(self) -> None:
        """Give the mapping back."""
        self._memory.close()


def blank() -> int:
    """The descriptor of an empty logbook."""
    descriptor = os.memfd_create("lvsguard-vrrp")
    os.ftruncate(descriptor, SIZE)
    return descriptor


def _key(place: str) -> bytes:
    return blake2b(place.encode(), digest_size=_KEY).digest()
