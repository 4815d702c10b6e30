"""Directors that tell each other of overrides while ways break and clocks are set: one schedule by
its seed.

The real ledger, the real logic of a session (``peer_session.Telling``) and of the way by etcd
(``EtcdOverrides``); connections, etcd itself, clocks and operators are dice. Every schedule ends
with ways that hold and clocks that are right, and then all directors must hold the same within
``HEALED_S``, and none may say any more that something was refused.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import combinations
from typing import Any, Protocol, TypeVar

from lvsguard.admin.etcd import Entry, Etcd
from lvsguard.admin.etcd_overrides import EtcdOverrides
from lvsguard.admin.peer_session import ALL_AGAIN_S, Peer, Telling
from lvsguard.core.ledger import PRUNE_S, SKEW_S, Ledger, Outcome, Record
from lvsguard.core.override import Override, OverrideKind, Target

TARGETS = tuple(Target(ip_address("10.0.0.42") + n) for n in range(3))
KINDS = (OverrideKind.DRAIN, OverrideKind.DISABLE)
STEPS = (0.0, 0.5, -20.0, SKEW_S + 3, 600.0, -600.0)
"""Seconds that a clock is wrong by, once somebody has set it."""
TURN_S = 3
"""Between two turns of the way by etcd: a third of a lease."""
HEALED_S = int(PRUNE_S + 3 * ALL_AGAIN_S)
"""A clock that was ahead is known to have been at the next look; then all is told."""
_T = TypeVar("_T")


class Director:
    """A ledger behind a clock that may be set. Implements ``peer_session.Shared``."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.wrong = 0.0
        """Seconds that its clock is ahead."""
        self.ledger = Ledger(name)
        self.pruned = world.dice.randrange(int(PRUNE_S))
        self._world = world

    @property
    def wall(self) -> float:
        """Its clock."""
        return 1_000_000.0 + self._world.now + self.wrong

    @property
    def fingerprint(self) -> str:
        """Of the ledger."""
        return self.ledger.fingerprint

    @property
    def records(self) -> tuple[Record, ...]:
        """Of the ledger."""
        return self.ledger.records

    def take(self, peer: str, records: Iterable[Record]) -> str:
        """Merge; what clocks forbid is refused."""
        outcomes = [self.ledger.merge(record, self.wall) for record in records]
        return "its clock is ahead" if Outcome.AHEAD in outcomes else ""

    def agrees(self, peer: str) -> None:
        """It holds the same."""


class Way(Protocol):
    """How directors meet."""

    def tell(self, director: Director, record: Record) -> None:
        """Something was decided there."""

    def flip(self) -> None:
        """Something breaks, or is well again."""

    def heal(self) -> None:
        """All is well again."""

    def turn(self) -> None:
        """A second is over."""

    def refused(self) -> list[str]:
        """What directors say that they refused."""


class World:
    """Directors, a way, and the dice."""

    def __init__(self, seed: int, way: type[ByPeer | ByEtcd] | None = None) -> None:
        self.dice = random.Random(seed)
        self.now = 0.0
        count = self.dice.choice((2, 2, 3, 4))
        self.directors = [Director(f"director{n}", self) for n in range(count)]
        self.way: Way = (way or self.dice.choice((ByPeer, ByEtcd)))(self)

    def run(self, seconds: int) -> None:
        """Second by second."""
        for _ in range(seconds):
            self.now += 1.0
            for one in self.directors:
                if self.now % PRUNE_S == one.pruned:
                    one.ledger.prune(one.wall)
            self.way.turn()

    def trouble(self) -> None:
        """Something happens."""
        one = self.dice.choice(self.directors)
        match self.dice.randrange(6):
            case 0 | 1 | 2:
                self._change(one)
            case 3:
                one.wrong = self.dice.choice(STEPS)
            case 4:
                self.way.flip()
            case 5:  # what the journal kept of an earlier run is there at last
                target, kind = self.dice.choice(TARGETS), self.dice.choice(KINDS)
                one.ledger.write(self._override(one, target, kind), one.wall)

    def _change(self, one: Director) -> None:
        target, kind = self.dice.choice(TARGETS), self.dice.choice(KINDS)
        if self.dice.random() < 0.4:
            record = one.ledger.end((target, kind), one.name, one.wall)
        else:
            record = one.ledger.write(self._override(one, target, kind), one.wall)
        if record is not None:
            self.way.tell(one, record)

    def _override(self, one: Director, target: Target, kind: OverrideKind) -> Override:
        return Override(target, kind, one.name, 0.0, str(self.dice.random()))


@dataclass
class Line:
    """One direction of a connection."""

    peer: Peer
    """As who receives knows the sender."""
    heard: Telling
    """Of who receives: what it makes of what comes."""
    words: list[tuple[list[Record], str]] = field(default_factory=list)


class ByPeer:
    """A connection between any two; what is sent is there a second later."""

    telling = Telling

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: dict[tuple[str, str], Line] = {}
        """By receiver and sender."""
        self._by_name = {one.name: one for one in world.directors}
        self.heal()

    def _connect(self, one: str, other: str) -> None:
        for mine, theirs in ((one, other), (other, one)):
            before = self._lines.get((mine, theirs))
            peer = before.peer if before else Peer(theirs, "")
            peer.silent = False
            self._lines[mine, theirs] = Line(peer, self.telling(peer, self._by_name[mine]))

    def flip(self) -> None:
        """A connection breaks, and what was under way is lost; or it is made anew."""
        one, other = self._world.dice.sample(sorted(self._by_name), 2)
        if self._silent(one, other):
            self._connect(one, other)
        else:
            for pair in ((one, other), (other, one)):
                self._lines[pair].peer.silent = True

    def heal(self) -> None:
        """Connect all that are not."""
        for one, other in combinations(sorted(self._by_name), 2):
            if (one, other) not in self._lines or self._silent(one, other):
                self._connect(one, other)

    def _silent(self, one: str, other: str) -> bool:
        return self._lines[one, other].peer.silent

    def tell(self, director: Director, record: Record) -> None:
        """To all that it is connected with."""
        for (mine, _), line in self._lines.items():
            if mine == director.name and not line.peer.silent:
                line.heard.news((record,))

    def turn(self) -> None:
        """What was sent a second ago is heard, and each says a word."""
        live = {pair: line for pair, line in self._lines.items() if not line.peer.silent}
        for line in live.values():
            for records, fingerprint in line.words:
                if records:
                    line.heard.take(records)
                line.heard.doubt(fingerprint, self._world.now)
            line.words.clear()
        for (mine, theirs), line in live.items():
            word = (list(line.heard.due()), self._by_name[mine].fingerprint)
            live[theirs, mine].words.append(word)

    def refused(self) -> list[str]:
        """By pair."""
        return [f"{pair}: {x.peer.refused}" for pair, x in self._lines.items() if x.peer.refused]


class Store(Etcd):
    """An etcd in memory, of which only the compare-and-swap is asked."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.log: list[tuple[str, Entry | None]] = []
        """Key and what it was set to, by revision."""

    async def replace(self, key: str, value: bytes | None, known: int) -> Entry | None:
        """As ``Etcd`` does."""
        there = self.entries.get(key, Entry(key, b"", 0))
        if there.revision != known:
            return there
        if value is None:
            self.entries.pop(key, None)
            self.log.append((key, None))
        else:
            self.entries[key] = Entry(key, value, len(self.log) + 1)
            self.log.append((key, self.entries[key]))
        return None


class ByEtcd:
    """All meet there. A director follows it a second late."""

    overrides = EtcdOverrides

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = Store()
        self._sides = {one.name: self.overrides(one.name, one) for one in world.directors}
        self._read = dict.fromkeys(self._sides, 0)
        """Revision up to which each has followed; -1: it cannot ask."""

    def flip(self) -> None:
        """A director loses etcd, or is back and reads everything."""
        name = self._world.dice.choice(sorted(self._sides))
        if self._read[name] >= 0:
            self._read[name] = -1
        else:
            self._back(name)

    def heal(self) -> None:
        """All can ask again."""
        for name, read in self._read.items():
            if read < 0:
                self._back(name)

    def _back(self, name: str) -> None:
        side = self._sides[name]
        side.forget_all()
        for key, entry in self._store.entries.items():
            side.take(key.rpartition("/")[2], entry)
        self._read[name] = len(self._store.log)
        self._reconcile(name)

    def _reconcile(self, name: str) -> None:
        wall = next(one.wall for one in self._world.directors if one.name == name)
        self._sides[name].reconcile(wall)

    def tell(self, director: Director, record: Record) -> None:
        """It is written when that one can."""
        self._sides[director.name].decided((record,))

    def turn(self) -> None:
        """Each hears what was written a second ago, and writes what is due."""
        until = len(self._store.log)
        for one in self._world.directors:
            if self._read[one.name] < 0:
                continue
            side = self._sides[one.name]
            for key, entry in self._store.log[self._read[one.name] : until]:
                if entry is None:
                    side.forget(key.rpartition("/")[2])
                else:
                    side.take(key.rpartition("/")[2], entry)
            self._read[one.name] = until
            if self._world.now % TURN_S == 0:
                self._reconcile(one.name)

            def hear(entry: Entry, side: EtcdOverrides = side) -> None:
                side.take(entry.key.rpartition("/")[2], entry)

            _at_once(side.write(self._store, hear, one.wall))
            _at_once(side.sweep(self._store, one.wall))

    def refused(self) -> list[str]:
        """By director."""
        return [f"{name}: {side.refused}" for name, side in self._sides.items() if side.refused]


def play(seed: int, way: type[ByPeer | ByEtcd] | None = None) -> None:
    """Play one schedule; AssertionError, with the seed, if it does not converge. ``way``: how they
    meet; None: dice."""
    world = World(seed, way)
    for _ in range(world.dice.randrange(5, 30)):
        world.trouble()
        world.run(world.dice.choice((0, 1, 3, 20, 70)))
    world.way.heal()
    for one in world.directors:
        one.wrong = world.dice.uniform(-0.5, 0.5)
    world.run(HEALED_S)
    held = {one.fingerprint: one.records for one in world.directors}
    assert len(held) == 1, f"seed {seed}: {held}"
    assert not world.way.refused(), f"seed {seed}: {world.way.refused()}"


def _at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """What nothing in memory can make wait."""
    try:
        work.send(None)
    except StopIteration as done:
        result: _T = done.value
        return result
    raise AssertionError("it waits")


def main(arguments: list[str]) -> int:
    """`python -m tests.sim.telling [N]`: N schedules."""
    count = int(arguments[0]) if arguments else 1000
    begun = time.monotonic()
    for seed in range(count):
        play(seed)
    print(f"{count} schedules of what is told converged ({time.monotonic() - begun:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
