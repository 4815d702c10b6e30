"""Does what the elections ask for, in their order, though addresses take the kernel a while.

Everything else of a sync group waits behind a write of its addresses: a master must not say that it
is one before it has them. Other groups do not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from lvsguard.vrrp.action import Action

Do = Callable[[str, Action], Awaitable[None] | None]


class Hands:
    """Those of one sync group."""

    def __init__(self, do: Do) -> None:
        """``do`` is called with the name of an instance and what it asks for; what takes time comes
        back as an awaitable. What it raises is a bug: the loop's exception handler hears of it, and
        what waited behind it is still done."""
        self._do = do
        self._waiting: deque[tuple[str, Action]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is still to be done."""
        return self._task is not None

    def take(self, actions: list[tuple[str, Action]]) -> None:
        """Do these after those that wait."""
        self._waiting.extend(actions)
        if self._task is None:
            self._go_on()

    def forget(self, unwanted: Callable[[str, Action], bool]) -> None:
        """Leave undone those of the waiting ones that are of no use any more."""
        kept = [one for one in self._waiting if not unwanted(*one)]
        self._waiting.clear()
        self._waiting.extend(kept)

    async def rest(self) -> None:
        """Wait until nothing is left to be done."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _go_on(self) -> None:
        while self._waiting:
            slow = self._do(*self._waiting.popleft())
            if slow is not None:
                self._task = asyncio.ensure_future(self._finish(slow))
                self._task.add_done_callback(_raise)
                return

    async def _finish(self, slow: Awaitable[None]) -> None:
        try:
            await slow
        finally:
            self._task = None
            self._go_on()


def _raise(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()
