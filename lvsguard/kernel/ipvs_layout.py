"""Where a kernel puts things in the entries of its dumps: learned from one entry, then verified.

A kernel writes all entries of one length in the same way, so their fixed parts can be cut out
and their counters unpacked without walking attributes. Which offsets those are depends on the
kernel's version and architecture (padding of 64-bit numbers), so none is written down here: the
first entry of each length is walked by the general parser. The attribute headers are part of
what is cut out, or are compared when counters are unpacked; whatever differs goes to the general
parser again. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from lvsguard.core.model import Counters
from lvsguard.kernel.ipvs_codec import (
    CMD_DEST,
    CMD_SERVICE,
    DEST_ACTIVE_CONNS,
    DEST_INACT_CONNS,
    DEST_PERSIST_CONNS,
    DEST_STATS,
    DEST_STATS64,
    STATS_TOTALS,
    SVC_STATS,
    decode_counters,
)
from lvsguard.kernel.netlink import GENL_PAYLOAD, attributes

Where = dict[int, tuple[int, int]]

ATTRIBUTE_HEADER: Final = 4
NO_GAUGES: Final = (0, 0, 0)
_GAUGES: Final = (DEST_ACTIVE_CONNS, DEST_INACT_CONNS, DEST_PERSIST_CONNS)


@dataclass(frozen=True, slots=True)
class CountersLayout:
    """How to unpack the counters of an entry of one length in one go."""

    begin: int
    """Offset in the message."""
    fields: Struct
    """For each number: what stands before it, then the number."""
    before: tuple[bytes, ...]
    gauges: int
    """How many numbers precede the totals: 3 for a realserver, 0 for a service."""

    def read(self, raw: bytes, start: int) -> Counters | None:
        """The counters of the message at ``start``; None when the entry is built otherwise."""
        fields = self.fields.unpack_from(raw, start + self.begin)
        if fields[0::2] != self.before:
            return None
        numbers = fields[1::2]
        return Counters._make(numbers[self.gauges :] + (numbers[:3] if self.gauges else NO_GAUGES))


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets in one entry (message) of one length; what identifies it is ``front`` + ``back``."""

    length: int
    front: int
    """End of the fixed part at the front; for a realserver the connection gauges follow."""
    back: tuple[int, int]
    """A second fixed part behind the gauges; empty for a service."""
    counters: CountersLayout | None

    def cut(self, raw: bytes, start: int) -> bytes:
        """What is fixed in the entry at ``start``, without the message's header."""
        back, end = self.back
        return raw[start + GENL_PAYLOAD : start + self.front] + raw[start + back : start + end]

    def cutter(self, entries: int) -> Struct:
        """Cuts (header and front, back) out of a datagram of this many entries."""
        back, end = self.back
        one = f"{self.front}s{back - self.front}x{end - back}s{self.length - end}x"
        return Struct("=" + one * entries)


def learn_service(raw: bytes, start: int, end: int) -> Layout | None:
    """The layout of a service entry that has been decoded; None when it is not to be relied on."""
    found = _inside(raw, start, end, CMD_SERVICE)
    if SVC_STATS not in found or any(
        where > found[SVC_STATS] for kind, where in found.items() if kind < SVC_STATS
    ):
        return None
    front = found[SVC_STATS][0] - start
    return Layout(end - start, front, (front, front), _learn_counters(raw, start, found, ()))


def learn_realserver(raw: bytes, start: int, end: int) -> Layout | None:
    """The layout of a realserver entry that has been decoded, or None."""
    found = _inside(raw, start, end, CMD_DEST)
    if DEST_STATS not in found or any(gauge not in found for gauge in _GAUGES):
        return None
    front = found[DEST_ACTIVE_CONNS][0]
    back = found[DEST_PERSIST_CONNS][1]
    close = found[DEST_STATS][0]
    inside = [found[gauge] for gauge in _GAUGES]
    if inside != sorted(inside) or back > close:
        return None
    for kind, (begin, finish) in found.items():
        if kind in (*_GAUGES, DEST_STATS, DEST_STATS64):
            continue
        if not (finish <= front or back <= begin <= finish <= close):
            return None
    fixed = (back - start, close - start)
    return Layout(
        end - start, front - start, fixed, _learn_counters(raw, start, found, tuple(inside))
    )


def counters_of(raw: bytes, start: int, end: int, kind: int, layout: Layout | None) -> Counters:
    """The counters of one entry: by its layout where that fits, else by the general parser."""
    if layout is not None and layout.counters is not None and layout.length == end - start:
        counters = layout.counters.read(raw, start)
        if counters is not None:
            return counters
    return decode_counters(raw, start + GENL_PAYLOAD, end, kind)


def _inside(raw: bytes, start: int, end: int, kind: int) -> Where:
    """The entry's attributes; none unless its nest is all that the message holds."""
    where = attributes(raw, start + GENL_PAYLOAD, end).get(kind)
    if where != (start + GENL_PAYLOAD + ATTRIBUTE_HEADER, end):
        return {}
    return attributes(raw, *where)


def _learn_counters(
    raw: bytes, start: int, found: Where, gauges: tuple[tuple[int, int], ...]
) -> CountersLayout | None:
    if DEST_STATS64 not in found:
        return None
    stats = attributes(raw, *found[DEST_STATS64])
    if any(total not in stats for total in STATS_TOTALS):
        return None
    totals = [stats[total] for total in STATS_TOTALS]
    numbers = [*gauges, *totals]
    sizes = [4] * len(gauges) + [8] * len(totals)
    if numbers != sorted(numbers) or [e - b for b, e in numbers] != sizes:
        return None
    nest = found[DEST_STATS64][0] - ATTRIBUTE_HEADER
    begin = position = gauges[0][0] - ATTRIBUTE_HEADER if gauges else nest
    fields, before = ["="], []
    for at, (field, finish) in enumerate(numbers):
        # Of the old statistics, which stand between gauges and totals, nothing is compared.
        seen = nest if at == len(gauges) else position
        fields.append(f"{seen - position}x{field - seen}s{'I' if sizes[at] == 4 else 'Q'}")
        before.append(raw[seen:field])
        position = finish
    return CountersLayout(begin - start, Struct("".join(fields)), tuple(before), len(gauges))
