"""What outlives the daemon: overrides and the ledger of them, failovers that hold, the services and
VIPs it put into the kernel, since when verdicts hold, the history.

The truth is in memory; the file follows it. A state directory that cannot be written costs the
daemon nothing but durability: every reply says so, one event tells it, and it is tried again.
Nothing here may block the loop or fail the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lvsguard.admin.entry import Entry, entry
from lvsguard.admin.feed import Feed, Subscription
from lvsguard.admin.filter import EVERYTHING, Filter
from lvsguard.admin.operations import Kept
from lvsguard.admin.state import State
from lvsguard.admin.store import Held, Store, damaged, set_aside
from lvsguard.admin.store_schema import TooNew
from lvsguard.core.begun import Begun, Lasting
from lvsguard.core.event import Event, StateRestored, StateTrouble
from lvsguard.core.ledger import Record
from lvsguard.core.model import ServiceKey, VipAddress
from lvsguard.core.override import Override, OverrideKind, Target

FILE = "journal.db"
OPEN_SECONDS = 10.0
"""How long the start waits for a state directory that hangs."""
WRITE_SECONDS = 5.0
"""How long a reply waits for the disk."""
BATCH_SECONDS = 0.5
"""How long events wait for company before they are written."""

_TROUBLES = (sqlite3.Error, OSError, TooNew, TimeoutError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much history is kept."""

    age: float = 30 * 86400.0
    """Seconds."""
    count: int = 100_000
    size: int = 256 * 1024 * 1024
    """Bytes of the file that are in use."""
    pending: int = 10_000
    """Entries held in memory while the file cannot be written; the oldest give way."""
    retry: tuple[float, float] = (1.0, 30.0)
    """First and longest pause between two tries while the file cannot be written, in seconds."""
    verdicts: int = 2000
    """Verdicts that are written at a time; the rest follows at once."""
    prune: float = 3600.0
    """Seconds after which what is too old goes, however little is written."""


class Journal:
    """The journal of one state directory; None keeps everything in memory.

    ``report`` gets a StateTrouble when the file cannot be used, and one with ``ok`` when it can
    again; after that one, read ``overrides()``, ``records()``, ``owned()`` and ``addresses()``
    again: a file that could not be read at the start may have brought more.
    """

    def __init__(
        self,
        directory: Path | None,
        report: Callable[[StateTrouble], None],
        *,
        limits: Limits = Limits(),
    ) -> None:
        self._path = None if directory is None else directory / FILE
        self._report = report
        self._limits = limits
        self._feed = Feed()
        self._store: Store | None = None
        self._state = State()
        self._pending: deque[Entry] = deque(maxlen=limits.pending)
        self._missed = 0
        """Entries that gave way and are not in the file."""
        self._last_id = 0
        self._since_prune = limits.count
        self._pruned = time.monotonic()
        self._trouble = ""
        self._pause = self._limits.retry[0]
        self._waiters: list[asyncio.Future[Kept]] = []
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str:
        """Why the file cannot be written now, and what to do; empty when all is well."""
        return self._trouble

    async def open(self) -> None:
        """Read what is kept and start writing. Never raises for what is wrong with the disk."""
        if self._path is None:
            return
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._open(self._path)
        except _TROUBLES as error:
            await self._failed(self._path, error)
            self._wake.set()
        self._writer = asyncio.create_task(self._write_on(self._path), name="journal")
        self._writer.add_done_callback(self._ended)

    def overrides(self) -> tuple[Override, ...]:
        """Overrides that are kept, expired ones included."""
        return self._state.overrides

    async def put(self, override: Override) -> Kept:
        """Keep an override; returns when it is on disk, or cannot be for now."""
        self.take(override)
        return await self._written()

    async def drop(self, *keys: tuple[Target, OverrideKind]) -> Kept:
        """Forget overrides; returns when that is on disk, or cannot be for now."""
        self.forget(*keys)
        return await self._written()

    def take(self, override: Override) -> None:
        """Keep an override, with the next batch."""
        self._state.take(override)
        self._wake.set()

    def forget(self, *keys: tuple[Target, OverrideKind]) -> None:
        """Forget overrides, with the next batch."""
        self._state.forget(keys)
        self._wake.set()

    def records(self) -> tuple[Record, ...]:
        """The ledger's records that are kept."""
        return self._state.records

    def set_records(self, records: Iterable[Record]) -> None:
        """Keep exactly these records of the ledger, with the next batch: that of an override that
        is put or dropped now is the same."""
        if self._state.set_records(tuple(records)):
            self._wake.set()

    def owned(self) -> frozenset[ServiceKey]:
        """Services that this director has put into the kernel, now or before."""
        return self._state.owned

    async def set_owned(self, keys: Iterable[ServiceKey]) -> Kept:
        """Keep which services are owned; costs nothing when that is known already."""
        if not self._state.set_owned(frozenset(keys)):
            return Kept(not self._trouble, self._trouble)
        return await self._written()

    def addresses(self) -> frozenset[VipAddress]:
        """VIPs that this director has put on its interfaces, now or before."""
        return self._state.addresses

    async def set_addresses(self, addresses: Iterable[VipAddress]) -> Kept:
        """Keep which VIPs are owned; costs nothing when that is known already."""
        if not self._state.set_addresses(frozenset(addresses)):
            return Kept(not self._trouble, self._trouble)
        return await self._written()

    def aside(self) -> frozenset[str]:
        """VIP groups that a failover keeps from preempting, by name."""
        return self._state.aside

    def set_aside(self, vips: frozenset[str]) -> None:
        """Keep which VIP groups those are, with the next batch."""
        if self._state.set_aside(vips):
            self._wake.set()

    @property
    def verdicts(self) -> Mapping[Lasting, Begun]:
        """Since when verdicts hold. A view of the journal, not a copy."""
        return self._state.verdicts

    def set_verdict(self, lasting: Lasting, begun: Begun) -> None:
        """Keep since when a verdict holds, with the next batch."""
        self._state.set_verdict(lasting, begun)
        self._wake.set()

    def forget_verdicts(self, gone: Iterable[Lasting]) -> None:
        """Forget verdicts, with the next batch."""
        if self._state.forget_verdicts(gone):
            self._wake.set()

    def append(self, at: float, event: Event) -> Entry:
        """Add an event that happened ``at`` (wall clock); it is written with the next batch."""
        self._last_id += 1
        line = entry(self._last_id, at, event)
        self._missed += len(self._pending) == self._pending.maxlen
        self._pending.append(line)
        self._feed.publish(line)
        self._wake.set()
        return line

    async def flush(self) -> Kept:
        """Returns when all that was appended is on disk, or cannot be for now."""
        if self._path is not None and not self._unwritten:
            return Kept(True)
        return await self._written()

    def subscribe(self) -> Subscription:
        """Entries from now on."""
        return self._feed.subscribe()

    async def query(
        self, since: float = 0.0, limit: int = 1000, wanted: Filter = EVERYTHING
    ) -> list[Entry]:
        """Entries at or after ``since`` (wall clock) that are wanted, oldest first, the newest
        ``limit``."""
        stored: list[Entry] = []
        held = tuple(self._pending)
        if self._store is not None:
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    stored = await self._store.entries(since, limit, wanted)
            except (*_TROUBLES, ValueError) as error:
                log.warning("the history could not be read: %s", error)
        by_id = {line.id: line for line in stored}
        by_id.update((line.id, line) for line in held if line.at >= since and wanted(line))
        return sorted(by_id.values(), key=lambda line: line.id)[-limit:]

    async def close(self) -> None:
        """Write what is left, end every subscription, give the file back."""
        self._feed.close()
        if self._writer is None:
            return
        while self._unwritten and (await self._written()).durable:
            pass
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        await self._shut()

    @property
    def _unwritten(self) -> bool:
        return bool(self._pending) or self._state.unwritten

    async def _written(self) -> Kept:
        if self._path is None:
            return Kept(False, "no state directory is configured: set directory under [state]")
        if self._writer is None:
            return Kept(False, "the journal is not open")
        waiter: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake.set()
        self._hurry.set()
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                return await waiter
        except TimeoutError:
            return Kept(False, f"{self._path} is not written after {WRITE_SECONDS:g} s: disk slow?")

    async def _write_on(self, path: Path) -> None:
        while True:
            with contextlib.suppress(TimeoutError):  # old entries go when nothing happens, too
                async with asyncio.timeout(self._limits.prune):
                    await self._wake.wait()
            try:
                async with asyncio.timeout(self._pause if self._trouble else BATCH_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            self._hurry.clear()
            waiters, self._waiters = self._waiters, []
            kept = await self._attempt(path)
            if not kept.durable:
                self._wake.set()
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(kept)

    async def _attempt(self, path: Path) -> Kept:
        try:
            await self._write(self._store or await self._open(path))
        except _TROUBLES as error:
            await self._failed(path, error)
            return Kept(False, self._trouble)
        missed, self._missed = self._missed, 0
        if self._trouble or missed:
            self._trouble = ""
            self._pause = self._limits.retry[0]
            what = f"{missed} events of meanwhile were not kept" if missed else "nothing is missing"
            self._report(StateRestored(f"{path} is written again, {what}"))
        return Kept(True)

    async def _open(self, path: Path) -> Store:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store = store = await Store.open(path)
        self._absorb(store.held)
        return store

    def _absorb(self, held: Held) -> None:
        if not self._state.absorb(held):
            return
        self._last_id += held.last_id
        for _ in range(len(self._pending)):
            line = self._pending.popleft()
            self._pending.append(replace(line, id=line.id + held.last_id))

    async def _failed(self, path: Path, error: Exception) -> None:
        """Tell once that the file cannot be used; put a broken one aside; arrange the next try."""
        await self._shut()
        if not self._state.loaded:
            with contextlib.suppress(*_TROUBLES):
                async with asyncio.timeout(WRITE_SECONDS):
                    self._absorb(await Store.peek(path))
        message = _explain(path, error)
        if damaged(error):
            try:
                aside = set_aside(path)
            except OSError as refusal:
                message = _explain(path, refusal)
            else:
                saved = (
                    f"{len(self._state.overrides)} overrides were saved from it"
                    if self._state.loaded
                    else "its overrides are lost, set them again"
                )
                message = (
                    f"{path} was damaged ({error}): now {aside.name}, a new one is begun; {saved}"
                )
                self._state.rewrite()
                self._hurry.set()
        self._pause = (
            min(self._pause * 2, self._limits.retry[1]) if self._trouble else self._limits.retry[0]
        )
        first, self._trouble = not self._trouble, message
        if first:
            self._report(StateTrouble(message))

    async def _shut(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with contextlib.suppress(*_TROUBLES):
                async with asyncio.timeout(WRITE_SECONDS):
                    await store.close()

    def _ended(self, writer: asyncio.Task[None]) -> None:
        if not writer.cancelled() and (error := writer.exception()) is not None:
            self._trouble = f"the journal has stopped ({error!r}): this is a bug, restart lvsguard"
            log.critical("%s", self._trouble, exc_info=error)
            self._report(StateTrouble(self._trouble))

    async def _write(self, store: Store) -> None:
        entries, missed = tuple(self._pending), self._missed
        batch = self._state.batch(entries, self._limits.verdicts)
        try:
            await store.write(batch)
            self._since_prune += len(entries)
            now, limits = time.monotonic(), self._limits
            if self._since_prune > limits.count // 20 or now - self._pruned >= limits.prune:
                self._since_prune, self._pruned = 0, now
                await store.prune(time.time() - limits.age, limits.count, limits.size)
        except BaseException:
            self._state.failed(batch)
            raise
        if self._state.written(batch) and len(batch.verdicts) == self._limits.verdicts:
            self._wake.set()
            self._hurry.set()
        # What gave way while it was written is in the file.
        self._missed -= min(self._missed - missed, len(entries))
        last = entries[-1].id if entries else 0
        while self._pending and self._pending[0].id <= last:
            self._pending.popleft()


def _explain(path: Path, error: BaseException) -> str:
    match error:
        case TooNew():
            return f"{path}: {error}"
        case TimeoutError():
            return f"{path} does not answer: is its disk well?"
        case OSError():
            return (
                f"{path}: {error.strerror or error}: it must be writable by the user that runs "
                "lvsguard and have space left"
            )
    return f"{path}: {error}: make space or let lvsguard write there (df, ls -ld, mount)"
