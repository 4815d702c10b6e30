"""Since when verdicts hold: what an earlier run kept is taken over, what changes is kept.

Told once for each change, never for a probe; a verdict that goes on from before is not told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from lvsguard.core.agent import Agent, Standing
from lvsguard.core.begun import Begun, Lasting, continued
from lvsguard.core.config import Check
from lvsguard.core.health import Health, Verdict

Keep = Callable[[Lasting, Begun], None]


def _unkept(_lasting: Lasting, _begun: Begun) -> None:
    """Nobody keeps it."""


class Since:
    """The times of verdicts, of checks and of agents."""

    def __init__(self, kept: Mapping[Lasting, Begun], keep: Keep = _unkept) -> None:
        """``kept``: what is kept now, read at each first verdict; ``keep`` gets what begins."""
        self._kept = kept
        self._keep = keep

    def check(self, check: Check, before: Health | None, health: Health, now: float) -> Health:
        """A prober's word with the time of its verdict. ``now``: monotonic."""
        if health.verdict is Verdict.UNKNOWN:
            return health
        known = Verdict.UNKNOWN if before is None else before.verdict
        if before is not None and known is health.verdict:
            return replace(health, kept=before.kept) if before.kept else health
        wall, lasting = time.time(), check.lasting
        if known is Verdict.UNKNOWN:
            kept = continued(self._kept.get(lasting), health.verdict, wall)
            if kept is not None:
                return replace(health, kept=kept)
        self._keep(lasting, Begun(health.verdict, wall - (now - health.since)))
        return health

    def agent(self, agent: Agent, before: Standing, standing: Standing, now: float) -> Standing:
        """An agent's word with the time of its last change from or to down, where there was one
        in any run. ``now``: monotonic."""
        if not standing.heard:
            return standing
        if before.heard and before.down is standing.down:
            return replace(standing, kept=before.kept) if before.kept else standing
        wall, lasting = time.time(), agent.lasting
        verdict = Verdict.DOWN if standing.down else Verdict.UP
        begun = Begun(verdict, wall - (now - standing.since) if standing.since else wall)
        if before.heard:
            self._keep(lasting, begun)
            return standing
        held = self._kept.get(lasting)
        if held is None and not standing.down:
            return standing
        kept = continued(held, verdict, wall)
        if kept is None:
            self._keep(lasting, begun)
            kept = 0.0 if standing.down else begun.at  # that it came up is told by nobody else
        return replace(standing, kept=kept)
