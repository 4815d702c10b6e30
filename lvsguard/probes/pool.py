"""The controller's side of the prober processes: starts them, feeds them, replaces them.

A process that dies or hangs is replaced at once; its checks go on with the health that they had, so
verdicts stand and nothing is reported twice. It probes nothing and decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from lvsguard.core.agent import Agent, Standing
from lvsguard.core.config import Check, CheckKind
from lvsguard.core.health import Health, Hint
from lvsguard.core.model import IPAddress
from lvsguard.core.tally import Tally
from lvsguard.probes import message
from lvsguard.probes.channel import Channel
from lvsguard.probes.kinds import KINDS
from lvsguard.probes.message import (
    Counts,
    Heartbeat,
    Hello,
    MessageError,
    ProbeNow,
    Verdicts,
    Words,
)
from lvsguard.probes.prober import BURST_S

log = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-P", "-m", "lvsguard.probes.process")
"""Starts a prober process afresh: nothing of a big parent is copied."""
SILENCE_MAX_S: Final = 5.0
"""A prober that says nothing for this long (seconds; it should each second) is replaced."""
LAST_LOOK_S: Final = 0.1
"""Seconds to read what it said while this process itself stood still (suspended, starved)."""
BACKOFF_S: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before a start, by how many starts before it went wrong in a row."""
STEADY_S: Final = 10.0
"""A prober that has lived this long (seconds) did not go wrong at its start."""
SLICE: Final = 100
"""Checks sorted out in one turn of the loop."""
LATE_S: Final = 0.25
"""Lateness (seconds) of probes from which on a prober counts as overloaded."""
HINDERED_BEATS: Final = 3
"""Heartbeats in a row that tell of overload before it is logged: a start is no overload."""

Job = Check | Agent
"""What a prober does at its own times: a check, or asking an agent."""

Record = Callable[[Check, Health], None]
Count = Callable[[Sequence[Tally]], None]
Heard = Callable[[Agent, Standing], None]
Died = Callable[[int, str, int], None]
Met = Callable[[IPAddress, str], None]


def _unheard(_agent: Agent, _standing: Standing) -> None:
    """Nobody listens to agents."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a prober process said of itself last."""

    prober: int
    pid: int
    checks: int
    lateness: float
    """Seconds that the latest probe of the last second was late, at most."""
    in_flight: int
    waiting: int
    local: int
    """Probes of the last second that could not be made for a reason of this director's own."""
    trouble: str


@dataclass(frozen=True, slots=True)
class _Listeners:
    record: Record
    tally: Count
    died: Died
    heard: Heard
    met: Met


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
        listeners = _Listeners(record, tally, died, heard, met)
        self._workers = [
            _Worker(index, listeners, command, silence) for index in range(max(count, 1))
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

    def hint(self, checks: Collection[Check], hint: Hint) -> None:
        """Have those that are up probed for this hint, at the pace of each prober."""
        for worker in self._workers:
            worker.probe_now(checks, (), hint)

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


class _Worker:
    """One place for a process, and the checks that belong to it whichever process is there."""

    def __init__(
        self, index: int, tell: _Listeners, command: Sequence[str], silence: float
    ) -> None:
        self.index = index
        self.alive = False
        self.pid = 0
        self.load: Load | None = None
        self._tell = tell
        self._command = command
        self._silence = silence
        self._numbers: dict[Job, int] = {}
        self._checks: dict[int, Check] = {}
        self._healths: dict[int, Health] = {}
        self._agents: dict[int, Agent] = {}
        self._standings: dict[int, Standing] = {}
        self._next = 1
        self._channel: Channel | None = None
        self._lock = asyncio.Lock()
        """Held while checks are sent, for a process must get each of them once."""
        self._heard = 0.0
        self._hindered = 0

    async def configure(self, share: dict[Job, None]) -> None:
        """Make these the checks, and send the difference to the process, if one is there."""
        async with self._lock:
            gone: list[int] = []
            for count, (check, number) in enumerate(list(self._numbers.items()), 1):
                if check not in share:
                    del self._numbers[check]
                    for kept in (self._checks, self._healths, self._agents, self._standings):
                        kept.pop(number, None)
                    gone.append(number)
                if not count % SLICE:
                    await asyncio.sleep(0)
            fresh: list[int] = []
            # First come those that cost the process an import: it must not stall on it later.
            ordered = sorted(share, key=lambda job: job.spec.kind is not CheckKind.HTTPS)
            for count, check in enumerate(ordered, 1):
                if check not in self._numbers:
                    number, self._next = self._next, self._next + 1
                    self._numbers[check] = number
                    if isinstance(check, Agent):
                        self._agents[number] = check
                    else:
                        self._checks[number] = check
                    fresh.append(number)
                if not count % SLICE:
                    await asyncio.sleep(0)
            if self._channel is not None:
                await self._send(self._channel, fresh, gone)

    def health(self, check: Check) -> Health | None:
        """What its process said of it last."""
        number = self._numbers.get(check)
        return None if number is None else self._healths.get(number)

    def standing(self, agent: Agent) -> Standing | None:
        """What its process said of it last."""
        number = self._numbers.get(agent)
        return None if number is None else self._standings.get(number)

    def probe_now(
        self, checks: Collection[Check], delays: Sequence[float], hint: Hint | None = None
    ) -> None:
        """Pass a hint on for those checks that are here."""
        numbers = [n for check in checks if (n := self._numbers.get(check)) is not None]
        if self._channel is not None:
            for part in message.chunks(numbers):
                self._channel.send(ProbeNow(list(part), list(delays), hint))

    async def run(self) -> None:
        """Keep a process there until cancelled."""
        failures = 0
        while True:
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            started = time.monotonic()
            how = await self._live()
            lived = time.monotonic() - started
            failures = 0 if lived > STEADY_S else failures + 1
            self._tell.died(self.index, how, len(self._checks))

    async def _live(self) -> str:
        """Run one process until it ends or hangs; returns how it ended."""
        ours, theirs = socket.socketpair()
        try:
            process = _Process(self._command, theirs)
        except OSError as error:
            ours.close()
            return f"cannot be started: {error}"
        finally:
            theirs.close()
        self.pid = process.pid
        self._heard = time.monotonic()
        channel = await Channel.on(ours, self._take)
        try:
            how = await self._serve(channel)
            return how or await process.ending()
        finally:
            self.alive, self.pid, self.load, self._channel = False, 0, None, None
            channel.close()
            await process.kill()

    async def _serve(self, channel: Channel) -> str:
        """Returns why the process has to go, empty where it went by itself."""
        channel.send(Hello(message.VERSION))
        greeting = asyncio.create_task(self._greet(channel))
        try:
            while not channel.lost.done():
                heard = self._heard
                left = heard + self._silence - time.monotonic()
                await asyncio.wait([channel.lost], timeout=left if left > 0 else LAST_LOOK_S)
                if left <= 0 and heard == self._heard and not channel.lost.done():
                    return f"killed, it said nothing for {self._silence:g} s"
        finally:
            greeting.cancel()
        error = channel.lost.result()
        return f"killed, it sent garbage: {error}" if isinstance(error, MessageError) else ""

    async def _greet(self, channel: Channel) -> None:
        """Hand a new process all checks."""
        async with self._lock:
            self._channel = channel
            await self._send(channel, [*self._checks, *self._agents], [])

    async def _send(self, channel: Channel, fresh: Sequence[int], gone: Sequence[int]) -> None:
        """Hand checks over with what is known of their health, a few in each turn of the loop."""
        for part in message.chunks(gone):
            for removal in message.configure((), part):
                channel.send(removal)
            await channel.drain()
        for part in message.chunks(fresh, SLICE):
            checks, agents = self._checks, self._agents
            added = [(n, checks[n], self._healths.get(n)) for n in part if n in checks]
            asked = [(n, agents[n], self._standings.get(n)) for n in part if n in agents]
            for addition in (*message.configure(added, ()), *message.configure_agents(asked)):
                channel.send(addition)
            await asyncio.sleep(0)
            await channel.drain()

    def _take(self, frame: bytes) -> None:
        received = message.decode_to_controller(frame)
        self._heard = time.monotonic()
        if not self.alive:
            message.check_version(received)
            self.alive = True
        elif isinstance(received, Verdicts):
            for number, health in received.healths:
                check = self._checks.get(number)
                if check is not None:
                    self._healths[number] = health
                    self._tell.record(check, health)
        elif isinstance(received, Words):
            for number, standing in received.standings:
                agent = self._agents.get(number)
                if agent is not None:
                    self._standings[number] = standing
                    self._tell.heard(agent, standing)
        elif isinstance(received, Counts):
            tallies = [
                message.tally(counted, check)
                for counted in received.counts
                if (check := self._checks.get(counted.number)) is not None
            ]
            if tallies:
                self._tell.tally(tallies)
        elif isinstance(received, message.Met):
            for address, mac in message.macs(received):
                self._tell.met(address, mac)
        elif isinstance(received, Heartbeat):
            self._hear(received)

    def _hear(self, beat: Heartbeat) -> None:
        self.load = Load(
            self.index,
            self.pid,
            len(self._checks),
            beat.lateness,
            beat.in_flight,
            beat.waiting,
            beat.local,
            beat.trouble,
        )
        hindered = beat.lateness > LATE_S or bool(beat.waiting) or bool(beat.local)
        self._hindered = self._hindered + 1 if hindered else 0
        if self._hindered == HINDERED_BEATS:
            log.warning(
                "prober %d is overloaded or hindered: probes late by %.3f s, %d wait for a socket,"
                " %d could not be made%s; more probers, longer intervals or higher limits help",
                self.index,
                beat.lateness,
                beat.waiting,
                beat.local,
                f" ({beat.trouble})" if beat.local else "",
            )


def _share(check: Job, count: int) -> int:
    """Which process a check belongs to: the same whenever it is asked, all of a realserver's."""
    return zlib.crc32(check.address.packed) % count


class _Process:
    """A prober process, waited for without blocking the loop."""

    def __init__(self, command: Sequence[str], theirs: socket.socket) -> None:
        """Start it; ``OSError`` where that cannot be."""
        fd = theirs.fileno()
        self._popen = subprocess.Popen(
            [*command, str(fd)],
            stdin=subprocess.DEVNULL,
            pass_fds=[fd],
            # asyncio's transports read 256 KiB at once; below this they need no mmap for it.
            env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_ARENA_MAX": "1"},
        )
        self.pid = self._popen.pid
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    async def ending(self) -> str:
        """Wait for the end of a process that has closed its socket, and say what it was."""
        await asyncio.wait([self._ended], timeout=1.0)
        status = self._popen.returncode
        if status is None:
            return "killed, it closed its socket but went on"
        if status < 0:
            return f"signal {-status}"
        return f"exit status {status}"

    async def kill(self) -> None:
        """End it, if it has not ended, and wait for that."""
        if not self._ended.done():
            self._popen.kill()
        await self._ended

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._popen.wait()
        self._ended.set_result(None)
