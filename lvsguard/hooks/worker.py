"""One hook: its queue, and the one event that it is being told. A hook that is slow or dead loses
events, it never holds anybody up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import aiohttp

from lvsguard.core.event import Event
from lvsguard.core.hook import (
    HookConfig,
    HookFailed,
    HookWell,
    Occurrence,
    Outcome,
    pause,
    wants,
)
from lvsguard.hooks import command, webhook
from lvsguard.hooks.outcome import Told

QUEUE_MAX: Final = 1000
"""Events that wait for one hook; of more the oldest are dropped."""


class Worker:
    """Tells one hook what it wants to know, one event after the other."""

    def __init__(
        self,
        hook: HookConfig,
        emit: Callable[[Event], None],
        count: Callable[[str, Outcome], None],
    ) -> None:
        self.hook = hook
        self._emit = emit
        self._count = count
        self._queue: deque[Occurrence] = deque()
        self._wake = asyncio.Event()
        self._ill = False
        self._dropped = 0
        self.busy = False

    @property
    def waiting(self) -> int:
        """Events in the queue."""
        return len(self._queue)

    def offer(self, occurrence: Occurrence) -> None:
        """Queue an event, if the hook wants it. Never waits."""
        if not wants(self.hook, occurrence):
            return
        if len(self._queue) >= QUEUE_MAX:
            self._queue.popleft()
            self._dropped += 1
            self._count(self.hook.name, Outcome.DROPPED)
            self._fails(f"more than {QUEUE_MAX} events wait for it, so the oldest are dropped")
        self._queue.append(occurrence)
        self._wake.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        # A session for each hook: nobody's cookies or connections are another's.
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        ) as session:
            while True:
                while not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                self.busy = True
                await self._tell(session, self._queue.popleft())
                self.busy = False

    async def _tell(self, session: aiohttp.ClientSession, occurrence: Occurrence) -> None:
        tries = 0
        while True:
            told = await self._try(session, occurrence)
            if not told.why:
                self._count(self.hook.name, Outcome.DONE)
                self._works()
                return
            self._fails(told.why)
            tries += 1
            wait = max(pause(tries, random.random()), told.after)
            if not told.again or time.time() + wait - occurrence.at > self.hook.give_up:
                self._count(self.hook.name, Outcome.FAILED)
                self._dropped += 1
                return
            self._count(self.hook.name, Outcome.RETRIED)
            await asyncio.sleep(wait)

    async def _try(self, session: aiohttp.ClientSession, occurrence: Occurrence) -> Told:
        if self.hook.argv:
            return await command.run(self.hook, occurrence)
        return await webhook.post(session, self.hook, occurrence)

    def _fails(self, why: str) -> None:
        if not self._ill:
            self._ill = True
            self._emit(HookFailed(self.hook.name, why))

    def _works(self) -> None:
        if self._ill and not self._queue:
            self._ill = False
            dropped, self._dropped = self._dropped, 0
            self._emit(HookWell(self.hook.name, dropped))
