"""When the guest itself stood still: for 0.2 s at times, while others on its host were busy.

`python -m tests.support.stillness` prints when an idle real-time timer was late.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.processes import Process, Processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERY_S = 0.01
LATE_S = 0.005
PRIORITY = 20
"""Of SCHED_FIFO: above any director."""


@dataclass(frozen=True, slots=True)
class Stillness:
    """An idle real-time timer beside a test: when it was late, nobody in the guest was served."""

    process: Process

    def longest_s(self, since: float = 0.0) -> float:
        """How late it was at most since a moment (monotonic)."""
        return max((late for at, late in self._told() if at >= since), default=0.0)

    def within_s(self, begin: float, end: float) -> float:
        """For how much of a time (monotonic) it was late."""
        return sum(max(0.0, min(end, at + late) - max(begin, at)) for at, late in self._told())

    def _told(self) -> list[tuple[float, float]]:
        told = [line.split() for line in self.process.text().splitlines()]
        return [(float(at), float(late)) for at, late in told]


@contextmanager
def stillness(logs: Path) -> Iterator[Stillness]:
    """Watch the guest for as long as it is open."""
    processes = Processes(logs)
    try:
        process = processes.start("stillness", [sys.executable, "-m", "tests.support.stillness"])
        process.wait_for("\n")
        yield Stillness(process)
    finally:
        processes.close()


def main() -> None:
    """Print when the timer was late by more than a little (monotonic), and by how many seconds."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    print("0 0", flush=True)
    while True:
        due = time.monotonic() + EVERY_S
        time.sleep(EVERY_S)
        if (late := time.monotonic() - due) > LATE_S:
            print(due, late, flush=True)


if __name__ == "__main__":
    main()
