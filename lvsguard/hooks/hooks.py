"""All hooks of a director."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from lvsguard.core.event import Event
from lvsguard.core.hook import HookConfig, Occurrence, Outcome
from lvsguard.hooks.worker import Worker

LAST_S: Final = 2.0
"""How long a stop waits for hooks that are at work."""
_LOOK_S: Final = 0.02


class Hooks:
    """Tells each hook the events that it wants, beside everything else."""

    def __init__(
        self, emit: Callable[[Event], None], count: Callable[[str, Outcome], None]
    ) -> None:
        """``count``: of outcomes, by the hook's name."""
        self._emit = emit
        self._count = count
        self._workers: dict[str, Worker] = {}
        self._changed = asyncio.Event()

    def configure(self, hooks: Sequence[HookConfig]) -> None:
        """Have exactly these. One that is as it was goes on, with what waits for it."""
        before = self._workers
        self._workers = {}
        for hook in hooks:
            known = before.get(hook.name)
            same = known is not None and known.hook == hook
            self._workers[hook.name] = (
                known if known is not None and same else Worker(hook, self._emit, self._count)
            )
        self._changed.set()

    def offer(self, occurrence: Occurrence) -> None:
        """Something happened. Never waits, and never fails."""
        for worker in tuple(self._workers.values()):
            worker.offer(occurrence)

    async def run(self) -> None:
        """Tell until cancelled."""
        tasks: dict[Worker, asyncio.Task[None]] = {}
        try:
            while True:
                self._changed.clear()
                wanted = set(self._workers.values())
                for worker in tasks.keys() - wanted:
                    await _cancel(tasks.pop(worker))
                for worker in wanted - tasks.keys():
                    name = f"hook {worker.hook.name}"
                    tasks[worker] = asyncio.create_task(worker.run(), name=name)
                waiting = asyncio.create_task(self._changed.wait())
                try:
                    done, _ = await asyncio.wait(
                        (waiting, *tasks.values()), return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    waiting.cancel()
                for task in done - {waiting}:
                    await task  # a bug: let it be seen
        finally:
            await asyncio.gather(*map(_cancel, tasks.values()))

    async def last_words(self) -> None:
        """Give what waits a moment, for the daemon stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                while any(w.busy or w.waiting for w in self._workers.values()):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_S)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
