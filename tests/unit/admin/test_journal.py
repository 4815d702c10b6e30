"""What the journal keeps, and how it bears a state directory that does not cooperate."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from lvsguard.admin import store
from lvsguard.admin.journal import FILE, Limits
from lvsguard.admin.store import WAL_BYTES
from lvsguard.admin.store_schema import MIGRATIONS
from lvsguard.core.event import Level, OverrideSet, StateTrouble, Stopping
from lvsguard.core.ledger import Record, Stamp
from lvsguard.core.model import Family, Protocol, ServiceKey, VipAddress
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from tests.unit.admin.journals import QUICK, Open

RS1, RS2 = ip_address("10.0.0.42"), ip_address("2001:db8::43")
DRAIN = Override(Target(RS1, 80, "web"), OverrideKind.DRAIN, "alice (uid 1000)", 5.0, "kernel")
WEIGHT = Override(Target(RS2), OverrideKind.WEIGHT, "bob", 6.0, "", Weight(50, True), 99.0)
WEB = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 80)
MARK = ServiceKey.marked(7, Family.INET6)
VIP4 = VipAddress("eth0", ip_address("10.0.0.8"), 32)
THEN = time.time() - 3600


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the journal's own writer, on real but short timers."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 5 s")


async def test_overrides_and_owned_services_are_there_after_a_restart(opened: Open) -> None:
    journal = await opened()
    assert (await journal.put(DRAIN)).durable
    assert (await journal.put(WEIGHT)).durable
    assert (await journal.set_owned({WEB, MARK})).durable
    await journal.close()
    again = await opened()
    assert set(again.overrides()) == {DRAIN, WEIGHT}
    assert again.owned() == {WEB, MARK}


async def test_an_acknowledged_override_is_in_the_file_at_once(
    opened: Open, tmp_path: Path
) -> None:
    journal = await opened()
    await journal.put(DRAIN)
    with sqlite3.connect(tmp_path / FILE) as other:
        assert other.execute("SELECT address, port, service, kind FROM overrides").fetchall() == [
            ("10.0.0.42", 80, "web", "drain")
        ]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


async def test_the_event_of_an_acknowledged_override_is_in_the_file_as_well(
    opened: Open, tmp_path: Path
) -> None:
    journal = await opened()
    journal.append(THEN, OverrideSet(DRAIN))
    assert (await journal.put(DRAIN)).durable
    assert _kinds(tmp_path) == ["override-set"]


async def test_what_is_flushed_is_in_the_file(opened: Open, tmp_path: Path) -> None:
    journal = await opened()
    journal.append(THEN, Stopping(keep=True))
    assert (await journal.flush()).durable
    assert _kinds(tmp_path) == ["stopping"]
    assert (await journal.flush()).durable


def _kinds(folder: Path) -> list[str]:
    """Of the events that somebody else finds in the file now."""
    with contextlib.closing(sqlite3.connect(folder / FILE)) as other:
        return [row[0] for row in other.execute("SELECT kind FROM events ORDER BY id")]


async def test_a_ticket_outlives_a_restart(opened: Open) -> None:
    journal = await opened()
    held = replace(DRAIN, ticket="OPS-1234")
    journal.set_records([Record(held.key, Stamp(7, 0, "director1"), held)])
    await journal.put(held)
    await journal.close()
    again = await opened()
    assert again.overrides() == (held,)
    assert [record.override for record in again.records()] == [held]


async def test_the_file_is_nobody_elses(opened: Open, tmp_path: Path) -> None:
    await opened()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_one_override_of_each_target_and_kind_is_kept(opened: Open) -> None:
    journal = await opened()
    later = Override(DRAIN.target, DRAIN.kind, "bob", 7.0)
    await journal.put(DRAIN)
    await journal.put(later)
    assert journal.overrides() == (later,)


async def test_a_dropped_override_stays_away(opened: Open) -> None:
    journal = await opened()
    await journal.put(DRAIN)
    await journal.put(WEIGHT)
    assert (await journal.drop(DRAIN.key)).durable
    await journal.close()
    assert (await opened()).overrides() == (WEIGHT,)


async def test_events_are_numbered_on_through_restarts(opened: Open) -> None:
    journal = await opened()
    assert journal.append(THEN + 10.0, Stopping(keep=True)).id == 1
    assert journal.append(THEN + 20.0, OverrideSet(WEIGHT)).id == 2
    await journal.close()
    again = await opened()
    again.append(THEN + 30.0, Stopping(keep=False))
    first, second, third = await again.query()
    assert (first.id, first.at, first.kind, first.level) == (1, THEN + 10.0, "stopping", Level.INFO)
    assert second.data["override"] == {
        "target": "2001:db8::43",
        "kind": "weight",
        "actor": "bob",
        "since": 6.0,
        "reason": "",
        "weight": "50%",
        "expires": 99.0,
        "ticket": "",
    }
    assert (third.id, third.data) == (3, {"keep": False, "left": []})


async def test_a_query_has_what_is_not_written_yet(opened: Open) -> None:
    journal = await opened()
    journal.append(THEN + 10.0, Stopping(keep=True))
    assert [line.id for line in await journal.query()] == [1]


async def test_a_query_gives_the_newest_of_a_time(opened: Open) -> None:
    journal = await opened()
    for at in range(10):
        journal.append(THEN + at, Stopping(keep=True))
    assert [line.id for line in await journal.query(since=THEN + 5)] == [6, 7, 8, 9, 10]
    assert [line.id for line in await journal.query(since=THEN + 5, limit=2)] == [9, 10]


async def test_history_is_bounded_by_age_and_count(opened: Open) -> None:
    journal = await opened(limits=Limits(age=100.0, count=5))
    now = time.time()
    journal.append(now - 1000, Stopping(keep=True))
    for _ in range(9):
        journal.append(now, Stopping(keep=True))
    await journal.put(DRAIN)
    assert [line.id for line in await journal.query()] == [6, 7, 8, 9, 10]


async def test_history_is_bounded_by_the_size_of_the_file(opened: Open, tmp_path: Path) -> None:
    size = 300_000
    journal = await opened(limits=Limits(size=size))
    long = replace(DRAIN, reason="x" * 500)
    for _ in range(1000):
        journal.append(time.time(), OverrideSet(long))
    await journal.put(DRAIN)
    await journal.close()
    left = [line.id for line in await (await opened()).query(limit=10_000)]
    assert 100 < len(left) < 500
    assert left == [*range(1001 - len(left), 1001)]  # the oldest went
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file:
        pages, free, page = (
            file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    assert 0.8 * size < (pages - free) * page <= size


async def test_a_backup_that_read_for_long_leaves_no_large_log_behind(
    opened: Open, tmp_path: Path
) -> None:
    """While somebody reads, the write-ahead log cannot begin anew."""
    journal = await opened()
    await journal.put(DRAIN)
    log = tmp_path / f"{FILE}-wal"
    with contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as backup:
        backup.execute("BEGIN")
        backup.execute("SELECT count(*) FROM events").fetchall()
        for number in range(20):
            for _ in range(1000):
                journal.append(time.time(), OverrideSet(replace(DRAIN, reason="x" * 500)))
            await journal.put(replace(DRAIN, reason=f"{number}"))
        assert log.stat().st_size > 2 * WAL_BYTES
    for _ in range(2):
        await journal.put(DRAIN)
        await journal.put(WEIGHT)
    assert log.stat().st_size <= WAL_BYTES


async def test_what_is_no_history_is_kept_whatever_its_size(opened: Open) -> None:
    journal = await opened(limits=Limits(size=1))
    journal.append(time.time(), Stopping(keep=True))
    assert (await journal.put(DRAIN)).durable
    assert await journal.query() == []
    assert journal.overrides() == (DRAIN,)


async def test_what_was_acknowledged_is_there_after_a_power_loss(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    """The disk as it was in that moment: with the log's last write torn, at every place of it."""
    journal = await opened()
    assert (await journal.put(DRAIN)).durable
    log, kept = tmp_path / f"{FILE}-wal", (tmp_path / f"{FILE}-wal").stat().st_size
    assert (await journal.put(WEIGHT)).durable
    whole = log.read_bytes()
    for number, end in enumerate(range(kept, len(whole), 997)):
        place = tmp_path / f"after{number}"
        place.mkdir()
        shutil.copy(tmp_path / FILE, place / FILE)
        (place / log.name).write_bytes(whole[:end] + bytes(500))
        again = await opened(place)
        assert again.overrides() == (DRAIN,)
    assert reports == []


async def test_what_is_acknowledged_is_on_the_disk(tmp_path: Path) -> None:
    """FULL: each commit waits for fsync (sqlite.org/pragma.html#pragma_synchronous)."""
    found = await store.Store.open(tmp_path / FILE)
    try:
        connection = found._connection
        assert [*await connection.execute_fetchall("PRAGMA synchronous")] == [(2,)]
        assert [*await connection.execute_fetchall("PRAGMA journal_mode")] == [("wal",)]
    finally:
        await found.close()


async def test_what_is_too_old_goes_though_little_is_written(opened: Open) -> None:
    journal = await opened(limits=Limits(age=100.0, prune=0.2))
    await journal.put(DRAIN)  # the first write of a start prunes
    for _ in range(3):
        journal.append(time.time() - 1000, Stopping(keep=True))
    await journal.put(DRAIN)
    async with asyncio.timeout(10):
        while await journal.query():  # noqa: ASYNC110 - it is the file that changes
            await asyncio.sleep(0.05)


async def test_followers_get_what_happens(opened: Open) -> None:
    journal = await opened()
    with journal.subscribe() as entries:
        journal.append(THEN + 1.0, Stopping(keep=True))
        assert (await anext(entries)).id == 1
        await journal.close()
        assert [entry async for entry in entries] == []


async def test_without_a_state_directory_all_is_in_memory(opened: Open) -> None:
    journal = await opened(None)
    kept = await journal.put(DRAIN)
    assert not kept.durable
    assert "set directory under [state]" in kept.message
    assert journal.overrides() == (DRAIN,)
    journal.append(THEN + 1.0, Stopping(keep=True))
    assert len(await journal.query()) == 1


async def test_a_damaged_file_is_put_aside_and_a_new_one_begun(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database, not at all" * 100)
    journal = await opened()
    kept = await journal.put(DRAIN)
    assert kept.durable
    trouble, recovery = reports
    assert "was damaged" in trouble.message
    assert "its overrides are lost, set them again" in trouble.message
    assert recovery.ok
    aside = list(tmp_path.glob(f"{FILE}.damaged-*"))
    assert aside[0].read_bytes().startswith(b"this is no database")
    await journal.close()
    assert (await opened()).overrides() == (DRAIN,)


async def test_overrides_are_saved_from_a_file_that_is_damaged_elsewhere(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    for at in range(500):
        journal.append(THEN + at, Stopping(keep=True))
    await journal.put(DRAIN)
    await journal.close()
    file = tmp_path / FILE
    with sqlite3.connect(file) as other:
        page = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").fetchone()[
            0
        ]
        size = other.execute("PRAGMA page_size").fetchone()[0]
    other.close()
    raw = bytearray(file.read_bytes())
    raw[(page - 1) * size : page * size] = b"\xa5" * size
    file.write_bytes(raw)
    again = await opened()
    assert again.overrides() == (DRAIN,)
    await until(lambda: len(reports) == 2)
    assert "1 overrides were saved from it" in reports[0].message
    await again.close()
    assert (await opened()).overrides() == (DRAIN,)


async def test_a_file_that_breaks_while_it_is_used_is_replaced(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    await journal.put(DRAIN)
    await journal.set_owned({WEB})
    await journal.set_addresses({VIP4})
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    with (tmp_path / FILE).open("r+b") as file:
        file.write(b"\xa5" * 8192)
    (tmp_path / f"{FILE}-wal").write_bytes(b"")
    await journal.put(WEIGHT)
    await until(lambda: bool(reports) and reports[-1].ok)
    await journal.close()
    again = await opened()
    assert set(again.overrides()) == {DRAIN, WEIGHT}
    assert again.owned() == {WEB}
    assert again.addresses() == {VIP4}


async def test_a_file_of_a_later_version_is_left_alone(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    await (await opened()).close()
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    journal = await opened()
    kept = await journal.put(DRAIN)
    assert not kept.durable
    assert "run the newer lvsguard, or move the file away" in kept.message
    assert len(reports) == 1
    assert not list(tmp_path.glob("*damaged*"))


async def test_schema_versions_follow_one_another(tmp_path: Path) -> None:
    opened = await store.Store.open(tmp_path / FILE)
    await opened.close()
    with sqlite3.connect(tmp_path / FILE) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    other.close()
    assert (await store.Store.peek(tmp_path / FILE)) == store.Held()


async def test_what_was_set_while_the_file_could_not_be_read_is_joined_with_what_it_holds(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    await journal.put(DRAIN)
    await journal.set_owned({WEB})
    journal.append(THEN + 1.0, Stopping(keep=True))
    await journal.close()
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).mkdir()
    late = await opened()
    assert late.overrides() == ()
    assert not (await late.put(WEIGHT)).durable
    late.append(THEN + 2.0, Stopping(keep=False))
    (tmp_path / FILE).rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / FILE)
    await until(lambda: reports[-1].ok)
    assert [trouble.ok for trouble in reports] == [False, True]
    assert set(late.overrides()) == {DRAIN, WEIGHT}
    assert late.owned() == {WEB}
    assert [(line.id, line.data["keep"]) for line in await late.query()] == [(1, True), (2, False)]
    await late.close()
    assert set((await opened()).overrides()) == {DRAIN, WEIGHT}


async def test_events_that_gave_way_meanwhile_are_counted(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    (tmp_path / FILE).mkdir()
    journal = await opened(limits=replace(QUICK, pending=3))
    for at in range(5):
        journal.append(THEN + at, Stopping(keep=True))
    (tmp_path / FILE).rmdir()
    await until(lambda: len(reports) == 2)
    assert reports[-1].ok
    assert reports[-1].message.endswith("is written again, 2 events of meanwhile were not kept")
    assert [line.id for line in await journal.query()] == [3, 4, 5]


async def test_events_that_cannot_be_written_are_held_up_to_a_bound(
    opened: Open, tmp_path: Path
) -> None:
    (tmp_path / FILE).mkdir()
    journal = await opened(limits=Limits(pending=3))
    for at in range(5):
        journal.append(THEN + at, Stopping(keep=True))
    assert [line.id for line in await journal.query()] == [3, 4, 5]
