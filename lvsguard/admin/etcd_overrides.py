"""Overrides that directors share by way of etcd: the ledger's records, each in a key of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
SWEPT: Final = 100
"""Old records that are deleted at one turn, a third of a lease."""
_word: Final = msgspec.json.Decoder(Word)


class EtcdOverrides:
    """What etcd has of overrides, beside what this director holds."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._known: dict[str, tuple[int, Record]] = {}
        """As etcd has them, by key: revision and record."""
        self._due: dict[str, Record] = {}

    def decided(self, records: Iterable[Record]) -> None:
        """Write these, which were decided here."""
        self._due |= {record_key(record): record for record in records}

    def forget_all(self) -> None:
        """Everything is read again."""
        self._known.clear()

    def take(self, name: str, entry: Entry) -> tuple[str, str]:
        """Somebody has written a record: who decided it, and why it was not taken (empty: it was).
        Raises ValueError or MsgspecError."""
        record = peer_records.record(_word.decode(entry.value))
        self._known[name] = (entry.revision, record)
        author = record.stamp.director
        return author, self._shared.take(author, (record,))

    def forget(self, name: str) -> None:
        """A record was deleted."""
        self._known.pop(name, None)

    def reconcile(self) -> None:
        """Write what is later here."""
        for record in self._shared.records:
            known = self._known.get(record_key(record))
            if known is None or wins(record, known[1]):
                self._due[record_key(record)] = record

    async def write(self, etcd: Etcd, hear: Callable[[Entry], None]) -> None:
        """Write what is due; ``hear`` gets what others have written meanwhile. Raises EtcdError."""
        for name, record in list(self._due.items()):
            for _ in range(TRIES):
                revision, known = self._known.get(name, (0, None))
                if known is not None and not wins(record, known):
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

    async def sweep(self, etcd: Etcd, now: float) -> None:
        """Delete what has ended so long ago (``now``: wall clock) that no director remembers it,
        some at a time. Raises EtcdError."""
        old = [(k, revision) for k, (revision, r) in self._known.items() if r.stale(now)]
        for name, revision in old[:SWEPT]:
            if await etcd.replace(f"{OVERRIDES}/{name}", None, revision) is None:
                self._known.pop(name, None)
