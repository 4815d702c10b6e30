"""What the admin server may ask of the daemon: the port that the composition root fills.

Nothing here acts; the server must reach the rest of the project through this alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from lvsguard.admin.entry import Entry
from lvsguard.admin.failover import FailedOver
from lvsguard.admin.feed import Subscription
from lvsguard.admin.filter import EVERYTHING, Filter
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.snapshot import View
from lvsguard.core.step import Step


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether a change is on disk. It is in force either way."""

    durable: bool
    message: str = ""
    """Why it is not, and what to do; empty when durable."""
    before: Override | None = None
    """The override of the same target and kind that it replaced or ended."""


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """What became of a reload."""

    accepted: bool
    digest: str
    """Of the configuration that is in force now."""
    steps: int = 0
    """Kernel steps that it takes."""
    problems: tuple[str, ...] = ()
    """Why it was refused: ``file:line: key: message``."""


class ConfigRefused(Exception):
    """A configuration with problems; ``problems`` has one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Operations(Protocol):
    """The daemon, as the admin server knows it."""

    def view(self) -> View:
        """The published picture, as it is now."""

    def turn(self) -> AbstractAsyncContextManager[Sequence[str]]:
        """A turn among directors, in which no other one that is heard chooses what to drain, and
        what it chose before is in force here. Gives a line for each of the others of which that is
        not so."""

    async def set_override(self, override: Override) -> Kept:
        """Put an override in force and keep it; replaces one of the same target and kind."""

    async def clear_override(
        self, target: Target, kind: OverrideKind, actor: str, reason: str = ""
    ) -> Kept:
        """End an override; one that does not exist is no error."""

    async def reload(self, actor: str) -> ReloadOutcome:
        """Read the configuration file again and take it over, or refuse it whole."""

    async def plan(self, config: str | None) -> tuple[Step, ...]:
        """What would be done under a configuration (TOML text), nothing of it done.

        None: the daemon's own file as it is on disk now. Raises ConfigRefused.
        """

    async def failover(
        self, vip: str | None, actor: str, *, resume: bool, force: bool
    ) -> Sequence[FailedOver]:
        """Give up mastership of a VIP group (None: of all), or end that with ``resume``; what came
        of it. ``force``: whoever takes over. Raises FailoverRefused."""

    async def history(
        self, since: float, limit: int, wanted: Filter = EVERYTHING
    ) -> Sequence[Entry]:
        """Entries at or after ``since`` (wall clock) that are wanted, oldest first, the newest
        ``limit``."""

    def subscribe(self) -> Subscription:
        """Entries from now on."""
