"""Which MAC address is whose."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.controller.neighbours import REPEAT_S, Neighbours
from lvsguard.core.event import Event, MacChanged

RS1, RS2 = ip_address("10.0.0.42"), ip_address("10.0.0.43")
A, B = "02:00:00:00:00:2a", "02:00:00:00:00:66"


class Scene:
    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[Event] = []
        self.neighbours = Neighbours(self.events.append, lambda: self.now)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_first_mac_address_is_no_news_and_another_is(scene: Scene) -> None:
    scene.neighbours.met(RS1, A)
    scene.neighbours.met(RS1, A)
    assert scene.events == []
    scene.neighbours.met(RS1, B)
    assert scene.events == [MacChanged("10.0.0.42", A, B)]
    assert "a second host with its address" in str(scene.events[0])


def test_two_hosts_that_take_turns_are_told_once_a_minute(scene: Scene) -> None:
    for _ in range(10):
        for mac in (A, B):
            scene.neighbours.met(RS1, mac)
    assert len(scene.events) == 1
    scene.now = REPEAT_S
    scene.neighbours.met(RS1, A)
    assert len(scene.events) == 2


def test_a_change_back_is_told_when_the_minute_is_over(scene: Scene) -> None:
    scene.neighbours.met(RS1, A)
    scene.neighbours.met(RS1, B)
    scene.neighbours.met(RS1, A)
    scene.neighbours.settle()
    assert len(scene.events) == 1
    scene.now = REPEAT_S
    scene.neighbours.settle()
    assert scene.events == [MacChanged("10.0.0.42", A, B), MacChanged("10.0.0.42", B, A)]
    scene.now = 3 * REPEAT_S
    scene.neighbours.settle()
    assert len(scene.events) == 2


def test_a_third_mac_address_within_the_minute_is_told_once_it_is_over(scene: Scene) -> None:
    for mac in (A, B, A, "02:00:00:00:00:77", B):
        scene.neighbours.met(RS1, mac)
    scene.now = REPEAT_S
    scene.neighbours.settle()
    assert len(scene.events) == 1  # it is where the last event says
    scene.neighbours.met(RS1, "02:00:00:00:00:77")
    assert scene.events[1:] == [MacChanged("10.0.0.42", B, "02:00:00:00:00:77")]


def test_what_the_kernel_knows_counts_where_no_prober_has_met_it(scene: Scene) -> None:
    scene.neighbours.seen(RS1, A)
    scene.neighbours.seen(RS2, A)
    assert scene.neighbours.at(A) == (RS1, RS2)
    scene.neighbours.met(RS2, B)
    assert scene.neighbours.at(A) == (RS1,)
    scene.neighbours.seen(RS1, B)
    assert scene.events == []
    scene.neighbours.keep({RS2}, {RS2})
    assert scene.neighbours.at(B) == (RS2,)


def test_realservers_are_found_by_mac_address(scene: Scene) -> None:
    for realserver in (RS2, RS1):
        scene.neighbours.met(realserver, A)
    assert scene.neighbours.at(A) == (RS1, RS2)
    assert scene.neighbours.at(B) == ()


def test_what_the_config_drops_is_forgotten(scene: Scene) -> None:
    scene.neighbours.met(RS1, A)
    scene.neighbours.met(RS2, B)
    scene.neighbours.keep({RS2}, {RS1, RS2})
    assert scene.neighbours.at(A) == ()
    scene.neighbours.met(RS1, B)
    assert scene.events == []
