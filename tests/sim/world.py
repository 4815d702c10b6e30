"""Time, network and directors of one simulated world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from lvsguard.vrrp.election import Election
from lvsguard.vrrp.reception import Datagram
from tests.sim.host import Host
from tests.sim.scenario import LOSSES, Scenario
from tests.sim.watch import Watch


class World:
    """Everything that happens, in the order of virtual time; a function of the scenario."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        trace: Callable[[str], None] | None = None,
        kind: type[Election] = Election,
    ) -> None:
        self.scenario = scenario
        self.kind = kind
        self.random = Random(scenario.seed)
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.counts: Counter[str] = Counter()
        self.cuts: Counter[tuple[int, int]] = Counter()
        """Links that carry nothing, from one to another, by how many faults cut them."""
        self.storm = 0.0
        """Loss that comes on top, for a while."""
        self.missed: dict[tuple[int, int, int], int] = {}
        """Packets in a row that a link has lost, of each seat."""
        self.burst: dict[tuple[int, int], float] = {}
        """When a link last had lost more in a row than it may."""
        self._number = 0
        self._trace = trace
        self.hosts = [
            Host(self, index, members, drift)
            for index, (members, drift) in enumerate(
                zip(scenario.groups, scenario.drifts, strict=True)
            )
        ]
        self.watch = Watch(self)

    # Time.

    def next(self) -> int:
        """A number that orders events of the same time."""
        self._number += 1
        return self._number

    def after(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        """Call something later."""
        heappush(self.events, (self.now + seconds, self.next(), call, arguments))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        events, end = self.events, self.now + seconds
        while events and events[0][0] <= end:
            self.now, _, call, arguments = heappop(events)
            call(*arguments)
        self.now = end
        self.watch.look()

    # Network.

    def send(self, datagram: Datagram, sender: int, seat: int) -> None:
        """Multicast a packet from a director to that seat of all others."""
        network, random, events = self.scenario.network, self.random.random, self.events
        loss, missed, now = network.loss + self.storm, self.missed, self.now
        self.counts["adverts"] += 1
        for index, host in enumerate(self.hosts):
            if index == sender:
                continue
            link = (sender, index)
            if (self.cuts and self.cuts[link]) or random() < loss:
                self._miss(link, seat)
                continue
            if random() < network.corruption:
                self._miss(link, seat)
                self._deliver(host, seat, self._spoil(datagram), sender)
                continue
            if missed.get((*link, seat)):
                # What may still be under way is no better than lost.
                if missed[*link, seat] > LOSSES:
                    self.burst[link] = now + network.delay + network.jitter
                missed[*link, seat] = 0
            at = now + network.delay + network.jitter * random()
            heappush(events, (at, self.next(), host.arrive, (seat, datagram, sender)))
            if network.duplication and random() < network.duplication:
                self._deliver(host, seat, datagram, sender)

    def _miss(self, link: tuple[int, int], seat: int) -> None:
        self.missed[*link, seat] = missed = self.missed.get((*link, seat), 0) + 1
        if missed > LOSSES:
            self.burst[link] = self.now

    def _deliver(self, host: Host, seat: int, datagram: Datagram, sender: int) -> None:
        network = self.scenario.network
        at = network.delay + network.jitter * self.random.random()
        self.after(at, host.arrive, seat, datagram, sender)

    def _spoil(self, datagram: Datagram) -> Datagram:
        octets = bytearray(datagram.payload)
        octets[self.random.randrange(len(octets))] ^= 1 << self.random.randrange(8)
        return Datagram(bytes(octets), datagram.source, datagram.destination, datagram.ttl)

    # Books.

    def count(self, what: str) -> None:
        """Count something that happened."""
        self.counts[what] += 1

    def look(self) -> None:
        """Something has changed that the invariants speak of."""
        self.watch.look()

    def tell(self, host: Host | None, what: str) -> None:
        """Write a line of the trace."""
        if host is not None:
            self.counts["role changes"] += 1
        if self._trace is not None:
            name = "world" if host is None else f"director {host.index}"
            self._trace(f"{self.now:12.6f} {name}: {what}")
