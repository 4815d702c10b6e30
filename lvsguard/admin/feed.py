"""Hands new entries to followers. A slow follower loses entries, it never holds others up."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

from lvsguard.admin.entry import Entry

BACKLOG = 1000
"""Entries that wait for one follower at most; the oldest give way."""


class Subscription:
    """One follower's queue: a context manager, and an asynchronous iterator inside it."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._queue: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.lost = 0
        """Entries that gave way since the start because the follower was slow."""

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Entry:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._closed = True
        self._feed.drop(self)
        self._wake.set()

    def push(self, entry: Entry) -> None:
        """Queue an entry (the feed's side)."""
        if len(self._queue) >= BACKLOG:
            self._queue.popleft()
            self.lost += 1
        self._queue.append(entry)
        self._wake.set()


class Feed:
    """All followers."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def subscribe(self) -> Subscription:
        """A new follower: it gets what is published from now on."""
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        return subscription

    def publish(self, entry: Entry) -> None:
        """Give an entry to every follower, without waiting."""
        for subscription in self._subscriptions:
            subscription.push(entry)

    def drop(self, subscription: Subscription) -> None:
        """Forget a follower."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every follower's iteration."""
        for subscription in tuple(self._subscriptions):
            subscription.close()
