"""Turns hints into probes, at a bounded pace: a storm of hints must not become one of probes.

A single hint makes its burst at once. Beyond ``BURSTS`` a second each check gets one probe instead,
in turn, unless one of its usual times was first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from lvsguard.core.health import Hint
from lvsguard.probes.engine import Engine

BURSTS: Final = 50
"""Bursts at once; as many come back each second."""
PACE_S: Final = 0.01
"""Pause between two parts of a storm."""
PART: Final = 4
"""Probes of one part of a storm: 400 a second."""


class Hinted(Protocol):
    """A check that can be hinted at."""

    @property
    def ended(self) -> bool:
        """Whether it does not run any more."""

    @property
    def started(self) -> float:
        """When its latest probe began."""

    def hint(self, delays: Sequence[float], hint: Hint | None = None) -> None:
        """Probe after the delays."""


class Hints:
    """The hints of one prober (an ``engine.Sleeper``)."""

    def __init__(self, engine: Engine, burst: Sequence[float]) -> None:
        self.alarm = 0
        self.given = 0
        """Hints since the last look."""
        self._engine = engine
        self._burst = tuple(burst)
        self._left = float(BURSTS)
        self._since = engine.now
        self._waiting: dict[Hinted, Hint] = {}

    def give(self, check: Hinted, hint: Hint) -> None:
        """Have a check probed for this hint."""
        now = self._engine.now
        self.given += 1
        self._left = min(BURSTS, self._left + (now - self._since) * BURSTS)
        self._since = now
        if self._left >= 1 and check not in self._waiting:
            self._left -= 1
            check.hint(self._burst, hint)
            return
        # The kernel refuses connections a moment after a process has died: so does a later probe.
        self._waiting.setdefault(check, hint)
        if not self.alarm:
            self._engine.wake(now + self._burst[-1], self)

    def ring(self, _due: float) -> None:
        """Release a part of a storm (see ``engine.Sleeper``)."""
        released = 0
        while self._waiting and released < PART:
            check = next(iter(self._waiting))
            hint = self._waiting.pop(check)
            if not check.ended and check.started < hint.at + self._burst[-1]:
                check.hint((0.0,), hint)
                released += 1
        if self._waiting:
            self._engine.wake(self._engine.now + PACE_S, self)

    @property
    def waiting(self) -> int:
        """Checks whose hint waits for its turn."""
        return len(self._waiting)

    def close(self) -> None:
        """Forget all hints."""
        self._waiting.clear()
        self._engine.sleep(self)
