"""A master announces against claims at once, except against a router that may be the next one."""

from __future__ import annotations

from lvsguard.vrrp.claims import SILENT_AFTER
from lvsguard.vrrp.contest import ANNOUNCE_EVERY
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.objections import PATIENCE, Objections
from lvsguard.vrrp.watch import Claim
from tests.unit.vrrp.group_message import VIP, VIP6, put

GROUP = put(VIP, VIP6)
FOUR, SIX = Instance(GROUP, 4), Instance(GROUP, 6)
WAIT = PATIENCE * FOUR.settings.interval
STRANGER = Claim(VIP.address, "02:00:00:00:00:2a")
ROUTER = Claim(VIP.address, f"00:00:5e:00:01:{GROUP.vrid:02x}")
ROUTER6 = Claim(VIP6.address, f"00:00:5e:00:02:{GROUP.vrid:02x}")


def test_a_stranger_is_objected_to_each_time() -> None:
    objections = Objections()
    assert all(objections.due(FOUR, STRANGER, at) for at in (10.0, 10.1, 11.0))


def test_answers_to_own_questions_are_objected_to_now_and_then() -> None:
    objections = Objections()
    answer = Claim(STRANGER.address, STRANGER.mac, asked=True)
    due = [at for at in range(20) if objections.due(FOUR, answer, float(at))]
    assert due == [0, ANNOUNCE_EVERY, 2 * ANNOUNCE_EVERY, 3 * ANNOUNCE_EVERY]


def test_another_router_is_given_the_time_of_its_advert() -> None:
    objections = Objections()
    assert not objections.due(FOUR, ROUTER, 10.0)
    assert not objections.due(FOUR, Claim(ROUTER.address, ROUTER.mac, asked=True), 11.0)
    assert not objections.due(FOUR, ROUTER, 10.0 + WAIT - 0.01)
    assert objections.due(FOUR, ROUTER, 10.0 + WAIT)


def test_each_family_has_its_own_mac_address_and_time() -> None:
    objections = Objections()
    assert not objections.due(FOUR, ROUTER, 10.0)
    assert not objections.due(SIX, ROUTER6, 10.0 + WAIT)
    assert objections.due(SIX, Claim(VIP6.address, ROUTER.mac), 10.0 + WAIT)


def test_a_router_that_was_silent_is_waited_for_again() -> None:
    objections = Objections()
    assert not objections.due(FOUR, ROUTER, 10.0)
    assert not objections.due(FOUR, ROUTER, 10.0 + SILENT_AFTER)
    assert objections.due(FOUR, ROUTER, 10.0 + SILENT_AFTER + WAIT)


def test_a_router_that_only_answered_is_waited_for_once_it_says_so_itself() -> None:
    """FRR answers while it starts, and announces a master-down interval later."""
    objections = Objections()
    answer = Claim(ROUTER.address, ROUTER.mac, asked=True)
    assert not objections.due(FOUR, answer, 10.0)
    said = 10.0 + SILENT_AFTER - 0.1
    assert said > 10.0 + WAIT
    assert not objections.due(FOUR, ROUTER, said)
    assert not objections.due(FOUR, answer, said + WAIT - 0.01)
    assert objections.due(FOUR, ROUTER, said + WAIT)


def test_the_mac_address_of_another_virtual_router_is_a_stranger() -> None:
    other = Claim(VIP.address, f"00:00:5e:00:01:{GROUP.vrid + 1:02x}")
    assert Objections().due(FOUR, other, 10.0)
