"""What the failover benchmark makes of what it saw: spans of holders, outages, kept connections."""

from __future__ import annotations

import pytest

from tests.bench.failover_plays import kept, outage
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
