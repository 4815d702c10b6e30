"""Makes a process run before all ordinary ones, as far as the system lets it."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Final

PRIORITY: Final = 10
"""SCHED_FIFO: above everything ordinary, below the kernel's own threads."""
MEMORY_CURRENT, MEMORY_FUTURE = 1, 2


def take_real_time() -> bool:
    """Be scheduled before ordinary processes, and never wait for a page. Whether the first was
    allowed (CAP_SYS_NICE, or LimitRTPRIO)."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        # With a limit, what is asked for later would be refused.
        ctypes.CDLL(None).mlockall(MEMORY_CURRENT | MEMORY_FUTURE)
    try:
        # What this process starts is ordinary again: a child that imports Python's modules at this
        # priority would keep every advert waiting.
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True
