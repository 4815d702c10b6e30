"""What is remembered of each service for the rules of ``core.rules``, and what they made of it.

It keeps quorums, slow starts and when the next of their steps is due, and notes what is worth an
event. It decides nothing, and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lvsguard.core.config import ServiceConfig
from lvsguard.core.event import Event
from lvsguard.core.memory import NEW, Memory
from lvsguard.core.model import RealserverKey, ServiceKey, VirtualService
from lvsguard.core.placement import Facts, placements
from lvsguard.core.rules import Decision, decide, needed, remember
from lvsguard.core.service_event import (
    PanicBegan,
    PanicOver,
    QuorumBack,
    QuorumLost,
    SorryServerIn,
    SorryServerOut,
)

GRID_S = 0.1
"""Steps of slow starts within such a time are made together."""


class RuleBook:
    """Keeps the memory of services. Its owner asks for the decision of one whose facts changed."""

    def __init__(self) -> None:
        self.memory: dict[ServiceKey, Memory] = {}
        self._due: dict[ServiceKey, float] = {}
        self._panics: set[ServiceKey] = set()
        self._sorry: dict[ServiceKey, str] = {}
        self._news: list[Event] = []

    def copy(self) -> RuleBook:
        """A book that goes on from here; this one stays as it is."""
        book = RuleBook()
        book.memory = dict(self.memory)
        book._due = dict(self._due)
        book._panics = set(self._panics)
        book._sorry = dict(self._sorry)
        return book

    def adopt(
        self, services: Iterable[ServiceConfig], table: Mapping[ServiceKey, VirtualService]
    ) -> None:
        """A sorry server that is found in the kernel says that the quorum was lost."""
        for service in services:
            sorry, found = service.sorry_server, table.get(service.key)
            if sorry is not None and found is not None and sorry.key in found.realservers:
                self.memory[service.key] = Memory(lost=True)
                self._sorry[service.key] = str(sorry)

    def configure(self, services: Mapping[ServiceKey, ServiceConfig]) -> None:
        """Forget what the config no longer names; all else goes on."""
        self.memory = {
            key: _of(memory, {r.key for r in services[key].realservers})
            for key, memory in self.memory.items()
            if key in services
        }
        self._due = {key: at for key, at in self._due.items() if key in services}
        self._panics &= services.keys()
        self._sorry = {key: name for key, name in self._sorry.items() if key in services}

    def follow(self, service: ServiceConfig, facts: Facts) -> Decision:
        """Decide a service anew. ``facts`` see this book's memory."""
        key = service.key
        own = placements(service, facts)
        before = self.memory.get(key, NEW)
        now = self.memory[key] = remember(service, own, before, facts.now)
        decision = decide(service, own, facts)
        if decision.step_at is None:
            self._due.pop(key, None)
        else:
            self._due[key] = math.ceil(decision.step_at / GRID_S) * GRID_S
        self._note_quorum(service, before, now, decision)
        self._note_sorry(service, decision)
        self._note_panic(service, decision)
        return decision

    def due(self, now: float) -> frozenset[ServiceKey]:
        """Services in which a weight rises, or a panic ends, by ``now``."""
        return frozenset(key for key, at in self._due.items() if at <= now)

    def wait(self, now: float) -> float:
        """Seconds until the next such moment; infinite when none is to come."""
        return max(min(self._due.values(), default=math.inf) - now, 0.0)

    def news(self) -> list[Event]:
        """What happened since the last call."""
        news, self._news = self._news, []
        return news

    def _note_quorum(
        self, service: ServiceConfig, before: Memory, now: Memory, decision: Decision
    ) -> None:
        if before.lost is now.lost or not any(r.weight for r in service.realservers):
            return  # all weights 0 is a service that is closed on purpose
        need = needed(service, before.lost)
        if now.lost:
            self._news.append(QuorumLost(service.name, decision.live, need))
        elif before.lost:
            self._news.append(QuorumBack(service.name, decision.live, need))

    def _note_sorry(self, service: ServiceConfig, decision: Decision) -> None:
        before = self._sorry.get(service.key)
        server = str(service.sorry_server) if decision.sorry else None
        if before == server:
            return
        if before is not None:
            self._news.append(SorryServerOut(service.name, self._sorry.pop(service.key)))
        if server is not None:
            self._news.append(SorryServerIn(service.name, server))
            self._sorry[service.key] = server

    def _note_panic(self, service: ServiceConfig, decision: Decision) -> None:
        if decision.panic is (service.key in self._panics):
            return
        if decision.panic:
            self._panics.add(service.key)
            self._news.append(PanicBegan(service.name, "; ".join(decision.why)))
        else:
            self._panics.discard(service.key)
            self._news.append(PanicOver(service.name))


def _of(memory: Memory, keys: set[RealserverKey]) -> Memory:
    rising = {key: began for key, began in memory.rising.items() if key in keys}
    return replace(memory, out=memory.out & keys, rising=rising)
