"""The connection sync's metrics: daemons by role, tables sent and received, and what went wrong."""

from __future__ import annotations

import time
from dataclasses import replace

from lvsguard.core.vrrp_event import TableFailed, TableReceived, TableSent
from lvsguard.telemetry.exposition import Form
from lvsguard.telemetry.transfers import Transfers
from tests.support.published import IN_STEP, Picture
from tests.unit.telemetry.test_metrics import samples

WELL = Picture(in_step=IN_STEP)


def told(transfers: Transfers, picture: Picture = WELL) -> dict[str, float]:
    """Samples by name, with the direction or role."""
    found = samples(b"".join(transfers.pieces(picture, Form.TEXT)).decode())
    return {name.removeprefix("lvsguard_sync_"): value for name, value in found.items()}


def test_a_director_that_keeps_nothing_in_step_tells_nothing() -> None:
    transfers = Transfers()
    transfers.event(TableSent("web", 50, 0.02, "10.0.0.40", "join"))
    assert told(transfers, Picture(in_step=None)) == {}


def test_a_daemon_that_does_not_run_is_0() -> None:
    found = told(Transfers(), Picture(in_step=replace(IN_STEP, daemons=("backup",))))
    assert found["daemon_running[('role', 'master')]"] == 0
    assert found["daemon_running[('role', 'backup')]"] == 1


def test_counts_begin_at_0_and_a_time_is_there_once_there_is_one() -> None:
    found = told(Transfers())
    for direction in ("sent", "received"):
        labelled = f"[('direction', '{direction}')]"
        assert found[f"transfer_duration_seconds_count{labelled}"] == 0
        assert found[f"transferred_connections_total{labelled}"] == 0
        assert found[f"transfer_failures_total{labelled}"] == 0
    assert not [name for name in found if name.startswith("last_transfer")]


def test_tables_are_counted_by_direction() -> None:
    transfers, begun = Transfers(), time.time()
    transfers.event(TableSent("web", 50, 0.02, "10.0.0.40", "join"))
    transfers.event(TableSent("web", 70, 3.0, "", "handover"))
    transfers.event(TableReceived("web", 7, 0.2, "10.0.0.40"))
    found = told(transfers)
    sent, received = "[('direction', 'sent')]", "[('direction', 'received')]"
    assert found[f"transferred_connections_total{sent}"] == 120
    assert found[f"transferred_connections_total{received}"] == 7
    assert found[f"transfer_duration_seconds_count{sent}"] == 2
    assert found[f"transfer_duration_seconds_sum{sent}"] == 3.02
    assert found["transfer_duration_seconds_bucket[('direction', 'sent'), ('le', '0.025')]"] == 1
    assert found[f"transfer_duration_seconds_count{received}"] == 1
    assert begun <= found[f"last_transfer_timestamp_seconds{received}"] <= time.time()


def test_failures_are_counted_by_direction_and_are_no_transfers() -> None:
    transfers = Transfers()
    transfers.event(TableFailed("web", True, "10.0.0.40", "it is no lvsguard"))
    transfers.event(TableFailed("web", True, "10.0.0.40", "it is no lvsguard"))
    transfers.event(TableFailed("all", False, "", "no route"))
    found = told(transfers)
    assert found["transfer_failures_total[('direction', 'received')]"] == 2
    assert found["transfer_failures_total[('direction', 'sent')]"] == 1
    assert found["transfer_duration_seconds_count[('direction', 'received')]"] == 0
