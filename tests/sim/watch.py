"""The invariants: looks at the world whenever something changes, and holds it to the bounds.

None: a director that could be master, with no master that speaks in its part of the network, is in
that situation for no longer than ``Bounds.none``. A part is what the cuts leave connected in
at least one direction; nothing is heard from outside of it.

Two: directors that both hold the addresses, run, and hear each other, do so for no longer than
``Bounds.two``. A process that was started anew and still listens holds them, too. The clock starts
again when one of them changes its state or priority, or begins to run or to hear: that is a new
election. A link that lost more than ``LOSSES`` adverts in a row counts
as cut until one gets through. Two that were started anew and of which neither may be master are not
judged: there is no master that one of them could hear.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from lvsguard.vrrp.transitions import State

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

SILENT = (State.YIELDING, State.STOPPING, State.BACKUP)
"""Holds the addresses until it hears a master: it offers them, or its process was started anew."""
Situation = tuple[State, int, State, int]
"""States and priorities of two holders."""
Place = tuple[int, int]
"""A director, and which of its seats."""


class Watch:
    """What was found, and the longest times that were seen."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bounds = world.scenario.bounds
        self._none_since: dict[Place, float] = {}
        self._two_since: dict[tuple[Place, Place], tuple[float, Situation]] = {}
        self._parts: list[frozenset[int]] = [frozenset(range(len(world.hosts)))]
        self._served_since = 0.0
        self.violations: list[str] = []
        self.none_longest = 0.0
        self.two_longest = 0.0
        self.unserved = 0.0
        """Seconds in all without anybody who served, after the first master."""
        self._led = False
        self._gap_since: float | None = None
        self._families = range(len(world.hosts[0].seats))

    def look(self) -> None:
        """See what is the case now and since when; judge what has ended."""
        self._look_for_none()
        self._look_for_two()
        self._look_for_gaps()

    def interrupted(self) -> None:
        """A process dies having spoken, maybe for one member of its group only: others begin to
        wait anew, with all members, for a group takes over when none of them hears a master."""
        self.look()
        self._end_none(set(self._none_since))
        self.look()

    def network_changed(self) -> None:
        """Cuts have come or gone: both clocks start again with the parts that there are now."""
        self._end_none(set(self._none_since))
        self._end_two(set(self._two_since))
        self._parts = self._connected()
        self.look()

    # Nobody.

    def _look_for_none(self) -> None:
        hosts, now = self._world.hosts, self._world.now
        left = set[Place]()
        for family in self._families:
            for part in self._parts:
                seats = [hosts[index].seats[family] for index in part]
                if not any(seat.speaks for seat in seats):
                    left |= {(seat.host.index, family) for seat in seats if seat.eligible}
        self._end_none(set(self._none_since) - left)
        for place in left:
            since = self._none_since.setdefault(place, now)
            if now - since > self._bounds.none:
                self.violate(f"nobody leads for {now - since:.4f} s, director {place} could")
                self._none_since[place] = now

    def _end_none(self, places: set[Place]) -> None:
        for place in places:
            seconds = self._world.now - self._none_since.pop(place)
            self.none_longest = max(self.none_longest, seconds / self._bounds.none)
            if seconds > self._bounds.none:
                self.violate(f"nobody led for {seconds:.4f} s, director {place} could")

    def _connected(self) -> list[frozenset[int]]:
        cuts = self._world.cuts
        parts: list[frozenset[int]] = []
        rest = set(range(len(self._world.hosts)))
        while rest:
            part, edge = set[int](), {rest.pop()}
            while edge:
                part |= edge
                edge = {b for a in edge for b in rest if not cuts[a, b] or not cuts[b, a]}
                rest -= edge
            parts.append(frozenset(part))
        return parts

    # Two.

    def _look_for_two(self) -> None:
        now = self._world.now
        pairs: dict[tuple[Place, Place], Situation] = {}
        for family in self._families:
            seats = [host.seats[family] for host in self._world.hosts]
            for one, other in combinations([seat for seat in seats if seat.leads], 2):
                if not (one.waits and other.waits) and self._hear(one.host, other.host):
                    places = (one.host.index, family), (other.host.index, family)
                    pairs[places] = (one.state, one.priority, other.state, other.priority)
        ended = {pair for pair, (_, was) in self._two_since.items() if pairs.get(pair) != was}
        self._end_two(ended)
        for pair, situation in pairs.items():
            self._two_since.setdefault(pair, (now, situation))

    def _hear(self, one: Host, other: Host) -> bool:
        cuts, pair = self._world.cuts, (one.index, other.index)
        return one.linked and other.linked and not cuts[pair] and not cuts[pair[::-1]]

    def _end_two(self, pairs: set[tuple[Place, Place]]) -> None:
        for pair in pairs:
            since, situation = self._two_since.pop(pair)
            burst, link = self._world.burst, (pair[0][0], pair[1][0])
            since = max(since, burst.get(link, 0.0), burst.get(link[::-1], 0.0))
            seconds = self._world.now - since
            leave = situation[0] in SILENT and situation[2] in SILENT
            bound = self._bounds.leaving if leave else self._bounds.two
            self.two_longest = max(self.two_longest, seconds / bound)
            if seconds > bound:
                self.violate(f"directors {pair} both lead for {seconds:.4f} s: {situation}")

    # Anybody at all.

    def _look_for_gaps(self) -> None:
        now = self._world.now
        hosts = self._world.hosts
        serves = all(any(host.seats[n].serves for host in hosts) for n in self._families)
        self._led = self._led or serves
        if serves and self._gap_since is not None:
            self.unserved += now - self._gap_since
            self._gap_since = None
        elif self._led and not serves and self._gap_since is None:
            self._gap_since = now

    def finish(self) -> None:
        """Judge what is still the case at the end."""
        self.look()
        self._end_none(set(self._none_since))
        self._end_two(set(self._two_since))

    def violate(self, what: str) -> None:
        """Write down what must not be."""
        world = self._world
        self.violations.append(f"seed {world.scenario.seed} at {world.now:.4f} s: {what}")
        world.tell(None, f"VIOLATION {what}")
