"""Reading the table again and again: what did not change is the same object."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from struct import pack

import pytest

from lvsguard.core.model import (
    CounterKey,
    Counters,
    Observation,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.kernel.ipvs_codec import DEST_FWD_METHOD, DEST_INACT_CONNS, DEST_PERSIST_CONNS
from lvsguard.kernel.ipvs_dump import TableReader
from lvsguard.kernel.netlink import Malformed
from tests.support.golden import GOLDEN
from tests.support.ipvs_table import Table, from_ipvsadm, without_thresholds
from tests.support.ipvs_wire import Writer

WEB, OTHER = (ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), port) for port in (80, 443))
KEYS = [RealserverKey(ip_address(f"10.0.{n >> 8}.{n & 255}"), 80) for n in range(300)]
WRITERS = [Writer(), Writer(padded=True), Writer(tunnels=False), Writer(padded=True, tunnels=False)]


def web(*weights: int) -> VirtualService:
    return VirtualService(
        "rr",
        realservers={k: Realserver(w) for k, w in zip(KEYS, weights, strict=False)},
    )


def read(
    reader: TableReader,
    table: Table,
    writer: Writer,
    counters: dict[CounterKey, Counters] | None = None,
) -> Observation:
    """Let a reader read a table as a kernel would dump it."""
    known = dict(counters or {})
    for record in reader.begin(writer.services(table, known)):
        service = table[record.key]
        pieces = writer.realservers(record.key, service, known, record.sequence)
        for _ in reader.fill(record, pieces):
            pass
    return reader.finish()


def test_a_real_kernels_dump_means_what_ipvsadm_says() -> None:
    services, realservers = _captured(GOLDEN / "netlink/ipvs-linux-6.1.dump")
    reader = TableReader()
    for _again in range(2):
        for record in reader.begin(services):
            for _ in reader.fill(record, realservers.get(record.sequence, [])):
                pass
        observed = reader.finish()
        expected = from_ipvsadm((GOLDEN / "netlink/ipvs-linux-6.1.ipvsadm").read_text())
        assert without_thresholds(dict(observed.services)) == expected
        web_service = observed.services[WEB]
        entry = web_service.realservers[RealserverKey(ip_address("10.0.0.43"), 80)]
        assert (entry.upper_threshold, entry.lower_threshold) == (100, 50)
        assert set(observed.counters.values()) == {Counters()}


@pytest.mark.parametrize("writer", WRITERS)
def test_the_writer_and_the_reader_agree(writer: Writer) -> None:
    table = {WEB: web(*range(300)), OTHER: web()}
    assert read(TableReader(), table, writer).services == table


def test_the_writer_writes_what_linux_6_1_wrote() -> None:
    """Or the other tests here would prove nothing about a kernel."""
    services, realservers = _captured(GOLDEN / "netlink/ipvs-linux-6.1.dump")
    reader = TableReader()
    records = reader.begin(services)
    for record in records:
        for _ in reader.fill(record, realservers.get(record.sequence, [])):
            pass
    table = dict(reader.finish().services)
    writer = Writer(padded=True)
    assert b"".join(_bare(raw) for raw in writer.services(table)) == _bare(services[0])
    for record in records:
        written = writer.realservers(record.key, table[record.key], None, record.sequence)
        captured = realservers.get(record.sequence, [])
        assert [_bare(raw) for raw in written] == [_bare(raw) for raw in captured]


@pytest.mark.parametrize("writer", WRITERS)
def test_an_unchanged_table_is_the_same_mapping(writer: Writer) -> None:
    reader = TableReader()
    table = {WEB: web(*range(200)), OTHER: web(1)}
    busy: dict[CounterKey, Counters] = {(WEB, KEYS[0]): Counters(2**40, 7, 7, 7, 7, 3, 2, 1)}
    first = read(reader, table, writer)
    second = read(reader, table, writer, busy)
    assert second.services is first.services
    assert second.counters[WEB, KEYS[0]] == busy[WEB, KEYS[0]]
    assert first.counters[WEB, KEYS[0]] == Counters(), "an old observation keeps its counters"


@pytest.mark.parametrize("writer", WRITERS)
def test_only_what_changed_is_a_new_object(writer: Writer) -> None:
    reader = TableReader()
    table = {WEB: web(*range(200)), OTHER: web(1)}
    before = read(reader, table, writer).services
    table[WEB] = replace(
        table[WEB], realservers={**table[WEB].realservers, KEYS[150]: Realserver(7)}
    )
    after = read(reader, table, writer).services
    assert after == table
    assert after[OTHER] is before[OTHER]
    assert after[WEB] is not before[WEB]
    assert after[WEB].realservers[KEYS[3]] is before[WEB].realservers[KEYS[3]]


@pytest.mark.parametrize("writer", WRITERS)
def test_entries_come_go_and_change_place(writer: Writer) -> None:
    reader = TableReader()
    for table in (
        {},
        {WEB: web(1, 2, 3)},
        {WEB: web(1, 2)},
        {OTHER: web(9), WEB: web(1, 2)},
        {WEB: web(1, 2), OTHER: web(9)},
        {WEB: replace(web(2, 1), scheduler="wlc")},
        {
            WEB: VirtualService(
                "wlc", realservers=dict(sorted(web(2, 1).realservers.items(), reverse=True))
            )
        },
        {},
        {WEB: web(*range(90))},
        {WEB: web(*range(89))},
    ):
        counters: dict[CounterKey, Counters] = {
            (key, realserver): Counters(connections=n, active=n)
            for key, service in table.items()
            for n, realserver in enumerate((None, *service.realservers))
        }
        for key in table:
            counters[key, None] = Counters(connections=7)
        observed = read(reader, table, writer, counters)
        assert observed.services == table
        assert dict(observed.counters) == counters
        assert len(observed.counters) == len(counters)


def test_a_service_that_comes_twice_counts_once() -> None:
    """Somebody edits it while the dump runs."""
    writer, reader = Writer(), TableReader()
    for _ in range(2):
        twice = writer.services({WEB: web(1)}) + writer.services(
            {WEB: replace(web(1), scheduler="wlc")}
        )
        for record in reader.begin(twice):
            for _ in reader.fill(record, writer.realservers(WEB, web(1), None, record.sequence)):
                pass
        observed = reader.finish()
        assert {key: s.scheduler for key, s in observed.services.items()} == {WEB: "wlc"}
        assert len(observed.counters) == 2


def test_a_read_that_was_given_up_leaves_nothing_behind() -> None:
    writer, reader = Writer(), TableReader()
    table = {WEB: web(1), OTHER: web(2)}
    first = read(reader, table, writer)
    (_record, *_others) = reader.begin(writer.services({WEB: web(5)}))
    assert read(reader, table, writer).services is first.services


def test_counters_of_what_is_not_there_are_a_key_error() -> None:
    observed = read(TableReader(), {WEB: web(1)}, Writer())
    for key in ((OTHER, None), (WEB, KEYS[9])):
        with pytest.raises(KeyError):
            observed.counters[key]


def test_a_truncated_entry_is_malformed_and_the_next_read_is_good() -> None:
    writer, reader = Writer(), TableReader()
    table = {WEB: web(1, 2)}
    read(reader, table, writer)
    (record,) = reader.begin(writer.services(table))
    (piece,) = writer.realservers(WEB, table[WEB], None, record.sequence)
    with pytest.raises(Malformed):
        list(reader.fill(record, [piece[:-8]]))
    assert read(reader, table, writer).services == table


@pytest.mark.parametrize("header", [DEST_INACT_CONNS, DEST_PERSIST_CONNS])
def test_an_attribute_that_became_another_one_is_not_taken_for_a_setting(header: int) -> None:
    writer = Writer(padded=True, tunnels=True)
    table = {WEB: web(0)}
    reader = TableReader()
    read(reader, table, writer)
    for one in (reader, TableReader()):
        (record,) = one.begin(writer.services(table))
        (piece,) = writer.realservers(WEB, table[WEB], None, record.sequence)
        spoilt = piece.replace(pack("=HH", 8, header), pack("=HH", 8, DEST_FWD_METHOD), 1)
        assert spoilt != piece
        list(one.fill(record, [spoilt]))
        assert one.finish().services == table


def _captured(path: Path) -> tuple[list[bytes], dict[int, list[bytes]]]:
    """The datagrams of services, and those of realservers by the sequence number asked with."""
    services: list[bytes] = []
    realservers: dict[int, list[bytes]] = {}
    for line in path.read_text().splitlines():
        match line.split():
            case ["services", raw]:
                services.append(bytes.fromhex(raw))
            case ["realservers", sequence, raw]:
                realservers.setdefault(int(sequence), []).append(bytes.fromhex(raw))
    return services, realservers


def _bare(raw: bytes) -> bytes:
    """A datagram without what differs by socket and kernel (family and port numbers), and without
    the nested flag of the entry, which that kernel did not set."""
    out, at = bytearray(raw), 0
    while at < len(out):
        length = int.from_bytes(out[at : at + 4], "little")
        out[at + 4 : at + 6] = bytes(2)
        out[at + 12 : at + 16] = bytes(4)
        out[at + 23] &= 0x7F
        at += length
    return bytes(out)


def test_counters_of_an_entry_whose_nest_is_cut_short_are_not_read_beyond_its_end() -> None:
    """As a reader that never saw a whole entry reads them: there is no gauge in that nest."""
    table = {WEB: web(1)}
    counters: dict[CounterKey, Counters] = {(WEB, KEYS[0]): Counters(0, 0, 0, 0, 0, 0, 0, 1)}
    length_of_nest = 21

    def read_spoilt(reader: TableReader) -> Observation:
        (record,) = reader.begin(Writer(tunnels=False).services(table, counters))
        writer = Writer(tunnels=False)
        (raw,) = writer.realservers(record.key, table[WEB], counters, record.sequence)
        spoilt = raw[:length_of_nest] + b"\0" + raw[length_of_nest + 1 :]
        for _ in reader.fill(record, [spoilt]):
            pass
        return reader.finish()

    used = TableReader()
    assert read(used, table, Writer(tunnels=False), counters).counters[WEB, KEYS[0]].persistent == 1
    assert read_spoilt(used).counters[WEB, KEYS[0]].persistent == 0
    assert read_spoilt(TableReader()).counters[WEB, KEYS[0]].persistent == 0
