"""One place for a prober process: keeps one there, feeds it its share, passes on what it says.

A process that dies or hangs is replaced at once; its checks go on with the health that they had, so
verdicts stand and nothing is reported twice. It probes nothing and decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
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
from lvsguard.probes.message import (
    Counts,
    Heartbeat,
    Hello,
    MessageError,
    ProbeNow,
    Verdicts,
    Words,
)
from lvsguard.probes.spawn import ProberProcess

log = logging.getLogger(__name__)

LAST_LOOK_S: Final = 0.1
"""Seconds to read what it said while this process itself stood still (suspended, starved)."""
BACKOFF_S: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before a start, by how many starts before it went wrong in a row."""
PATIENCE: Final = 4.0
"""Times the usual silence for a process to say its first word: a busy host may take seconds to
start one, and would take no less for the next."""
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
class Listeners:
    """Who is told of what (see ``pool.Probers``)."""

    record: Record
    tally: Count
    died: Died
    heard: Heard
    met: Met


class Worker:
    """One place for a process, and the checks that belong to it whichever process is there."""

    def __init__(self, index: int, tell: Listeners, command: Sequence[str], silence: float) -> None:
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
            said = {
                agent.place: self._standings[number]
                for number, agent in self._agents.items()
                if number in self._standings
            }
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
                        if check.place in said:  # asked in another way: it goes on from there
                            self._standings[number] = said[check.place]
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
        self,
        checks: Collection[Check],
        delays: Sequence[float],
        hint: Hint | None = None,
        *,
        down: bool = False,
    ) -> None:
        """Pass a hint on for those checks that are here."""
        numbers = [n for check in checks if (n := self._numbers.get(check)) is not None]
        if self._channel is not None:
            for part in message.chunks(numbers):
                self._channel.send(ProbeNow(list(part), list(delays), hint, down))

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
            process = ProberProcess(self._command, theirs)
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
                heard, silence = self._heard, self._silence * (1.0 if self.alive else PATIENCE)
                left = heard + silence - time.monotonic()
                await asyncio.wait([channel.lost], timeout=left if left > 0 else LAST_LOOK_S)
                if left <= 0 and heard == self._heard and not channel.lost.done():
                    return f"killed, it said nothing for {silence:g} s"
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
