"""The reader that remembers sees what one that remembers nothing sees, whatever happened before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.model import (
    CounterKey,
    Counters,
    KernelState,
    Observation,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.kernel.ipvs_dump import TableReader
from lvsguard.kernel.netlink import Malformed
from tests.support.ipvs_table import Table
from tests.support.ipvs_wire import Writer
from tests.support.strategies import kernel_states

WRITERS = [Writer(padded, tunnels) for padded, tunnels in product((False, True), repeat=2)]
COUNTERS = st.builds(Counters, *[st.integers(0, 2**64 - 1)] * 5, *[st.integers(0, 2**32 - 1)] * 3)


def feed(
    reader: TableReader,
    table: Table,
    counters: dict[CounterKey, Counters],
    writer: Writer,
    spoil: Sequence[tuple[int, int]] = (),
) -> Observation:
    """One read; ``spoil``: (where, what) to overwrite in each datagram."""
    records = reader.begin([_spoilt(raw, spoil) for raw in writer.services(table, counters)])
    for record in records:
        service = table.get(record.key, VirtualService("rr"))
        pieces = writer.realservers(record.key, service, counters, record.sequence)
        for _ in reader.fill(record, [_spoilt(raw, spoil) for raw in pieces]):
            pass
    return reader.finish()


def _spoilt(raw: bytes, spoil: Sequence[tuple[int, int]]) -> bytes:
    changed = bytearray(raw)
    for at, value in spoil:
        changed[at % len(changed)] = value
    return bytes(changed)


def _told(table: Table, writer: Writer) -> Table:
    """What a kernel that tells no tunnels can tell of a table."""
    if writer.tunnels:
        return table
    return {
        key: replace(
            service,
            realservers={
                realserver: replace(entry, tunnel=type(entry.tunnel)()) if entry.tunnel else entry
                for realserver, entry in service.realservers.items()
            },
        )
        for key, service in table.items()
    }


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Table, dict[CounterKey, Counters]]]:
    """Tables as they follow each other, mostly alike, with other counters each time."""
    history = []
    table = dict(draw(kernel_states()).services)
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            other = draw(kernel_states())
            table = {**table, **other.services} if draw(st.booleans()) else dict(other.services)
        keys: list[tuple[ServiceKey, RealserverKey | None]] = [
            (key, realserver)
            for key, service in table.items()
            for realserver in (None, *service.realservers)
        ]
        counters = {
            key: replace_gauges(draw(COUNTERS), key[1]) for key in keys if draw(st.booleans())
        }
        history.append((table, counters))
    return history


def replace_gauges(counters: Counters, realserver: RealserverKey | None) -> Counters:
    """A service has no connections of its own."""
    if realserver is not None:
        return counters
    return counters._replace(active=0, inactive=0, persistent=0)


@given(histories(), st.sampled_from(WRITERS))
def test_every_read_sees_what_is_there(
    history: list[tuple[Table, dict[CounterKey, Counters]]], writer: Writer
) -> None:
    reader = TableReader()
    for table, counters in history:
        observed = feed(reader, table, counters, writer)
        assert KernelState(observed.services) == KernelState(_told(table, writer))
        for key, seen in observed.counters.items():
            assert seen == counters.get(key, Counters())


@given(
    histories(),
    st.sampled_from(WRITERS),
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_spoilt_bytes_are_malformed_or_read_as_a_fresh_reader_reads_them(
    history: list[tuple[Table, dict[CounterKey, Counters]]],
    writer: Writer,
    spoil: list[tuple[int, int]],
) -> None:
    reader = TableReader()
    for table, counters in history:
        feed(reader, table, counters, writer)
        with suppress(Malformed):
            again = feed(reader, table, counters, writer, spoil)
            fresh = feed(TableReader(), table, counters, writer, spoil)
            assert again.services == fresh.services
            assert dict(again.counters) == dict(fresh.counters)
        assert feed(reader, table, counters, writer).services == _told(table, writer)
