"""What came of telling a hook once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """One run of a command, or one try of a webhook."""

    why: str = ""
    """What went wrong, with what to do; empty: nothing."""
    again: bool = False
    """Whether another try may help."""
    after: float = 0.0
    """Seconds that the other side wants to be left alone first."""
