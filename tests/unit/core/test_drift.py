"""What somebody else changed, in words that tell what differed."""

from __future__ import annotations

from dataclasses import replace

from lvsguard.core.drift import Drift, drifts
from lvsguard.core.model import Forwarding, Persistence, Realserver
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


def test_persistence_that_came_is_drift() -> None:
    found = {WEB: replace(LEFT[WEB], persistence=Persistence())}
    (drift,) = drifts(LEFT, found)
    assert drift.differed.startswith("persistence ")


def test_drift_names_its_subject_for_people() -> None:
    service, realserver = Drift(WEB, None, ""), Drift(WEB, ONE, "")
    assert (service.what, service.subject) == ("service", "tcp 10.0.0.8:80")
    assert (realserver.what, realserver.subject) == (
        "realserver",
        "10.0.0.42:80 in tcp 10.0.0.8:80",
    )
