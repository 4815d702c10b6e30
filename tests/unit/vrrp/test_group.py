"""Sync groups: members are master together or not at all."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.action import Action, AddAddresses, RemoveAddresses, RoleChanged, Send
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import State, Trigger

INSIDE, OUTSIDE = "inside", "outside"
VRIDS = {INSIDE: 51, OUTSIDE: 52}
LOCALS = {INSIDE: ip_address("10.0.0.41"), OUTSIDE: ip_address("192.0.2.41")}
PEERS = {INSIDE: ip_address("10.0.0.40"), OUTSIDE: ip_address("192.0.2.40")}
BOTH = (INSIDE, OUTSIDE)


def vip(name: str) -> IPAddress:
    return LOCALS[name] + 50


class Pair:
    """A group of two, the time, and what it asked for."""

    def __init__(self, priority: int = 100, *, ready: bool = True) -> None:
        settings = {n: Settings(VRIDS[n], (vip(n),), LOCALS[n], priority) for n in BOTH}
        self.group = SyncGroup(settings, ready=ready)
        self.now = 1000.0
        self.group.start(self.now)
        self.asked: list[tuple[str, Action]] = []

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.group.timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.group.expire(self.now)
        self.now = end
        self.asked = self.group.actions()

    def hear(self, name: str, priority: int) -> None:
        advert = Advert(VRIDS[name], priority, 1.0, (vip(name),))
        self.group.receive(name, advert, PEERS[name], self.now)
        self.asked = self.group.actions()

    def follow(self, priority: int, times: int, names: tuple[str, ...] = BOTH) -> None:
        for _ in range(times):
            self.run(1.0)
            for name in names:
                self.hear(name, priority)

    def states(self) -> set[State]:
        return {one.state for one in self.group.members.values()}

    def causes(self) -> list[Trigger]:
        return [a.cause for _, a in self.group.actions() if isinstance(a, RoleChanged)]

    def adverts(self) -> set[tuple[str, int]]:
        return {(n, a.advert.priority) for n, a in self.asked if isinstance(a, Send)}


def leading(priority: int = 100) -> Pair:
    pair = Pair(priority)
    pair.run(10.0)
    assert pair.states() == {State.MASTER}
    return pair


def test_the_members_take_over_together() -> None:
    pair = Pair()
    pair.run(3.7)
    assert {n for n, a in pair.asked if isinstance(a, AddAddresses)} == set(BOTH)


def test_one_silent_network_is_no_reason_while_another_member_hears_the_master() -> None:
    pair = Pair()
    pair.follow(150, 30, (INSIDE,))
    assert pair.states() == {State.BACKUP}
    pair.run(3.7)
    assert pair.states() == {State.MASTER}


def test_a_member_that_hears_the_master_again_wants_no_more() -> None:
    pair = Pair()
    pair.follow(150, 10, (INSIDE,))
    pair.hear(OUTSIDE, 150)
    pair.run(3.5)
    assert pair.states() == {State.BACKUP}


def test_they_preempt_together() -> None:
    pair = Pair(150)
    pair.follow(100, 4)
    assert pair.states() == {State.MASTER}


def test_when_one_has_to_leave_the_others_hand_over() -> None:
    pair = leading()
    pair.hear(INSIDE, 200)
    assert (INSIDE, RemoveAddresses()) in pair.asked
    assert (OUTSIDE, RemoveAddresses()) not in pair.asked
    assert pair.adverts() == {(OUTSIDE, 0)}
    pair.run(0.1)
    pair.hear(OUTSIDE, 200)
    assert (OUTSIDE, RemoveAddresses()) in pair.asked
    assert pair.states() == {State.BACKUP}


def test_what_nobody_claims_after_one_has_left_is_released() -> None:
    pair = leading()
    pair.hear(INSIDE, 200)
    pair.follow(200, 5, (INSIDE,))
    assert pair.states() == {State.BACKUP}


def test_after_that_it_waits_no_longer_than_the_member_that_followed() -> None:
    """The other director has died between the adverts of its two members, say."""
    pair = leading()
    pair.hear(INSIDE, 200)
    down_s = 3 + (256 - 100) / 256
    pair.run(down_s + 0.5)
    assert pair.states() == {State.MASTER}


GREATER = {INSIDE: LOCALS[INSIDE] + 1, OUTSIDE: LOCALS[OUTSIDE] + 1}


def hear_equal(pair: Pair, name: str, source: IPAddress) -> None:
    advert = Advert(VRIDS[name], 100, 1.0, (vip(name),))
    pair.group.receive(name, advert, source, pair.now)
    pair.asked = pair.group.actions()


def test_of_equals_the_member_that_decides_does_so_for_all() -> None:
    pair = leading()
    hear_equal(pair, OUTSIDE, GREATER[OUTSIDE])
    assert pair.states() == {State.MASTER}, "there the other one is greater"
    hear_equal(pair, INSIDE, PEERS[INSIDE])
    assert pair.states() == {State.MASTER}
    hear_equal(pair, INSIDE, GREATER[INSIDE])
    assert pair.group.members[INSIDE].state is State.BACKUP
    hear_equal(pair, OUTSIDE, PEERS[OUTSIDE])
    assert pair.states() == {State.BACKUP}, "it follows, whose address is greater there or not"


def test_a_member_decides_for_itself_when_the_one_that_would_does_not_hear() -> None:
    pair = leading()
    for _ in range(3):
        hear_equal(pair, OUTSIDE, GREATER[OUTSIDE])
        assert pair.states() == {State.MASTER}
        pair.run(1.0)
    hear_equal(pair, OUTSIDE, GREATER[OUTSIDE])
    assert pair.group.members[OUTSIDE].state is State.BACKUP


def test_each_tie_has_its_own_patience() -> None:
    pair = leading()
    for _ in range(3):
        hear_equal(pair, OUTSIDE, GREATER[OUTSIDE])
        pair.run(3.5)
    assert pair.states() == {State.MASTER}


def test_a_lost_link_is_lost_for_all_until_every_link_is_there() -> None:
    pair = leading()
    pair.group.link(INSIDE, False, pair.now)
    assert pair.states() == {State.FAULT}
    pair.group.link(OUTSIDE, False, pair.now)
    pair.group.link(INSIDE, True, pair.now)
    assert pair.states() == {State.FAULT}
    pair.group.link(OUTSIDE, True, pair.now)
    assert pair.states() == {State.BACKUP}


def test_a_failover_that_nobody_claims_goes_back_whole() -> None:
    pair = leading()
    assert pair.group.failover(pair.now)
    pair.run(5.0)
    assert pair.states() == {State.MASTER}
    assert RemoveAddresses() not in [action for _, action in pair.asked]


def test_a_failover_that_one_peer_claims_is_not_taken_back_by_the_other_member() -> None:
    pair = leading()
    pair.group.failover(pair.now)
    pair.run(0.7)
    pair.hear(INSIDE, 50)
    pair.follow(50, 6, (INSIDE,))
    assert pair.states() == {State.BACKUP}


def test_late_members_step_back_together() -> None:
    pair = leading()
    pair.now += 10.0
    pair.group.expire(pair.now)
    pair.asked = pair.group.actions()
    assert pair.states() == {State.BACKUP}
    assert pair.adverts() == set()


def test_a_late_member_takes_those_along_that_have_spoken_since() -> None:
    """What they said now would have a backup wait anew for all."""
    pair = leading()
    pair.run(0.5)
    pair.hear(OUTSIDE, 50)
    assert pair.adverts() == {(OUTSIDE, 100)}, "it has answered"
    pair.now += 2.6
    pair.group.expire(pair.now)
    pair.asked = pair.group.actions()
    assert pair.states() == {State.BACKUP}
    assert pair.adverts() == set()


def test_late_members_step_back_together_when_one_reads_an_advert_first() -> None:
    pair = leading()
    pair.now += 10.0
    pair.hear(INSIDE, 50)
    assert pair.states() == {State.BACKUP}
    assert pair.adverts() == set()


@pytest.mark.parametrize("ready", [True, False])
def test_readiness_counts_for_all(ready: bool) -> None:
    pair = Pair(ready=False)
    pair.run(10.0)
    assert pair.states() == {State.BACKUP}
    pair.group.set_ready(ready, pair.now)
    assert pair.states() == {State.MASTER if ready else State.BACKUP}


def test_a_group_of_owners_leads_at_once_and_says_why() -> None:
    pair = Pair(255)
    assert pair.states() == {State.MASTER}
    assert pair.causes()[-1] is Trigger.OWNER_STARTED


def test_owners_whose_link_is_back_do_not_call_the_master_silent() -> None:
    pair = Pair(255)
    pair.group.link(INSIDE, False, pair.now)
    pair.run(10.0)
    pair.group.link(INSIDE, True, pair.now)
    assert pair.states() == {State.MASTER}
    assert pair.causes() == [Trigger.LINK_BACK, Trigger.OWNER_BACK] * 2


def test_an_owner_that_has_to_wait_for_its_group_follows_who_speaks() -> None:
    pair = Pair(255, ready=False)
    pair.run(1.0)
    for name in BOTH:
        pair.hear(name, 150)
    assert {one.master for one in pair.group.members.values()} == set(PEERS.values())
    assert not any(one.wants for one in pair.group.members.values())


def test_a_stop_waits_for_each_members_successor() -> None:
    pair = leading()
    pair.group.stop(pair.now)
    pair.hear(INSIDE, 50)
    assert pair.states() == {State.INIT, State.STOPPING}
    pair.hear(OUTSIDE, 50)
    assert pair.states() == {State.INIT}


def test_it_does_not_begin_anew_while_a_member_still_leaves() -> None:
    pair = leading()
    pair.group.stop(pair.now)
    pair.hear(INSIDE, 50)
    pair.group.start(pair.now)
    assert pair.states() == {State.INIT, State.STOPPING}
