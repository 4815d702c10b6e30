"""The simulated day: told by the real telemetry, in a text that an independent parser reads."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lvsguard.telemetry import catalog
from lvsguard.telemetry.metric import Kind
from tests.support import day_script as script
from tests.support.day import record
from tests.support.units import shown

if TYPE_CHECKING:
    from pathlib import Path

NOON_AND_MIDNIGHTS = 3
"""Scrapes of each director, twelve hours apart."""
UNTOLD = {
    "lvsguard_sync_last_transfer_timestamp_seconds",
    "lvsguard_realserver_admin_since_timestamp_seconds",
    "lvsguard_realserver_admin_until_timestamp_seconds",
}
"""Not there before the first transfer or drain: at midnight."""


@pytest.mark.slow
async def test_the_day_is_openmetrics_with_times(tmp_path: Path) -> None:
    # One scrape: of a histogram with several times this parser drops buckets as duplicates.
    (await record(2 * script.DAY_S)).write(tmp_path / "day.txt")
    families = {
        family.name: family
        for family in text_string_to_metric_families(  # type: ignore[no-untyped-call]
            (tmp_path / "day.txt").read_text()
        )
    }
    for metric in catalog.CATALOG:
        name = metric.name.removesuffix("_total")
        if (metric.kind is Kind.COUNTER and metric.name not in UNTOLD) or name in families:
            assert families[name].type == str(metric.kind)
            assert families[name].documentation == metric.help
    assert {m.name for m in catalog.CATALOG} - UNTOLD <= {
        sample.name.removesuffix("_count")
        for family in families.values()
        for sample in family.samples
    }
    assert [sample.value for sample in families["up"].samples] == [1.0, 1.0]
    for sample in families["lvsguard_build_info"].samples:
        assert float(sample.timestamp or 0) == script.MIDNIGHT
        assert sample.labels["job"] == "lvsguard"
        assert sample.labels["instance"] in {"director1:9852", "director2:9852"}


@pytest.mark.slow
async def test_times_of_a_metric_stand_in_their_order_with_all_of_its_buckets(
    tmp_path: Path,
) -> None:
    (await record(script.DAY_S // 2)).write(tmp_path / "day.txt")
    lines = [line for line in (tmp_path / "day.txt").read_text().splitlines() if line[0] != "#"]
    loop = [line for line in lines if "loop_lag" in line and "director1" in line]
    times = [int(line.rpartition(" ")[2]) for line in loop]
    assert times == sorted(times)
    assert len(set(times)) == NOON_AND_MIDNIGHTS
    assert len(loop) % NOON_AND_MIDNIGHTS == 0


@pytest.mark.slow
async def test_counters_grow_until_their_director_starts_anew() -> None:
    recorder = await record(7200)
    counters = {m.name for m in catalog.CATALOG if m.kind is Kind.COUNTER}
    for name in counters:
        for series, samples in recorder.series(name).items():
            values = [float(sample.split()[0]) for sample in samples]
            drops = sum(b < a for a, b in pairwise(values))
            assert drops <= 1, series


@pytest.mark.parametrize(
    ("when", "web", "internal"),
    [
        ("00:00", ("director1",), ("director2",)),
        ("03:00", ("director1",), ("director1",)),
        ("09:35", ("director2",), ("director2",)),
        ("18:10", ("director2",), ("director2",)),
        ("21:15", ("director1", "director2"), ("director1", "director2")),
        ("22:45", (), ()),
    ],
)
def test_who_is_master_when(when: str, web: tuple[str, ...], internal: tuple[str, ...]) -> None:
    found = {vip: script.masters(vip, script.at(when)) for vip in script.VIPS}
    assert found == {"web": web, "internal": internal}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (90, "s", "1.5 min"),
        (0, "s", "0 s"),
        (1500, "Bps", "1.5 kB/s"),
        (3 * 2**20, "bytes", "3 MiB"),
        (0.5, "percentunit", "50%"),
        (12.25, "cps", "12.2 c/s"),
        (31000, "none", "31k"),
        (float("nan"), "none", "no data"),
    ],
)
def test_numbers_have_units(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text
