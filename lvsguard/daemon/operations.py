"""What the admin socket may ask of the running daemon.

It turns requests into facts and keeps them in the journal; the controller does the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from lvsguard.admin.entry import Entry
from lvsguard.admin.failover import FailedOver
from lvsguard.admin.feed import Subscription
from lvsguard.admin.filter import EVERYTHING, Filter
from lvsguard.admin.journal import Journal
from lvsguard.admin.operations import ConfigRefused, Kept, ReloadOutcome
from lvsguard.config.problem import ConfigError
from lvsguard.controller import Controller
from lvsguard.controller.view import LiveView
from lvsguard.core.config import Config
from lvsguard.core.event import Event, ReloadRefused
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.step import Step
from lvsguard.daemon.failover import Failovers
from lvsguard.daemon.sharing import Sharing
from lvsguard.kernel.port import KernelError

Load = Callable[[str | None], Awaitable[Config]]
"""Reads a config: the daemon's own file for None, else this TOML text. Raises ConfigError."""

Face = Callable[[Config], Awaitable[Config]]
"""Gives a config's checks the own addresses that they lack; the same config where none came. Raises
KernelError."""


class DaemonOperations:
    """Implements ``admin.operations.Operations``."""

    def __init__(
        self,
        controller: Controller,
        view: LiveView,
        journal: Journal,
        sharing: Sharing,
        *,
        load: Load,
        face: Face,
        adopt: Callable[[Config, str], Awaitable[int]],
        emit: Callable[[Event], None],
        reloading: Callable[[bool], None],
        failovers: Failovers,
        turn: Callable[[], AbstractAsyncContextManager[Sequence[str]]],
    ) -> None:
        """``adopt`` puts an accepted config in force for an actor, and counts its kernel steps;
        ``reloading`` is told when a reload begins and ends; ``turn``: see ``turn``."""
        self._controller = controller
        self._view = view
        self._journal = journal
        self._sharing = sharing
        self._load = load
        self._face = face
        self._adopt = adopt
        self._emit = emit
        self._reloading = reloading
        self._failovers = failovers
        self._turn = turn
        self._one_reload = asyncio.Lock()

    def view(self) -> LiveView:
        """The published picture."""
        return self._view

    def turn(self) -> AbstractAsyncContextManager[Sequence[str]]:
        """A turn among directors."""
        return self._turn()

    async def set_override(self, override: Override) -> Kept:
        """Put an override in force, tell other directors, then put it on disk."""
        return await self._sharing.set(override)

    async def clear_override(
        self, target: Target, kind: OverrideKind, actor: str, reason: str = ""
    ) -> Kept:
        """End an override, here and on disk."""
        return await self._sharing.clear(target, kind, actor, reason)

    async def reload(self, actor: str) -> ReloadOutcome:
        """Read the file again and take it over, or refuse it whole."""
        async with self._one_reload:
            self._reloading(True)
            try:
                return await self._reload(actor)
            finally:
                self._reloading(False)

    async def _reload(self, actor: str) -> ReloadOutcome:
        try:
            config = await self._load(None)
        except ConfigError as error:
            return self._refuse(tuple(str(p) for p in error.problems), actor)
        except KernelError as error:  # this host's interfaces could not be read
            return self._refuse((str(error),), actor)
        steps = await self._adopt(config, actor)
        await self._journal.flush()  # what is acknowledged is not forgotten by a crash
        self._view.reload_ok = True
        self._view.reloaded = time.time()
        return ReloadOutcome(True, config.digest, steps)

    async def face(self, actor: str) -> None:
        """Take over own addresses that came since the config was read. Raises KernelError.

        The file may be another one by now, and is for its author to reload.
        """
        async with self._one_reload:
            before = self._controller.book.config
            config = await self._face(before)
            if config is not before:
                await self._adopt(config, actor)

    def _refuse(self, problems: tuple[str, ...], actor: str) -> ReloadOutcome:
        self._view.reload_ok = False
        self._emit(ReloadRefused(problems, actor))
        return ReloadOutcome(False, self._view.config_digest, problems=problems)

    async def plan(self, config: str | None) -> tuple[Step, ...]:
        """What a config would do now."""
        try:
            loaded = await self._load(config)
        except ConfigError as error:
            raise ConfigRefused([str(p) for p in error.problems]) from error
        return await self._controller.preview(loaded)

    async def failover(
        self, vip: str | None, actor: str, *, resume: bool, force: bool
    ) -> Sequence[FailedOver]:
        """Hand over, or preempt again."""
        if resume:
            found = await self._failovers.resume(vip, actor)
        else:
            found = await self._failovers.failover(vip, actor, force=force)
        await self._journal.flush()
        return found

    async def history(
        self, since: float, limit: int, wanted: Filter = EVERYTHING
    ) -> Sequence[Entry]:
        """Past entries."""
        return await self._journal.query(since, limit, wanted)

    def subscribe(self) -> Subscription:
        """Entries from now on."""
        return self._journal.subscribe()
