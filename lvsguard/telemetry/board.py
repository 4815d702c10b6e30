"""The picture behind the status page, taken again and again while somebody looks, once for all.

A *sweep* goes through the published view in slices and makes two batches of messages: all of it for
those who have just come, and what has changed for the others. Every follower gets the same bytes.
Nobody looks: nothing is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from itertools import count

import msgspec

from lvsguard.core.config import Config
from lvsguard.core.event import Level
from lvsguard.core.snapshot import RealserverStatus, View
from lvsguard.core.tally import Tally
from lvsguard.serving import Slices
from lvsguard.telemetry.board_head import head
from lvsguard.telemetry.board_latency import Latencies
from lvsguard.telemetry.board_rows import Head, Rate, Row, public

FOLLOWERS = 8
"""Pages that may be open at once; the other connections stay free for Prometheus."""
BEHIND_MAX = 32
"""Batches that wait for one follower; one who is further behind is dropped. They are shared, so
this bounds the memory of all followers together."""
EVENTS = 50
"""Events that are kept for the page."""
SWEEP_SECONDS = 0.5
"""From the end of a sweep to the next one."""
SOON_SECONDS = 0.1
"""The same, when something has happened."""
SHARE = 3
"""A sweep that took long is followed by so many times its own time without one."""
PAUSE_MAX = 5.0
MESSAGE_BYTES = 32 * 1024

Batch = tuple[bytes, ...]

_encode = msgspec.json.Encoder().encode

log = logging.getLogger(__name__)


class Full(Exception):
    """As many pages are open as may be."""


class Follower:
    """One page that is open: an asynchronous iterator of batches, ended by ``close`` or because
    its reader was too slow (``dropped``)."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._batches: deque[Batch] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.fresh = True
        """Whether it has nothing yet and wants all."""
        self.dropped = False

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self

    async def __anext__(self) -> Batch:
        while not self._batches:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._batches.popleft()

    def push(self, batch: Batch) -> None:
        """Give it a batch, or drop it (the board's side)."""
        if len(self._batches) >= BEHIND_MAX:
            self.dropped = True
            self._batches.clear()
            self.close()
            return
        self._batches.append(batch)
        self._wake.set()

    def close(self) -> None:
        """Leave."""
        self._closed = True
        self._board.leave(self)
        self._wake.set()


class Messages:
    """Items of one kind, put together into messages of a bounded size."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._items: list[bytes] = []
        self._bytes = 0
        self._done: list[bytes] = []

    def add(self, item: bytes) -> None:
        """One more item: its JSON."""
        self._items.append(item)
        self._bytes += len(item)
        if self._bytes >= MESSAGE_BYTES:
            self._end()

    def take(self) -> list[bytes]:
        """All of them as messages."""
        if self._items:
            self._end()
        return self._done

    def _end(self) -> None:
        self._done.append(message(self._name, b"[" + b",".join(self._items) + b"]"))
        self._items = []
        self._bytes = 0


def message(name: str, json: bytes) -> bytes:
    """A message of the stream (HTML Living Standard, 9.2.6). JSON here has no line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json)


class Board:
    """Takes the picture, and hands it to the followers."""

    def __init__(
        self, view: View, *, places: int = FOLLOWERS, seconds: float = SWEEP_SECONDS
    ) -> None:
        self._view = view
        self._places = places
        self._seconds = seconds
        self._followers: set[Follower] = set()
        self._wanted = asyncio.Event()
        self._wake = asyncio.Event()
        self._events: deque[bytes] = deque(maxlen=EVENTS)
        self._new_events: deque[bytes] = deque(maxlen=EVENTS)
        self._latencies = Latencies()
        self._digest = ""
        self._head = b""
        self._heads: list[Head] = []
        self._rows: list[Row] = []
        self._reads: int | None = None
        self._read_at = 0.0  # monotonic
        self.sweeps = 0
        """Sweeps so far."""
        self.longest = 0.0
        """Seconds of the longest slice of all sweeps."""

    @property
    def followers(self) -> int:
        """Pages that are open."""
        return len(self._followers)

    def event(self, at: float, kind: str, level: Level, text: str) -> None:
        """Something happened (wall clock): it is shown, and looked at soon."""
        line = _event(at, kind, level, text)
        self._events.append(line)
        if self._followers:
            self._new_events.append(line)
            self._wake.set()

    def configure(self, config: Config) -> None:
        """A configuration is to be in force: its checks are those of the view's realservers."""
        self._latencies.configure(config)

    def tally(self, tallies: Iterable[Tally]) -> None:
        """Take a prober's batch."""
        if self._followers:
            self._latencies.take(tallies)

    def recall(self, past: Iterable[tuple[float, str, Level, str]]) -> None:
        """What happened before this process began, the oldest first; arguments as of ``event``."""
        lines = [_event(*one) for one in past]
        self._events = deque([*lines, *self._events], maxlen=EVENTS)

    def follow(self) -> Follower:
        """One more page. Raises Full."""
        if len(self._followers) >= self._places:
            raise Full
        follower = Follower(self)
        self._followers.add(follower)
        self._wanted.set()
        self._wake.set()
        return follower

    def leave(self, follower: Follower) -> None:
        """Forget a follower (the follower's side)."""
        self._followers.discard(follower)
        if not self._followers:
            self._wanted.clear()

    async def run(self) -> None:
        """Sweep while somebody follows, until cancelled; then every follower's iteration ends."""
        try:
            while True:
                if not self._followers:
                    self._forget()
                    await self._wanted.wait()
                begun = time.perf_counter()
                await self._guarded_sweep()
                await self._rest(time.perf_counter() - begun)
        finally:
            for follower in tuple(self._followers):
                follower.close()

    async def _rest(self, took: float) -> None:
        """Until the next sweep: soon if something happens, but never so that sweeps take more
        than their share of the loop."""
        least = min(max(SOON_SECONDS, SHARE * took), PAUSE_MAX)
        await asyncio.sleep(least)
        if (left := self._seconds - least) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()

    async def _guarded_sweep(self) -> None:
        self._wake.clear()
        try:
            await self._sweep()
        except Exception:
            # A page must never be the daemon's end.
            log.exception("status page: this is a bug, please report it")
            for follower in tuple(self._followers):
                follower.close()

    def _forget(self) -> None:
        """What was told last is nobody's any more, and rates of long ago are no rates."""
        self._digest, self._head, self._reads = "", b"", None
        self._heads, self._rows = [], []
        self._latencies.forget()
        self._new_events.clear()

    async def _sweep(self) -> None:
        view = self._view
        if view.config_digest != self._digest:
            # Numbers of services and realservers are places in the config.
            self._forget()
            self._digest = view.config_digest
            for follower in self._followers:
                follower.fresh = True
        fresh = {follower for follower in self._followers if follower.fresh}
        old = self._followers - fresh
        slices = Slices()
        whole, news = self._begin(view)
        await self._services(view, slices, whole if fresh else [], news)
        self.longest = max(self.longest, slices.longest)
        self.sweeps += 1
        whole += _messages("events", self._events)
        news += _messages("events", self._new_events)
        self._new_events.clear()
        beat = message("beat", _encode({"now": round(time.time(), 3)}))
        for follower in fresh:
            follower.fresh = False
            follower.push((*whole, beat))
        for follower in old:
            follower.push((*news, beat))

    def _begin(self, view: View) -> tuple[list[bytes], list[bytes]]:
        top = message("head", _encode(head(view)))
        news = [top] if top != self._head else []
        self._head = top
        hello = message("hello", _encode({"version": view.version, "started": view.started}))
        return [hello, top], news

    async def _services(
        self, view: View, slices: Slices, whole: list[bytes], news: list[bytes]
    ) -> None:
        """One way through all services; ``whole`` is empty where nobody wants all."""
        everything, changed = Sheet(), Sheet()
        elapsed, read = self._elapsed(view)
        numbers = count()
        for at, status in enumerate(view.services()):
            if at == len(self._heads):
                self._heads.append(Head(at, Rate()))
            service = self._heads[at]
            if read:
                service.rate.take(status.counters if status.read else None, elapsed)
            told = service.look(status)
            if told or whole:
                item = _encode(service.facts)
                if told:
                    changed.services.add(item)
                if whole:
                    everything.services.add(item)
            for realserver in status.realservers:
                row = self._row(next(numbers), at)
                if read:
                    there = realserver.weight_read is not None
                    row.rate.take(realserver.counters if there else None, elapsed)
                self._tell(row, realserver, everything if whole else None, changed)
                if slices.due():
                    await slices.rest()
            if slices.due():
                await slices.rest()
        slices.end()
        news += changed.take()
        if whole:
            whole += everything.take()

    def _row(self, number: int, service: int) -> Row:
        if number == len(self._rows):
            self._rows.append(Row(number, service, Rate()))
        return self._rows[number]

    def _tell(
        self, row: Row, status: RealserverStatus, everything: Sheet | None, changed: Sheet
    ) -> None:
        latency = self._latencies.of(self._digest, row.number)
        facts, live = row.look(status), row.count(status, latency)
        if everything is not None:
            everything.rows.add(_encode(row.facts))
            everything.live.add(_encode(row.live))
        if facts:
            changed.rows.add(_encode(row.facts))
        if live:
            changed.live.add(_encode(row.live))

    def _elapsed(self, view: View) -> tuple[float | None, bool]:
        """Seconds between the last two reads of the kernel, and whether there was a new one."""
        loop = view.loop()
        if loop.reads == self._reads:
            return None, False
        first = self._reads is None
        elapsed = loop.last_read - self._read_at
        self._reads, self._read_at = loop.reads, loop.last_read
        return (None if first or elapsed <= 0 else elapsed), True


def _event(at: float, kind: str, level: Level, text: str) -> bytes:
    told = {"at": round(at, 3), "kind": kind, "level": level.name.lower(), "text": public(text)}
    return _encode(told)


class Sheet:
    """The messages of one sweep about services and realservers."""

    def __init__(self) -> None:
        self.services = Messages("services")
        self.rows = Messages("rows")
        self.live = Messages("live")

    def take(self) -> list[bytes]:
        """All of them, in the order in which a page can show them."""
        return [*self.services.take(), *self.rows.take(), *self.live.take()]


def _messages(name: str, items: Iterable[bytes]) -> list[bytes]:
    """Items of one kind as messages."""
    messages = Messages(name)
    for item in items:
        messages.add(item)
    return messages.take()
