"""Who may try the peer channel, and what is told of the others."""

from __future__ import annotations

from ipaddress import ip_address

from lvsguard.admin.peer_gate import KINDS_MAX, PENDING_MAX, TELL_S, TRIES_MAX, WINDOW_S, Gate
from lvsguard.core.peer_event import PeerRefused

OTHER = ip_address("10.0.0.40")
KNOWN = (OTHER,)


def test_strangers_are_cut_off_and_told_of_once_a_minute() -> None:
    told: list[PeerRefused] = []
    gate = Gate(told.append)
    for _ in range(1000):
        assert not gate.admits("10.0.0.99", KNOWN, 0.0)
    assert [str(one) for one in told] == [
        "peer channel: 10.0.0.99 was cut off: it is no director of [peer] addresses"
    ]
    assert gate.refused == 1000
    gate.refuse("10.0.0.99", told[0].why, TELL_S)
    assert len(told) == 2


def test_a_director_may_try_often_but_not_for_ever() -> None:
    told: list[PeerRefused] = []
    gate = Gate(told.append)
    tries = [gate.admits(str(OTHER), KNOWN, 0.0) for _ in range(TRIES_MAX + 5)]
    assert tries == [True] * TRIES_MAX + [False] * 5
    assert len(told) == 1
    assert gate.admits(str(OTHER), KNOWN, WINDOW_S)


def test_who_waits_with_its_hello_keeps_no_more_than_some_places() -> None:
    gate = Gate(lambda event: None)
    gate.pending = PENDING_MAX
    assert not gate.admits(str(OTHER), KNOWN, 0.0)
    gate.pending = 0
    assert gate.admits(str(OTHER), KNOWN, 0.0)


def test_a_thousand_strangers_fill_neither_memory_nor_the_history() -> None:
    told: list[PeerRefused] = []
    gate = Gate(told.append)
    for number in range(1000):
        gate.admits(f"10.1.{number >> 8}.{number & 255}", KNOWN, 0.0)
    assert len(told) == KINDS_MAX
    gate.admits("10.2.0.1", KNOWN, TELL_S + 1)
    assert len(told) == KINDS_MAX + 1
