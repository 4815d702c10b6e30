"""Overrides that directors share by way of etcd: the ledger's records, each in a key of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

import msgspec

from lvsguard.admin import peer_records
from lvsguard.admin.etcd import Entry, Etcd
from lvsguard.admin.etcd_words import OVERRIDES, encode, record_key
from lvsguard.admin.peer_records import Word
from lvsguard.admin.peer_session import Shared
from lvsguard.core.ledger import Record, wins

TRIES: Final = 5
"""To write a record that others write as well."""
WRITTEN: Final = 50
"""Records that are written at one turn: how this director does is told in between."""
SWEPT: Final = 100
"""Old records that are deleted at one turn, a third of a lease."""
_word: Final = msgspec.json.Decoder(Word)


class EtcdOverrides:
    """What etcd has of overrides, beside what this director holds."""

    def __init__(self, director: str, shared: Shared) -> None:
        """``director``: this one."""
        self._director = director
        self._shared = shared
        self._known: dict[str, tuple[int, Record]] = {}
        """As etcd has them, by key: revision and record."""
        self._due: dict[str, Record] = {}
        self._mine: dict[str, Record] = {}
        """As they are held here, by key: of the fingerprint that was looked at last."""
        self._looked = ""
        self._held: dict[int, Record] = {}
        """The same by identity, so that ten thousand are followed in two milliseconds."""
        self._open: set[str] = set()
        """Keys of which it is not known that both hold the same."""
        self.refused: dict[str, str] = {}
        """Why words of these directors are not taken."""

    def decided(self, records: Iterable[Record]) -> None:
        """Write these, which were decided here."""
        self._due |= {record_key(record): record for record in records}

    def forget_all(self) -> None:
        """Everything is read again."""
        self._known.clear()
        self._open |= self._mine.keys()

    def take(self, name: str, entry: Entry) -> None:
        """Somebody has written a record. Raises ValueError or MsgspecError."""
        record = peer_records.record(_word.decode(entry.value))
        self._known[name] = (entry.revision, record)
        self._open.add(name)
        self._merge(record, self.refused)

    def _merge(self, record: Record, refused: dict[str, str]) -> bool:
        author = record.stamp.director
        why = self._shared.take(author, (record,))
        if why:
            refused[author] = why
        return not why

    def agree(self, director: str) -> None:
        """It holds the same: what was refused is so no more."""
        self.refused.pop(director, None)
        self._shared.agrees(director)

    def forget(self, name: str) -> None:
        """A record was deleted."""
        self._known.pop(name, None)
        self._open.add(name)

    def reconcile(self, now: float) -> None:
        """Hold both side by side (``now``: wall clock): take what is later there, which may have
        been refused until now, and write what is later here, which may have been stamped anew, or
        come from a journal that could not be read before."""
        self._follow()
        refused: dict[str, str] = {}
        self._open = {name for name in self._open if not self._settle(name, now, refused)}
        for author in self.refused.keys() - refused.keys():
            self._shared.agrees(author)
        self.refused = refused

    def _follow(self) -> None:
        """See what has changed here."""
        if self._looked == self._shared.fingerprint:
            return
        self._looked = self._shared.fingerprint
        before, self._held = self._held, {id(record): record for record in self._shared.records}
        for gone in before.keys() - self._held.keys():
            name = record_key(before[gone])
            self._mine.pop(name, None)
            self._open.add(name)
        for new in self._held.keys() - before.keys():
            name = record_key(self._held[new])
            self._mine[name] = self._held[new]
            self._open.add(name)

    def _settle(self, name: str, now: float, refused: dict[str, str]) -> bool:
        """See to one; whether nothing more is to be done."""
        own, (_, known) = self._mine.get(name), self._known.get(name, (0, None))
        if own == known:
            return True
        if own is not None and self._outdoes(own, known, now):
            self._due[name] = own
            return False
        return known is None or self._merge(known, refused)

    def _outdoes(self, record: Record, known: Record | None, now: float) -> bool:
        """Whether what is held here belongs in the place of what etcd has."""
        if known is None:
            return not record.stale(now)
        if known.ahead(now) and not record.ahead(now):
            # Nobody takes that. Another director's own word is left to that one, whose clock may be
            # right: two would overwrite each other.
            own = known.stamp.director == self._director
            return own or (record.override, record.actor) == (known.override, known.actor)
        return wins(record, known)

    async def write(self, etcd: Etcd, hear: Callable[[Entry], None], now: float) -> bool:
        """Write some of what is due (``now``: wall clock); whether there is more. ``hear`` gets
        what others have written meanwhile. Raises EtcdError."""
        for name, record in list(islice(self._due.items(), WRITTEN)):
            for _ in range(TRIES):
                revision, known = self._known.get(name, (0, None))
                if not self._outdoes(record, known, now):
                    break
                octets = encode(peer_records.word(record))
                there = await etcd.replace(f"{OVERRIDES}/{name}", octets, revision)
                if there is None:
                    break
                self._known.pop(name, None)
                if there.revision:
                    hear(there)
            if self._due.get(name) is record:
                del self._due[name]
        return bool(self._due)

    async def sweep(self, etcd: Etcd, now: float) -> None:
        """Delete what has ended so long ago (``now``: wall clock) that no director remembers it,
        some at a time. Raises EtcdError."""
        old = [(k, revision) for k, (revision, r) in self._known.items() if r.stale(now)]
        for name, revision in old[:SWEPT]:
            if await etcd.replace(f"{OVERRIDES}/{name}", None, revision) is None:
                self._known.pop(name, None)
