"""A simulated day of two directors, scraped each minute: python -m tests.support.day FILE.

The file is OpenMetrics, made of real expositions of the real telemetry; the day is in day_script.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from tests.support import day_script as script
from tests.support.day_director import Director
from tests.support.day_traffic import Traffic
from tests.support.openmetrics import Recorder

PORT = 9852


async def record(step_s: int = script.STEP_S) -> Recorder:
    """The day, scraped so often."""
    recorder = Recorder()
    directors = [Director(name, step_s) for name in script.DIRECTORS]
    traffic = Traffic(random.Random(51), step_s)
    for t in range(0, script.DAY_S + 1, step_s):
        weights: dict[tuple[str, str], int] = {}
        for s in script.SERVICES:
            lead = script.masters(s.vip, t)[:1]
            for director in directors:
                if director.name in lead:
                    weights |= {k: w for k, w in director.weights.items() if k[0] == s.name}
        traffic.step(t, weights)
        for director in directors:
            text = None
            if director.step(t, traffic):
                pieces = [piece async for piece in director.metrics.render(director.view)]
                text = b"".join(pieces).decode()
            recorder.take(f"{director.name}:{PORT}", text, script.MIDNIGHT + t)
    return recorder


if __name__ == "__main__":
    asyncio.run(record()).write(Path(sys.argv[1]))
