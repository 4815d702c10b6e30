"""Turns hints into probes, at a bounded pace: a storm of hints must not become one of probes.

A single hint makes its burst at once. Beyond ``BURSTS`` a second each check gets one probe instead,
in turn, unless one of its usual times was first: a thousand within a fifth of a second, for if they
are dead they must be out, and then ``STEADY`` a second. What a storm finds out is told together
(``rest``), so that it makes one plan, and nobody is taken out before it shows that all are. A host
that says nothing refuses nothing either, so a storm of silence is over when the patience is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from lvsguard.core.health import Hint
from lvsguard.probes.engine import Engine

BURSTS: Final = 50
"""Bursts at once; as many come back each second."""
PACE_S: Final = 0.005
"""Pause between two parts of a storm."""
PART: Final = 25
"""Probes of one part of a storm: 5,000 a second."""
CROWD: Final = 1000
"""Probes of a storm at that pace."""
STEADY: Final = 400
"""So many of them come back each second: what a storm that does not end may cost."""
ANSWER_S: Final = 0.02
"""Seconds that a storm's last probes have to be refused."""
GATHER_S: Final = 0.5
"""Seconds that news wait at most for the end of a storm."""


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
        self._bursts = Bucket(BURSTS, BURSTS, engine.now)
        self._probes = Bucket(CROWD, STEADY, engine.now)
        self._waiting: dict[Hinted, Hint] = {}
        self._silent: dict[Hinted, tuple[float, float]] = {}
        """Checks whose hosts say nothing: when the probe there ends, and how long one takes."""
        self._over = 0.0
        """When the probes of a storm that were released have had their time."""
        self._short = False
        """Whether more wait than may be probed at the pace of a storm."""

    def give(self, check: Hinted, hint: Hint) -> None:
        """Have a check probed for this hint."""
        now = self._engine.now
        self.given += 1
        if check not in self._waiting and self._bursts.take(now):
            check.hint(self._burst, hint)
            return
        # The kernel refuses connections a moment after a process has died: so does a later probe.
        waits = self._waiting.get(check)
        if waits is None:
            self._waiting[check] = hint
        elif check.started >= waits.at + self._burst[-1]:  # that one is answered already
            del self._waiting[check]
            self._waiting[check] = hint
        if not self.alarm:
            self._engine.wake(now + self._burst[-1], self)

    def silent(self, check: Hinted, begun: float, patience: float) -> None:
        """The host of a check says nothing on its link: the probe that ``begun`` then, or begins
        then at the latest, ends after ``patience`` seconds. One that waits for its turn begins
        with that."""
        self._silent[check] = begun + patience, patience

    def ring(self, _due: float) -> None:
        """Release a part of a storm (see ``engine.Sleeper``)."""
        now, released, ripe = self._engine.now, 0, self._burst[-1]
        self._short = False
        while self._waiting and released < PART:
            check, hint = next(iter(self._waiting.items()))
            if not check.ended and check.started < hint.at + ripe:
                if now < hint.at + ripe:
                    break
                self._short = not self._probes.take(now)
                if self._short:
                    break
                self._release(check, hint, now)
                released += 1
            del self._waiting[check]
        if self._waiting:
            self._engine.wake(now + PACE_S, self)

    def rest(self, now: float) -> float:
        """Seconds until what a storm has found out is likely to be complete; 0 without one, and
        for one that is too large to wait for."""
        if self._short:
            return 0.0
        over = max(self._over, self._silence(now)) - now
        if self._waiting:
            patience = max(self._patience(check) for check in self._waiting)
            first = max(next(iter(self._waiting.values())).at + self._burst[-1] - now, 0.0)
            turns = len(self._waiting) / PART * PACE_S
            over = max(over, first + turns + patience + ANSWER_S)
        return max(over, 0.0)

    @property
    def waiting(self) -> int:
        """Checks whose hint waits for its turn."""
        return len(self._waiting)

    def close(self) -> None:
        """Forget all hints."""
        self._waiting.clear()
        self._silent.clear()
        self._engine.sleep(self)

    def _release(self, check: Hinted, hint: Hint, now: float) -> None:
        patience = self._patience(check)
        check.hint((0.0,), hint)
        if patience:
            self._silent[check] = now + patience, patience
        self._over = max(self._over, now + patience + ANSWER_S)

    def _patience(self, check: Hinted) -> float:
        """Seconds that a probe takes at least to show what the hint was about."""
        return self._silent.get(check, (0.0, 0.0))[1]

    def _silence(self, now: float) -> float:
        """When a storm of silence is over; 0 where so few are silent that they are none."""
        self._silent = {
            check: known
            for check, known in self._silent.items()
            if known[0] > now or check in self._waiting
        }
        if len(self._silent) <= BURSTS:
            return 0.0
        return max(until for until, _ in self._silent.values()) + ANSWER_S


class Bucket:
    """So many at once, and so many more each second."""

    __slots__ = ("_a_second", "_left", "_most", "_since")

    def __init__(self, most: int, a_second: int, now: float) -> None:
        self._most, self._a_second = most, a_second
        self._left, self._since = float(most), now

    def take(self, now: float) -> bool:
        """Take one, if one is left."""
        self._left = min(self._most, self._left + (now - self._since) * self._a_second)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
