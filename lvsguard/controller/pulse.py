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
    reads: int = 0
    read_cpu_seconds: float = 0.0
    """CPU time of all reads so far."""
    failed_passes: int = 0
    programmed: bool = False

    def read(self, seconds: float, cpu: float) -> None:
        """The kernel was read, in so many seconds, for so many of which this process worked."""
        self.reads += 1
        self.read_seconds = seconds
        self.read_cpu_seconds += cpu
