"""How late adverts leave. Pure."""

from __future__ import annotations

from bisect import bisect_left

from lvsguard.vrrp.message import LATENESS


class Lateness:
    """A histogram of seconds over the bounds ``LATENESS``."""

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENESS) + 1)
        self.sum = 0.0
        self.worst = 0.0

    def note(self, seconds: float) -> None:
        """Count one advert that left this much after it was due."""
        late = max(seconds, 0.0)
        self.counts[bisect_left(LATENESS, late)] += 1
        self.sum += late
        self.worst = max(self.worst, late)
