"""Looks after everything that a priority depends on: each in a task of its own, so that none holds
up another, and one that two VIP groups name only once.

It says whether each is well; what follows from that is decided in ``standing``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from lvsguard.controller.command import Command
from lvsguard.controller.quorum import AskQuorum
from lvsguard.core.track import UNKNOWN, Condition, Finding, fold
from lvsguard.core.vrrp import Track, TrackKind
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.port import KernelError

FIRST_VERDICTS_S = 10.0
"""Longest wait for the first verdicts of a tracked service (after a start, or a reload that changed
its realservers). Then what is known decides."""


AskPeer = Callable[[str], Awaitable[Finding]]


async def nobody(vip: str) -> Finding:
    """There are no other directors to compare with."""
    return Finding(True)


class Tracks:
    """Everything tracked, and how each stands."""

    def __init__(self, quorum: AskQuorum, peer: AskPeer) -> None:
        """Nothing is looked at before ``run``. ``peer`` compares a VIP group's services with what
        other directors see."""
        self._quorum = quorum
        self._peer = peer
        self._wanted: frozenset[Track] = frozenset()
        self._conditions: dict[Track, Condition] = {}
        self._changed = asyncio.Event()
        self._waiting_since: dict[str, float] = {}
        self._interfaces: InterfaceWatch | None = None

    def configure(self, tracks: Iterable[Track]) -> None:
        """Look after exactly these; what is known of one that stays is kept."""
        self._wanted = frozenset(map(_subject, tracks))
        self._conditions = {t: c for t, c in self._conditions.items() if t in self._wanted}
        self._changed.set()

    def condition(self, track: Track) -> Condition:
        """How something tracked stands; unknown until the first look."""
        return self._conditions.get(_subject(track), UNKNOWN)

    async def run(self) -> None:
        """Look until cancelled."""
        running: dict[Track, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    for gone in running.keys() - self._wanted:
                        running.pop(gone).cancel()
                    for new in self._wanted - running.keys():
                        name = f"track {new.kind} {new.subject}"
                        running[new] = group.create_task(self._follow(new), name=name)
                    await self._changed.wait()
        finally:
            if self._interfaces is not None:
                self._interfaces.close()
                self._interfaces = None

    async def _follow(self, track: Track) -> None:
        look = self._look_at(track)
        while True:
            begun = time.monotonic()
            finding = await look()
            if track in self._wanted:
                self._conditions[track] = fold(self.condition(track), finding, track)
            await asyncio.sleep(max(track.interval - (time.monotonic() - begun), 0.01))

    def _look_at(self, track: Track) -> Callable[[], Awaitable[Finding]]:
        match track.kind:
            case TrackKind.SERVICE:
                return partial(self._look_at_service, track.subject)
            case TrackKind.INTERFACE:
                return partial(self._look_at_interface, track.subject)
            case TrackKind.FILE:
                return partial(_look_at_file, Path(track.subject))
            case TrackKind.COMMAND:
                return Command(track.argv, track.timeout).look
            case TrackKind.PEER:
                return partial(self._peer, track.subject)

    async def _look_at_service(self, name: str) -> Finding:
        found = await self._quorum(name)
        if found is None:
            return Finding(None, f"service {name} is not in force yet")
        if found.have >= found.need:
            self._waiting_since.pop(name, None)
            return Finding(True)
        if not found.unknown:
            self._waiting_since.pop(name, None)
        else:
            since = self._waiting_since.setdefault(name, time.monotonic())
            if time.monotonic() - since < FIRST_VERDICTS_S:
                return Finding(None, f"the first verdicts of service {name} are awaited")
        lack = f"live weight {found.have}, needs {found.need}"
        return Finding(False, f"service {name} has lost its quorum ({lack})")

    async def _look_at_interface(self, name: str) -> Finding:
        try:
            if self._interfaces is None:
                self._interfaces = InterfaceWatch()
            self._interfaces.read()
        except KernelError as error:
            return Finding(None, f"the state of interface {name} cannot be read: {error}")
        state = self._interfaces.state(name)
        if state is None:
            return Finding(False, f"interface {name} is not there")
        return Finding(True) if state.up else Finding(False, f"interface {name} is down")


def _subject(track: Track) -> Track:
    """A track without what an election makes of it."""
    return replace(track, drop=None)


async def _look_at_file(path: Path) -> Finding:
    # Beside the loop: its file system may hang.
    there = await asyncio.to_thread(_exists, path)
    return Finding(False, f"file {path} is there") if there else Finding(True)


def _exists(path: Path) -> bool:
    """Whether there is anything by that name, a dangling link included; what may not be looked at
    is not there."""
    with contextlib.suppress(OSError):
        path.lstat()
        return True
    return False
