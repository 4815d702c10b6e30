"""Whether the controller stands still, in the words of /healthz, the status and the page. Pure."""

from __future__ import annotations

from typing import Final

from lvsguard.core.moment import clock

STALE_S: Final = 10.0
"""Without a complete pass for so long the controller counts as standing still."""


def standstill(last_pass: float, started: float, rest: float, now: float) -> str:
    """That no pass ends any more, and what to do; empty: it is not so.

    Wall clock; ``last_pass`` is 0 before the first one, ``rest`` the seconds from one to the next
    when nothing happens. The text does not change while it lasts: the page reads out what is new.
    """
    last = last_pass or started
    if now - last <= max(STALE_S, 2 * rest):
        return ""
    since = clock(last, now) if last_pass else f"the start at {clock(last, now)}"
    return (
        f"the controller stands still: no pass has ended since {since}, so that verdicts do not"
        " reach the kernel; see the log; a restart of lvsguard interrupts nobody"
    )
