"""How long a test's event loop was kept from everybody else, seen by a task that only looks."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(slots=True)
class Turns:
    """Turns that the looking task had, and the longest time between two of them: seconds of this
    thread's own time, for what else the machine does is nobody's doing here."""

    count: int = 0
    longest_s: float = 0.0


@asynccontextmanager
async def turns() -> AsyncIterator[Turns]:
    """Look for as long as it is open."""
    felt = Turns()
    task = asyncio.create_task(_feel(felt))
    await asyncio.sleep(0)
    try:
        yield felt
        await asyncio.sleep(0)
    finally:
        task.cancel()


async def _feel(felt: Turns) -> None:
    while True:
        before = time.thread_time()
        await asyncio.sleep(0)
        felt.longest_s = max(felt.longest_s, time.thread_time() - before)
        felt.count += 1
