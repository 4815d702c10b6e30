"""How late an idle real-time timer is: `python -m tests.bench.timer_noise SECONDS`.

Prints milliseconds as JSON. Nobody's adverts can be better than the machine that they are sent on.
"""

from __future__ import annotations

import json
import os
import sys
import time

EVERY_S = 0.01
PRIORITY = 20
"""Of SCHED_FIFO: above any director."""


def lateness(seconds: float) -> list[float]:
    """How late each tick was, s; the least first."""
    end = due = time.monotonic()
    end += seconds
    late = []
    while due < end:
        due += EVERY_S
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(time.monotonic() - due)
    return sorted(late)


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    found = lateness(float(sys.argv[1]))
    ranks = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    shown = {name: found[int(len(found) * rank)] * 1e3 for name, rank in ranks.items()}
    print(
        json.dumps({name: round(ms, 2) for name, ms in (shown | {"max": found[-1] * 1e3}).items()})
    )
