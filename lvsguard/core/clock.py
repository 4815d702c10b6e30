"""How far another director's clock is from this one's, from what messages say of when they were
sent and heard. Pure.

As NTP does it (RFC 5905 section 8): four times of two messages give the offset, wrong by half of
the time that both were on their way, at most.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

SAMPLES: Final = 8
AGE_S: Final = 20.0
"""Older ones say nothing of a clock that may have been set since, with one each second."""
SLACK_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Clock:
    """Times of a message by its sender's clock (wall clock, seconds)."""

    sent: float
    echo: float | None = None
    """What the other one's last message said of when it was sent, by that one's clock."""
    heard: float | None = None
    """When that one came."""


@dataclass(frozen=True, slots=True)
class Offset:
    """Seconds that the other clock is ahead of this one, and by how much that may be wrong."""

    seconds: float
    bound: float

    @property
    def least(self) -> float:
        """The distance that there is for certain."""
        return max(abs(self.seconds) - self.bound, 0.0)

    def __str__(self) -> str:
        way = "ahead of" if self.seconds >= 0 else "behind"
        return f"{abs(self.seconds):.3f} s {way} this one (+- {self.bound:.3f} s)"


class ClockMeter:
    """Measures one other clock, message by message."""

    def __init__(self, age: float = AGE_S) -> None:
        """``age``: seconds for which a measurement counts."""
        self._age = age
        self._samples: deque[tuple[float, Offset]] = deque(maxlen=SAMPLES)
        self._sent: float | None = None
        self._heard = 0.0

    def stamp(self, now: float) -> Clock:
        """What to put into a message that is sent now (wall clock)."""
        if self._sent is None:
            return Clock(now)
        return Clock(now, self._sent, self._heard)

    def take(self, clock: Clock, now: float, at: float) -> None:
        """A message came: ``now`` by the wall clock, ``at`` by the monotonic one."""
        self._sent, self._heard = clock.sent, now
        if clock.echo is None or clock.heard is None:
            return
        way = (now - clock.echo) - (clock.sent - clock.heard)
        if way < 0.0:  # one of the two was set in between
            self._samples.clear()
            return
        offset = ((clock.heard - clock.echo) + (clock.sent - now)) / 2
        new = Offset(offset, way / 2)
        if self._samples and _apart(self.read(at), new):
            self._samples.clear()
        self._samples.append((at, new))

    def read(self, at: float) -> Offset | None:
        """The best that is known at ``at`` (monotonic); None: nothing."""
        fresh = [one for when, one in self._samples if at - when <= self._age]
        return min(fresh, key=lambda one: one.bound, default=None)


def _apart(known: Offset | None, new: Offset) -> bool:
    """Whether both cannot be true: a clock was set."""
    if known is None:
        return False
    return abs(known.seconds - new.seconds) > known.bound + new.bound + SLACK_S
