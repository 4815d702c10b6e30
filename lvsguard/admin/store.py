"""The journal's SQLite file: reading and writing. It decides nothing and retries nothing.

Everything raises sqlite3.Error or OSError when the state directory does not cooperate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiosqlite

from lvsguard.admin.entry import Entry
from lvsguard.admin.filter import EVERYTHING, Filter
from lvsguard.admin.store_rows import (
    entry,
    entry_row,
    override,
    override_row,
    record,
    record_row,
    service,
    service_row,
    verdict,
    verdict_row,
    vip_address,
)
from lvsguard.admin.store_schema import check, migrate, scalar
from lvsguard.core.begun import Begun, Lasting
from lvsguard.core.ledger import Record
from lvsguard.core.model import ServiceKey, VipAddress
from lvsguard.core.override import Override

BUSY_SECONDS = 2.0
"""How long a lock of another process (a backup, a person with sqlite3) is waited for."""

WAL_BYTES = 8 * 1024 * 1024
"""That the write-ahead log keeps once it begins anew: at 4 MiB, unless somebody reads."""

CACHE_KIB = 256
"""Of the file in memory; SQLite's own choice is 2 MB. What is read often is held above it."""

PAGE = 500
"""Entries that are read from the file at a time."""

_OVERRIDES = "SELECT * FROM overrides"
_OWNED = "SELECT * FROM owned"
_ADDRESSES = "SELECT * FROM addresses"
_RECORDS = "SELECT * FROM records"
_ASIDE = "SELECT * FROM aside"
_VERDICTS = "SELECT * FROM verdicts"
_LAST_ID = "SELECT max(id) FROM events"
_IN_USE = (
    "SELECT (page_count - freelist_count) * page_size"
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
_DELETE_OLDEST = (
    "DELETE FROM events WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 20 FROM events)"
)
"""A twentieth of them."""

_Value = TypeVar("_Value")

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True, slots=True)
class Held:
    """What a file holds besides the history."""

    overrides: tuple[Override, ...] = ()
    owned: frozenset[ServiceKey] = frozenset()
    addresses: frozenset[VipAddress] = frozenset()
    last_id: int = 0
    """Number of the latest entry; 0: none."""
    records: tuple[Record, ...] = ()
    aside: frozenset[str] = frozenset()
    """VIP groups that a failover keeps from preempting."""
    verdicts: Mapping[Lasting, Begun] = field(default_factory=dict)
    """Since when verdicts hold."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be written in one transaction. None: unchanged."""

    overrides: tuple[Override, ...] | None
    owned: frozenset[ServiceKey] | None
    addresses: frozenset[VipAddress] | None
    entries: tuple[Entry, ...]
    records: tuple[Record, ...] | None = None
    aside: frozenset[str] | None = None
    verdicts: tuple[tuple[Lasting, Begun | None], ...] = ()
    """Those that changed; None: forgotten."""
    no_other_verdicts: bool = False
    """Whether those are all."""


def damaged(error: BaseException) -> bool:
    """Whether an error says that the file itself is broken."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


class Store:
    """An open file. ``held`` is what it held when it was opened."""

    def __init__(self, connection: aiosqlite.Connection, held: Held) -> None:
        self._connection = connection
        self.held = held

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Open or create; bring the schema up to date; read what it holds.

        Raises TooNew besides sqlite3.Error and OSError; ``damaged`` tells a broken file.
        """
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            # FULL: a commit is on disk when it returns (sqlite.org/pragma.html#pragma_synchronous).
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = FULL")
            await connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            await connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            await migrate(connection)
            await check(connection)
            held = await asyncio.to_thread(  # ten thousand verdicts are read beside the loop
                _held,
                await connection.execute_fetchall(_OVERRIDES),
                await connection.execute_fetchall(_OWNED),
                await connection.execute_fetchall(_ADDRESSES),
                await scalar(connection, _LAST_ID),
                await connection.execute_fetchall(_RECORDS),
                await connection.execute_fetchall(_ASIDE),
                await connection.execute_fetchall(_VERDICTS),
            )
            return cls(connection, held)
        except BaseException:
            await connection.close()
            raise

    @staticmethod
    async def peek(path: Path) -> Held:
        """Read what can be read of a file that cannot be opened for writing, or that is broken."""
        return await asyncio.to_thread(_peek, path)

    async def write(self, batch: Batch) -> None:
        """Write a batch in one transaction; it is on disk when this returns."""
        connection = self._connection
        await connection.execute("BEGIN IMMEDIATE")
        try:
            if batch.overrides is not None:
                await connection.execute("DELETE FROM overrides")
                await connection.executemany(
                    "INSERT INTO overrides VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [override_row(o) for o in batch.overrides],
                )
            if batch.owned is not None:
                await connection.execute("DELETE FROM owned")
                await connection.executemany(
                    "INSERT INTO owned VALUES (?, ?, ?, ?, ?)",
                    [service_row(key) for key in batch.owned],
                )
            if batch.addresses is not None:
                await connection.execute("DELETE FROM addresses")
                await connection.executemany(
                    "INSERT INTO addresses VALUES (?, ?, ?)",
                    [(vip.interface, str(vip.address), vip.prefix) for vip in batch.addresses],
                )
            if batch.records is not None:
                await connection.execute("DELETE FROM records")
                await connection.executemany(
                    f"INSERT INTO records VALUES ({', '.join('?' * 15)})",  # noqa: S608 - no value
                    [record_row(record) for record in batch.records],
                )
            if batch.aside is not None:
                await connection.execute("DELETE FROM aside")
                await connection.executemany(
                    "INSERT INTO aside VALUES (?)", [(vip,) for vip in batch.aside]
                )
            await self._write_verdicts(batch)
            await connection.executemany(
                "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)",
                [entry_row(entry) for entry in batch.entries],
            )
            await connection.execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back by itself already (disk full).
            if connection.in_transaction:
                await connection.execute("ROLLBACK")
            raise

    async def _write_verdicts(self, batch: Batch) -> None:
        if batch.no_other_verdicts:
            await self._connection.execute("DELETE FROM verdicts")
        await self._connection.executemany(
            "DELETE FROM verdicts WHERE address = ? AND port = ? AND how = ? AND asked = ?",
            (lasting for lasting, begun in batch.verdicts if begun is None),
        )
        await self._connection.executemany(
            "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)",
            (verdict_row(lasting, begun) for lasting, begun in batch.verdicts if begun is not None),
        )

    async def prune(self, before: float, keep: int, size: int) -> None:
        """Forget entries older than ``before`` and all but the newest ``keep``, and the oldest of
        them while more than ``size`` bytes of the file are in use.

        The file itself does not shrink: what is free in it is written anew.
        """
        await self._connection.execute(
            "DELETE FROM events WHERE at < ? OR id <= (SELECT max(id) FROM events) - ?",
            (before, keep),
        )
        while await scalar(self._connection, _IN_USE) > size:
            gone = await self._connection.execute(_DELETE_OLDEST)
            if not gone.rowcount:
                return  # the rest is no history

    async def entries(self, since: float, limit: int, wanted: Filter = EVERYTHING) -> list[Entry]:
        """Entries at or after ``since`` that are wanted, oldest first, the newest ``limit``."""
        where, values = _where(since, wanted)
        found: list[Entry] = []
        # SQLite leaves out most of what is not wanted; what it lets through is looked at whole.
        async with self._connection.execute(
            f"SELECT id, at, kind, level, text, data FROM events WHERE {where}"  # noqa: S608
            " ORDER BY id DESC",
            values,
        ) as rows:
            while len(found) < limit and (page := await rows.fetchmany(min(limit, PAGE))):
                entries = (entry(row) for row in page)
                found += [entry for entry in entries if wanted(entry)]
        return found[:limit][::-1]

    async def close(self) -> None:
        """Give the file back."""
        await self._connection.close()


def set_aside(path: Path) -> Path:
    """Move a broken file and its companions out of the way; returns where it is now."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    path.rename(aside)
    for companion in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
    return aside


def _peek(path: Path) -> Held:
    # A write-ahead log needs its companion files unless nobody writes (sqlite.org/wal.html).
    try:
        return _salvage(f"{path.as_uri()}?mode=ro")
    except sqlite3.Error:
        return _salvage(f"{path.as_uri()}?immutable=1")


def _salvage(uri: str) -> Held:
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
        overrides = connection.execute(_OVERRIDES).fetchall()
        # Each for itself: one may be broken, and a file of an earlier schema has no addresses.
        owned: list[sqlite3.Row] = []
        addresses: list[sqlite3.Row] = []
        records: list[sqlite3.Row] = []
        aside: list[sqlite3.Row] = []
        verdicts: list[sqlite3.Row] = []
        last_id = 0
        with contextlib.suppress(sqlite3.Error):
            records = connection.execute(_RECORDS).fetchall()
        with contextlib.suppress(sqlite3.Error):
            owned = connection.execute(_OWNED).fetchall()
        with contextlib.suppress(sqlite3.Error):
            addresses = connection.execute(_ADDRESSES).fetchall()
        with contextlib.suppress(sqlite3.Error):
            aside = connection.execute(_ASIDE).fetchall()
        with contextlib.suppress(sqlite3.Error):
            verdicts = connection.execute(_VERDICTS).fetchall()
        with contextlib.suppress(sqlite3.Error):
            last_id = connection.execute(_LAST_ID).fetchone()[0] or 0
        return _held(overrides, owned, addresses, last_id, records, aside, verdicts)


def _held(
    overrides: Iterable[sqlite3.Row],
    owned: Iterable[sqlite3.Row],
    addresses: Iterable[sqlite3.Row],
    last_id: int,
    records: Iterable[sqlite3.Row],
    aside: Iterable[sqlite3.Row],
    verdicts: Iterable[sqlite3.Row],
) -> Held:
    return Held(
        tuple(_valid(override, overrides)),
        frozenset(_valid(service, owned)),
        frozenset(_valid(vip_address, addresses)),
        last_id,
        tuple(_valid(record, records)),
        frozenset(str(vip) for (vip,) in aside),
        dict(_valid(verdict, verdicts)),
    )


def _valid(read: Callable[[sqlite3.Row], _Value], rows: Iterable[sqlite3.Row]) -> Iterator[_Value]:
    """Rows that make sense; a file that was broken once may hold others."""
    for row in rows:
        with contextlib.suppress(ValueError, TypeError):
            yield read(row)


def _where(since: float, wanted: Filter) -> tuple[str, list[str | float]]:
    """A condition that lets through all that is wanted, and its values."""
    terms, values = ["at >= ?"], list[str | float]([since])
    if wanted.until is not None:
        terms.append("at <= ?")
        values.append(wanted.until)
    if wanted.kinds:
        terms.append(f"kind IN ({', '.join('?' * len(wanted.kinds))})")
        values += sorted(wanted.kinds)
    if wanted.not_of_realservers:
        kinds = sorted(wanted.not_of_realservers)
        none = "instr(data, ?) > 0 OR instr(data, ?) = 0"
        terms.append(f"(kind NOT IN ({', '.join('?' * len(kinds))}) OR {none})")
        values += [*kinds, '"realserver":""', '"realserver":"']
    if wanted.trace:
        terms.append("instr(data, ?) > 0")
        values.append(wanted.trace)
    if wanted.words:
        either = ["instr(data, ?) > 0 OR instr(text, ?) > 0"] * len(wanted.words)
        for word in sorted(wanted.words):
            values += [json.dumps(word)[1:-1], word]
        if wanted.also:
            either.append(f"kind IN ({', '.join('?' * len(wanted.also))})")
            values += sorted(wanted.also)
        terms.append(f"({' OR '.join(either)})")
    return " AND ".join(terms), values
