"""What /healthz and /readyz say, judged from a view. Answers nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from lvsguard.core.snapshot import View
from lvsguard.serving import Slices

STALE_SECONDS = 10.0
"""Without a complete pass for so long the controller counts as stuck."""
REASONS_MAX = 50


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer: well, or why not, one line each."""

    reasons: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.reasons


def alive(view: View, now: float) -> Judgement:
    """Whether the daemon does its work: passes happen, the probers live. ``now``: wall clock."""
    loop = view.loop()
    reasons = []
    last = loop.last_pass or view.started
    if now - last > STALE_SECONDS:
        what = "the last pass ended" if loop.last_pass else "no pass has ended; the start was"
        reasons.append(f"{what} {now - last:.0f} s ago: see lvsguard status and the log")
    if loop.probers < loop.probers_wanted:
        reasons.append(
            f"{loop.probers} of {loop.probers_wanted} probers alive: verdicts stand, see the log"
        )
    return Judgement(tuple(reasons))


async def ready(view: View) -> Judgement:
    """Whether clients are served: the kernel is as wanted, and every service has its quorum."""
    reasons = []
    loop = view.loop()
    if not loop.programmed:
        reasons.append("the kernel is not as wanted")
        reasons += loop.trouble
    slices = Slices()
    for service in view.services():
        if service.quorum_have < service.quorum_need:
            reasons.append(
                f"service {service.name}: live weight {service.quorum_have}, "
                f"needs {service.quorum_need}"
            )
        if slices.due():
            await slices.rest()
    if len(reasons) > REASONS_MAX:
        reasons = [*reasons[:REASONS_MAX], f"and {len(reasons) - REASONS_MAX} more"]
    return Judgement(tuple(reasons))
