"""Sync groups of several directors on two networks, of which either may be cut, lose and delay."""

from __future__ import annotations

from heapq import heappop, heappush
from ipaddress import ip_address
from math import inf
from random import Random
from typing import TYPE_CHECKING

import pytest

from lvsguard.vrrp.action import AddAddresses, RemoveAddresses, Send
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lvsguard.core.model import IPAddress

INTERVAL = 0.1
DOWN = 4 * INTERVAL
NETWORKS = ("inside", "outside")
ADDRESSES = {"inside": ip_address("10.0.0.40"), "outside": ip_address("192.0.2.40")}


class Groups:
    """Directors, and two networks between them."""

    def __init__(
        self,
        seed: int,
        loss: float = 0.0,
        *,
        priorities: Sequence[int] = (150, 100),
        crossing: bool = False,
    ) -> None:
        """``crossing``: who has the greater address inside has the smaller one outside."""
        self.random, self.loss, self.now = Random(seed), loss, 0.0
        self.cut: set[str] = set()
        self.dead: set[int] = set()
        places = range(len(priorities))
        self._addresses = [
            {
                "inside": ADDRESSES["inside"] + place,
                "outside": ADDRESSES["outside"] + (len(places) - place if crossing else place),
            }
            for place in places
        ]
        self.groups = [self._group(*one) for one in zip(self._addresses, priorities, strict=True)]
        self.held: list[set[str]] = [set() for _ in places]
        self.takeovers = 0
        self.nobody: dict[str, float] = dict.fromkeys(NETWORKS, 0.0)
        """For how long, seconds, nobody had a network's addresses."""
        self.several: dict[str, float] = dict.fromkeys(NETWORKS, 0.0)
        self._packets: list[tuple[float, int, int, str, Advert, IPAddress]] = []
        self._sent = 0
        for index, group in enumerate(self.groups):
            group.start(self.now)
            self._do(index)

    def _group(self, addresses: Mapping[str, IPAddress], priority: int) -> SyncGroup:
        members = {
            name: Settings(51, (ADDRESSES[name] + 9,), address, priority, INTERVAL)
            for name, address in addresses.items()
        }
        return SyncGroup(members, ready=True)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            packet = self._packets[0][0] if self._packets else inf
            dues = [self._due(index) for index in range(len(self.groups))]
            self._pass(min(end, packet, *dues))
            if self.now == end:
                return
            if packet == self.now:
                _, _, to, name, advert, source = heappop(self._packets)
                if to not in self.dead:
                    self.groups[to].receive(name, advert, source, self.now)
                    self._do(to)
                continue
            index = dues.index(self.now)
            self.groups[index].expire(self.now)
            self._do(index)

    def _due(self, index: int) -> float:
        due = None if index in self.dead else self.groups[index].timer()
        return inf if due is None else due

    def _pass(self, until: float) -> None:
        for name in NETWORKS:
            holders = sum(name in held for held in self.held)
            self.nobody[name] += (until - self.now) * (holders == 0)
            self.several[name] += (until - self.now) * (holders > 1)
        self.now = until

    def forget(self) -> None:
        """Count the times anew."""
        self.nobody, self.several = dict.fromkeys(NETWORKS, 0.0), dict.fromkeys(NETWORKS, 0.0)

    def die(self, index: int) -> None:
        """A director is gone, with its addresses."""
        self.dead.add(index)
        self.held[index].clear()

    def come(self, index: int, priority: int) -> None:
        """It is back, and knows nothing."""
        self.dead.discard(index)
        self.groups[index] = self._group(self._addresses[index], priority)
        self.groups[index].start(self.now)
        self._do(index)

    def stop(self, index: int) -> None:
        """It leaves as planned."""
        self.groups[index].stop(self.now)
        self._do(index)

    def _do(self, index: int) -> None:
        for name, action in self.groups[index].actions():
            if isinstance(action, Send):
                for to in range(len(self.groups)):
                    if to != index and to not in self.dead:
                        self._send(index, to, name, action.advert)
            elif isinstance(action, AddAddresses):
                self.held[index].add(name)
                self.takeovers += 1
            elif isinstance(action, RemoveAddresses):
                self.held[index].remove(name)

    def _send(self, index: int, to: int, name: str, advert: Advert) -> None:
        if name not in self.cut and self.random.random() >= self.loss:
            self._sent += 1
            at = self.now + self.random.uniform(0.0001, 0.01)
            source = self._addresses[index][name]
            heappush(self._packets, (at, self._sent, to, name, advert, source))


@pytest.mark.parametrize("seed", range(8))
def test_one_cut_network_alone_moves_nothing(seed: int) -> None:
    pair = Groups(seed)
    pair.run(5.0)
    for _ in range(50):
        pair.cut = {pair.random.choice(NETWORKS)}
        pair.run(pair.random.uniform(0, 3))
        pair.cut = set()
        pair.run(DOWN)
    assert pair.held == [set(NETWORKS), set()]
    assert pair.takeovers == 2


@pytest.mark.parametrize("loss", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(8))
def test_after_any_cuts_one_director_leads_both_networks(seed: int, loss: float) -> None:
    pair = Groups(seed, loss)
    for _ in range(100):
        for _ in range(pair.random.randrange(1, 4)):
            pair.cut = {name for name in NETWORKS if pair.random.random() < 0.6}
            pair.run(pair.random.uniform(0, 2))
        pair.cut = set()
        pair.run(3 * DOWN)
        leading = [held for held in pair.held if held]
        assert leading == [set(NETWORKS)]


@pytest.mark.parametrize("seed", range(8))
def test_a_director_without_one_link_gives_both_networks_away(seed: int) -> None:
    pair = Groups(seed)
    pair.run(5.0)
    for _ in range(30):
        name = pair.random.choice(NETWORKS)
        pair.groups[0].link(name, False, pair.now)
        pair._do(0)
        pair.run(DOWN + 0.01)
        assert pair.held == [set(), set(NETWORKS)]
        pair.groups[0].link(name, True, pair.now)
        pair._do(0)
        pair.run(pair.random.uniform(2 * DOWN, 2.0))
        assert pair.held == [set(NETWORKS), set()]


@pytest.mark.parametrize("seed", range(8))
def test_a_groups_failover_leaves_no_network_without_a_master(seed: int) -> None:
    pair = Groups(seed)
    pair.run(5.0)
    assert pair.groups[0].failover(pair.now)
    pair._do(0)
    for _ in range(5000):
        pair.run(0.0002)
        assert pair.held[0] | pair.held[1] == set(NETWORKS)
    assert pair.held == [set(), set(NETWORKS)]


EQUAL = (150, 100, 100)
"""The one that leads, and two of which neither is meant to come first."""


@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_of_equals_one_takes_over_at_once_whatever_their_addresses(
    seed: int, crossing: bool
) -> None:
    """Both find the master silent in the same moment, or hear it leave."""
    three = Groups(seed, priorities=EQUAL, crossing=crossing)
    three.run(5.0 + three.random.uniform(0, INTERVAL))
    for planned in (False, True):
        assert three.held == [set(NETWORKS), set(), set()]
        three.forget()
        if planned:
            three.stop(0)
        else:
            three.die(0)
        three.run(2.0)
        bound = 0.0 if planned else DOWN
        assert max(three.nobody.values()) <= bound
        assert max(three.several.values()) <= 2 * INTERVAL
        assert sorted(map(len, three.held)) == [0, 0, len(NETWORKS)]
        three.come(0, EQUAL[0])
        three.run(3.0)


@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(8))
def test_of_equals_one_leads_both_networks_after_any_cuts(
    seed: int, loss: float, crossing: bool
) -> None:
    three = Groups(seed, loss, priorities=(100, 100, 100), crossing=crossing)
    for _ in range(100):
        for _ in range(three.random.randrange(1, 4)):
            three.cut = {name for name in NETWORKS if three.random.random() < 0.6}
            three.run(three.random.uniform(0, 2))
        three.cut = set()
        three.run(3 * DOWN)
        leading = [held for held in three.held if held]
        assert leading == [set(NETWORKS)]


@pytest.mark.parametrize("seed", range(8))
def test_equals_that_hear_each_other_on_one_network_only_do_not_both_lead_it(seed: int) -> None:
    """The network of the member that decides stays cut: then each member decides for itself."""
    for still_cut in NETWORKS:
        pair = Groups(seed, priorities=(100, 100), crossing=True)
        pair.cut = set(NETWORKS)
        pair.run(5.0)
        assert pair.held == [set(NETWORKS)] * 2
        pair.cut = {still_cut}
        pair.run(3 * DOWN)
        (healed,) = set(NETWORKS) - {still_cut}
        assert sum(healed in held for held in pair.held) == 1
