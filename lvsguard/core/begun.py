"""Since when a verdict holds, over restarts of the daemon: when a kept time is taken. Pure.

A daemon that starts comes to its first verdicts anew, though nothing changed. Times that outlive it
are wall clock, for the monotonic one ends with the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lvsguard.core.health import Verdict

EARLIEST: Final = 1_577_836_800.0
"""The begin of 2020: a time before is that of a clock that was not set yet."""

Lasting = tuple[str, int, str, str]
"""What is the same check, or agent, in any run: address, port, how it is asked, for what."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A verdict, and since when it holds."""

    verdict: Verdict
    at: float
    """Wall clock."""


def continued(kept: Begun | None, verdict: Verdict, now: float) -> float | None:
    """Since when (wall clock) the first verdict of this run holds, where it goes on from one that
    was kept. ``now``: wall clock; a time ahead of it, or before any lvsguard, was told by a clock
    that went another way."""
    if kept is None or kept.verdict is not verdict or not EARLIEST <= kept.at <= now:
        return None
    return kept.at
