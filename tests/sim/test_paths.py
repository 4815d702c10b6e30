"""Two directors with a second path between them, of which either may be cut, lose and delay.

The addresses of the second path are in the other order than those of the main one.
"""

from __future__ import annotations

from heapq import heappop, heappush
from ipaddress import ip_address
from math import inf
from random import Random

import pytest

from lvsguard.vrrp import packet
from lvsguard.vrrp.action import AddAddresses, RemoveAddresses, Send
from lvsguard.vrrp.advert import GROUP_V4, TTL, Advert, Wire
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.reception import Datagram, Received
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.speaker import introduce

INTERVAL = 0.1
DOWN = 4 * INTERVAL
VIP = ip_address("10.0.0.8")
MAIN, BESIDE = "main", "beside"
ADDRESSES = {
    MAIN: (ip_address("10.0.0.41"), ip_address("10.0.0.40")),
    BESIDE: (ip_address("192.168.7.1"), ip_address("192.168.7.2")),
}


class Pair:
    """Two directors and two paths. Each hears both adverts of the other, or one, or none."""

    def __init__(self, seed: int, priorities: tuple[int, int] = (100, 100)) -> None:
        self.random, self.loss, self.now = Random(seed), 0.0, 0.0
        self.cut: set[tuple[str, int]] = set()
        """Paths, and to whom nothing comes by them."""
        self.elections = [
            Election(Settings(51, (VIP,), local, priority, INTERVAL), ready=True)
            for local, priority in zip(ADDRESSES[MAIN], priorities, strict=True)
        ]
        self.held = [False, False]
        self.takeovers = 0
        self.unserved = 0.0
        """Seconds without anybody, since the first master."""
        self._datagrams: list[tuple[float, int, int, Datagram]] = []
        self._sent = 0
        for index, one in enumerate(self.elections):
            one.start(self.now)
            self._do(index)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            came = self._datagrams[0][0] if self._datagrams else inf
            dues = [inf if (due := one.timer()) is None else due for one in self.elections]
            before, self.now = self.now, min(end, came, *dues)
            if self.takeovers and not any(self.held):
                self.unserved += self.now - before
            if self.now == end:
                return
            if came == self.now:
                _, _, to, datagram = heappop(self._datagrams)
                self._hear(to, datagram)
                self._do(to)
                continue
            index = dues.index(self.now)
            self.elections[index].expire(self.now)
            self._do(index)

    def cut_whole(self, *paths: str) -> None:
        """Cut these in both directions, and heal all others."""
        self.cut = {(path, to) for path in paths for to in (0, 1)}

    def _hear(self, to: int, datagram: Datagram) -> None:
        heard = packet.decode(datagram, Wire(), Advert(51, 100, INTERVAL, (VIP,)))
        assert isinstance(heard, Received)
        speaker = heard.speaker or datagram.source
        self.elections[to].receive(heard.advert, speaker, self.now)

    def _do(self, index: int) -> None:
        for action in self.elections[index].actions():
            if isinstance(action, Send):
                self._send(index, action.advert)
            elif isinstance(action, AddAddresses):
                self.held[index] = True
                self.takeovers += 1
            elif isinstance(action, RemoveAddresses):
                self.held[index] = False

    def _send(self, index: int, advert: Advert) -> None:
        for path, sources in ADDRESSES.items():
            if (path, 1 - index) in self.cut or self.random.random() < self.loss:
                continue
            said = advert
            if path == BESIDE:
                said = introduce(advert, self.elections[index].local)
            octets = packet.encode(said, Wire(), sources[index], GROUP_V4)
            self._sent += 1
            at = self.now + self.random.uniform(0.0001, 0.01)
            datagram = Datagram(octets, sources[index], GROUP_V4, TTL)
            heappush(self._datagrams, (at, self._sent, 1 - index, datagram))


@pytest.mark.parametrize("healed", [(MAIN,), (BESIDE,), (MAIN, BESIDE)])
@pytest.mark.parametrize("seed", range(4))
def test_of_two_equal_masters_one_stays_whichever_path_they_hear_each_other_on_again(
    seed: int, healed: tuple[str, ...]
) -> None:
    pair = Pair(seed)
    pair.run(5.0)
    assert pair.held == [True, False]
    before = pair.takeovers
    for _ in range(50):
        pair.cut_whole(MAIN, BESIDE)
        pair.run(DOWN + pair.random.uniform(0, 1))
        assert pair.held == [True, True]
        pair.cut_whole(*{MAIN, BESIDE} - set(healed))
        pair.run(INTERVAL + 0.02)
        assert pair.held == [True, False], "the greater address of the main path"
        pair.run(DOWN)
    assert pair.held == [True, False]
    assert pair.unserved == 0.0
    assert pair.takeovers == before + 50, "of the other one, at each cut"


@pytest.mark.parametrize("priorities", [(100, 100), (150, 100), (100, 150)])
@pytest.mark.parametrize("seed", range(4))
def test_while_one_path_carries_adverts_nothing_moves(
    seed: int, priorities: tuple[int, int]
) -> None:
    pair = Pair(seed, priorities)
    pair.run(5.0)
    held, before = list(pair.held), pair.takeovers
    for _ in range(50):
        pair.cut_whole(pair.random.choice((MAIN, BESIDE)))
        pair.run(pair.random.uniform(0, 3))
        pair.cut.clear()
        pair.run(pair.random.uniform(0, 1))
    assert pair.held == held
    assert pair.takeovers == before


@pytest.mark.parametrize("priorities", [(100, 100), (150, 100), (100, 150)])
@pytest.mark.parametrize("seed", range(4))
def test_after_any_cuts_in_either_direction_one_leads_and_it_was_never_nobody(
    seed: int, priorities: tuple[int, int]
) -> None:
    """Directions are cut one by one: each may know another path of the other, or none."""
    pair = Pair(seed, priorities)
    pair.run(5.0)
    best = priorities.index(max(priorities))
    everything = [(path, to) for path in (MAIN, BESIDE) for to in (0, 1)]
    for _ in range(100):
        for _ in range(pair.random.randrange(1, 4)):
            pair.cut = {one for one in everything if pair.random.random() < 0.6}
            pair.run(pair.random.uniform(0, 2))
        whole = pair.random.choice((MAIN, BESIDE))
        pair.cut = {one for one in everything if one[0] != whole}
        pair.run(DOWN + INTERVAL)
        assert pair.held[best]
        assert sum(pair.held) == 1
    assert pair.unserved == 0.0


@pytest.mark.parametrize("path", [MAIN, BESIDE])
@pytest.mark.parametrize("seed", range(4))
def test_a_priority_0_counts_on_whichever_path_it_comes(seed: int, path: str) -> None:
    pair = Pair(seed, (150, 100))
    pair.run(5.0)
    for _ in range(20):
        pair.cut_whole(*{MAIN, BESIDE} - {path})
        assert pair.elections[0].failover(pair.now)
        pair._do(0)
        pair.run(INTERVAL)  # a skew time is 0.61 intervals
        assert pair.held == [False, True]
        pair.cut.clear()
        pair.elections[0].resume(pair.now)
        pair._do(0)
        pair.run(2 * DOWN)
        assert pair.held == [True, False]


@pytest.mark.parametrize("seed", range(4))
def test_a_tenth_of_all_adverts_lost_on_either_path_moves_nothing(seed: int) -> None:
    """By one path three in a row are lost once in two minutes of adverts that are 0.1 s apart."""
    pair = Pair(seed, (150, 100))
    pair.run(5.0)
    pair.loss = 0.1
    pair.run(300.0)
    assert pair.held == [True, False]
    assert pair.takeovers == 1
