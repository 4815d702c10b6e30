"""Sync groups of two directors on two networks, of which either may be cut, lose and delay."""

from __future__ import annotations

from heapq import heappop, heappush
from ipaddress import ip_address
from math import inf
from random import Random

import pytest

from lvsguard.vrrp.action import AddAddresses, RemoveAddresses, Send
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.settings import Settings

INTERVAL = 0.1
DOWN = 4 * INTERVAL
NETWORKS = ("inside", "outside")
ADDRESSES = {"inside": ip_address("10.0.0.40"), "outside": ip_address("192.0.2.40")}


class Pair:
    """Two directors and two networks between them."""

    def __init__(self, seed: int, loss: float = 0.0) -> None:
        self.random, self.loss, self.now = Random(seed), loss, 0.0
        self.cut: set[str] = set()
        self.groups = [self._group(0, 150), self._group(1, 100)]
        self.held: list[set[str]] = [set(), set()]
        self.takeovers = 0
        self._packets: list[tuple[float, int, int, str, Advert]] = []
        self._sent = 0
        for index, group in enumerate(self.groups):
            group.start(self.now)
            self._do(index)

    def _group(self, index: int, priority: int) -> SyncGroup:
        members = {
            name: Settings(51, (address + 9,), address + index, priority, INTERVAL)
            for name, address in ADDRESSES.items()
        }
        return SyncGroup(members, ready=True)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            packet = self._packets[0][0] if self._packets else inf
            dues = [inf if (due := group.timer()) is None else due for group in self.groups]
            self.now = min(end, packet, *dues)
            if self.now == end:
                return
            if packet == self.now:
                _, _, to, name, advert = heappop(self._packets)
                self.groups[to].receive(name, advert, ADDRESSES[name] + 1 - to, self.now)
                self._do(to)
                continue
            index = dues.index(self.now)
            self.groups[index].expire(self.now)
            self._do(index)

    def _do(self, index: int) -> None:
        for name, action in self.groups[index].actions():
            if isinstance(action, Send):
                self._send(1 - index, name, action.advert)
            elif isinstance(action, AddAddresses):
                self.held[index].add(name)
                self.takeovers += 1
            elif isinstance(action, RemoveAddresses):
                self.held[index].remove(name)

    def _send(self, to: int, name: str, advert: Advert) -> None:
        if name not in self.cut and self.random.random() >= self.loss:
            self._sent += 1
            at = self.now + self.random.uniform(0.0001, 0.01)
            heappush(self._packets, (at, self._sent, to, name, advert))


@pytest.mark.parametrize("seed", range(8))
def test_one_cut_network_alone_moves_nothing(seed: int) -> None:
    pair = Pair(seed)
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
    pair = Pair(seed, loss)
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
    pair = Pair(seed)
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
    pair = Pair(seed)
    pair.run(5.0)
    assert pair.groups[0].failover(pair.now)
    pair._do(0)
    for _ in range(5000):
        pair.run(0.0002)
        assert pair.held[0] | pair.held[1] == set(NETWORKS)
    assert pair.held == [set(), set(NETWORKS)]
