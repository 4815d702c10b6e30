"""Followers, quick and slow; and how an event becomes an entry."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from lvsguard.admin.entry import entry, plain
from lvsguard.admin.feed import BACKLOG, Feed
from lvsguard.core.event import HealthChanged, Stopping
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.model import Counters, RealserverKey


async def test_every_follower_gets_every_entry_in_order() -> None:
    feed = Feed()
    lines = [entry(n, float(n), Stopping(keep=True)) for n in range(3)]
    with feed.subscribe() as one, feed.subscribe() as other:
        for line in lines:
            feed.publish(line)
        feed.close()
        assert [got async for got in one] == lines
        assert [got async for got in other] == lines


async def test_a_slow_follower_loses_the_oldest_and_knows_how_many() -> None:
    feed = Feed()
    with feed.subscribe() as slow:
        for number in range(BACKLOG + 5):
            feed.publish(entry(number, 0.0, Stopping(keep=True)))
        assert (await anext(slow)).id == 5
        assert slow.lost == 5


async def test_a_follower_waits_until_something_happens() -> None:
    feed = Feed()
    with feed.subscribe() as follower:
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.publish(entry(1, 0.0, Stopping(keep=True)))
        assert (await waiting).id == 1


async def test_a_follower_who_left_gets_nothing_more() -> None:
    feed = Feed()
    with feed.subscribe() as follower:
        pass
    feed.publish(entry(1, 0.0, Stopping(keep=True)))
    assert [got async for got in follower] == []


def test_an_entry_holds_the_events_fields_in_plain_words() -> None:
    event = HealthChanged(
        "10.0.0.42:80",
        "http 10.0.0.42:80",
        Verdict.UP,
        Verdict.DOWN,
        "L4CON",
        "refused",
        FailureClass.REFUSED,
        "check",
        duration=0.0012,
        probes=2,
        took=0.25,
        seen="503 Busy",
    )
    line = entry(7, 1.5, event)
    assert line.text == str(event)
    assert line.data == {
        "realserver": "10.0.0.42:80",
        "check": "http 10.0.0.42:80",
        "before": "up",
        "after": "down",
        "code": "L4CON",
        "reason": "refused",
        "failure": "refused",
        "detector": "check",
        "duration": 0.0012,
        "probes": 2,
        "took": 0.25,
        "seen": "503 Busy",
        "hint": "",
        "latency": None,
        "trace": "",
        "services": [],
    }
    assert type(line.data["after"]) is str


def test_what_json_cannot_say_becomes_text() -> None:
    key = RealserverKey(ip_address("10.0.0.42"), 80)
    assert plain((1, None, True, 0.5, key)) == [1, None, True, 0.5, "10.0.0.42:80"]
    assert plain(Counters()) == str(Counters())
