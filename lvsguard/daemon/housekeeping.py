"""What the daemon does by the clock: it tells its manager that it lives and how it does, keeps what
it owns in the journal, and keeps the collector from what stays.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

from lvsguard.admin.journal import Journal
from lvsguard.controller.loop import Controller
from lvsguard.controller.view import LiveView
from lvsguard.core.config import Config
from lvsguard.core.election_status import ElectionStatus
from lvsguard.daemon import log
from lvsguard.daemon.systemd import ServiceManager
from lvsguard.daemon.unchecked import forget_unchecked
from lvsguard.telemetry.metrics import Metrics
from lvsguard.vrrp.ownership import AddressOwner

READY_S = 10.0
"""Longest wait for the first complete pass before the service manager is told ready anyway: the
daemon serves its admin socket and repairs on, and its status line says what is wrong."""
TICK_S = 0.25
"""Rhythm of housekeeping: loop lag, watchdog, status line."""


class Housekeeping:
    """Of one running director."""

    def __init__(
        self,
        controller: Controller,
        view: LiveView,
        owner: AddressOwner,
        journal: Journal,
        manager: ServiceManager,
        metrics: Metrics,
        elections: Callable[[], ElectionStatus | None],
    ) -> None:
        """``elections``: how the VRRP process does."""
        self._controller = controller
        self._view = view
        self._owner = owner
        self._journal = journal
        self._manager = manager
        self._metrics = metrics
        self._elections = elections

    async def announce_ready(self) -> None:
        """Tell the service manager, once all is in the kernel or that takes too long."""
        try:
            async with asyncio.timeout(READY_S):
                await self._controller.programmed.wait()
        except TimeoutError:
            log.LOGGER.warning("not all is in the kernel after %g s: serving anyway", READY_S)
        # What is alive by now stays; leaving it out of every collection keeps the loop on time.
        gc.freeze()
        gc.enable()
        self._manager.ready()

    async def run(self) -> None:
        """Until cancelled."""
        fed, waits = 0.0, True
        while True:
            begun = time.monotonic()
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            waited, waits = waits, self._controller.book.awaits_first_verdicts
            if waited and not waits:
                gc.freeze()  # the first verdicts stay as well, at the start and after a reload
            self._metrics.loop_lag(now - begun - TICK_S)
            self._metrics.elections(self._elections())
            if self._manager.watchdog_interval and now - fed >= self._manager.watchdog_interval:
                self._manager.alive()
                fed = now
            self._manager.status(self._status_line())

    async def remember(self) -> None:
        """Keep the journal in step with what is owned, what has expired and what is checked, until
        cancelled. Apart from the rest: a slow disk must not be taken for a daemon that hangs."""
        checked: Config | None = None
        while True:
            await asyncio.sleep(TICK_S)
            await self.remember_owned()
            live = {override.key for override in self._controller.book.overrides}
            if over := [o.key for o in self._journal.overrides() if o.key not in live]:
                await self._journal.drop(*over)
            config = self._controller.book.config
            if config is not checked and await forget_unchecked(
                self._controller.book, self._journal
            ):
                checked = config

    async def remember_owned(self) -> None:
        """What is written to the kernel must be known as one's own by the next start."""
        await self._journal.set_owned(self._controller.owned)
        await self._journal.set_addresses(self._controller.owned_addresses)

    def _status_line(self) -> str:
        loop = self._view.loop()
        if loop.trouble:
            return f"trouble: {loop.trouble[0]}"
        book = self._controller.book
        return (
            f"{len(book.config.services)} services, {len(book.checks)} checks, "
            f"VIPs held: {len(self._owner.held)} of {len(book.addresses)}"
        )
