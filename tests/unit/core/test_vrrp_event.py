"""Every event of an election: one line, plain fields, whole through the log and the journal."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from lvsguard.admin.entry import entry
from lvsguard.admin.journal import Journal
from lvsguard.core import vrrp_event
from lvsguard.core.event import Event, Level
from lvsguard.core.vrrp_event import (
    TOLD,
    AdvertRejected,
    ConflictDrain,
    FailoverAsked,
    HandoverStage,
    PriorityChanged,
    RoleChanged,
    TableFailed,
    TableReceived,
    TableSent,
    VipConflict,
    VipConflictOver,
    VrrpProcessDied,
    VrrpStalled,
    VrrpTold,
)
from lvsguard.daemon import log
from lvsguard.vrrp.message import decode_to_controller, encode, event_of, told

HAPPENED: tuple[tuple[Event, str], ...] = (
    (
        RoleChanged("web", "backup", "master", "master silent", "10.0.0.41"),
        "VIP web: master (was backup): master silent",
    ),
    (
        RoleChanged("web", "master", "backup", "higher priority", "10.0.0.40"),
        "VIP web: backup (was master): higher priority; master is 10.0.0.40",
    ),
    (
        HandoverStage("web", "heard", "10.0.0.40"),
        "VIP web: 10.0.0.40 has taken over, the addresses go now",
    ),
    (HandoverStage("web", "nobody", ""), "VIP web: nobody took over"),
    (
        VipConflict("web", "10.0.0.40", "advert", "priority 100"),
        "VIP web: 10.0.0.40 says that it is master, too (priority 100): the two did not hear each"
        " other; the lower priority gives way",
    ),
    (
        VipConflict("web", "02:00:00:00:00:2a", "arp", "10.0.0.8"),
        "VIP web: 02:00:00:00:00:2a answers for it (10.0.0.8): a director that cannot be heard, or"
        " a realserver that answers ARP (there: lvsguard realserver check)",
    ),
    (
        VipConflict("web", "02:00:00:00:00:2a", "arp", "10.0.0.8", "10.0.0.42"),
        "VIP web: realserver 10.0.0.42 (02:00:00:00:00:2a) answers for 10.0.0.8: clients reach it"
        " past this director; run there: lvsguard realserver check --vip 10.0.0.8 --rip 10.0.0.42",
    ),
    (
        VipConflictOver("web", "02:00:00:00:00:2a", 61.0, "10.0.0.8"),
        "VIP web: 02:00:00:00:00:2a does not answer for 10.0.0.8 any more, after 61.0 s",
    ),
    (
        ConflictDrain("web", "10.0.0.42", "shop"),
        "VIP web: realserver 10.0.0.42 answers for it and is not drained: service shop cannot do"
        " without it (there: lvsguard realserver check)",
    ),
    (
        VipConflictOver("web", "10.0.0.40", 3.25),
        "VIP web: 10.0.0.40 is silent again after 3.2 s",
    ),
    (
        VrrpStalled("web", 5.0),
        "VIP web: the VRRP process did not run for 5.00 s: look for what held this host up"
        " (suspended? no real-time priority?)",
    ),
    (
        AdvertRejected("web", "10.0.0.99", "ttl", "its TTL is 64: it came through a router"),
        "VIP web: advert of 10.0.0.99 dropped: its TTL is 64: it came through a router",
    ),
    (
        VrrpTold("web", "the master 10.0.0.40 leaves as planned"),
        "VIP web: the master 10.0.0.40 leaves as planned",
    ),
    (
        TableSent("web", 50, 0.02, "10.0.0.40", "join"),
        "VIP web: 50 connections sent to 10.0.0.40, which joins, in 0.02 s",
    ),
    (
        TableSent("web", 100_000, 0.9, "", "handover"),
        "VIP web: 100000 connections sent ahead of the handover, in 0.90 s",
    ),
    (
        TableReceived("web", 50, 0.1, "10.0.0.41"),
        "VIP web: 10.0.0.41 has sent its 50 connections, in 0.10 s",
    ),
    (
        TableFailed("web", True, "10.0.0.40", "it is no lvsguard"),
        "VIP web: no connections from 10.0.0.40: it is no lvsguard",
    ),
    (
        TableFailed("all", False, "", "no route to 224.0.0.81"),
        "VIP all: the connection table was not sent: no route to 224.0.0.81",
    ),
    (
        VrrpProcessDied("signal 9"),
        "the VRRP process ended (signal 9): starting it anew, its VIPs stay meanwhile",
    ),
    (
        PriorityChanged("web", 50, True, "file /run/x is there: priority -50"),
        "VIP web: priority 50: file /run/x is there: priority -50",
    ),
    (
        PriorityChanged("web", 150, False, "interface eth1 is down"),
        "VIP web: stands back: interface eth1 is down",
    ),
    (
        FailoverAsked("web", "alice (uid 1000)", False),
        "VIP web: alice (uid 1000) asked for a failover",
    ),
    (
        FailoverAsked("web", "alice (uid 1000)", True),
        "VIP web: alice (uid 1000) ended the failover, it may preempt again",
    ),
)
THEN = float(int(time.time())) - 3600
EVENTS = [event for event, _ in HAPPENED]


@pytest.mark.parametrize(("event", "line"), HAPPENED)
def test_it_prints_as_one_line(event: Event, line: str) -> None:
    assert str(event) == line


def test_none_is_left_out_here() -> None:
    every = {
        kind
        for kind in vars(vrrp_event).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
    assert {type(event) for event in EVENTS} == every
    names = {(kind.kind, kind.__name__) for kind in Event.__subclasses__()}
    assert len({kind for kind, _ in names}) == len(names)


@pytest.mark.parametrize("event", EVENTS)
def test_it_goes_through_the_log_with_all_its_fields(event: Event) -> None:
    record = logging.LogRecord("lvsguard", event.level, "", 0, "%s", (event,), None)
    record.event = event
    line = json.loads(log._FORMATTERS[log.LogFormat.JSON]().format(record))
    assert (line["event"], line["message"]) == (event.kind, str(event))
    assert line["level"] == Level(event.level).name.lower()
    for field in fields(event):
        assert line[field.name] == getattr(event, field.name)


async def test_they_come_back_whole_from_the_journals_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda trouble: None)
    await journal.open()
    for number, event in enumerate(EVENTS):
        journal.append(THEN + number, event)
    await journal.close()
    again = Journal(tmp_path, lambda trouble: None)
    await again.open()
    try:
        kept = await again.query(0.0, len(EVENTS))
    finally:
        await again.close()
    assert list(kept) == [entry(n + 1, THEN + n, event) for n, event in enumerate(EVENTS)]
    for line, event in zip(kept, EVENTS, strict=True):
        said = {name: value for name, value in line.data.items() if name not in ("user", "uid")}
        assert said == msgspec.to_builtins(event)


@pytest.mark.parametrize("event", [event for event in EVENTS if event.kind in TOLD])
def test_what_the_vrrp_process_tells_arrives_as_it_was(event: Event) -> None:
    received = decode_to_controller(encode(told(event)))
    assert event_of(received) == event  # type: ignore[arg-type]
