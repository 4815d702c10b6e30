"""What a slow or absent controller still has to be told is bounded, and in order."""

from __future__ import annotations

from lvsguard.vrrp.outbox import EVENTS_MAX, Outbox


def drained(box: Outbox) -> list[bytes]:
    found = []
    while (packet := box.first()) is not None:
        found.append(packet)
        box.sent()
    return found


def test_a_greeting_goes_before_events_and_events_before_pictures() -> None:
    box = Outbox()
    box.picture("web", b"old")
    box.event(b"one")
    box.greet(b"hello")
    assert box.greeting
    box.event(b"two")
    box.picture("web", b"new")
    assert len(box) == 4
    assert drained(box) == [b"hello", b"one", b"two", b"new"]
    assert not box.greeting


def test_only_the_newest_picture_counts() -> None:
    box = Outbox()
    for number in range(1000):
        box.picture("web", b"%d" % number)
    box.picture("mail", b"m")
    box.drop("nothing")
    assert drained(box) == [b"999", b"m"]
    box.picture("web", b"w")
    box.drop("web")
    assert drained(box) == []


def test_the_oldest_events_make_room() -> None:
    box = Outbox()
    for number in range(EVENTS_MAX + 10):
        box.event(b"%d" % number)
    assert drained(box)[0] == b"10"
