"""Which VIPs the journal remembers, in files of this schema and of the one that had none."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.admin.journal import FILE, Journal, Limits
from lvsguard.admin.store import Store
from lvsguard.admin.store_schema import MIGRATIONS
from lvsguard.core.event import StateTrouble, Stopping
from lvsguard.core.model import Protocol, ServiceKey, VipAddress
from lvsguard.core.override import Override, OverrideKind, Target
from tests.unit.admin.journals import Open

DRAIN = Override(Target(ip_address("10.0.0.42"), 80, "web"), OverrideKind.DRAIN, "alice", 5.0, "")
WEB = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 80)
VIP4 = VipAddress("eth0", ip_address("10.0.0.8"), 32)
VIP6 = VipAddress("eth1.7", ip_address("2001:db8::8"), 128)

SCHEMA_1 = """
    CREATE TABLE overrides (
        address TEXT NOT NULL, port INTEGER, service TEXT, kind TEXT NOT NULL,
        actor TEXT NOT NULL, since REAL NOT NULL, reason TEXT NOT NULL,
        weight INTEGER, percent INTEGER NOT NULL, expires REAL
    );
    CREATE TABLE owned (
        family INTEGER NOT NULL, protocol TEXT, address TEXT,
        port INTEGER NOT NULL, fwmark INTEGER NOT NULL
    );
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL,
        level INTEGER NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL
    );
    CREATE INDEX events_at ON events (at);
    PRAGMA user_version = 1;
    PRAGMA journal_mode = WAL;
    INSERT INTO overrides
        VALUES ('10.0.0.42', 80, 'web', 'drain', 'alice', 5.0, '', NULL, 0, NULL);
    INSERT INTO owned VALUES (4, 'tcp', '10.0.0.8', 80, 0);
    INSERT INTO events VALUES (41, 4000000000.0, 'stopping', 20, 'stopping', '{"keep":true}');
"""
"""A file as the first schema had it. Frozen: such files are out there."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture
def first_schema(file: Path) -> Path:
    with closing(sqlite3.connect(file)) as old:
        old.executescript(SCHEMA_1)
    return file


async def recovered(reports: list[StateTrouble]) -> None:
    """Wait for the journal's own writer, on real but short timers."""
    for _ in range(500):
        if reports and reports[-1].ok:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 5 s")


async def test_addresses_are_there_after_a_restart(opened: Open) -> None:
    journal = await opened()
    assert journal.addresses() == frozenset()
    assert (await journal.set_addresses([VIP4, VIP6])).durable
    await journal.close()
    assert (await opened()).addresses() == {VIP4, VIP6}


async def test_a_failover_is_there_after_a_restart_until_it_ends(opened: Open) -> None:
    journal = await opened()
    assert journal.aside() == frozenset()
    journal.set_aside(frozenset({"web", "mail"}))
    await journal.close()
    journal = await opened()
    assert journal.aside() == {"web", "mail"}
    journal.set_aside(frozenset({"mail"}))
    await journal.close()
    assert (await opened()).aside() == {"mail"}


async def test_a_vip_that_is_no_longer_owned_stays_away(opened: Open) -> None:
    journal = await opened()
    await journal.set_addresses({VIP4, VIP6})
    assert (await journal.set_addresses({VIP6})).durable
    await journal.close()
    assert (await opened()).addresses() == {VIP6}


async def test_acknowledged_addresses_are_in_the_file_at_once(opened: Open, file: Path) -> None:
    journal = await opened()
    await journal.set_addresses({VIP6})
    with closing(sqlite3.connect(file)) as other:
        rows = other.execute("SELECT interface, address, prefix FROM addresses").fetchall()
    assert rows == [("eth1.7", "2001:db8::8", 128)]


async def test_addresses_that_are_known_already_are_not_written(opened: Open, file: Path) -> None:
    journal = await opened()
    await journal.set_addresses({VIP4})
    with closing(sqlite3.connect(file)) as other:
        # It changes with every commit of another connection (sqlite.org/pragma.html).
        before = other.execute("PRAGMA data_version").fetchone()
        assert (await journal.set_addresses([VIP4])).durable
        assert other.execute("PRAGMA data_version").fetchone() == before
        assert (await journal.set_addresses([VIP6])).durable
        assert other.execute("PRAGMA data_version").fetchone() != before


async def test_other_changes_leave_the_written_addresses_alone(opened: Open, file: Path) -> None:
    journal = await opened()
    await journal.set_addresses({VIP4})
    with closing(sqlite3.connect(file)) as other:
        other.execute(
            "CREATE TRIGGER untouched BEFORE DELETE ON addresses"
            " BEGIN SELECT RAISE(ABORT, 'touched'); END"
        )
    assert (await journal.put(DRAIN)).durable
    assert (await journal.set_owned({WEB})).durable
    assert "touched" in (await journal.set_addresses({VIP6})).message


async def test_addresses_whose_writing_failed_are_written_later(
    opened: Open, file: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    with closing(sqlite3.connect(file)) as other:
        other.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON addresses"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        assert not (await journal.set_addresses({VIP4})).durable
        assert not (await journal.set_addresses({VIP4})).durable
        assert journal.addresses() == {VIP4}
        other.execute("DROP TRIGGER refused")
    await recovered(reports)
    await journal.close()
    assert (await opened()).addresses() == {VIP4}


async def test_addresses_whose_writing_failed_are_tried_once_more_at_the_end(
    opened: Open, file: Path, reports: list[StateTrouble]
) -> None:
    journal = Journal(file.parent, reports.append, limits=Limits(retry=(600.0, 600.0)))
    await journal.open()
    with closing(sqlite3.connect(file)) as other:
        other.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON addresses"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        assert not (await journal.set_addresses({VIP4})).durable
        other.execute("DROP TRIGGER refused")
    await journal.close()
    assert (await opened()).addresses() == {VIP4}


async def test_without_a_state_directory_addresses_are_in_memory() -> None:
    journal = Journal(None, lambda trouble: None)
    await journal.open()
    kept = await journal.set_addresses({VIP4})
    assert not kept.durable
    assert "set directory under [state]" in kept.message
    assert journal.addresses() == {VIP4}


async def test_addresses_set_while_the_file_could_not_be_read_are_joined_with_what_it_holds(
    opened: Open, file: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    await journal.set_addresses({VIP4})
    await journal.close()
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    file.mkdir()
    late = await opened()
    assert late.addresses() == frozenset()
    assert not (await late.set_addresses({VIP6})).durable
    file.rmdir()
    elsewhere.rename(file)
    await recovered(reports)
    assert late.addresses() == {VIP4, VIP6}
    await late.close()
    assert (await opened()).addresses() == {VIP4, VIP6}


@pytest.mark.parametrize("broken", ["events", "owned"])
async def test_addresses_are_saved_from_a_file_that_is_damaged_elsewhere(
    opened: Open, file: Path, reports: list[StateTrouble], broken: str
) -> None:
    journal = await opened()
    journal.append(1.0, Stopping(keep=True))
    await journal.set_owned({WEB})
    await journal.set_addresses({VIP4, VIP6})
    await journal.close()
    with closing(sqlite3.connect(file)) as other:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        page = other.execute(query, (broken,)).fetchone()[0]
        size = other.execute("PRAGMA page_size").fetchone()[0]
    with file.open("r+b") as raw:
        raw.seek((page - 1) * size)
        raw.write(b"\xa5" * size)
    again = await opened()
    assert again.addresses() == {VIP4, VIP6}
    await recovered(reports)
    assert "was damaged" in reports[0].message
    await again.close()
    assert (await opened()).addresses() == {VIP4, VIP6}


@pytest.mark.parametrize(
    "row",
    [("eth0", "10.0.0.9", 33), ("eth0", "10.0.0.9", -1), ("eth0", "vip", 32), ("eth0", "::1", "x")],
)
async def test_a_row_that_is_no_address_is_skipped(
    opened: Open, file: Path, reports: list[StateTrouble], row: tuple[str, str, int | str]
) -> None:
    journal = await opened()
    await journal.set_addresses({VIP4})
    await journal.close()
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("INSERT INTO addresses VALUES (?, ?, ?)", row)
    assert (await opened()).addresses() == {VIP4}
    assert reports == []


async def test_a_file_of_the_first_schema_is_upgraded_and_keeps_what_it_holds(
    opened: Open, first_schema: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    assert journal.overrides() == (DRAIN,)
    assert journal.owned() == {WEB}
    assert journal.addresses() == frozenset()
    assert [line.id for line in await journal.query()] == [41]
    assert journal.append(4000000001.0, Stopping(keep=True)).id == 42
    assert (await journal.set_addresses({VIP4})).durable
    await journal.close()
    with closing(sqlite3.connect(first_schema)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    again = await opened()
    assert again.overrides() == (DRAIN,)
    assert again.owned() == {WEB}
    assert again.addresses() == {VIP4}
    assert reports == []


async def test_a_file_of_the_first_schema_that_cannot_be_upgraded_is_read(
    first_schema: Path,
) -> None:
    held = await Store.peek(first_schema)
    assert held.overrides == (DRAIN,)
    assert held.owned == {WEB}
    assert held.addresses == frozenset()
    assert held.last_id == 41
