"""The small engine under the probes: one epoll and one heap of due times, inside asyncio's loop.

It is the selector of an otherwise stock asyncio loop. Sockets and alarms of probes are served
within ``select()``, without a Handle or a TimerHandle for each: that, and one system call fewer
for each wake-up, is what makes a probe in Python cost as little as one in C. Whatever asyncio has
registered comes back to asyncio as with any selector.

It knows nothing of checks, HTTP or verdicts, and it never raises because of a peer.
"""

from __future__ import annotations

import asyncio
import heapq
import select
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Final, Protocol, TypeVarTuple

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

_Ts = TypeVarTuple("_Ts")

EVENTS_MAX: Final = 1024
"""Events taken from the kernel at once."""
ALARMS_MAX: Final = 64
"""Alarms rung between two looks at the sockets: a crowd of starts never delays an answer."""
STALL_S: Final = 0.02
"""Seconds that the process did not get to run, from which on it counts as a stall."""
CLOCK_EVERY: Final = 16
"""Sockets or alarms served with one reading of the clock."""
SPARE_FILES: Final = 32
FOREVER: Final = float("inf")


class Watcher(Protocol):
    """Somebody who owns a socket."""

    def ready(self, events: int) -> None:
        """Take the socket's events, a mask of ``select.EPOLL*``. Edge-triggered: read it all."""


class Sleeper(Protocol):
    """Somebody who waits for a time. At most one alarm is set for each."""

    alarm: int
    """Number of the alarm that is set, 0 for none; the engine's to write, 0 to cancel."""

    def ring(self, due: float) -> None:
        """Take the alarm that was set for ``due``; ``Engine.now`` says how late it is."""


class Engine(selectors.BaseSelector):
    """Selector of the asyncio loop that probes run on; see the module. Times are monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._watchers: dict[int, Watcher] = {}
        self._heap: list[tuple[float, int, Sleeper]] = []
        self._alarms = 0
        self._stale = 0
        self.now = clock()
        """Seconds; read once for each wake-up, for a clock read may cost as much as a send."""
        self.stalled = 0.0
        """Seconds in all that the process did not get to run, or was kept busy in one go."""
        self.spare_files = SPARE_FILES
        """Files that probes may take beyond one each."""
        self.at_close: list[Callable[[], None]] = []
        """What is given back with it."""
        self.interrupted = False
        """Set when asyncio has got something to do meanwhile (see ``Loop``)."""

    # -- sockets and alarms of probes ------------------------------------------------------------

    def watch(self, fd: int, events: int, watcher: Watcher) -> None:
        """Serve a socket's events to ``watcher`` until ``forget``. ``OSError`` as epoll_ctl(2)."""
        self._epoll.register(fd, events)
        self._watchers[fd] = watcher

    def rearm(self, fd: int, events: int) -> None:
        """Have an edge-triggered event that still holds delivered once more."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Serve a socket no more; call it just before its close, which takes it out of epoll."""
        self._watchers.pop(fd, None)

    def wake(self, due: float, sleeper: Sleeper) -> None:
        """Set the sleeper's alarm, in place of the one that may be set."""
        if sleeper.alarm:
            self._stale += 1
        self._alarms += 1
        sleeper.alarm = self._alarms
        heapq.heappush(self._heap, (due, self._alarms, sleeper))
        if self._stale > 1000 and self._stale * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2].alarm == entry[1]]
            heapq.heapify(self._heap)
            self._stale = 0

    def sleep(self, sleeper: Sleeper) -> None:
        """Cancel the sleeper's alarm, if one is set."""
        if sleeper.alarm:
            sleeper.alarm = 0
            self._stale += 1

    # -- selectors.BaseSelector ------------------------------------------------------------------

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        """See ``selectors.BaseSelector``."""
        fd = _fd(fileobj)
        if fd in self._keys:
            raise KeyError(f"fd {fd} is registered already")
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        self._epoll.register(fd, _to_epoll(events))
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """See ``selectors.BaseSelector``."""
        key = self._keys.pop(_fd(fileobj))
        with suppress(OSError):  # closed before: epoll has dropped it already
            self._epoll.unregister(key.fd)
        return key

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        """See ``selectors.BaseSelector``."""
        fd = _fd(fileobj)
        if events != self._keys[fd].events:
            self._epoll.modify(fd, _to_epoll(events))
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        """See ``selectors.BaseSelector``."""
        return _Keys(self._keys)

    def close(self) -> None:
        """See ``selectors.BaseSelector``. Sockets of probes stay with their owners."""
        for give_back in self.at_close:
            give_back()
        self.at_close.clear()
        self._epoll.close()
        self._keys.clear()
        self._watchers.clear()
        self._heap.clear()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Serve probes until asyncio has something to do, or ``timeout`` seconds are over."""
        until = FOREVER
        if timeout is not None:
            until = self._read_clock(self.now) + timeout
        self.interrupted = False
        while True:
            wait = self._until_next(until) - self.now
            try:
                events = self._epoll.poll(max(wait, 0.0) if wait < FOREVER else -1.0, EVENTS_MAX)
            except InterruptedError:
                events = []
            now = self._read_clock(self.now + max(wait, 0.0))
            ready = self._dispatch(events)
            if len(events) < EVENTS_MAX:
                # An answer that has arrived counts before the alarm that would call it missing.
                self._ring(now)
            if ready or self.interrupted or now >= until:
                return ready

    # -- inside ----------------------------------------------------------------------------------

    def _read_clock(self, expected: float = FOREVER) -> float:
        """Read the clock; the time since ``expected`` was lost, if it is much."""
        now = self.now = self._clock()
        if now - expected > STALL_S:
            self.stalled += now - expected
        return now

    def _until_next(self, until: float) -> float:
        """When something is due; alarms that were cancelled or replaced are no reason to wake."""
        heap = self._heap
        while heap and heap[0][2].alarm != heap[0][1]:
            heapq.heappop(heap)
            self._stale -= 1
        return min(heap[0][0], until) if heap else until

    def _dispatch(self, events: list[tuple[int, int]]) -> list[tuple[selectors.SelectorKey, int]]:
        ready = []
        watchers, keys = self._watchers, self._keys
        for count, (fd, mask) in enumerate(events, 1):
            if not count % CLOCK_EVERY:
                self._read_clock()
            watcher = watchers.get(fd)
            if watcher is not None:
                watcher.ready(mask)
            elif (key := keys.get(fd)) is not None:
                wanted = _from_epoll(mask) & key.events
                if wanted:
                    ready.append((key, wanted))
        return ready

    def _ring(self, now: float) -> None:
        heap = self._heap
        for count in range(1, ALARMS_MAX + 1):
            if not heap or heap[0][0] > now:
                return
            if not count % CLOCK_EVERY:
                self._read_clock()
            due, number, sleeper = heapq.heappop(heap)
            if sleeper.alarm != number:
                self._stale -= 1
                continue
            sleeper.alarm = 0
            sleeper.ring(due)


class Loop(asyncio.SelectorEventLoop):
    """The stock loop on an ``Engine``; it tells the engine when asyncio has something to do."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.engine = engine

    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """See ``asyncio.loop.call_soon``."""
        self.engine.interrupted = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """See ``asyncio.loop.call_at``."""
        self.engine.interrupted = True
        return super().call_at(when, callback, *args, context=context)


class _Keys(Mapping["FileDescriptorLike", selectors.SelectorKey]):
    """What is registered, found by its file or its file descriptor."""

    def __init__(self, keys: dict[int, selectors.SelectorKey]) -> None:
        self._keys = keys

    def __getitem__(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._keys[_fd(fileobj)]

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[FileDescriptorLike]:
        return iter(self._keys)


def _fd(fileobj: FileDescriptorLike) -> int:
    return fileobj if isinstance(fileobj, int) else fileobj.fileno()


def _to_epoll(events: int) -> int:
    mask = select.EPOLLIN if events & selectors.EVENT_READ else 0
    return mask | (select.EPOLLOUT if events & selectors.EVENT_WRITE else 0)


def _from_epoll(mask: int) -> int:
    # As in the standard library: an error or a hang-up wakes readers and writers alike.
    events = selectors.EVENT_WRITE if mask & ~select.EPOLLIN else 0
    return events | (selectors.EVENT_READ if mask & ~select.EPOLLOUT else 0)
