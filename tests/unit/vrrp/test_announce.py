"""When announcements are sent, and how many at a time."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address
from itertools import pairwise

import pytest

from lvsguard.vrrp.announce import Announcement, Announcer, Cause, Rhythm
from lvsguard.vrrp.watch import QUESTIONS

QUIET = Rhythm(refresh=0.0)


def items(count: int, interface: str = "eth0") -> list[Announcement]:
    return [
        Announcement(interface, IPv4Address(f"10.0.{n // 250}.{n % 250}")) for n in range(count)
    ]


def play(announcer: Announcer, until: float) -> list[tuple[float, tuple[Announcement, ...]]]:
    """Come back whenever the timer says so; what was taken, and when."""
    taken = []
    while (due := announcer.timer()) is not None and due <= until:
        if slice_ := announcer.take(due):
            taken.append((due, slice_))
    return taken


def test_keepalived_defaults_five_now_and_five_after_five_seconds() -> None:
    announcer = Announcer(QUIET, gap=0.0)
    announcer.announce("web", items(1), Cause.MASTER, 100.0)
    sent = Counter(at for at, slice_ in play(announcer, 1000.0) for _ in slice_)
    assert sent == {100.0: 5, 105.0: 5}
    assert announcer.timer() is None


def test_nobody_is_asked_for_a_vip_before_the_old_master_could_let_go_of_it() -> None:
    announcer = Announcer(QUESTIONS)
    announcer.announce("web", items(1), Cause.MASTER, 100.0)
    assert [at for at, _ in play(announcer, 103.5)] == [101.0, 102.0, 103.0]


def test_what_is_held_waits_and_a_new_beginning_does_not() -> None:
    announcer = Announcer(QUIET, gap=0.0)
    announcer.announce("web", items(1), Cause.MASTER, 100.0)
    announcer.announce("mail", items(1, "eth1"), Cause.MASTER, 100.0)
    assert len(announcer.take(100.0)) == 10
    announcer.hold("web", 106.5)
    announcer.hold("unknown", 106.5)
    sent = Counter((at, one.interface) for at, slice_ in play(announcer, 1000.0) for one in slice_)
    assert sent == {(105.0, "eth1"): 5, (106.5, "eth0"): 5}
    announcer.hold("web", 210.0)
    announcer.announce("web", items(1), Cause.CONTESTED, 200.0)
    assert len(announcer.take(200.0)) == 5


def test_a_burst_is_held_where_it_stands() -> None:
    announcer = Announcer(QUIET, slice_size=2, gap=0.0)
    announcer.announce("web", items(1), Cause.MASTER, 100.0)
    assert len(announcer.take(100.0)) == 2
    announcer.hold("web", 101.0)
    assert announcer.take(100.5) == ()
    assert announcer.timer() == 101.0
    assert len(announcer.take(101.0)) == 2


def test_a_refresh_goes_on_for_ever() -> None:
    announcer = Announcer(Rhythm(refresh=60.0), gap=0.0)
    announcer.announce("web", items(2), Cause.MASTER, 0.0)
    sent = Counter(at for at, slice_ in play(announcer, 200.0) for _ in slice_)
    assert sent == {0.0: 10, 5.0: 10, 65.0: 2, 125.0: 2, 185.0: 2}


def test_every_address_is_announced_once_before_any_is_twice() -> None:
    announcer = Announcer(QUIET)
    announcer.announce("web", items(300), Cause.MASTER, 0.0)
    order = [item for _, slice_ in play(announcer, 4.0) for item in slice_]
    assert len(order) == 1500
    for round_ in range(5):
        assert order[round_ * 300 : round_ * 300 + 300] == items(300)


def test_a_wake_sends_one_slice_at_most_and_slices_keep_their_distance() -> None:
    announcer = Announcer(QUIET, slice_size=32, gap=0.002)
    for name in ("a", "b", "c"):
        announcer.announce(name, items(200, name), Cause.MASTER, 0.0)
    taken = play(announcer, 4.0)
    assert max(len(slice_) for _, slice_ in taken) == 32
    times = [at for at, _ in taken]
    assert min(b - a for a, b in pairwise(times)) == pytest.approx(0.002)
    # 3,000 frames in slices of 32, 2 ms apart
    assert times[-1] == pytest.approx(93 * 0.002)


def test_a_take_before_its_time_gives_nothing() -> None:
    announcer = Announcer(QUIET, gap=0.002)
    announcer.announce("web", items(100), Cause.MASTER, 0.0)
    assert len(announcer.take(0.0)) == 32
    assert announcer.take(0.001) == ()
    assert len(announcer.take(0.002)) == 32


def test_instances_take_turns() -> None:
    announcer = Announcer(QUIET, slice_size=10)
    announcer.announce("many", items(500, "many"), Cause.MASTER, 0.0)
    announcer.announce("few", items(2, "few"), Cause.MASTER, 0.0)
    first = announcer.take(0.0)
    assert Counter(item.interface for item in first) == {"many": 5, "few": 5}


def test_a_contest_that_goes_on_neither_piles_up_nor_starves_the_round() -> None:
    announcer = Announcer(QUIET, slice_size=10, gap=0.01)
    announcer.announce("web", items(100), Cause.MASTER, 0.0)
    seen: set[Announcement] = set()
    for step in range(20):
        now = step * 0.01
        announcer.announce("web", items(100), Cause.CONTESTED, now)
        seen.update(announcer.take(now))
    assert seen == set(items(100))
    rest = sum(len(slice_) for _, slice_ in play(announcer, 100.0))
    assert rest == 500 - 10 + 500


def test_a_contest_restarts_the_second_burst_and_the_refresh() -> None:
    announcer = Announcer(Rhythm(refresh=60.0), gap=0.0)
    announcer.announce("web", items(1), Cause.MASTER, 0.0)
    play(announcer, 3.0)
    announcer.announce("web", items(1), Cause.CONTESTED, 4.0)
    sent = Counter(at for at, slice_ in play(announcer, 70.0) for _ in slice_)
    assert sent == {4.0: 5, 9.0: 5, 69.0: 1}


def test_nothing_is_announced_after_stop() -> None:
    announcer = Announcer()
    announcer.announce("web", items(100), Cause.MASTER, 0.0)
    announcer.take(0.0)
    announcer.stop("web")
    assert announcer.timer() is None
    assert announcer.take(10.0) == ()


def test_other_addresses_take_the_place_of_the_old_ones() -> None:
    announcer = Announcer(QUIET, gap=0.0)
    announcer.announce("web", items(4), Cause.MASTER, 0.0)
    announcer.take(0.0)
    announcer.announce("web", items(1), Cause.MASTER, 1.0)
    assert {item for _, slice_ in play(announcer, 100.0) for item in slice_} == set(items(1))
    announcer.announce("web", [], Cause.MASTER, 200.0)
    assert announcer.timer() is None


def test_a_wake_that_comes_late_sends_no_more_than_a_slice() -> None:
    announcer = Announcer(Rhythm(refresh=1.0), slice_size=32)
    announcer.announce("web", items(1), Cause.MASTER, 0.0)
    announcer.take(0.0)
    assert len(announcer.take(1000.0)) == 5
    assert len(announcer.take(1000.1)) == 0
