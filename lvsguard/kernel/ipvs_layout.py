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

from lvsguard.core.model import Counters, RealserverKey
from lvsguard.kernel.ipvs_codec import (
    CMD_DEST,
    CMD_SERVICE,
    DEST_ACTIVE_CONNS,
    DEST_ADDR,
    DEST_ADDR_FAMILY,
    DEST_INACT_CONNS,
    DEST_PERSIST_CONNS,
    DEST_PORT,
    DEST_STATS,
    DEST_STATS64,
    STATS_TOTALS,
    SVC_STATS,
    U16,
    decode_counters,
    realserver_key,
)
from lvsguard.kernel.netlink import GENL_PAYLOAD, attributes

Where = dict[int, tuple[int, int]]

ATTRIBUTE_HEADER: Final = 4
NO_GAUGES: Final = (0, 0, 0)
_GAUGES: Final = (DEST_ACTIVE_CONNS, DEST_INACT_CONNS, DEST_PERSIST_CONNS)


@dataclass(frozen=True, slots=True)
class CountersLayout:
    """How to unpack the counters of an entry of one length in one go."""

    nest: bytes
    """The attribute header of the whole entry, with which ``fields`` begins."""
    fields: Struct
    """Behind that, for each number: what stands before it, then the number."""
    before: tuple[bytes, ...]
    gauges: int
    """How many numbers precede the totals: 3 for a realserver, 0 for a service."""

    def read(self, raw: bytes, start: int) -> Counters | None:
        """The counters of the message at ``start``; None when the entry is built otherwise."""
        fields = self.fields.unpack_from(raw, start + GENL_PAYLOAD)
        if fields[0] != self.nest or fields[1::2] != self.before:
            return None
        numbers = fields[2::2]
        return Counters._make(numbers[self.gauges :] + (numbers[:3] if self.gauges else NO_GAUGES))


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets in one entry (message) of one length; what identifies it is ``front`` + ``back``."""

    length: int
    front: int
    """End of the fixed part at the front; for a realserver the connection gauges follow."""
    back: tuple[int, int]
    """A second fixed part behind the gauges; empty for a service."""
    mark: bytes
    """The attribute header that ends the front."""
    counters: CountersLayout | None
    name: NameLayout | None = None
    """For a realserver: how to unpack its key; its settings follow, up to ``front``."""

    def fits(self, raw: bytes, start: int) -> bool:
        """Whether the front of the entry at ``start`` ends where it should."""
        end = start + self.front
        return raw[end - ATTRIBUTE_HEADER : end] == self.mark

    def cut(self, raw: bytes, start: int) -> bytes:
        """What is fixed in the entry at ``start``, without the message's header."""
        back, end = self.back
        return raw[start + GENL_PAYLOAD : start + self.front] + raw[start + back : start + end]

    def cutter(self, entries: int) -> Struct:
        """Cuts (header and front, back) out of a datagram of this many entries."""
        back, end = self.back
        one = f"{self.front}s{back - self.front}x{end - back}s{self.length - end}x"
        return Struct("=" + one * entries)


@dataclass(frozen=True, slots=True)
class NameLayout:
    """How to unpack the key of a realserver's entry."""

    fields: Struct
    """What stands before the address, the address, what stands before the port, the port."""
    before: tuple[bytes, bytes]
    family: int
    """Offset of the address family."""
    family_header: bytes
    end: int
    """Where the settings begin."""

    def read(self, raw: bytes, start: int) -> RealserverKey | None:
        """The key of the entry at ``start``; None when the entry is built otherwise."""
        first, address, second, port = self.fields.unpack_from(raw, start + GENL_PAYLOAD)
        at = start + self.family
        if (first, second) != self.before:
            return None
        if raw[at - ATTRIBUTE_HEADER : at] != self.family_header:
            return None
        return realserver_key(address, port, U16.unpack_from(raw, at)[0])


def learn_service(raw: bytes, start: int, end: int) -> Layout | None:
    """The layout of a service entry that has been decoded; None when it is not to be relied on."""
    found = _inside(raw, start, end, CMD_SERVICE)
    if SVC_STATS not in found or any(
        where > found[SVC_STATS] for kind, where in found.items() if kind < SVC_STATS
    ):
        return None
    front = found[SVC_STATS][0]
    mark = raw[front - ATTRIBUTE_HEADER : front]
    front -= start
    counters = _learn_counters(raw, start, found, ())
    return Layout(end - start, front, (front, front), mark, counters)


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
    return Layout(
        end - start,
        front - start,
        (back - start, close - start),
        raw[front - ATTRIBUTE_HEADER : front],
        _learn_counters(raw, start, found, tuple(inside)),
        _learn_name(raw, start, found),
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


def _learn_name(raw: bytes, start: int, found: Where) -> NameLayout | None:
    """Address and port come first, the family with the back; else None."""
    begin = start + GENL_PAYLOAD
    address, port = found[DEST_ADDR], found[DEST_PORT]
    if DEST_ADDR_FAMILY not in found or address[0] != begin + 2 * ATTRIBUTE_HEADER:
        return None
    family = found[DEST_ADDR_FAMILY]
    if port[0] != address[1] + ATTRIBUTE_HEADER or family[0] < found[DEST_PERSIST_CONNS][1]:
        return None
    return NameLayout(
        Struct(f"={2 * ATTRIBUTE_HEADER}s16s{ATTRIBUTE_HEADER}s2s"),
        (raw[begin : address[0]], raw[address[1] : port[0]]),
        family[0] - start,
        raw[family[0] - ATTRIBUTE_HEADER : family[0]],
        port[1] + 2 - start,
    )


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
    begin = start + GENL_PAYLOAD
    position = gauges[0][0] - ATTRIBUTE_HEADER if gauges else nest
    fields = [f"={ATTRIBUTE_HEADER}s{position - begin - ATTRIBUTE_HEADER}x"]
    before = []
    for at, (field, finish) in enumerate(numbers):
        # Of the old statistics, which stand between gauges and totals, nothing is compared.
        seen = nest if at == len(gauges) else position
        fields.append(f"{seen - position}x{field - seen}s{'I' if sizes[at] == 4 else 'Q'}")
        before.append(raw[seen:field])
        position = finish
    whole = raw[begin : begin + ATTRIBUTE_HEADER]
    return CountersLayout(whole, Struct("".join(fields)), tuple(before), len(gauges))
