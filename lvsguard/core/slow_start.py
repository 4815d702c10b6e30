"""Slow start: the weight of a realserver that came up rises linearly, in whole steps.

Few steps, because with some schedulers each one rebuilds a table that all clients depend on
(net/netfilter/ipvs/ip_vs_mh.c).
"""

from __future__ import annotations

STEPS = 20
"""At most; a weight of n has n - 1."""
_GRAIN = 1e-6
"""Of a step: a clock reading that is short of it by rounding only has reached it."""


def risen(full: int, began: float, duration: float, now: float) -> int:
    """The weight at ``now``: from 1 at ``began`` to ``full`` after ``duration`` seconds."""
    steps, done = _progress(full, began, duration, now)
    return full if done >= steps else 1 + (full - 1) * done // steps


def next_step(full: int, began: float, duration: float, now: float) -> float | None:
    """When the weight rises next; None: it is there."""
    steps, done = _progress(full, began, duration, now)
    return None if done >= steps else began + (done + 1) * duration / steps


def _progress(full: int, began: float, duration: float, now: float) -> tuple[int, int]:
    """Steps in all, and those that are done."""
    steps = min(full - 1, STEPS)
    if steps <= 0 or duration <= 0:
        return 0, 0
    return steps, max(int((now - began) * steps / duration + _GRAIN), 0)
