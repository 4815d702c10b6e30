"""The schema of the journal's SQLite file, and the way to it from earlier ones."""

from __future__ import annotations

import sqlite3

import aiosqlite

MIGRATIONS = (
    """
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
    """,
    """
    CREATE TABLE addresses (
        interface TEXT NOT NULL, address TEXT NOT NULL, prefix INTEGER NOT NULL
    );
    """,
    """
    CREATE TABLE records (
        address TEXT NOT NULL, port INTEGER, service TEXT, kind TEXT NOT NULL,
        wall INTEGER NOT NULL, counter INTEGER NOT NULL, director TEXT NOT NULL,
        ended_by TEXT, actor TEXT, since REAL, reason TEXT,
        weight INTEGER, percent INTEGER, expires REAL
    );
    """,
    """
    ALTER TABLE overrides ADD COLUMN ticket TEXT NOT NULL DEFAULT '';
    ALTER TABLE records ADD COLUMN ticket TEXT;
    """,
    """
    CREATE TABLE aside (vip TEXT NOT NULL);
    """,
    """
    CREATE TABLE verdicts (
        address TEXT NOT NULL, port INTEGER NOT NULL, how TEXT NOT NULL, asked TEXT NOT NULL,
        verdict TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (address, port, how, asked)
    ) WITHOUT ROWID;
    """,
)
"""Scripts that lead from one schema version to the next; the version is their number so far."""


class TooNew(Exception):
    """The file was written by a later lvsguard; it is left alone."""


async def migrate(connection: aiosqlite.Connection) -> None:
    """Step a file to the schema of this lvsguard. Raises TooNew, sqlite3.Error."""
    version = await scalar(connection, "PRAGMA user_version")
    if version > len(MIGRATIONS):
        raise TooNew(
            f"it has schema {version}, this lvsguard knows {len(MIGRATIONS)}: "
            "run the newer lvsguard, or move the file away to begin a new one"
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        await connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;"
        )


async def check(connection: aiosqlite.Connection) -> None:
    """Look whether the file is whole. Raises sqlite3.DatabaseError."""
    rows = await connection.execute_fetchall("PRAGMA quick_check(1)")
    verdict = next(iter(rows))[0]
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


async def scalar(connection: aiosqlite.Connection, query: str) -> int:
    """The one number that a query gives; 0 for none."""
    rows = await connection.execute_fetchall(query)
    return int(next(iter(rows))[0] or 0)
