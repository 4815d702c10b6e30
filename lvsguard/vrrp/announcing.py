"""Announces the addresses of the instances that hold them, and asks whether somebody else has them.

When is ``announce``'s business; this keeps one announcer for all VIP groups of the same rhythm, so
that they take turns, and sends what is due through the interfaces' frame sockets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import inf

from lvsguard.core.model import IPAddress
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.announce import Announcement, Announcer, Cause, Rhythm
from lvsguard.vrrp.frame_socket import FrameSocket
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.watch import QUESTIONS


class Announcing:
    """All announcements and questions of one process."""

    def __init__(self) -> None:
        self._announcers: dict[Rhythm, Announcer] = {}
        self._questions = Announcer(QUESTIONS)
        self.due = inf
        """When to call ``send`` next, monotonic."""
        self.sent = 0
        """Announcements."""

    def begin(self, mine: Instance, cause: Cause, now: float, *, ask: bool = False) -> None:
        """Announce the addresses of an instance; ``ask``: and whether another one has them."""
        items = [Announcement(one.interface, one.address) for one in mine.addresses]
        announcer = self._announcers.setdefault(mine.rhythm, Announcer(mine.rhythm))
        announcer.announce(mine.name, items, cause, now)
        if ask:
            self._questions.announce(mine.name, items, Cause.MASTER, now)
        self._note_due()

    def object(self, mine: Instance, addresses: Collection[IPAddress], now: float) -> None:
        """Announce these addresses of an instance alone, beside what else is announced of it."""
        items = [
            Announcement(one.interface, one.address)
            for one in mine.addresses
            if one.address in addresses
        ]
        rhythm = _objection(mine.rhythm)
        announcer = self._announcers.setdefault(rhythm, Announcer(rhythm))
        announcer.announce(_contested(mine.name), items, Cause.CONTESTED, now)
        self._note_due()

    def hold(self, name: str, until: float) -> None:
        """Repeat no announcement of an instance before then."""
        for announcer in self._announcers.values():
            announcer.hold(name, until)
            announcer.hold(_contested(name), until)
        self._note_due()

    def stop(self, name: str) -> None:
        """Say nothing more of an instance: the addresses are somebody else's now."""
        for announcer in self._announcers.values():
            announcer.stop(name)
            announcer.stop(_contested(name))
        self._questions.stop(name)
        self._note_due()

    def keep(self, instances: Iterable[Instance]) -> None:
        """Forget the rhythms that none of these has."""
        rhythms = {rhythm for one in instances for rhythm in (one.rhythm, _objection(one.rhythm))}
        self._announcers = {r: one for r, one in self._announcers.items() if r in rhythms}
        self._note_due()

    def send(self, frames: Mapping[str, FrameSocket], now: float) -> list[str]:
        """Send a slice of what is due; what went wrong."""
        if now < self.due:
            return []
        troubles: list[str] = []
        for announcer in self._announcers.values():
            for interface, address in announcer.take(now):
                try:
                    frames[interface].announce(address)
                    self.sent += 1
                except KernelError as error:
                    troubles.append(str(error))
        for interface, address in self._questions.take(now):
            try:
                frames[interface].ask(address)
            except KernelError as error:
                troubles.append(str(error))
        self._note_due()
        return troubles

    def _note_due(self) -> None:
        timers = (one.timer() for one in (*self._announcers.values(), self._questions))
        self.due = min((at for at in timers if at is not None), default=inf)


def _objection(rhythm: Rhythm) -> Rhythm:
    """Now and a while later; the refresh is that of all addresses."""
    return replace(rhythm, refresh=0.0)


def _contested(name: str) -> str:
    """Under which name an instance's objections are planned; no instance has it."""
    return f"{name} contested"
