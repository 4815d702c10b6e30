"""Bad verdicts that the director's own link may have caused."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.controller.sight import Sight, recovery
from lvsguard.core.config import Check
from lvsguard.core.health import FailureClass, Health, Result, Timing, Verdict
from lvsguard.core.model import VipAddress
from tests.support.rig import HTTP, OK, REFUSED, SILENCE, WRONG

NEAR = Check(ip_address("10.0.0.42"), 80, HTTP)
FAR = Check(ip_address("192.0.2.1"), 80, HTTP)
OWN = VipAddress("eth0", ip_address("10.0.0.41"), 24)
UNREACHABLE = replace(SILENCE, code="L4CON", failure=FailureClass.HOST_DEAD)
GONE, DEAD = Health(Verdict.DOWN, result=SILENCE), Health(Verdict.DOWN, result=UNREACHABLE)
UP = Health(Verdict.UP, result=OK)
LATER = 100 + recovery(HTTP.timing)


@pytest.fixture
def sight() -> Sight:
    """Eth0 leads to 10.0.0.0/24 and is down."""
    sight = Sight()
    sight.addresses(frozenset({OWN}))
    sight.links({"eth0": False, "eth1": True}, 10)
    return sight


@pytest.mark.parametrize("health", [GONE, DEAD])
def test_silence_over_a_link_that_is_down_is_no_evidence(sight: Sight, health: Health) -> None:
    assert not sight.believes(NEAR, health, 11)
    assert sight.due(50) == []


@pytest.mark.parametrize("result", [REFUSED, WRONG])
def test_an_answer_is_evidence_whatever_the_link_is_said_to_be(
    sight: Sight, result: Result
) -> None:
    assert sight.believes(NEAR, Health(Verdict.DOWN, result=result), 11)


def test_silence_behind_another_link_is_evidence(sight: Sight) -> None:
    assert sight.believes(FAR, GONE, 11)


def test_silence_is_evidence_while_all_links_are_up() -> None:
    sight = Sight()
    sight.addresses(frozenset({OWN}))
    sight.links({"eth0": True}, 10)
    assert sight.believes(NEAR, GONE, 11)


def test_a_kept_verdict_counts_when_the_link_has_been_back_long_enough(sight: Sight) -> None:
    sight.believes(NEAR, GONE, 11)
    sight.links({"eth0": True}, 100)
    assert sight.due(LATER - 0.1) == []
    assert sight.due(LATER) == [(NEAR, GONE)]
    assert sight.due(LATER) == []


def test_a_success_after_the_link_is_back_forgets_the_kept_verdict(sight: Sight) -> None:
    sight.believes(NEAR, GONE, 11)
    sight.links({"eth0": True}, 100)
    assert sight.believes(NEAR, UP, 101)
    assert sight.due(LATER) == []


def test_silence_that_began_before_the_link_was_back_is_no_evidence_either(sight: Sight) -> None:
    sight.links({"eth0": True}, 100)
    assert not sight.believes(NEAR, GONE, LATER - 0.1)
    assert sight.believes(NEAR, GONE, LATER)


def test_a_link_that_lost_its_addresses_still_leads_where_it_led(sight: Sight) -> None:
    sight.addresses(frozenset())
    assert not sight.believes(NEAR, GONE, 11)


def test_an_address_that_moved_to_another_link_is_seen_over_that_one(sight: Sight) -> None:
    sight.addresses(frozenset({replace(OWN, interface="eth1")}))
    assert sight.believes(NEAR, GONE, 11)
    sight.links({"eth0": False, "eth1": False}, 12)
    assert not sight.believes(NEAR, GONE, 13)


def test_a_link_that_is_watched_no_longer_hides_nothing(sight: Sight) -> None:
    """After a reload, or where it was made anew under another name."""
    sight.links({"eth1": True}, 12)
    assert sight.believes(NEAR, GONE, 13)


def test_the_worst_cause_decides_and_not_the_latest_result(sight: Sight) -> None:
    assert sight.believes(NEAR, replace(GONE, cause=REFUSED), 11)


def test_recovery_grows_with_what_a_check_needs() -> None:
    assert recovery(Timing()) == pytest.approx(1 + 1 + 2 * 0.05 + 1)
    assert recovery(Timing(timeout=5, down_interval=30, rise=3)) == pytest.approx(36.15)
