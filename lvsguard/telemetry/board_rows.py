"""What the status page shows of each service and realserver, and what of it changed since before.

Two parts of a realserver: its *facts* change seldom (verdict, weight, reason), its *live* numbers
all the time (connections, rate, latency), so these go over the wire as short lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lvsguard.core.model import Counters, endpoint
from lvsguard.core.snapshot import AgentStatus, RealserverStatus, ServiceStatus

Live = tuple[int, int, int, float | None, float]
"""Number, active and inactive connections, new connections a second, latency in ms."""

_QUERY = re.compile(r"(/[^\s?]*)\?[^\s'\"]+")


def public(text: str) -> str:
    """Text without the queries of paths: they may hold secrets, and the page tells everybody."""
    return _QUERY.sub(r"\1?…", text)


class Rate:
    """New connections a second of one entry of the kernel's, from its total."""

    __slots__ = ("_total", "value")

    def __init__(self) -> None:
        self._total: int | None = None
        self.value: float | None = None
        """None: not known before two reads of the kernel."""

    def take(self, counters: Counters | None, elapsed: float | None) -> None:
        """What a further read of the kernel says, None: it does not have the entry; ``elapsed``:
        seconds since the read before, None where that is not known. A total that shrank is that
        of a new entry; one that was out may go on from where it was."""
        before, self._total = self._total, None if counters is None else counters.connections
        if before is None or self._total is None or elapsed is None:
            self.value = None
        elif before > self._total:
            self.value = 0.0
        else:
            self.value = round((self._total - before) / elapsed, 1)


@dataclass(slots=True, eq=False)
class Row:
    """One realserver of one service, as it was told last."""

    number: int
    service: int
    rate: Rate
    seen: RealserverStatus | None = None
    facts: dict[str, object] | None = None
    live: Live | None = None

    def look(self, now: RealserverStatus) -> bool:
        """Whether its facts are others than before."""
        before, self.seen = self.seen, now
        if before is not None and self.facts is not None and _same(before, now):
            return False
        self.facts = _facts(self.number, self.service, now)
        return True

    def count(self, now: RealserverStatus, latency: float | None) -> bool:
        """Whether its live numbers are others than before. ``latency``: seconds of its slowest
        check lately; None: that is not known, and what decided its verdict took as long."""
        if latency is None:
            latency = max((check.duration for check in now.checks), default=0.0)
        live = (
            self.number,
            now.counters.active,
            now.counters.inactive,
            self.rate.value,
            round(latency * 1000, 2),
        )
        before, self.live = self.live, live
        return live != before


@dataclass(slots=True, eq=False)
class Head:
    """One service without its realservers, as it was told last."""

    number: int
    rate: Rate
    facts: dict[str, object] | None = None

    def look(self, now: ServiceStatus) -> bool:
        """Whether anything of it is other than before."""
        before, self.facts = self.facts, _head(self.number, now, self.rate.value)
        return self.facts != before


def _same(a: RealserverStatus, b: RealserverStatus) -> bool:
    return (
        a.verdict is b.verdict
        and a.weight == b.weight
        and a.admin is b.admin
        and a.reason == b.reason
        and a.since == b.since
        and a.configured_weight == b.configured_weight
        and a.agent == b.agent
        and a.notes == b.notes
    )


def _facts(number: int, service: int, now: RealserverStatus) -> dict[str, object]:
    return {
        "id": number,
        "service": service,
        "name": now.name,
        "address": endpoint(now.key.address, now.key.port),
        "verdict": now.verdict,
        "admin": now.admin,
        "weight": now.weight,
        "configured_weight": now.configured_weight,
        "since": round(now.since, 3),
        "reason": public(now.reason),
        "notes": [public(note) for note in (*_agent(now.agent), *now.notes)],
    }


def _agent(agent: AgentStatus | None) -> tuple[str, ...]:
    if agent is None:
        return ()
    said = f"agent on port {agent.port}: {agent.state}, {agent.share:.0%} of the weight"
    return (f"{said}; silent: {agent.silent}" if agent.silent else said,)


def _head(number: int, now: ServiceStatus, rate: float | None) -> dict[str, object]:
    key = now.key
    where = str(key) if key.address is None else endpoint(key.address, key.port)
    sorry = now.sorry_server
    return {
        "id": number,
        "name": now.name,
        "address": where,
        "protocol": key.protocol,
        "scheduler": now.scheduler,
        "forwarding": now.forwarding,
        "have": now.quorum_have,
        "need": now.quorum_need,
        "present": now.present,
        "panic": now.panic,
        "sorry_server": None if sorry is None else endpoint(sorry.address, sorry.port),
        "sorry": now.sorry,
        "slow_starting": now.rising,
        "why": [public(line) for line in now.why],
        "rate": rate,
    }
