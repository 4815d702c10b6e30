"""Whether the kernel holds what VIP groups that move together need, with hysteresis both ways, and
whether they would be led by nobody if it did not count. Time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STEADY_S: Final = 3.0
"""Seconds for which the kernel must refuse something before it counts, and refuse nothing before
that counts: a kernel that refuses now and then would move a VIP each time."""
NOBODY_S: Final = 10.0
"""Seconds without a leader until a director contends whose kernel lacks something: some of the
services are better than none."""


@dataclass(slots=True)
class Footing:
    """How it stands since the last look."""

    begun: bool = False
    """Whether the kernel held all of it once."""
    fit: bool = False
    nobody: bool = False
    """Whether it is not fit, and nobody else has led for a while."""
    _other_since: float | None = None
    """Since when the kernel is other than ``fit`` says."""
    _unled_since: float | None = None

    def look(self, now: float, *, holds: bool, led: bool) -> None:
        """``holds``: whether the kernel holds all of it now (monotonic seconds). ``led``: another
        director is heard to lead."""
        if holds == self.fit:
            self._other_since = None
        elif self._other_since is None:
            self._other_since = now
        if self._other_since is not None and now - self._other_since >= STEADY_S:
            self.fit, self._other_since = holds, None
        if holds and not self.begun:
            self.begun = self.fit = True
            self._other_since = None
        if self.fit or led:
            self._unled_since = None
        elif self._unled_since is None:
            self._unled_since = now
        self.nobody = self._unled_since is not None and now - self._unled_since >= NOBODY_S
