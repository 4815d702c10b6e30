"""Keeps a crowd of like events from becoming a flood: some a second one by one, then their sum.

Ten thousand verdicts at a start are one fact, not ten thousand lines.
"""

from __future__ import annotations

from typing import Generic, TypeVar

EACH = 100
"""Events told one by one in each window."""
WINDOW_S = 1.0

T = TypeVar("T")


class Crowd(Generic[T]):
    """Lets the first ``EACH`` of a window through and keeps the rest for a sum."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._through = 0
        self._kept: list[T] = []

    def admits(self, one: T, now: float) -> bool:
        """Whether to tell it by itself; otherwise it is kept."""
        if not self._kept and now - self._begun >= WINDOW_S:
            self._begun, self._through = now, 0
        if self._through < EACH:
            self._through += 1
            return True
        self._kept.append(one)
        return False

    def sum(self, now: float) -> list[T]:
        """What was kept, once its window is over."""
        if not self._kept or now - self._begun < WINDOW_S:
            return []
        kept, self._kept = self._kept, []
        self._begun, self._through = now, 0
        return kept
