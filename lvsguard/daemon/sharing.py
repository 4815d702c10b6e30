"""Overrides of operators, on this director and on the others: set, ended, kept, told, and taken
from who tells them.

What is decided here is in force here at once; others hear of it when they can be reached.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from lvsguard.admin.journal import Journal
from lvsguard.admin.operations import Kept
from lvsguard.controller import Controller
from lvsguard.core.event import Event
from lvsguard.core.ledger import SKEW_S, Ledger, Outcome, Record, Stamp, prune_in
from lvsguard.core.override import CONFLICT, Override, OverrideKind, Target
from lvsguard.core.peer_event import PeerOverrides

EXPIRY: Final = "expiry"
REFUSALS: Final = {
    Outcome.AHEAD: f"its clock is more than {SKEW_S:g} s ahead of this one: set both (timedatectl)",
    Outcome.FULL: "there are too many: clear what is not needed",
}


class Sharing:
    """The overrides that directors share. Implements ``admin.peer_session.Shared``."""

    def __init__(
        self, director: str, controller: Controller, journal: Journal, emit: Callable[[Event], None]
    ) -> None:
        """Puts in force what the journal has kept."""
        self._controller = controller
        self._journal = journal
        self._emit = emit
        self._director = director
        self._ledger = Ledger(director)
        self._refused: dict[str, str] = {}
        self.told: Callable[[tuple[Record, ...]], None] = lambda records: None
        """Gets what is decided here, to tell the others."""
        self.ended: Callable[[Target], None] = lambda target: None
        """Gets whom another director has ended a drain of."""
        self.recall(tell=False)

    @property
    def fingerprint(self) -> str:
        """Equal exactly when two directors hold the same."""
        return self._ledger.fingerprint

    @property
    def records(self) -> tuple[Record, ...]:
        """All that is known of overrides."""
        return self._ledger.records

    def recall(self, *, tell: bool = True) -> None:
        """Take in what the journal has kept from an earlier run: at the start, and when a file can
        be read at last. What was decided since is newer."""
        now = time.time()
        over = [override for override in self._journal.overrides() if override.expired(now)]
        self._take(self._journal.records(), now, tell=tell)
        known = {override.key for override in self._controller.book.overrides}
        for override in self._journal.overrides():
            record = self._ledger.get(override.key)
            if record is None and not override.expired(now) and override.key not in known:
                # Kept by an lvsguard that shared nothing. Whatever was said since then is later.
                said = Stamp(int(min(override.since, now) * 1000), director=self._director)
                self._ledger.merge(Record(override.key, said, override), now)
                self._put(override, tell=tell)
        for override in over:
            record = self._ledger.get(override.key)
            if override.key not in known and (record is None or not record.in_force(now)):
                # Nobody has told of its end. The first pass ends it, as while the daemon runs.
                self._controller.book.put(override)
        self._journal.set_records(self._ledger.records)

    # -- decided here ----------------------------------------------------------------------

    async def set(self, override: Override) -> Kept:
        """Put an override in force, tell it, and keep it."""
        before = self._controller.book.held(*override.key)
        self._controller.override(override)
        self._decided(self._ledger.write(override, time.time()))
        return replace(await self._journal.put(override), before=before)

    async def clear(self, target: Target, kind: OverrideKind, actor: str, reason: str = "") -> Kept:
        """End an override, tell it, and keep that."""
        before = self._controller.clear(target, kind, actor, reason)
        self._decided(self._ledger.end((target, kind), actor, time.time(), reason))
        return replace(await self._journal.drop((target, kind)), before=before)

    def _decided(self, record: Record | None) -> None:
        if record is not None:
            self._journal.set_records(self._ledger.records)
            self.told((record,))

    # -- decided elsewhere -----------------------------------------------------------------

    def take(self, peer: str, records: Iterable[Record]) -> str:
        """Another director's word. Why something of it was not taken; empty: all is well."""
        wrong = self._take(records, time.time())
        if wrong and wrong != self._refused.get(peer):
            self._emit(PeerOverrides(peer, wrong))
            self._refused[peer] = wrong
        return wrong

    def agrees(self, peer: str) -> None:
        """Another director holds the same: what was refused is so no more."""
        self._refused.pop(peer, None)

    def _take(self, records: Iterable[Record], now: float, *, tell: bool = True) -> str:
        wrong, changed = "", False
        for record in records:
            outcome = self._ledger.merge(record, now)
            wrong = REFUSALS.get(outcome, wrong)
            if outcome is Outcome.NEWS:
                changed = True
                self._follow(record, now, tell=tell)
        if changed:
            self._journal.set_records(self._ledger.records)
        return wrong

    def _follow(self, record: Record, now: float, *, tell: bool) -> None:
        """Do as the latest word says."""
        target, kind = record.key
        where = record.stamp.director
        if record.override is not None and record.in_force(now):
            override = record.override
            if where != self._director:
                override = replace(override, actor=f"{override.actor} on {where}")
            self._put(override, tell=tell)
            self._journal.take(override)
        else:
            actor = EXPIRY if record.override is not None else f"{record.actor} on {where}"
            self._end(target, kind, actor, record.reason)
            self._journal.forget(record.key)

    def _end(self, target: Target, kind: OverrideKind, actor: str, reason: str) -> None:
        """End what is held, but for what this director has set by itself: that is not shared, so
        no other one can have meant it."""
        held = self._controller.book.held(target, kind)
        if held is None or held.actor == CONFLICT:
            return
        self._controller.clear(target, kind, actor, reason)
        if kind is OverrideKind.DRAIN:
            self.ended(target)

    def _put(self, override: Override, *, tell: bool) -> None:
        """``tell``: it is news, and no start."""
        if tell:
            self._controller.override(override)
        else:
            self._controller.book.put(override)

    async def run(self) -> None:
        """Forget what nobody needs any more, until cancelled."""
        while True:
            await asyncio.sleep(prune_in(time.time()))
            if self._ledger.prune(time.time()):
                self._journal.set_records(self._ledger.records)
