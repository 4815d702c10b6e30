"""What directors share of operators' overrides, and whose word wins. Pure.

Each change carries a stamp of a hybrid logical clock (Kulkarni and others, "Logical Physical
Clocks", 2014): wall clock in milliseconds, a counter, the director. The greater stamp wins, so that
directors which have seen the same changes, in whatever order, hold the same. An override that was
ended leaves a tombstone, or a director that was away would bring it back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from lvsguard.core.override import Override, OverrideKind, Target

SKEW_S = 60.0
"""A stamp that lies further ahead of this director's clock is refused: one clock that runs ahead
must not win against everybody for as long."""
KEPT_S = 30 * 86400.0
"""How long what has ended is remembered. A director that was away for longer brings back what was
ended meanwhile."""
PRUNE_S = 60.0
"""What has ended is forgotten at each full minute of the wall clock alone: directors that did so at
moments of their own would not hold the same in between."""
RECORDS_MAX = 10_000

Key = tuple[Target, OverrideKind]


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """When something was decided, in an order that all directors agree on."""

    wall: int
    """Milliseconds since the epoch."""
    counter: int = 0
    director: str = ""


class HybridClock:
    """Gives stamps that are later than all that this director has given or seen."""

    def __init__(self, director: str) -> None:
        self._director = director
        self._last = Stamp(0)

    def tick(self, now: float) -> Stamp:
        """A stamp for something that is decided at ``now`` (wall clock, seconds)."""
        wall = max(int(now * 1000), self._last.wall)
        counter = self._last.counter + 1 if wall == self._last.wall else 0
        self._last = Stamp(wall, counter, self._director)
        return self._last

    def observe(self, stamp: Stamp) -> None:
        """Be later than this from now on."""
        self._last = max(self._last, stamp)

    def restart(self) -> None:
        """Forget what was seen: it lay ahead of every clock."""
        self._last = Stamp(0)


@dataclass(frozen=True, slots=True)
class Record:
    """The latest word on one (target, kind): an override, or that it was ended."""

    key: Key
    stamp: Stamp
    override: Override | None
    """None: a tombstone."""
    actor: str = ""
    """Who ended it."""
    reason: str = ""
    """Why it was ended. No part of the fingerprint, nor of what wins: a director of a version that
    passes on a tombstone without it holds the same word."""

    def in_force(self, now: float) -> bool:
        """Whether it is an override whose time is not over at ``now`` (wall clock)."""
        return self.override is not None and not self.override.expired(now)

    def ahead(self, now: float) -> bool:
        """Whether it lies so far ahead of the clock that nobody takes it."""
        return self.stamp.wall > (now + SKEW_S) * 1000

    def stale(self, now: float) -> bool:
        """Whether it had ended so long ago, at the last full minute, that nobody needs to remember
        it."""
        now -= now % PRUNE_S
        if self.override is None:
            return now - self.stamp.wall / 1000 > KEPT_S
        expires = self.override.expires
        return expires is not None and now - expires > KEPT_S


def prune_in(now: float) -> float:
    """Seconds until something is forgotten next."""
    return PRUNE_S - now % PRUNE_S


class Outcome(StrEnum):
    """What became of another director's record."""

    NEWS = "news"
    """It is the latest word now."""
    KNOWN = "known"
    """It, or something later, was here already."""
    STALE = "stale"
    """It has ended too long ago to matter."""
    AHEAD = "ahead"
    """Its stamp lies too far ahead of this director's clock."""
    FULL = "full"
    """There are too many records."""


class Ledger:
    """The latest word on everything that was overridden."""

    def __init__(self, director: str, records: Iterable[Record] = ()) -> None:
        """``records``: what was kept from an earlier run."""
        self._clock = HybridClock(director)
        self._records: dict[Key, Record] = {}
        self._print = 0
        for record in records:
            self._put(record)

    @property
    def records(self) -> tuple[Record, ...]:
        """All of them."""
        return tuple(self._records.values())

    def get(self, key: Key) -> Record | None:
        """The latest word on one."""
        return self._records.get(key)

    @property
    def fingerprint(self) -> str:
        """Equal exactly when two ledgers hold the same words (16 hex digits)."""
        return f"{self._print:016x}"

    def in_force(self, now: float) -> tuple[Override, ...]:
        """The overrides that hold at ``now``."""
        return tuple(r.override for r in self.records if r.override and r.in_force(now))

    def write(self, override: Override, now: float) -> Record | None:
        """An override was set here. None: that is the latest word already."""
        known = self._records.get(override.key)
        if known is not None and known.override == override:
            return None
        if known is None and len(self._records) >= RECORDS_MAX:
            first = self._first_end()
            if first is not None:
                self._forget(first.key)
        return self._put(Record(override.key, self._clock.tick(now), override))

    def end(self, key: Key, actor: str, now: float, reason: str = "") -> Record | None:
        """An override was ended here. None: nobody knows it, or it had ended already."""
        known = self._records.get(key)
        if known is None or known.override is None:
            return None
        return self._put(Record(key, self._clock.tick(now), None, actor, reason))

    def merge(self, record: Record, now: float) -> Outcome:
        """Take another director's word in."""
        if record.ahead(now):
            return Outcome.AHEAD
        known = self._records.get(record.key)
        if known is not None:
            if known.stamp > record.stamp or _order(known) >= _order(record):
                return Outcome.KNOWN
        elif record.stale(now):
            return Outcome.STALE
        elif len(self._records) >= RECORDS_MAX:
            first = self._first_end()
            if first is None:
                return Outcome.FULL
            if record.override is None and record.stamp < first.stamp:
                return Outcome.STALE  # the latest that have ended are kept, by all directors alike
            self._forget(first.key)
        self._put(record)
        return Outcome.NEWS

    def prune(self, now: float) -> bool:
        """Forget what nobody needs; stamp anew what lies so far ahead of the clock that nobody
        would take it (the clock was wrong then, and was set right). Whether anything changed."""
        stale = [key for key, record in self._records.items() if record.stale(now)]
        for key in stale:
            self._forget(key)
        ahead = sorted((r for r in self.records if r.ahead(now)), key=_order)
        if ahead:
            self._clock.restart()
            for record in self._records.values():
                if not record.ahead(now):
                    self._clock.observe(record.stamp)
            for record in ahead:
                self._put(replace(record, stamp=self._clock.tick(now)))
        return bool(stale or ahead)

    def _first_end(self) -> Record | None:
        """Of all that has ended, what did so first."""
        ended = (record for record in self._records.values() if record.override is None)
        return min(ended, key=lambda record: record.stamp, default=None)

    def _forget(self, key: Key) -> None:
        self._print ^= _mark(self._records.pop(key))

    def _put(self, record: Record) -> Record:
        known = self._records.get(record.key)
        self._print ^= _mark(record) ^ (0 if known is None else _mark(known))
        self._records[record.key] = record
        self._clock.observe(record.stamp)
        return record


def wins(record: Record, other: Record) -> bool:
    """Whether a record is the later word of the two on the same."""
    return _order(record) > _order(other)


def _mark(record: Record) -> int:
    """Its part in the fingerprint: all of them together, in any order (exclusive or)."""
    return int.from_bytes(hashlib.blake2b(repr(_order(record)).encode(), digest_size=8).digest())


def _order(record: Record) -> tuple[Stamp, bool, str]:
    """Which word wins. Two that differ under one stamp (a director that lost its memory and whose
    clock went back) are told apart by what they say, the same way everywhere."""
    return record.stamp, record.override is None, f"{record.key} {record.override} {record.actor}"
