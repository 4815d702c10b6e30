"""What the failover benchmark makes of what it saw: spans of holders, outages, kept connections."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.failover import Cell, judged, kills_well, rested, show_kills
from tests.bench.failover_kills import Kills
from tests.bench.failover_plays import Rest, kept, outage
from tests.bench.failover_watch import Change, Span, longest, spans
from tests.support.topology_load import Request
from tests.support.topology_pings import Connection

ONE, TWO = "director1", "director2"


def request(at: float, error: str = "") -> Request:
    return Request(at=at, took_s=0.01, late_s=0.002, status=0, body="", error=error)


def test_spans_tell_who_held_the_vip_when() -> None:
    changes = [
        Change(0.0, ONE, holds=True),
        Change(3.0, ONE, holds=False),
        Change(4.0, TWO, holds=True),
        Change(6.0, ONE, holds=True),
        Change(6.5, TWO, holds=False),
    ]
    found = spans(changes, 1.0, 9.0)
    assert found == [
        Span(1.0, 3.0, frozenset({ONE})),
        Span(3.0, 4.0, frozenset()),
        Span(4.0, 6.0, frozenset({TWO})),
        Span(6.0, 6.5, frozenset({ONE, TWO})),
        Span(6.5, 9.0, frozenset({ONE})),
    ]
    nobody, both = longest(found, 0), longest(found, 2)
    assert nobody == Span(3.0, 4.0, frozenset())
    assert both == Span(6.0, 6.5, frozenset({ONE, TWO}))


def test_a_dead_director_holds_nothing_until_it_adds_the_vip_again() -> None:
    changes = [
        Change(0.0, ONE, holds=True),
        Change(2.0, ONE, holds=False),  # it died
        Change(5.0, ONE, holds=False),  # the address is taken off for its reboot
        Change(7.0, ONE, holds=True),
    ]
    assert spans(changes, 1.0, 8.0) == [
        Span(1.0, 2.0, frozenset({ONE})),
        Span(2.0, 7.0, frozenset()),
        Span(7.0, 8.0, frozenset({ONE})),
    ]


def test_an_outage_lasts_from_the_first_that_failed_to_the_next_that_did_not() -> None:
    requests = [request(1.0), request(1.5, "timeout"), request(2.0, "timeout"), request(2.25)]
    assert outage(reversed(requests)).seconds == 0.75
    assert outage([request(1.0), request(2.0)]).seconds == 0.0


def test_an_outage_without_an_end_is_no_measurement() -> None:
    with pytest.raises(AssertionError, match="nobody answered"):
        outage([request(1.0), request(1.5, "timeout")])


def test_a_connection_that_broke_or_hangs_is_not_kept() -> None:
    connections = [
        Connection(pings=20, worst_s=0.2, worst_at=10.0),
        Connection(pings=20, worst_s=0.1, worst_at=10.0, broken="reset"),
        Connection(pings=20, worst_s=7.0, worst_at=14.0),  # until the end
        Connection(pings=20, worst_s=6.2, worst_at=10.0),
    ]
    assert kept(connections, 21.0).kept == 2
    assert kept(connections, 21.0).stall_s == 6.2


def test_connections_that_never_began_are_no_measurement() -> None:
    with pytest.raises(AssertionError, match="never began"):
        kept([Connection(pings=0)], 1.0)


GOOD, BAD = Cell("50 of 50", well=True), Cell("31 of 50", well=False)


def test_what_lvsguard_did_not_keep_counts_and_what_its_peer_did_not_is_told() -> None:
    assert judged({"keepalived": BAD, "lvsguard": GOOD}) == (True, "holds")
    assert judged({"keepalived": GOOD, "lvsguard": BAD}) == (False, "**NOT**")
    assert judged({"keepalived": BAD}) == (True, ""), "nothing is promised for it"


def test_a_vip_that_moved_at_rest_counts_but_where_the_guest_was_as_late() -> None:
    assert judged({"lvsguard": rested([Rest(0, 138.0), Rest(0, 5.0)])}) == (True, "holds")
    assert judged({"lvsguard": rested([Rest(4, 138.0), Rest(2, 25.0)])}) == (False, "**NOT**")
    late = judged({"lvsguard": rested([Rest(4, 138.0), Rest(0, 5.0)])})
    assert late == (True, "the guest itself is late")


KILLS = Kills(
    interval=1.0,
    outages=[3.5, 3.6],
    missing=[3.5, 3.7],
    missing_else=0.0,
    missing_else_still=0.0,
    doubled=0.9,
    doubled_still=0.0,
    still=0.0,
    failed_at_returns=0,
    late_s=0.01,
)


def test_deaths_are_held_to_the_vip() -> None:
    assert kills_well(KILLS)
    assert " | holds | " in show_kills(KILLS)
    for one in (
        replace(KILLS, missing=[3.5, 3.8]),
        replace(KILLS, missing_else=0.1),
        replace(KILLS, doubled=1.1),
    ):
        assert not kills_well(one)
        assert " | **NOT** | " in show_kills(one)
    assert kills_well(replace(KILLS, doubled=1.1, doubled_still=0.2)), "the guest stood still"
