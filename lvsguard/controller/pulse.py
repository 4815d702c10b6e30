"""How the loop does, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pulse:
    """How the loop does. Wall clock and seconds."""

    passes: int = 0
    last_pass: float = 0.0
    pass_seconds: float = 0.0
    read_seconds: float = 0.0
    failed_passes: int = 0
    programmed: bool = False
