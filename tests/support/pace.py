"""How slow the machine is just now: what a bound in seconds may be stretched by.

A guest shares its host. One that is kept on a CPU (tests/lab/uml.py) takes 13 us for a system call,
one that was not took up to 50. Neither is the program's doing.
"""

from __future__ import annotations

import os
import time

CALL_S = 16e-6
"""Of a system call in the guest where the bounds hold as they stand; on a slower one they stretch
with it."""


def slowness() -> float:
    """How much dearer a system call is than where the bounds were found to hold; at least 1.

    To be asked while the guest is idle.
    """
    calls = 30_000
    begun = time.perf_counter()
    for _ in range(calls):
        os.getppid()
    return max((time.perf_counter() - begun) / calls / CALL_S, 1.0)
