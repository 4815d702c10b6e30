"""Whether a host is there on its link: asked how often, and what its silence comes to mean.

Pure: no socket, and time is an argument (monotonic seconds). A host that has never answered is not
missed: it may be far away, or may not answer such questions.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

IN_DOUBT: Final = 4
"""How many times as often it is asked once a question was not answered: one lost frame in twenty
each way must not make a host dead, so its silence is that of many questions."""
ABSENT_S: Final = 1.0
"""Pause while it is silent, or has not answered yet."""
NEVER: Final = 10
"""Questions without an answer after which it is likely that none will come."""
STRANGER_S: Final = 10.0
"""Pause from then on."""
_NEARLY: Final = 0.98
"""Share of a time that counts as the whole: turns are not exact."""


class Silence(Enum):
    """What a host's silence means at one turn."""

    NONE = auto()
    """Nothing, or nothing new."""
    DOUBT = auto()
    """One question less than what makes it dead."""
    DEAD = auto()
    STRANGER = auto()
    """It has never answered, and probably will not."""


class Answer(Enum):
    """What an answer means."""

    SAME = auto()
    FIRST = auto()
    MOVED = auto()
    """It comes from another MAC address than before."""


class Presence:
    """What is known of one host."""

    __slots__ = ("_count", "_doubted", "_interval", "_since", "_tries", "mac", "silent")

    def __init__(self, interval: float, tries: int) -> None:
        self.mac = b""
        """Where it answers; empty until it has."""
        self.silent = False
        """Whether it has answered, and does not any more."""
        self._interval = interval
        self._tries = tries
        self._since: float | None = None
        """When the first question was asked that is not answered."""
        self._count = 0
        self._doubted = False

    @property
    def since(self) -> float:
        """When the first question was asked that is not answered; infinite where all are."""
        return float("inf") if self._since is None else self._since

    @property
    def pause(self) -> float:
        """Seconds to the next turn."""
        if not self.mac:
            if self._count >= NEVER:
                return STRANGER_S
            return self._interval if self._count <= self._tries else ABSENT_S
        if self.silent:
            return ABSENT_S
        return self._interval / IN_DOUBT if self._count > 1 else self._interval

    @property
    def to_all(self) -> bool:
        """Whether the question goes to all hosts: it may have another MAC address by now."""
        return not self.mac or self.silent or (self._count > 1 and not self._count % IN_DOUBT)

    def turn(self, now: float, late: float = 0.0) -> Silence:
        """A question goes out now. ``late``: seconds that this director itself did not run."""
        if self._since is None:
            self._since, self._count = now, 1
            return Silence.NONE
        self._since += late
        self._count += 1
        quiet = (now - self._since) / self._interval
        if not self.mac:
            return Silence.STRANGER if self._count == NEVER else Silence.NONE
        if self.silent:
            return Silence.NONE
        if quiet >= self._tries * _NEARLY and self._count > self._tries:
            self.silent = True
            return Silence.DEAD
        if not self._doubted and quiet >= (self._tries - 1) * _NEARLY:
            self._doubted = True
            return Silence.DOUBT
        return Silence.NONE

    def pace(self, interval: float, tries: int) -> None:
        """Be asked so often from now on; what is known stays."""
        self._interval, self._tries = interval, tries

    def unasked(self) -> None:
        """The question could not be asked: what was not heard means nothing."""
        if not self.silent:
            self._since, self._count, self._doubted = None, 0, False

    def answered(self, mac: bytes) -> Answer:
        """It answers, from there; empty: from where it was asked."""
        before, self.mac = self.mac, mac or self.mac
        self._since, self._count = None, 0
        self.silent = self._doubted = False
        if not before:
            return Answer.FIRST
        return Answer.SAME if self.mac == before else Answer.MOVED
