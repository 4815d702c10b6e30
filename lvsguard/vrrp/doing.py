"""Does what the elections ask for: sends adverts, announces, has addresses written, tells.

Which of it and in what order was decided before; ``Hands`` keep the order.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.action import (
    Action,
    AddAddresses,
    Announce,
    Conflict,
    Handover,
    Occasion,
    RemoveAddresses,
    Send,
    Stalled,
    Stopped,
)
from lvsguard.vrrp.action import RoleChanged as RoleAction
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.announce import Cause
from lvsguard.vrrp.announcing import Announcing
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.lateness import Lateness
from lvsguard.vrrp.logbook import Logbook
from lvsguard.vrrp.party import Party
from lvsguard.vrrp.paths import Paths
from lvsguard.vrrp.roster import Roster
from lvsguard.vrrp.tables import Tables
from lvsguard.vrrp.telling import Telling
from lvsguard.vrrp.transitions import Trigger

LATE: Final = 0.5
"""Of the interval: an advert is late by so much. By two intervals, and another takes over."""
RETRY_S: Final = 1.0
"""Until addresses that could not be added are tried again."""
_CAUSE: Final = {Occasion.TAKEOVER: Cause.MASTER, Occasion.CONTESTED: Cause.CONTESTED}


class Caller(Protocol):
    """Who hears what came of it."""

    def added(self, party: Party, mine: Instance, now: float) -> None:
        """The addresses of an instance stand, or could not be added: then it is broken."""

    def removed(self, party: Party) -> None:
        """Addresses of a party were taken off, as far as they could be."""

    def left(self, party: Party) -> None:
        """A party has nothing more to do."""


class Doing:
    """For all parties of one station."""

    def __init__(
        self, paths: Paths, keeper: Keeper, tables: Tables, book: Logbook, telling: Telling
    ) -> None:
        self.announcing = Announcing()
        self.lateness = Lateness()
        self.late: dict[str, float] = {}
        """When an advert was due that is being sent, by instance."""
        self._stalled = 0.0
        """For how long the process did not run the last time that an election saw it, s."""
        self._paths = paths
        self._keeper = keeper
        self._tables = tables
        self._book = book
        self._telling = telling

    def bind(
        self, roster: Roster, caller: Caller
    ) -> Callable[[str, Action], Awaitable[None] | None]:
        """What hands are given to do, for a roster."""

        def do(name: str, action: Action) -> Awaitable[None] | None:
            mine = roster.instances[name]
            return self._do(roster.party_of(mine), mine, action, caller)

        return do

    def _do(
        self, party: Party, mine: Instance, action: Action, caller: Caller
    ) -> Awaitable[None] | None:
        now = time.monotonic()
        match action:
            case Send(advert):
                self._send(mine, party.group.members[mine.name].local, advert, now)
            case AddAddresses():
                return self._add(party, mine, caller)
            case RemoveAddresses():
                self.announcing.stop(mine.name)
                self._book.left(mine.place)
                self.late.pop(mine.name, None)
                return self._remove(party, mine, caller)
            case Announce(occasion):
                self.announcing.begin(mine, _CAUSE[occasion], now, ask=True)
                self.announce(now)
            case Stopped():
                party.stopped.add(mine.name)
                if party.gone:
                    caller.left(party)
            case _:
                self._tell(party, mine, action, now)
        return None

    def announce(self, now: float) -> None:
        """Send a slice of what is due."""
        self._telling.trouble("", self.announcing.send(self._paths.frames, now), now)

    def _send(self, mine: Instance, speaker: IPAddress, advert: Advert, now: float) -> None:
        links = [self._paths.links[path] for path in mine.paths]
        self._telling.trouble(mine.vip, mine.say(advert, speaker, links, time.time()), now)
        self._book.spoke(mine.place, advert, now)
        self._was_late(mine, now)

    def _was_late(self, mine: Instance, now: float) -> None:
        due = self.late.pop(mine.name, None)
        if due is not None:
            self.lateness.note(now - due)
            mine.late += now - due > LATE * mine.settings.interval

    async def _add(self, party: Party, mine: Instance, caller: Caller) -> None:
        troubles = await self._keeper.add(mine)
        now = time.monotonic()
        if troubles:
            # Who has not got the addresses says nothing of them.
            party.hands.forget(lambda _, waiting: _takes(waiting))
            party.why_broken = troubles[0]
            party.broken[mine.name] = now + RETRY_S
            self._telling.trouble(mine.vip, troubles, now)
        caller.added(party, mine, now)

    async def _remove(self, party: Party, mine: Instance, caller: Caller) -> None:
        troubles = await self._keeper.remove(mine)
        self._telling.trouble(mine.vip, troubles, time.monotonic())
        caller.removed(party)

    def _tell(self, party: Party, mine: Instance, action: Action, now: float) -> None:
        match action:
            case RoleAction(before, after, cause):
                if cause is Trigger.WAS_LATE:  # it gave up rather than say that one
                    mine.late += 1
                    self.lateness.note(self._stalled)
                self._tables.changed(mine, before, after, cause, now)
            case Stalled(seconds):
                self._stalled = seconds
                self._tables.stalled(mine, seconds)
            case Handover(stage):
                self._tables.handover(mine, stage, now)
            case Conflict():
                mine.conflicts += 1
            case _:
                pass
        election = party.group.members[mine.name]
        self._telling.action(mine, action, str(election.master or ""))


def _takes(action: Action) -> bool:
    """Whether it belongs to taking the addresses."""
    said = isinstance(action, Send) and action.advert.priority > 0
    return said or isinstance(action, AddAddresses | Announce)
