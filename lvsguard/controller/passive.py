"""Watches the counters of each read for passive signs, and has suspects probed at once.

It reads nothing itself, and decides nothing: a sign is a hint to the prober, an event, and a line
in ``status``. The connection table is never walked; a service that is idle costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from lvsguard.core.config import Check, Config, ServiceConfig
from lvsguard.core.health import PASSIVE, Hint
from lvsguard.core.model import (
    Counters,
    Observation,
    Realserver,
    RealserverKey,
    ServiceKey,
)
from lvsguard.core.passive import (
    FORGET_S,
    SAMPLES,
    WINDOW_MAX_S,
    WINDOW_S,
    Sample,
    Sign,
    most,
    pause,
    signs,
)
from lvsguard.core.service_event import ClientsFareBadly

NOTHING = Counters()
EACH_LOOK = 500
"""Realservers judged in one look, about: some milliseconds that the loop is kept busy."""

GiveHint = Callable[[Collection[Check], Hint], None]


@dataclass(slots=True)
class _Window:
    """Counters of one service at the begin of a window."""

    began: float
    connections: int
    own: dict[RealserverKey, Counters]


@dataclass(slots=True)
class _Suspect:
    """A realserver that looks bad."""

    what: str
    judged: float
    """When it looked bad last, monotonic."""
    hints: int = 0
    next: float = 0.0


@dataclass(slots=True)
class Passive:
    """The windows and suspects of all services."""

    give: GiveHint = field(default=lambda _checks, _hint: None)
    _windows: dict[ServiceKey, _Window] = field(default_factory=dict)
    _suspects: dict[tuple[ServiceKey, RealserverKey], _Suspect] = field(default_factory=dict)

    def suspicion(self, service: ServiceKey, realserver: RealserverKey) -> str:
        """What speaks against a realserver; empty: nothing."""
        suspect = self._suspects.get((service, realserver))
        return suspect.what if suspect is not None else ""

    def look(self, config: Config, seen: Observation, now: float) -> list[ClientsFareBadly]:
        """Take a read of the kernel. What is worth an event. ``now`` is monotonic."""
        watched = {service.key: service for service in config.services if service.passive}
        for key in self._windows.keys() - watched.keys():
            del self._windows[key]
        self._forget(watched)
        told: list[ClientsFareBadly] = []
        left = EACH_LOOK
        for key in self._over(watched, seen, now):
            if left <= 0:
                break  # the others' windows last until the next read
            realservers = seen.services[key].realservers
            left -= len(realservers)
            samples, seconds = self._turn(key, realservers, seen, now)
            told += self._judge(watched[key], samples, seconds, now)
            self._fade(watched[key], realservers, now)
        return told

    def _over(
        self, watched: Mapping[ServiceKey, ServiceConfig], seen: Observation, now: float
    ) -> list[ServiceKey]:
        """Services whose window may be judged, the oldest first."""
        over = []
        for key in watched:
            if key not in seen.services:
                self._windows.pop(key, None)
            elif self._is_over(key, seen, now):
                over.append(key)
        windows = self._windows
        return sorted(over, key=lambda key: windows[key].began if key in windows else 0.0)

    def _forget(self, watched: Mapping[ServiceKey, ServiceConfig]) -> None:
        if not self._suspects:
            return
        known = {(s.key, r.key) for s in watched.values() for r in s.realservers}
        for suspect in self._suspects.keys() - known:
            del self._suspects[suspect]

    def _is_over(self, key: ServiceKey, seen: Observation, now: float) -> bool:
        """Whether a window may be judged. Only the service's own counters are looked at."""
        window = self._windows.get(key)
        if window is None:
            return True
        if now - window.began < WINDOW_S:
            return False
        came = seen.counters.get((key, None), NOTHING).connections - window.connections
        enough = SAMPLES * len(window.own)
        return came >= enough or came < 0 or now - window.began >= WINDOW_MAX_S

    def _turn(
        self,
        key: ServiceKey,
        realservers: Mapping[RealserverKey, Realserver],
        seen: Observation,
        now: float,
    ) -> tuple[dict[RealserverKey, Sample], float]:
        """Begin a window, and say what the last one saw."""
        own = {r: seen.counters.get((key, r), NOTHING) for r in realservers}
        total = seen.counters.get((key, None), NOTHING).connections
        last = self._windows.get(key)
        self._windows[key] = _Window(now, total, own)
        if last is None:
            return {}, 0.0
        samples = {}
        for realserver, counters in own.items():
            before = last.own.get(realserver)
            if before is None or not realservers[realserver].weight:
                continue
            connections = counters.connections - before.connections
            packets = counters.in_packets - before.in_packets
            if connections > 0 and packets >= 0:  # else it was removed and added again
                samples[realserver] = Sample(connections, packets)
        return samples, now - last.began

    def _judge(
        self,
        service: ServiceConfig,
        samples: Mapping[RealserverKey, Sample],
        seconds: float,
        now: float,
    ) -> Iterator[ClientsFareBadly]:
        ordered = signs(samples, seconds)
        found = {sign.realserver: sign for sign in ordered}
        judged = sum(sample.connections >= SAMPLES for sample in samples.values())
        worst = {sign.realserver for sign in ordered[: most(judged)]}
        for realserver in service.realservers:
            key = realserver.key
            sample, sign = samples.get(key), found.get(key)
            if sign is not None:
                hinted = self._suspect(service.key, sign, now) if key in worst else None
                if hinted is not None:
                    self.give(realserver.checks, hinted)
                    yield ClientsFareBadly(service.name, str(key), sign.what)
            elif sample is not None and sample.connections >= SAMPLES:
                self._suspects.pop((service.key, key), None)

    def _fade(
        self, service: ServiceConfig, held: Mapping[RealserverKey, Realserver], now: float
    ) -> None:
        """Forget suspects whom nobody could judge for long, or who get no clients any more."""
        for one in service.realservers if self._suspects else ():
            suspect = self._suspects.get((service.key, one.key))
            if suspect is None:
                continue
            entry = held.get(one.key)
            if entry is None or not entry.weight or now - suspect.judged >= FORGET_S:
                del self._suspects[service.key, one.key]

    def _suspect(self, service: ServiceKey, sign: Sign, now: float) -> Hint | None:
        """The hint to give, unless it is too soon for another."""
        suspect = self._suspects.setdefault((service, sign.realserver), _Suspect(sign.what, now))
        suspect.what, suspect.judged = sign.what, now
        if now < suspect.next:
            return None
        suspect.hints += 1
        suspect.next = now + pause(suspect.hints)
        return Hint(PASSIVE, sign.what, now)
