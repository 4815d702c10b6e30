"""When the loop reads the kernel next, and for how long it lets verdicts gather.

Pure: times are monotonic seconds and come as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FLOOR_S: Final = 0.002
"""Wait after a wake, so that the verdicts of one moment make one plan."""
CROWD_S: Final = 0.1
"""Longest such wait, while one quick pass follows another, or while verdicts come in a crowd."""
CROWDED: Final = 10
"""So many verdicts within ``FLOOR_S`` are part of a crowd, whose rest is waited for."""
CROWD: Final = 50
"""So many services decided anew in one pass, while first verdicts are awaited, put the next
read off: the first verdicts of a large table come before somebody else's changes."""
PUT_OFF_S: Final = 4.0
"""By how much at most, past the moment when it was due."""
REST: Final = 2.0
"""After a read the loop does without one for so many times the CPU time that it took: however large
the table is, reading it takes a third of the controller's core at most."""


@dataclass(slots=True)
class Rhythm:
    """Remembers the last read and the last quick pass."""

    _due: float = 0.0
    _quick_ended: float = float("-inf")
    _quick_took: float = 0.0
    _crowded: bool = False

    def read(self, began: float, ended: float, cpu: float, resync: float) -> None:
        """The kernel was read, for ``cpu`` seconds of this process: the next read is due
        ``resync`` after the beginning of this one, where the table is not too large for that."""
        self._due = max(began + resync, ended + REST * cpu)
        self._crowded = False

    def quick(self, began: float, ended: float, services: int, *, first: bool) -> None:
        """A quick pass decided so many services anew; ``first``: first verdicts are awaited."""
        self._crowded = first and services >= CROWD
        if services:
            self._quick_ended, self._quick_took = ended, ended - began

    def whole(self, services: int, *, first: bool) -> None:
        """The pass of that read decided so many services anew. Where it took longer than a resync
        the next read is due, and without a put-off no quick pass would ever come."""
        self._crowded = first and services >= CROWD

    def until_read(self, now: float) -> float:
        """Seconds until the next read is due."""
        return max(self._due + (PUT_OFF_S if self._crowded else 0.0) - now, 0.0)

    def gather(self, now: float) -> float:
        """Seconds to let verdicts gather after a wake. A crowd of them makes pass follow pass, and
        most of the time must stay free for others."""
        if now - self._quick_ended < CROWD_S:
            return min(4 * self._quick_took, CROWD_S)
        return FLOOR_S


def more_come(came: int, waited: float) -> bool:
    """Whether to let verdicts gather for another ``FLOOR_S``: so many came since the last look, and
    so long has been waited."""
    return came >= CROWDED and waited < CROWD_S
