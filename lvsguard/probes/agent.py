"""Asks the realservers' agents: each at its own interval, on a connection of its own.

An answer becomes a standing (``core.agent``), which is reported when it changed. It decides
nothing; the sockets are counted with those of the probes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final, Protocol

from lvsguard.core.agent import NOT_ASKED, Agent, Standing, answered, unanswered
from lvsguard.core.health import Result
from lvsguard.probes.agent_answer import AgentTalk, AgentTalks
from lvsguard.probes.connection import Connection, Target
from lvsguard.probes.engine import Engine

Say = Callable[[int, Standing], None]
"""Takes an agent's number and its standing, whenever that changed."""
PHASES: Final = 1 / 16
"""Seconds between two phases at which agents are asked: many share a wake-up."""


class Gate(Protocol):
    """Who hands out the sockets: the prober."""

    engine: Engine
    in_flight: int
    limit: int

    def queue(self, launched: Asking) -> None:
        """Have it launched when a socket is free."""

    def landed(self) -> None:
        """Take a socket back."""


class Asking:
    """One agent that is asked (an ``engine.Sleeper``)."""

    __slots__ = (
        "_agent",
        "_connection",
        "_due",
        "_gate",
        "_phased",
        "_queued",
        "_say",
        "_talk",
        "_talks",
        "_target",
        "alarm",
        "ended",
        "number",
        "standing",
    )

    def __init__(
        self, gate: Gate, number: int, agent: Agent, standing: Standing | None, say: Say
    ) -> None:
        self.alarm = 0
        self.number = number
        self.standing = standing or NOT_ASKED
        self.ended = False
        self._gate = gate
        self._agent = agent
        self._say = say
        self._talks = AgentTalks(agent)
        self._target = Target.at(agent.address, agent.port, agent.spec, agent.spec.timeout)
        self._talk: AgentTalk | None = None
        self._connection: Connection | None = None
        self._queued = False
        self._phased = False
        self._due = gate.engine.now

    def begin(self) -> None:
        """Ask now; or at a phase, where it has answered before."""
        self._due = self._phase() if self.standing.tried else self._gate.engine.now
        self._gate.engine.wake(self._due, self)

    def end(self) -> None:
        """Stop for good."""
        self.ended = True
        self._gate.engine.sleep(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.cancel()
            self._gate.landed()

    def ring(self, _due: float) -> None:
        """See ``engine.Sleeper``: it is to be asked, or its time is over."""
        now = self._gate.engine.now
        if self._connection is not None:
            self._connection.expire(now - self._connection.deadline)
        elif not self._queued:
            self.launch()

    def launch(self) -> None:
        """Ask, or wait for a socket."""
        self._queued = False
        gate = self._gate
        if self.ended or self._connection is not None:
            return
        if gate.in_flight >= gate.limit:
            self._queued = True
            gate.queue(self)
            return
        gate.in_flight += 1
        talk = self._talk = self._talks.open()
        connection = self._connection = Connection(gate.engine, self._target, talk, self._done)
        gate.engine.wake(connection.deadline, self)
        connection.start()

    def _done(self, result: Result) -> None:
        engine, talk = self._gate.engine, self._talk
        self._connection = self._talk = None
        before = self.standing
        if result.ok and talk is not None:
            evidence = result.reason, result.duration
            self.standing = answered(before, talk.answer, self._agent, engine.now, evidence)
        else:
            self.standing = unanswered(before, f"{result.code} {result.reason}")
        if self.standing != before:
            self._say(self.number, self.standing)
        if self._phased:
            behind = max(engine.now - self._due, 0.0)
            self._due += (behind // self._agent.spec.interval + 1) * self._agent.spec.interval
        else:
            self._due = self._phase()
        engine.wake(self._due, self)
        self._gate.landed()

    def _phase(self) -> float:
        self._phased = True
        wait = random.random() * self._agent.spec.interval
        slot = min(PHASES, self._agent.spec.interval)
        return math.ceil((self._gate.engine.now + wait) / slot) * slot


class Agents:
    """The agents of one prober, each known by its number."""

    def __init__(self, gate: Gate, say: Say) -> None:
        self._gate = gate
        self._say = say
        self._asking: dict[int, Asking] = {}

    def add(self, number: int, agent: Agent, standing: Standing | None = None) -> None:
        """Begin to ask one; with ``standing`` it goes on from there."""
        if number in self._asking:
            raise ValueError(f"agent number {number} is asked already: remove it first")
        asking = self._asking[number] = Asking(self._gate, number, agent, standing, self._say)
        asking.begin()

    def remove(self, number: int) -> None:
        """End one, whatever it is doing; an unknown number is ignored."""
        asking = self._asking.pop(number, None)
        if asking is not None:
            asking.end()

    def close(self) -> None:
        """End all of them."""
        for asking in self._asking.values():
            asking.end()
        self._asking.clear()

    def __len__(self) -> int:
        return len(self._asking)
