"""What clients send in the day of ``day_script``."""

from __future__ import annotations

import math
import random

from tests.support import day_script as script
from tests.support.day_script import SERVICES

LONG_S = 12.0
"""How long a connection lives."""

Where = tuple[str, str]
"""Name of a service, address of a realserver."""


class Traffic:
    """What clients send, which both directors' kernels see: the master's schedules it."""

    def __init__(self, chance: random.Random, step_s: int) -> None:
        self._chance = chance
        self._step = step_s
        self.active: dict[Where, float] = {}
        self.new: dict[Where, float] = {}
        """Connections since the last step."""

    def step(self, t: int, weights: dict[Where, int]) -> None:
        """Time passes; ``weights`` are those of the master's kernel."""
        for s in SERVICES:
            total = sum(weights.get((s.name, host), 0) for host in s.hosts)
            wanted = script.traffic(s, t) * self._chance.gauss(1, 0.05) * self._step
            wanted *= bool(script.masters(s.vip, t))
            for host in s.hosts:
                where = (s.name, host)
                share = weights.get(where, 0) / total if total else 0
                self.new[where] = max(0.0, wanted * share)
                lasts = 420 if share == 0 else LONG_S
                stays = self.active.get(where, 0.0) * math.exp(-self._step / lasts)
                gone = bool(script.failure(host, s.port, t))
                fresh = self.new[where] / self._step * LONG_S * (1 - math.exp(-self._step / LONG_S))
                self.active[where] = 0.0 if gone else stays + fresh
