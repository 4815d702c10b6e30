"""Connections that are kept in step as metric families: the kernel's daemons from the view, and the
transfers of whole tables as they are told. Whether to have them is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lvsguard.core.snapshot import View
from lvsguard.core.vrrp_event import TableFailed, TableReceived, TableSent
from lvsguard.telemetry import catalog_elections as catalog
from lvsguard.telemetry.exposition import Family, Form, labels, library
from lvsguard.telemetry.metric import Metric

DURATIONS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: a table of 100,000 connections takes one or two, a director that joins
waits for ten."""
DAEMONS = ("master", "backup")


class Direction(StrEnum):
    """Which way a table went."""

    SENT = "sent"
    RECEIVED = "received"


class Transfers:
    """Counts from the start on, both directions from 0."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        duration = catalog.SYNC_DURATION
        self._duration = Histogram(
            duration.name, duration.help, duration.labels, registry=registry, buckets=DURATIONS
        )
        self._connections = _counter(catalog.SYNC_CONNECTIONS, registry)
        self._failures = _counter(catalog.SYNC_FAILURES, registry)
        last = catalog.SYNC_LAST
        self._last = Gauge(last.name, last.help, last.labels, registry=registry)
        for direction in Direction:
            self._duration.labels(direction)
            self._connections.labels(direction)
            self._failures.labels(direction)

    def event(self, event: TableSent | TableReceived | TableFailed) -> None:
        """A table was sent, came, or did neither. It happened now."""
        if isinstance(event, TableFailed):
            direction = Direction.RECEIVED if event.received else Direction.SENT
            self._failures.labels(direction).inc()
            return
        direction = Direction.SENT if isinstance(event, TableSent) else Direction.RECEIVED
        self._duration.labels(direction).observe(event.seconds)
        self._connections.labels(direction).inc(event.entries)
        self._last.labels(direction).set_to_current_time()

    def pieces(self, view: View, form: Form) -> Iterator[bytes]:
        """The families' text; nothing while no connections are kept in step."""
        sync = view.sync()
        if sync is None:
            return
        daemons = Family(catalog.SYNC_DAEMON)
        for role in DAEMONS:
            daemons.add(labels(role=role), role in sync.daemons)
        yield from daemons.pieces(form)
        yield library(self._registry, form)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
