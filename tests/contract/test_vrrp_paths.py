"""The interfaces of the VRRP process: a second path between two directors, and a link that flaps.

A cut is behind a switch here, so both ends keep their carrier and only adverts tell.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.core.vrrp import Announcing, HmacAuth, VrrpConfig
from lvsguard.vrrp.hearing import SILENT_DOWNS
from lvsguard.vrrp.message import Leave, Put
from tests.support.processes import wait_until
from tests.support.vrrp_child import (
    FAST,
    Child,
    address_log,
    children,
    held,
    listening,
    vip_group,
)
from tests.support.wire_pair import Pair, address, namespaces_problem, pair, second_cable

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
PATIENCE_S = SILENT_DOWNS * DOWN_S
SLACK_S = 1.0
PATHS = ("eth0", "eth1")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        second_cable(made.left, made.right)
        yield made


@pytest.fixture
def both(hosts: Pair, tmp_path: Path) -> Iterator[list[Child]]:
    with children(tmp_path, hosts.left, hosts.right) as made:
        yield made


def group(priority: int = 100, interval: float = FAST, **more: object) -> Put:
    config = replace(VrrpConfig(51, priority, interval), heartbeat=("eth1",), **more)  # type: ignore[arg-type]
    return vip_group("web", *DUAL, vrrp=config)


def settled(both: list[Child], left: Put, right: Put) -> list[Child]:
    """Let them take part, the left one as master."""
    both[0].serve(left)
    both[0].until_role("master", within=15)
    both[1].serve(right)
    both[1].until_role("backup", within=15)
    listen(both, 2 * FAST)  # what is told of a role comes after it
    return both


def listen(both: list[Child], seconds: float) -> None:
    """Let time pass; what they say is taken in, so that nobody waits for us."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in both:
            one.listen(0.02)


def heard(child: Child) -> dict[str, bool]:
    """Which paths it says to be well."""
    return {name: path.heard for name, path in child.states["web"].paths.items()}


def causes(child: Child) -> list[str]:
    """Why its role changed, each time."""
    return [told.fields["cause"] for told in child.told("role")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("auth", [None, HmacAuth({1: b"k" * 32}, 1)], ids=["plain", "signed"])
def test_while_one_path_is_cut_nothing_moves(
    hosts: Pair, both: list[Child], path: str, auth: HmacAuth | None
) -> None:
    left, right = settled(both, group(150, auth=auth), group(100, auth=auth))
    before = causes(left), causes(right)
    hosts.cut(path)
    listen(both, 2 * DOWN_S)
    hosts.heal(path)
    listen(both, DOWN_S)
    assert (held(hosts.left), held(hosts.right)) == (set(DUAL), set())
    assert (causes(left), causes(right)) == before
    assert right.master() == "10.0.0.41", "by its address of the main path"


def test_a_backup_that_hears_on_no_path_takes_over(hosts: Pair, both: list[Child]) -> None:
    _, right = settled(both, group(150), group(100))
    hosts.cut(*PATHS)
    assert right.until_role("master") < DOWN_S + SLACK_S
    assert held(hosts.right) == set(DUAL)


@pytest.mark.parametrize("healed", [("eth0",), ("eth1",), PATHS], ids=["main", "second", "both"])
def test_two_equal_masters_agree_who_stays_whichever_path_is_healed(
    hosts: Pair, both: list[Child], healed: tuple[str, ...]
) -> None:
    left, right = settled(both, group(), group())
    hosts.cut(*PATHS)
    right.until_role("master")
    left.listen(SLACK_S)
    before = len(causes(left))
    with address_log(hosts.left) as log:
        hosts.heal(*healed)
        right.until_role("backup")
        listen(both, 2 * DOWN_S)
    assert (left.role(), right.role()) == ("master", "backup")
    assert (held(hosts.left), held(hosts.right)) == (set(DUAL), set())
    assert len(causes(left)) == before
    assert "Deleted" not in log.read_text(), "the VIPs were there all the time"


@pytest.mark.parametrize("path", PATHS)
def test_a_stop_that_is_heard_on_one_path_alone_is_heard(
    hosts: Pair, both: list[Child], path: str
) -> None:
    left, right = settled(both, group(150, 1.0), group(100, 1.0))
    hosts.cut(*{*PATHS} - {path})
    listen(both, 2.0)
    left.say(Leave(False))
    right.until_role("master", within=3)
    right.until(lambda: causes(right)[-2:] == ["master resigned"] * 2, "and why it is told")
    assert left.wait() == 0
    assert (held(hosts.left), held(hosts.right)) == (set(), set(DUAL))


def test_who_cannot_speak_on_its_main_path_says_over_the_second_that_it_leaves(
    hosts: Pair, both: list[Child]
) -> None:
    left, right = settled(both, group(150, 1.0), group(100, 1.0))
    hosts.left.run("ip", "address", "del", "10.0.0.41/24", "dev", "eth0")
    left.until_role("fault")
    right.until_role("master", within=3)
    right.until(lambda: causes(right)[-2:] == ["master resigned"] * 2, "and why it is told")
    wait_until(lambda: held(hosts.left) == set(), 2, "the VIPs have gone")
    address(hosts.left, "10.0.0.41/24")
    left.until_role("master", within=10)
    right.until_role("backup")


def test_beside_peers_and_a_source_of_the_main_path_the_second_one_works(
    hosts: Pair, both: list[Child]
) -> None:
    one, other = ip_address("10.0.0.41"), ip_address("10.0.0.40")
    six, other6 = ip_address("fe80::41"), ip_address("fe80::40")
    left, right = settled(
        both,
        group(150, peers=(other, other6), source=one, source6=six),
        group(100, peers=(one, six), source=other, source6=other6),
    )
    assert left.failures() == right.failures() == []
    before = causes(left), causes(right)
    hosts.cut("eth0")
    listen(both, 2 * DOWN_S)
    assert (causes(left), causes(right)) == before
    counted = right.fresh_counts()
    assert counted.rejected["web"] == {}
    hosts.cut("eth1")
    right.until_role("master")
    hosts.heal("eth1")
    right.until_role("backup")
    assert (held(hosts.left), held(hosts.right)) == (set(DUAL), set())


# A path that is dead, which nobody would miss before the other one is cut, too.


@pytest.mark.parametrize("path", PATHS)
def test_a_backup_says_which_path_is_silent_until_it_is_healed(
    hosts: Pair, both: list[Child], path: str
) -> None:
    left, right = settled(both, group(150), group(100))
    (other,) = {*PATHS} - {path}
    assert heard(left) == heard(right) == dict.fromkeys(PATHS, True)
    hosts.cut(path)
    right.until(lambda: not heard(right)[path], f"{path} is silent", PATIENCE_S + SLACK_S)
    state = right.states["web"]
    assert heard(right)[other]
    assert f"no advert of the master has come by {path}" in state.paths[path].problem
    assert state.paths[other].problem == state.problem == ""
    hosts.heal(path)
    right.until(lambda: heard(right) == dict.fromkeys(PATHS, True), "it is heard again")
    assert right.states["web"].paths[path].problem == ""


def test_a_master_says_that_nothing_goes_out_of_a_second_path_that_is_down(
    hosts: Pair, both: list[Child]
) -> None:
    left, _ = settled(both, group(150), group(100))
    hosts.left.run("ip", "link", "set", "eth1", "down")
    left.until(lambda: not heard(left)["eth1"], "its eth1 is down")
    why = "no advert goes out of eth1: eth1 has no carrier or is down"
    assert why in left.states["web"].paths["eth1"].problem
    assert heard(left)["eth0"]
    told = [event.fields["text"] for event in left.told("vrrp")]
    assert [text for text in told if why in text] == told != []
    hosts.left.run("ip", "link", "set", "eth1", "up")
    address(
        hosts.left, "fe80::7:1/64", link="eth1"
    )  # the kernel takes it off when a link goes down
    left.until(lambda: heard(left)["eth1"], "its eth1 is up again")


# A link that comes back.


def test_a_link_that_was_gone_too_shortly_for_a_change_of_role_is_announced_again(
    hosts: Pair, both: list[Child]
) -> None:
    left = both[0]
    left.serve(group(150, 1.0, announcing=Announcing(2, 0.5, 0.0)))
    left.until_role("master", within=10)
    left.listen(1.5)
    before = causes(left)
    with listening(hosts.left) as heard:
        left.signal(signal.SIGSTOP)  # it sees what is only when all is over
        hosts.unplug()
        hosts.plug()
        left.signal(signal.SIGCONT)
        left.listen(1.5)
    assert len(heard[0].announced("10.0.0.8")) == 2 + 2
    assert causes(left) == before
    assert held(hosts.left) == set(DUAL)


def test_a_link_that_was_gone_for_longer_is_announced_on_becoming_master_again(
    hosts: Pair, both: list[Child]
) -> None:
    left = both[0]
    left.serve(group(150, announcing=Announcing(2, 0.5, 0.0)))
    left.until_role("master")
    left.listen(1.0)
    hosts.unplug()
    left.until_role("fault")
    wait_until(lambda: held(hosts.left) == set(), 2, "the VIPs have gone")
    with listening(hosts.left) as heard:
        hosts.plug()
        left.until_role("master")
        left.listen(1.0)
    assert len(heard[0].announced("10.0.0.8")) == 2 + 2
    assert held(hosts.left) == set(DUAL)


def test_the_second_paths_link_is_nobodys_reason_to_announce_or_to_leave(
    hosts: Pair, both: list[Child]
) -> None:
    left, right = settled(
        both,
        group(150, announcing=Announcing(1, 0.2, 0.0)),
        group(100, announcing=Announcing(1, 0.2, 0.0)),
    )
    left.listen(0.5)
    before = causes(left), causes(right)
    with listening(hosts.right) as heard:
        for state in ("down", "up"):
            hosts.right.run("ip", "link", "set", "eth1", state)
            listen(both, DOWN_S)
    assert heard[0].announced("10.0.0.8") == []
    assert (causes(left), causes(right)) == before
