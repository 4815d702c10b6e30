"""Owns the running checks of one prober process: when each is probed, and what that makes of it.

All first probes at once, then each check at a phase of its own, on which it stays without drift.
A hung target costs its own check a timeout and delays nobody. It decides nothing beyond
``core.health.step`` and sends nothing: verdicts go to ``report``, the rest is asked for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lvsguard.core.agent import Standing
from lvsguard.core.config import Check, CheckKind
from lvsguard.core.health import Health, Hint
from lvsguard.probes.agent import Agents, Say
from lvsguard.probes.arp import Arp, Met
from lvsguard.probes.canaries import Canaries
from lvsguard.probes.engine import Engine
from lvsguard.probes.hints import Hints
from lvsguard.probes.kinds import KINDS, Ready
from lvsguard.probes.running import Count, Running

BURST_S: Final = (0.0, 0.01, 0.05)
"""When a hint is confirmed: the kernel refuses connections a moment after a process has died."""
SPARE_FDS: Final = 64
"""Files that the prober keeps for all but its probes."""

Report = Callable[[int, Health], None]
"""Takes a check's number and its health: at its first verdict and at each change of verdict."""


class Launched(Protocol):
    """Who waits for a socket."""

    def launch(self) -> None:
        """Begin, now that there is one."""


def _unheard(_number: int, _standing: Standing) -> None:
    """Nobody listens to agents."""


@dataclass(frozen=True, slots=True)
class Load:
    """How a prober has fared since it was asked the last time."""

    lateness: float
    """Seconds that the latest probe or timeout was late, at most."""
    in_flight: int
    """Probes under way now."""
    waiting: int
    """Probes due that wait for a file descriptor now."""
    local: int
    """Probes that could not be made for a reason of this director's own."""
    trouble: str
    """The latest such reason."""


class Prober:
    """The running checks of one process, each known by a number that its owner gave it."""

    def __init__(
        self,
        engine: Engine,
        report: Report,
        *,
        say: Say = _unheard,
        limit: int = 1000,
        kinds: Mapping[CheckKind, Ready] = KINDS,
        met: Met = lambda address, mac: None,
    ) -> None:
        """Args: say: is told what agents say; limit: sockets at most, canaries included; due
        probes beyond it wait in order; met: is told which MAC address is whose."""
        self.engine = engine
        self.report = report
        self.limit = max(limit, 1)
        self.in_flight = 0
        self.ran: list[Running] = []
        """Those with something to count."""
        self.restless: set[Running] = set()
        """Those with a new reason under the same verdict."""
        self.local = 0
        self.trouble = ""
        self.kinds = kinds
        self.hints = Hints(engine, BURST_S)
        self.canaries = Canaries(engine, self.hints, self.limit // 2, self._shift)
        self.agents = Agents(self, say)
        self.arp = Arp(engine, self.hints, met)
        self._running: dict[int, Running] = {}
        self._waiting: deque[Launched] = deque()
        self._releasing = False
        self._lateness = 0.0

    def add(self, number: int, check: Check, health: Health | None = None) -> None:
        """Begin a check; with ``health`` it goes on from there and reports changes only."""
        if number in self._running:
            raise ValueError(f"check number {number} is running already: remove it first")
        running = Running(self, number, check, health)
        self._running[number] = running
        self.canaries.join(running, check)
        self.arp.join(running, check)
        running.begin()

    def remove(self, number: int) -> None:
        """End a check or an agent, whatever it is doing; an unknown number is ignored."""
        self.agents.remove(number)
        running = self._running.pop(number, None)
        if running is not None:
            self.canaries.leave(running)
            self.arp.leave(running)
            running.end()

    def probe_now(self, numbers: Collection[int], delays: Sequence[float] = BURST_S) -> None:
        """Probe at once and again after ``delays`` (seconds), besides the usual times."""
        for number in numbers:
            running = self._running.get(number)
            if running is not None:
                running.hint(delays)

    def hint(self, numbers: Collection[int], hint: Hint, *, down: bool = False) -> None:
        """Take a hint from elsewhere; like a canary's it counts only while the verdict is up,
        unless ``down`` says otherwise."""
        for number in numbers:
            running = self._running.get(number)
            if running is not None and (down or running.up):
                self.hints.give(running, hint)

    def health(self, number: int) -> Health:
        """The health of a check that runs; ``KeyError`` for another."""
        return self._running[number].health

    def counts(self) -> Iterator[Count]:
        """Count what was done since the last time; each check that ran once."""
        ran, self.ran = self.ran, []
        offset = time.time() - time.monotonic()
        for running in ran:
            yield running.count(offset)

    def reasons(self) -> Iterator[tuple[int, Health]]:
        """Checks whose code or reason changed while the verdict stood, since the last time."""
        restless, self.restless = self.restless, set()
        for running in restless:
            if running.changed():
                yield running.number, running.health

    def load(self) -> Load:
        """How it fared since the last time."""
        load = Load(self._lateness, self.in_flight, len(self._waiting), self.local, self.trouble)
        self.local, self._lateness = 0, 0.0
        return load

    def close(self) -> None:
        """End all checks."""
        self.hints.close()
        self.canaries.close()
        self.agents.close()
        self.arp.close()
        for running in self._running.values():
            running.end()
        self._running.clear()
        self._waiting.clear()

    def queue(self, launched: Launched) -> None:
        """Have a probe wait for a file descriptor."""
        self._waiting.append(launched)

    def late(self, lateness: float) -> None:
        """Take note of when a probe began; first ones do not count, for they are a crowd."""
        self._lateness = max(self._lateness, lateness)

    def landed(self) -> None:
        """Take note that a probe ended: the next that waits may start."""
        self.in_flight -= 1
        if self._releasing:
            return
        self._releasing = True
        while self._waiting and self.in_flight < self.limit:
            self._waiting.popleft().launch()
        self._releasing = False

    def _shift(self, files: int) -> None:
        """Canaries have taken so many more files."""
        self.limit -= files

    def __len__(self) -> int:
        return len(self._running)
