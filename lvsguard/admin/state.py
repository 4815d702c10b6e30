"""What outlives the daemon beside its history, as memory has it, and what the file lacks of it.

No file and no clock here: the journal writes the batches that are made here, and says what became
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import islice

from lvsguard.admin.entry import Entry
from lvsguard.admin.store import Batch, Held
from lvsguard.core.begun import Begun, Lasting
from lvsguard.core.ledger import Record
from lvsguard.core.model import ServiceKey, VipAddress
from lvsguard.core.override import Override, OverrideKind, Target

_Key = tuple[Target, OverrideKind]


class Part(StrEnum):
    """What is written as a whole, when it has changed; of verdicts mostly those that have."""

    OVERRIDES = "overrides"
    OWNED = "owned"
    ADDRESSES = "addresses"
    RECORDS = "records"
    ASIDE = "aside"
    VERDICTS = "verdicts"


class State:
    """Overrides and the ledger of them, what this director owns, failovers, times of verdicts."""

    def __init__(self) -> None:
        self.loaded = False
        """Whether a file was read; before, memory knows of this run alone."""
        self.records: tuple[Record, ...] = ()
        self.owned: frozenset[ServiceKey] = frozenset()
        self.addresses: frozenset[VipAddress] = frozenset()
        self._overrides: dict[_Key, Override] = {}
        self._dropped: set[_Key] = set()
        self._aside: frozenset[str] | None = None
        """None: not said yet in this run."""
        self._verdicts: dict[Lasting, Begun] = {}
        self._changed: dict[Lasting, None] = {}
        """Verdicts that the file does not have, or not so."""
        self._dirty: set[Part] = set()

    @property
    def unwritten(self) -> bool:
        """Whether the file lacks anything."""
        return bool(self._dirty or self._changed)

    @property
    def overrides(self) -> tuple[Override, ...]:
        """Overrides, expired ones included."""
        return tuple(self._overrides.values())

    @property
    def aside(self) -> frozenset[str]:
        """VIP groups that a failover keeps from preempting, by name."""
        return self._aside or frozenset()

    @property
    def verdicts(self) -> Mapping[Lasting, Begun]:
        """Since when verdicts hold. A view, not a copy."""
        return self._verdicts

    def take(self, override: Override) -> None:
        """Keep an override."""
        self._overrides[override.key] = override
        self._dropped.discard(override.key)
        self._dirty.add(Part.OVERRIDES)

    def forget(self, keys: Iterable[_Key]) -> None:
        """Forget overrides, also those that only the file has."""
        for key in keys:
            self._overrides.pop(key, None)
            self._dropped.add(key)
        self._dirty.add(Part.OVERRIDES)

    def set_records(self, records: tuple[Record, ...]) -> bool:
        """Keep exactly these. Whether that is news, as for the others below."""
        if records == self.records:
            return False
        self.records = records
        self._dirty.add(Part.RECORDS)
        return True

    def set_owned(self, keys: frozenset[ServiceKey]) -> bool:
        """Keep which services are owned. Not known to be written counts as news here."""
        if keys == self.owned and Part.OWNED not in self._dirty:
            return False
        self.owned = keys
        self._dirty.add(Part.OWNED)
        return True

    def set_addresses(self, addresses: frozenset[VipAddress]) -> bool:
        """Keep which VIPs are owned, likewise."""
        if addresses == self.addresses and Part.ADDRESSES not in self._dirty:
            return False
        self.addresses = addresses
        self._dirty.add(Part.ADDRESSES)
        return True

    def set_aside(self, vips: frozenset[str]) -> bool:
        """Keep which VIP groups those are."""
        if vips == self._aside:
            return False
        self._aside = vips
        self._dirty.add(Part.ASIDE)
        return True

    def set_verdict(self, lasting: Lasting, begun: Begun) -> None:
        """Keep since when a verdict holds."""
        self._verdicts[lasting] = begun
        self._changed[lasting] = None

    def forget_verdicts(self, gone: Iterable[Lasting]) -> bool:
        """Forget verdicts. Whether there was one of them."""
        known = [lasting for lasting in gone if self._verdicts.pop(lasting, None) is not None]
        self._changed.update(dict.fromkeys(known))
        return bool(known)

    # -- with the file ---------------------------------------------------------------------------

    def absorb(self, held: Held) -> bool:
        """Take in what a file holds; what memory says since the start is newer. False: one was read
        before, and this may be another, so that all is to be written."""
        if self.loaded:
            self.rewrite()
            return False
        self.loaded = True
        for override in held.overrides:
            if override.key not in self._dropped:
                self._overrides.setdefault(override.key, override)
        self.records = (*held.records, *self.records)
        self.owned |= held.owned
        self.addresses |= held.addresses
        self._aside = held.aside if self._aside is None else self._aside
        newer = dict(self._verdicts)
        self._verdicts.update(held.verdicts)
        self._verdicts.update(newer)
        return True

    def rewrite(self) -> None:
        """All of it is to be written."""
        self._dirty.update(Part)

    def batch(self, entries: tuple[Entry, ...], verdicts: int) -> Batch:
        """What the file lacks, with at most so many ``verdicts``; it counts as written unless
        ``failed`` takes that back."""
        dirty, self._dirty = self._dirty, set()
        if Part.VERDICTS in dirty:
            self._changed = dict.fromkeys(self._verdicts)
        changed = islice(self._changed, verdicts)
        return Batch(
            self.overrides if Part.OVERRIDES in dirty else None,
            self.owned if Part.OWNED in dirty else None,
            self.addresses if Part.ADDRESSES in dirty else None,
            entries,
            self.records if Part.RECORDS in dirty else None,
            self.aside if Part.ASIDE in dirty else None,
            tuple((lasting, self._verdicts.get(lasting)) for lasting in changed),
            Part.VERDICTS in dirty,
        )

    def failed(self, batch: Batch) -> None:
        """A batch was not written."""
        parts = {
            Part.OVERRIDES: batch.overrides is not None,
            Part.OWNED: batch.owned is not None,
            Part.ADDRESSES: batch.addresses is not None,
            Part.RECORDS: batch.records is not None,
            Part.ASIDE: batch.aside is not None,
            Part.VERDICTS: batch.no_other_verdicts,
        }
        self._dirty.update(part for part, was_in in parts.items() if was_in)

    def written(self, batch: Batch) -> bool:
        """A batch is in the file. Whether there are more verdicts for the next."""
        for lasting, begun in batch.verdicts:
            if self._verdicts.get(lasting) is begun:  # else it changed while it was written
                del self._changed[lasting]
        if not self._changed:
            self._changed = {}  # the room of ten thousand is given back
        return bool(batch.verdicts and self._changed)
