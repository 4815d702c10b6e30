"""Of which instances refusals are held back: of backups, and for a moment of new masters. Pure.

A backup says nothing in the VIP's name, so that to hold it back harms nobody and is in place when
it takes over. A master that took over as planned still hears of the last connections; any other one
knows all that it ever will.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

HOLD_MAX_S: Final = 1.5
"""Longest time after becoming master; a client's first retransmissions are within it."""


class Refusals:
    """By instance. Times are monotonic."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        """Instances for which nothing may be held back any more."""
        self._releases: dict[str, float] = {}
        """When an instance joins those."""

    def keep(self, names: Collection[str]) -> None:
        """Forget all instances but these."""
        self._open.intersection_update(names)
        self._releases = {name: at for name, at in self._releases.items() if name in names}

    def takes_over(self, name: str, *, planned: bool, now: float) -> None:
        """An instance is master."""
        self._releases.pop(name, None)
        if planned:
            self._releases[name] = now + HOLD_MAX_S
        else:
            self._open.add(name)

    def steps_down(self, name: str) -> None:
        """An instance is no master."""
        self._releases.pop(name, None)
        self._open.discard(name)

    def held(self, name: str) -> bool:
        """Whether those of an instance are held back."""
        return name not in self._open

    def timer(self) -> float | None:
        """When to call ``expire``."""
        return min(self._releases.values(), default=None)

    def expire(self, now: float) -> None:
        """Let through what was held back for long enough."""
        for name in [name for name, at in self._releases.items() if at <= now]:
            del self._releases[name]
            self._open.add(name)
