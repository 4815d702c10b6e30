"""What somebody else changed, in words that tell what differed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.core.drift import Drift, drifts
from lvsguard.core.model import (
    Forwarding,
    Persistence,
    Realserver,
    Tunnel,
    TunnelChecksum,
    TunnelKind,
)
from tests.unit.core.sample import ONE, OTHER_WEB, TWO, WEB, serving

LEFT = {WEB: serving({ONE: 1, TWO: 1})}


def test_an_untouched_table_has_no_drift() -> None:
    assert drifts(LEFT, LEFT) == ()
    assert drifts(LEFT, {WEB: serving({TWO: 1, ONE: 1})}) == ()


def test_a_deleted_service_counts_once_without_its_realservers() -> None:
    assert drifts(LEFT, {}) == (Drift(WEB, None, "it was deleted by somebody else"),)


def test_a_deleted_realserver_is_told() -> None:
    assert drifts(LEFT, {WEB: serving({TWO: 1})}) == (
        Drift(WEB, ONE, "it was deleted by somebody else"),
    )


def test_what_was_added_is_told() -> None:
    assert drifts(LEFT, {**LEFT, OTHER_WEB: serving({})}) == (
        Drift(OTHER_WEB, None, "it was added by somebody else"),
    )
    assert drifts({WEB: serving({})}, {WEB: serving({ONE: 1})}) == (
        Drift(WEB, ONE, "it was added by somebody else"),
    )


def test_an_edited_realserver_tells_every_field_that_differs() -> None:
    entry = Realserver(7, Forwarding.NAT, upper_threshold=10)
    found = {WEB: replace(LEFT[WEB], realservers={ONE: entry, TWO: Realserver(1)})}
    (drift,) = drifts(LEFT, found)
    assert (drift.service, drift.realserver) == (WEB, ONE)
    assert drift.differed == (
        "weight 1 became 7, forwarding dr became nat, upper threshold 0 became 10"
    )


def test_an_edited_service_tells_every_setting_that_differs() -> None:
    found = {WEB: replace(LEFT[WEB], scheduler="sh", flags=frozenset({"sh-port"}))}
    (drift,) = drifts(LEFT, found)
    assert (drift.service, drift.realserver) == (WEB, None)
    assert drift.differed == "scheduler rr became sh, flags none became sh-port"


@pytest.mark.parametrize(
    ("persistence", "text"),
    [
        (Persistence(), "300s/32"),
        (Persistence(60, 24, "sip"), "60s/24 sip"),
    ],
)
def test_persistence_that_came_is_drift(persistence: Persistence, text: str) -> None:
    found = {WEB: replace(LEFT[WEB], persistence=persistence)}
    (drift,) = drifts(LEFT, found)
    assert drift.differed == f"persistence none became {text}"


def test_a_tunnel_that_changed_is_told_in_words() -> None:
    gue = Tunnel(TunnelKind.GUE, 6080, TunnelChecksum.FULL)
    left = {WEB: replace(LEFT[WEB], realservers={ONE: Realserver(1, Forwarding.TUN, Tunnel())})}
    found = {WEB: replace(LEFT[WEB], realservers={ONE: Realserver(1, Forwarding.TUN, gue)})}
    (drift,) = drifts(left, found)
    assert drift.differed == "tunnel ipip nocsum became gue port 6080 csum"


def test_drift_names_its_subject_for_people() -> None:
    service, realserver = Drift(WEB, None, ""), Drift(WEB, ONE, "")
    assert (service.what, service.subject) == ("service", "tcp 10.0.0.8:80")
    assert (realserver.what, realserver.subject) == (
        "realserver",
        "10.0.0.42:80 in tcp 10.0.0.8:80",
    )
