"""lvsguard, and in its event loop a timer that tells when it was late: `lvsguard run` is not asked.

    python -m tests.support.late_loop FILE lvsguard run ...

FILE gets a line each time: when the timer was due (monotonic), and by how many seconds it was late.
What the guest itself kept from everybody at that moment is told by `tests.support.stillness`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsguard.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stillness import Stillness

EVERY_S = 0.04
TOLD_S = 0.005
"""Less is not worth a line."""


@dataclass(frozen=True, slots=True)
class LateLoop:
    """What a daemon's loop was late by. Start the daemon `under` it."""

    file: Path

    @property
    def under(self) -> tuple[str, ...]:
        """The command that a director is started under."""
        return (sys.executable, "-m", "tests.support.late_loop", str(self.file))

    def unexplained(self, begin: float, end: float, still: Stillness) -> list[float]:
        """How late it was each time in between (monotonic), without the time for which the guest
        stood still meanwhile; seconds, the worst first."""
        lines = [line.split() for line in self.file.read_text().splitlines()]
        times = [(float(due), float(late)) for due, late in lines]
        return sorted(
            (late - still.within_s(due, due + late) for due, late in times if begin < due < end),
            reverse=True,
        )


def feel(loop: asyncio.AbstractEventLoop, file: int, due: float) -> None:
    """Tell how late this is, and come again."""
    if (late := time.monotonic() - due) > TOLD_S:
        os.write(file, f"{due} {late}\n".encode())
    loop.call_later(EVERY_S, feel, loop, file, time.monotonic() + EVERY_S)


class Felt(asyncio.DefaultEventLoopPolicy):
    """The usual loops, with that timer in each."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        loop.call_soon(feel, loop, self._file, time.monotonic())
        return loop


if __name__ == "__main__":
    path, sys.argv = sys.argv[1], sys.argv[2:]
    asyncio.set_event_loop_policy(Felt(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)))
    sys.exit(main())
