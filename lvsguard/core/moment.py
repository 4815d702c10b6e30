"""Times as people say them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_SAME_DAY_S: Final = 20 * 3600.0


def span(seconds: float) -> str:
    """A time in two units at most: ``12s``, ``5m03s``, ``3h12m``, ``4d06h``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def clock(at: float, now: float) -> str:
    """A wall-clock time in UTC, with its day unless that is plain: ``12:00:03 UTC``."""
    stamp = datetime.fromtimestamp(at, UTC)
    near = abs(now - at) < _SAME_DAY_S
    return stamp.strftime("%H:%M:%S UTC" if near else "%Y-%m-%d %H:%M UTC")


def when(at: float, now: float) -> str:
    """A time, and how far it is from now: ``12:00:03 UTC (12s ago)``, ``... (in 2h00m)``."""
    far = f"in {span(at - now)}" if at > now + 0.5 else f"{span(now - at)} ago"
    return f"{clock(at, now)} ({far})"


def duration(seconds: float) -> str:
    """A short time: ``3 ms``, ``0.25 s``, ``12 s``."""
    if seconds < 0.0995:
        return f"{max(round(seconds * 1000), 1)} ms" if seconds > 0 else "0 ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
