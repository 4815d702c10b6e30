"""Whether a backup may replace a master of lower priority that speaks. Pure.

A master that is silent or resigns is replaced whatever is said here.
"""

from __future__ import annotations

from lvsguard.vrrp.settings import Settings


class Preemption:
    """What keeps one backup from it. ``now`` is monotonic seconds."""

    __slots__ = ("_hold_until", "_lower_since", "_settings", "aside")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hold_until: float | None = None
        self._lower_since: float | None = None
        """When a master of lower priority was first heard, for the preempt delay."""
        self.aside = False
        """Whether a failover keeps it from preempting."""

    @property
    def free(self) -> bool:
        """Whether nobody holds it back: then an owner does not even listen first."""
        return self._hold_until is None and not self.aside

    @property
    def held_until(self) -> float | None:
        """See ``hold``."""
        return self._hold_until

    def hold(self, until: float | None) -> None:
        """Hold it back until then; None: no longer."""
        self._hold_until = until

    def lapsed(self, now: float) -> bool:
        """Whether what it was held back for did not come in time."""
        return self._hold_until is not None and now >= self._hold_until

    def begin(self) -> None:
        """Nobody was heard yet."""
        self._lower_since = None

    def hear(self, *, lower: bool, now: float) -> None:
        """A master was heard, of lower priority or not."""
        if not lower:
            self._lower_since = None
        elif self._lower_since is None:
            self._lower_since = now

    def allowed(self, now: float) -> bool:
        """Whether a master of lower priority is to be replaced."""
        if not self._settings.preempt or self.aside:
            return False
        if self._hold_until is not None and now < self._hold_until:
            return False
        return self._lower_since is None or now >= self._lower_since + self._settings.preempt_delay
