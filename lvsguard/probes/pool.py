"""The controller's side of the prober processes: starts them, feeds them, replaces them.

A process that dies or hangs is replaced at once; its checks go on with the health that they had, so
verdicts stand and nothing is reported twice. It probes nothing and decides nothing.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Collection, Sequence
from typing import Final

from lvsguard.core.agent import Agent, Standing
from lvsguard.core.config import Check
from lvsguard.core.health import Health, Hint
from lvsguard.probes.kinds import KINDS
from lvsguard.probes.prober import BURST_S
from lvsguard.probes.worker import (
    SLICE,
    Count,
    Died,
    Heard,
    Job,
    Listeners,
    Load,
    Met,
    Record,
    Worker,
)

COMMAND: Final = (sys.executable, "-P", "-m", "lvsguard.probes.process")
"""Starts a prober process afresh: nothing of a big parent is copied."""
SILENCE_MAX_S: Final = 5.0
"""A prober that says nothing for this long (seconds; it should each second) is replaced."""


def _unheard(_agent: Agent, _standing: Standing) -> None:
    """Nobody listens to agents."""


class Probers:
    """A number of prober processes and the checks that they share.

    ``record(check, health)`` is called at a check's first verdict, at each change of it, and, at
    most once a second, when only the reason changed. ``tally(tallies)`` gets what was counted,
    about each second. ``died(prober, how, checks)`` is told of each process that ended,
    ``met(address, mac)`` which MAC address answers for a realserver, first and when it changes.
    ``heard(agent, standing)`` is called when what is known of an agent changed.
    """

    def __init__(
        self,
        count: int,
        *,
        record: Record,
        tally: Count,
        died: Died,
        heard: Heard = _unheard,
        met: Met = lambda address, mac: None,
        command: Sequence[str] = COMMAND,
        silence: float = SILENCE_MAX_S,
    ) -> None:
        """Args: command: starts a process, before its one argument; silence: seconds."""
        listeners = Listeners(record, tally, died, heard, met)
        self._workers = [
            Worker(index, listeners, command, silence) for index in range(max(count, 1))
        ]
        self._wanted: Collection[Job] = ()
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    @property
    def alive(self) -> int:
        """Processes that run and have said hello."""
        return sum(worker.alive for worker in self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of those that run."""
        return tuple(worker.pid for worker in self._workers if worker.pid)

    @property
    def loads(self) -> tuple[Load, ...]:
        """How the processes fare, those that run and have said so."""
        return tuple(worker.load for worker in self._workers if worker.load is not None)

    def configure(self, checks: Collection[Job]) -> None:
        """Have exactly these checks run and agents asked. Those that run already are not touched.

        Returns at once; the work is done in slices by ``run``. ``settled`` waits for it.
        """
        self._wanted = checks
        self._settled.clear()
        self._changed.set()

    async def settled(self) -> None:
        """Wait until the last ``configure`` has been handed to the processes."""
        await self._settled.wait()

    def probe_now(self, checks: Collection[Check], delays: Sequence[float] = BURST_S) -> None:
        """Probe at once and again after ``delays`` (seconds), besides the usual times."""
        for worker in self._workers:
            worker.probe_now(checks, delays)

    def hint(self, checks: Collection[Check], hint: Hint, *, down: bool = False) -> None:
        """Have those that are up probed for this hint, at the pace of each prober; ``down``: and
        those that are not."""
        for worker in self._workers:
            worker.probe_now(checks, (), hint, down=down)

    def health(self, check: Check) -> Health | None:
        """What was last told of a check that runs; None: nothing yet, or it does not run."""
        told = (worker.health(check) for worker in self._workers)
        return next((health for health in told if health is not None), None)

    def standing(self, agent: Agent) -> Standing | None:
        """What was last told of an agent that is asked; None: nothing yet, or it is not."""
        told = (worker.standing(agent) for worker in self._workers)
        return next((standing for standing in told if standing is not None), None)

    async def run(self) -> None:
        """Start the processes and replace those that end, until cancelled; then end them."""
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(worker.run(), name=f"prober-{worker.index}")
            tasks.create_task(self._distribute(), name="prober-checks")

    async def _distribute(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = self._wanted
            shares: list[dict[Job, None]] = [{} for _ in self._workers]
            for count, check in enumerate(wanted, 1):
                if isinstance(check, Agent) or check.spec.kind in KINDS:
                    shares[_share(check, len(shares))][check] = None
                if not count % SLICE:
                    await asyncio.sleep(0)
            for worker, share in zip(self._workers, shares, strict=True):
                await worker.configure(share)
            if not self._changed.is_set():
                self._settled.set()


def _share(check: Job, count: int) -> int:
    """Which process a check belongs to: the same whenever it is asked, all of a realserver's."""
    return zlib.crc32(check.address.packed) % count
