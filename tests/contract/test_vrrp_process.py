"""The VRRP process on real interfaces: elections of two, its controller's deaths, and its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp.message import Leave, Only, Standing
from tests.support.processes import wait_until
from tests.support.vrrp_child import (
    FAST,
    Child,
    address_log,
    children,
    gaps,
    held,
    listening,
    vip_group,
)
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
VIP = "10.0.0.8/24"
DUAL = (VIP, "fd00::8/64")
DOWN_S = 4 * FAST
"""Longer than any master-down interval of adverts that are ``FAST`` apart."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.fixture
def left(hosts: Pair, tmp_path: Path) -> Iterator[Child]:
    with children(tmp_path, hosts.left) as (made,):
        yield made


@pytest.fixture
def right(hosts: Pair, tmp_path: Path) -> Iterator[Child]:
    with children(tmp_path, hosts.right) as (made,):
        yield made


def settings(priority: int = 100, interval: float = FAST, **more: object) -> VrrpConfig:
    return replace(VrrpConfig(51, priority, interval), **more)  # type: ignore[arg-type]


STRONG, WEAK = vip_group(vrrp=settings(150)), vip_group(vrrp=settings(100))


def test_alone_it_becomes_master_has_its_addresses_and_says_so(hosts: Pair, left: Child) -> None:
    with listening(hosts.right) as heard:
        left.serve(vip_group("web", *DUAL, vrrp=settings()))
        left.until_role("master")
        left.listen(1.0)
    assert held(hosts.left) == set(DUAL)
    adverts = heard[0].adverts("10.0.0.41", 100)
    assert len(adverts) >= 9
    assert max(gaps(adverts)) < 1.5 * FAST
    assert len(heard[0].announced("10.0.0.8")) == 5, "as often as it is configured, not more"
    state = left.states["web"]
    assert (state.master, {a.address for a in state.held}) == ("10.0.0.41", {"10.0.0.8", "fd00::8"})
    assert abs(state.since - time.time()) < 3


def test_two_elect_the_higher_priority_and_replace_it(
    hosts: Pair, left: Child, right: Child
) -> None:
    left.serve(STRONG)
    right.serve(WEAK)
    left.until_role("master")
    right.until(lambda: right.master() == "10.0.0.41", "it knows its master")
    assert (held(hosts.left), held(hosts.right)) == ({VIP}, set())
    left.kill()
    took = right.until_role("master")
    assert took < DOWN_S + 0.1
    assert held(hosts.right) == {VIP}


def test_a_planned_stop_hands_over_before_it_lets_go(
    hosts: Pair, left: Child, right: Child
) -> None:
    left.serve(vip_group("web", *DUAL, vrrp=settings(150)))
    right.serve(vip_group("web", *DUAL, vrrp=settings(100)))
    left.until_role("master")
    right.until_role("backup")
    with listening(hosts.right) as heard:
        left.say(Leave(False))
        right.until_role("master")
        assert left.wait() == 0
    assert (held(hosts.left), held(hosts.right)) == (set(), set(DUAL))
    assert heard[0].adverts("10.0.0.41", 0), "it said that it leaves"


@pytest.mark.parametrize("keep", [True, False])
def test_without_a_successor_the_addresses_stay_if_they_are_to_be_kept(
    hosts: Pair, left: Child, keep: bool
) -> None:
    left.serve(vip_group("web", *DUAL, vrrp=settings()))
    left.until_role("master")
    left.say(Leave(keep))
    assert left.wait() == 0
    assert held(hosts.left) == (set(DUAL) if keep else set())


def test_a_group_that_is_no_longer_named_is_handed_over(
    hosts: Pair, left: Child, right: Child
) -> None:
    other = vip_group("mail", "10.0.0.9/24", vrrp=replace(settings(150), vrid=52))
    left.serve(vip_group("web", *DUAL, vrrp=settings(150)), other)
    right.serve(vip_group("web", *DUAL, vrrp=settings(100)))
    left.until_role("master")
    left.until_role("master", "mail")
    right.until_role("backup")
    left.say(Only(names=("mail",), grace=30))
    right.until_role("master")
    wait_until(lambda: held(hosts.left) == {"10.0.0.9/24"}, 2, "the addresses have gone")
    assert left.role("mail") == "master"
    # It goes on to hear: of equal priority, the greater address gives way to nobody.
    right.say(vip_group("mail", "10.0.0.9/24", vrrp=replace(settings(200), vrid=52)))
    right.say(Only(names=("mail",), grace=30), Standing(name="mail", ready=True, priority=200))
    right.until_role("master", "mail")
    assert left.until_role("backup", "mail") < 2 * FAST


def test_a_dead_controller_is_waited_for_and_one_that_returns_changes_nothing(
    hosts: Pair, left: Child
) -> None:
    left.serve(STRONG)
    left.until_role("master")
    with listening(hosts.right) as heard, address_log(hosts.left) as log:
        left.part()
        time.sleep(3 * FAST)
        left.connect()
        left.serve(STRONG)
        left.until_role("master")
        left.listen(3 * FAST)
    assert max(gaps(heard[0].adverts("10.0.0.41", 150))) < 1.5 * FAST
    assert heard[0].adverts("10.0.0.41", 0) == []
    assert log.read_text() == ""


def test_after_the_grace_without_a_controller_it_hands_over_and_ends(
    hosts: Pair, left: Child, right: Child
) -> None:
    left.serve(STRONG, grace=0.5)
    right.serve(WEAK)
    left.until_role("master")
    right.until_role("backup")
    left.part()
    took = right.until_role("master")
    assert 0.5 <= took < 0.5 + 2 * FAST + 0.3
    assert left.wait() == 0
    assert held(hosts.left) == set()


def test_a_killed_process_that_is_started_anew_goes_on_before_it_is_missed(
    hosts: Pair, left: Child, right: Child
) -> None:
    left.serve(vip_group(vrrp=settings(150, 1.0)))
    right.serve(vip_group(vrrp=settings(100, 1.0)))
    left.until_role("master")
    right.until_role("backup")
    with address_log(hosts.left) as log, listening(hosts.right) as heard:
        left.kill()
        left.start().serve(vip_group(vrrp=settings(150, 1.0)))
        left.until_role("master")
        right.listen(2.0)
    assert right.role() == "backup"
    assert heard[0].adverts("10.0.0.40") == []
    assert "Deleted" not in log.read_text()
    print(heard[0].lines, left.log())


def test_addresses_that_change_under_a_master_leave_no_gap(
    hosts: Pair, left: Child, right: Child
) -> None:
    left.serve(vip_group("web", VIP, "10.0.0.9/24", vrrp=settings(150)))
    right.serve(WEAK)
    left.until_role("master")
    right.until_role("backup")
    with address_log(hosts.left) as log, listening(hosts.right) as heard:
        left.serve(vip_group("web", VIP, "10.0.0.10/24", vrrp=settings(150)))
        wait_until(lambda: held(hosts.left) == {VIP, "10.0.0.10/24"}, 3, "they are changed")
        left.listen(5 * FAST)
    changes = [line for line in log.read_text().splitlines() if "inet" in line]
    assert [("Deleted" in line, line.split("inet ")[1].split("/")[0]) for line in changes] in (
        [(True, "10.0.0.9"), (False, "10.0.0.10")],
        [(False, "10.0.0.10"), (True, "10.0.0.9")],
    )
    assert max(gaps(heard[0].adverts("10.0.0.41"))) <= 2.5 * FAST
    assert heard[0].adverts("10.0.0.40") == []
    assert left.role() == "master"


def test_another_priority_begins_no_new_election(hosts: Pair, left: Child, right: Child) -> None:
    left.serve(STRONG)
    right.serve(WEAK)
    left.until_role("master")
    right.until_role("backup")
    with listening(hosts.right) as heard:
        left.say(Standing(name="web", ready=True, priority=120))
        left.until(lambda: left.states["web"].priority == 120, "it says so")
        left.listen(5 * FAST)
    assert max(gaps(heard[0].adverts("10.0.0.41"))) < 1.5 * FAST
    assert heard[0].adverts("10.0.0.41", 120)
    left.say(Standing(name="web", ready=True, priority=50))
    right.until_role("master")
    left.until_role("backup")
    assert held(hosts.left) == set()
