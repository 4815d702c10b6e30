"""Since when verdicts hold: kept in a real file, through restarts, kills and troubles."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.admin.journal import FILE
from lvsguard.admin.store import Store
from lvsguard.admin.store_schema import MIGRATIONS
from lvsguard.core.begun import Begun, Lasting
from lvsguard.core.event import StateTrouble, Stopping
from lvsguard.core.health import Verdict
from tests.support.loop_turns import turns
from tests.unit.admin.journals import QUICK, Open
from tests.unit.admin.test_journal_addresses import SCHEMA_1

NOON = 1_800_000_000.0
WEB: Lasting = ("10.0.0.42", 80, "http", "GET /health")
API: Lasting = ("2001:db8::43", 8080, "tcp", "")
AGENT: Lasting = ("10.0.0.42", 9100, "agent text", "")
UP, DOWN = Begun(Verdict.UP, NOON), Begun(Verdict.DOWN, NOON + 0.25)
HOLD_S = 0.005
"""What the loop may be held for, of this thread's own time."""


async def recovered(reports: list[StateTrouble]) -> None:
    """Wait for the journal's own writer, on real but short timers."""
    for _ in range(500):
        if reports and reports[-1].ok:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 5 s")


def rows(place: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(place / FILE)) as other:
        return other.execute("SELECT * FROM verdicts ORDER BY address, port").fetchall()


def count(place: Path) -> int:
    with closing(sqlite3.connect(place / FILE)) as other:
        return int(other.execute("SELECT count(*) FROM verdicts").fetchone()[0])


async def test_they_are_there_after_a_restart(opened: Open) -> None:
    journal = await opened()
    assert journal.verdicts == {}
    for lasting, begun in {WEB: UP, API: DOWN, AGENT: UP}.items():
        journal.set_verdict(lasting, begun)
    await journal.close()
    assert (await opened()).verdicts == {WEB: UP, API: DOWN, AGENT: UP}


async def test_the_latest_is_kept_and_what_is_forgotten_stays_away(opened: Open) -> None:
    journal = await opened()
    journal.set_verdict(WEB, UP)
    journal.set_verdict(API, UP)
    await journal.flush()
    journal.set_verdict(WEB, DOWN)
    journal.forget_verdicts([API, AGENT])
    await journal.close()
    journal = await opened()
    assert journal.verdicts == {WEB: DOWN}
    journal.forget_verdicts([WEB])
    journal.set_verdict(WEB, UP)
    await journal.close()
    assert (await opened()).verdicts == {WEB: UP}


async def test_they_are_written_with_the_batch_of_their_events(
    opened: Open, tmp_path: Path
) -> None:
    journal = await opened()
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        # It changes with every commit of another connection (sqlite.org/pragma.html).
        before = other.execute("PRAGMA data_version").fetchone()[0]
        journal.append(NOON, Stopping(keep=True))
        journal.set_verdict(WEB, UP)
        assert (await journal.flush()).durable
        assert other.execute("PRAGMA data_version").fetchone()[0] == before + 1
    assert rows(tmp_path) == [(*WEB, "up", NOON)]


async def test_what_was_written_is_there_after_a_kill(opened: Open, tmp_path: Path) -> None:
    """The files as they are while it runs: nothing was closed."""
    journal = await opened()
    journal.set_verdict(WEB, UP)
    await journal.flush()
    journal.set_verdict(API, DOWN)
    await journal.flush()
    log = tmp_path / f"{FILE}-wal"
    whole = log.read_bytes()
    for end in (*range(0, len(whole), 4999), len(whole)):
        place = tmp_path / f"after{end}"
        place.mkdir()
        shutil.copy(tmp_path / FILE, place / FILE)
        (place / log.name).write_bytes(whole[:end])
        again = await opened(place)
        assert again.verdicts in ({}, {WEB: UP}, {WEB: UP, API: DOWN})
    assert again.verdicts == {WEB: UP, API: DOWN}


async def test_a_file_of_the_first_schema_gets_them(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as old:
        old.executescript(SCHEMA_1)
    journal = await opened()
    assert journal.verdicts == {}
    assert len(journal.overrides()) == 1
    journal.set_verdict(WEB, UP)
    await journal.close()
    assert (await opened()).verdicts == {WEB: UP}
    assert reports == []


async def test_a_file_of_the_schema_before_them_keeps_what_it_holds(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as old:
        old.executescript("".join(MIGRATIONS[:5]) + "PRAGMA user_version = 5;")
        old.execute("INSERT INTO aside VALUES ('web')")
        old.commit()
    assert (await Store.peek(tmp_path / FILE)).verdicts == {}
    journal = await opened()
    assert journal.aside() == {"web"}
    journal.set_verdict(WEB, UP)
    await journal.close()
    again = await opened()
    assert again.aside() == {"web"}
    assert again.verdicts == {WEB: UP}
    assert reports == []


@pytest.mark.parametrize(
    "row",
    [
        ("10.0.0.9", "x", "http", "", "up", NOON),
        ("10.0.0.9", 80, "http", "", "well", NOON),
        ("10.0.0.9", 80, "http", "", "up", "noon"),
    ],
)
async def test_a_row_that_makes_no_sense_is_skipped(
    opened: Open, tmp_path: Path, reports: list[StateTrouble], row: tuple[object, ...]
) -> None:
    journal = await opened()
    journal.set_verdict(WEB, UP)
    await journal.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
    assert (await opened()).verdicts == {WEB: UP}
    assert reports == []


async def test_a_file_that_breaks_while_it_is_used_is_written_anew(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened(limits=replace(QUICK, verdicts=2))
    many = {("10.0.0.42", port, "tcp", ""): UP for port in range(1, 8)}
    for lasting, begun in many.items():
        journal.set_verdict(lasting, begun)
    while count(tmp_path) < len(many):
        assert (await journal.flush()).durable
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / FILE).open("r+b") as file:
        file.write(b"\xa5" * 8192)
    (tmp_path / f"{FILE}-wal").write_bytes(b"")
    journal.set_verdict(API, DOWN)
    await recovered(reports)
    await journal.close()
    assert (await opened()).verdicts == {**many, API: DOWN}


async def test_verdicts_of_a_file_that_can_be_read_late_are_joined_with_those_of_now(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    journal.set_verdict(WEB, UP)
    journal.set_verdict(API, UP)
    await journal.close()
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).mkdir()
    late = await opened()
    assert late.verdicts == {}
    late.set_verdict(WEB, DOWN)
    (tmp_path / FILE).rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / FILE)
    await recovered(reports)
    assert late.verdicts == {WEB: DOWN, API: UP}
    await late.close()
    assert (await opened()).verdicts == {WEB: DOWN, API: UP}


async def test_verdicts_whose_writing_failed_are_written_later(
    opened: Open, tmp_path: Path, reports: list[StateTrouble]
) -> None:
    journal = await opened()
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON verdicts"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    journal.set_verdict(WEB, UP)
    assert not (await journal.flush()).durable
    journal.set_verdict(API, DOWN)
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute("DROP TRIGGER refused")
    await recovered(reports)
    await journal.close()
    assert (await opened()).verdicts == {WEB: UP, API: DOWN}


async def test_without_a_state_directory_they_are_in_memory(opened: Open) -> None:
    journal = await opened(None)
    journal.set_verdict(WEB, UP)
    assert journal.verdicts == {WEB: UP}


async def test_ten_thousand_realservers_do_not_hold_the_loop(
    opened: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many: list[Lasting] = [
        (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 80, "http", "GET /health") for n in range(10_000)
    ]
    took: dict[str, float] = {}
    journal = await opened()
    async with turns() as felt:
        begun = time.perf_counter()
        for number, lasting in enumerate(many):
            journal.set_verdict(lasting, UP)
            if not number % 100:
                await asyncio.sleep(0)
        took["told"] = time.perf_counter() - begun
        while await asyncio.to_thread(count, tmp_path) < len(many):  # noqa: ASYNC110 - of the file
            await asyncio.sleep(0.05)
    took["written"] = time.perf_counter() - begun
    held = {"write": felt.longest_s}
    await journal.close()
    async with turns() as felt:
        begun = time.perf_counter()
        again = await opened()
        took["read"] = time.perf_counter() - begun
    held["read"] = felt.longest_s
    assert len(again.verdicts) == len(many)
    size = (tmp_path / FILE).stat().st_size
    with capsys.disabled():
        words = [f"{name} {seconds * 1000:.1f} ms" for name, seconds in took.items()]
        words += [f"loop held by {name} {seconds * 1000:.2f} ms" for name, seconds in held.items()]
        print(f"10,000 verdicts: {', '.join(words)}, file {size // 1024} KiB")
    assert max(held.values()) < HOLD_S
