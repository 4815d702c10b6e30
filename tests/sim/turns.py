"""Directors that drain shares of one service at the same moment: one schedule by its seed.

The real ledger, the real turns; wires, clocks and operators are dice. A wire keeps the order of
what it brings, and may break and be made anew within the time in which its ends still count each
other as heard: what was on its way is lost then, and all is told again later. Whatever happens, all
is answered as by one director that is asked in the order of the turns: no share takes the service
below its quorum. Everybody gets a turn, and in the end all hold the same.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from lvsguard.core.ledger import Ledger, Record, Stamp
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.turns import Told, Turns

REALSERVERS = tuple(Target(ip_address("10.0.0.42") + n, 80, "web") for n in range(8))
DRAIN = OverrideKind.DRAIN
BEGUN = 1_000_000.0
TYPED_S = 0.05
"""Within which all is typed."""
LATEST_S = 10.0


@dataclass(frozen=True, slots=True)
class _Beat:
    turn: Stamp | None
    known: Mapping[str, Stamp]
    fingerprint: str


class _Director:
    def __init__(self, name: str, drift: float, turns: Turns) -> None:
        self.name = name
        self.drift = drift
        self.ledger = Ledger(name)
        self.turns = turns
        self.beats: dict[str, _Beat] = {}
        self.shares: list[int] = []
        """Realservers that the share which was typed is to take out, each in its turn."""
        self.answers: list[tuple[Stamp, int, int | None]] = []
        """Of each share: its turn, how many it was to take out, how many it took; None: refused."""

    @property
    def out(self) -> set[Target]:
        return {one.target for one in self.ledger.in_force(BEGUN)}

    @property
    def mine(self) -> bool:
        """Whether it is this one's turn (``daemon.turns``)."""
        fingerprint = self.ledger.fingerprint
        return all(
            self.turns.lets(Told(beat.turn, beat.known, beat.fingerprint == fingerprint))
            for beat in self.beats.values()
        )


class World:
    """Directors, the wires between them, and the dice."""

    def __init__(self, seed: int, kind: type[Turns]) -> None:
        self.dice = random.Random(seed)
        self.now = 0.0
        self.need = self.dice.randrange(2, 7)
        names = [f"director{n}" for n in range(self.dice.choice((2, 2, 3, 4)))]
        self.directors = [
            _Director(name, self.dice.uniform(-1.0, 1.0), kind(name)) for name in names
        ]
        for one in self.directors:
            one.beats = {n: _Beat(None, {}, one.ledger.fingerprint) for n in names if n != one.name}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._last: dict[tuple[str, str], float] = {}
        self._wire: dict[frozenset[str], int] = {}

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Have something happen."""
        heapq.heappush(self._due, (when, next(self._number), what))

    def run(self) -> None:
        """Until nothing is left to happen."""
        while self._due:
            self.now, _, what = heapq.heappop(self._due)
            assert self.now < LATEST_S, "somebody never gets a turn"
            what()

    # -- wires -------------------------------------------------------------------------------

    def _carry(self, one: _Director, other: _Director, hear: Callable[[], None]) -> None:
        """Bring it after a while, in order, unless the wire breaks."""
        wire = frozenset((one.name, other.name))
        made = self._wire.get(wire, 0)
        soonest = max(self.now, self._last.get((one.name, other.name), 0.0))
        arrives = soonest + self.dice.choice((0.0001, 0.001, 0.02))
        self._last[one.name, other.name] = arrives

        def arrive() -> None:
            if self._wire.get(wire, 0) == made:
                hear()

        self.at(arrives, arrive)

    def _others(self, one: _Director) -> list[_Director]:
        return [other for other in self.directors if other is not one]

    def tell(self, one: _Director, *records: Record) -> None:
        """Records, and the beat that follows them."""
        for other in self._others(one):
            self._tell_one(one, other, records)

    def _tell_one(self, one: _Director, other: _Director, records: tuple[Record, ...]) -> None:
        beat = _Beat(one.turns.own, dict(one.turns.known), one.ledger.fingerprint)
        if records:
            self._carry(one, other, lambda: self._merge(other, records))
        self._carry(one, other, lambda: self._hear(other, one.name, beat))

    def _merge(self, one: _Director, records: tuple[Record, ...]) -> None:
        for record in records:
            one.ledger.merge(record, BEGUN + self.now + one.drift)
        self.tell(one)
        self._look(one)

    def _hear(self, one: _Director, name: str, beat: _Beat) -> None:
        one.beats[name] = beat
        if one.turns.hear(name, beat.turn):
            self.tell(one)
        self._look(one)

    def cut(self) -> None:
        """A wire breaks and is made anew: beats come at once, all records a while later."""
        one, other = self.dice.sample(self.directors, 2)
        wire = frozenset((one.name, other.name))
        self._wire[wire] = self._wire.get(wire, 0) + 1
        for here, there in ((one, other), (other, one)):
            self._tell_one(here, there, ())
            later = self.now + self.dice.uniform(0.0, 0.1)
            self.at(later, partial(self._tell_all, here, there))

    def _tell_all(self, one: _Director, other: _Director) -> None:
        self._tell_one(one, other, one.ledger.records)

    # -- operators ---------------------------------------------------------------------------

    def share(self, one: _Director, count: int) -> None:
        """Somebody types it; a director lets one ask after the other."""
        one.shares.append(count)
        if len(one.shares) == 1:
            self._begin(one)

    def _begin(self, one: _Director) -> None:
        one.turns.begin(BEGUN + self.now + one.drift)
        self.tell(one)
        self._look(one)

    def took(self, count: int, out: int) -> int | None:
        """How many a share of so many takes where so many are out; None: it is refused."""
        more = max(count - out, 0)
        return more if len(REALSERVERS) - out - more >= self.need else None

    def _look(self, one: _Director) -> None:
        """Drain what was typed when it is this director's turn."""
        if one.turns.own is None or not one.mine:
            return
        out, count = one.out, one.shares.pop(0)
        ready = [target for target in REALSERVERS if target not in out]
        self.dice.shuffle(ready)  # they see other connection counts
        took = self.took(count, len(out))
        chosen = ready[: took or 0]
        one.answers.append((one.turns.own, count, took))
        now = BEGUN + self.now + one.drift
        records = [
            one.ledger.write(Override(target, DRAIN, one.name, now), now) for target in chosen
        ]
        one.turns.end()
        self.tell(one, *filter(None, records))
        together = set[Target]().union(*(each.out for each in self.directors))
        left = len(REALSERVERS) - len(together)
        assert left >= self.need, f"{left} are left of {self.need} that are needed"
        if one.shares:
            self._begin(one)


def play(seed: int, kind: type[Turns] = Turns) -> None:
    """Play one schedule; AssertionError, with the seed, when a rule is broken. ``kind``: other
    turns, to see that wrong ones are found out."""
    world = World(seed, kind)
    for _ in range(world.dice.randrange(2, 6)):
        one, count = world.dice.choice(world.directors), world.dice.randrange(1, 7)
        typed = world.dice.choice((0.0, world.dice.uniform(0.0, TYPED_S)))
        world.at(typed, partial(world.share, one, count))
    for _ in range(world.dice.choice((0, 0, 1, 3))):
        world.at(world.dice.uniform(0.0, 2 * TYPED_S), world.cut)
    try:
        world.run()
        assert not any(one.shares for one in world.directors), "somebody never got a turn"
        held = {one.ledger.fingerprint for one in world.directors}
        assert len(held) == 1, "they do not hold the same"
        _as_one(world)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error


def _as_one(world: World) -> None:
    """All was answered as on one director, asked in the order of the turns."""
    out = 0
    for turn, count, took in sorted(a for one in world.directors for a in one.answers):
        assert took == world.took(count, out), f"{turn}: {took} of {count}, with {out} out"
        out += took or 0
    assert out == len(world.directors[0].out)


def main(arguments: list[str]) -> int:
    """`python -m tests.sim.turns [N]`: N schedules."""
    count = int(arguments[0]) if arguments else 10_000
    begun = time.monotonic()
    for seed in range(count):
        play(seed)
    print(f"{count} schedules of shares at once kept the quorum ({time.monotonic() - begun:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
