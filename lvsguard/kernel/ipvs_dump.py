"""Dumps of the IPVS table into an Observation, cheaply, because it is done every second.

What did not change is not decoded again: the bytes of a service's configuration and of all its
realservers' are compared with those of the last read, and the same objects are given back, so
that the controller may compare by identity first. Counters, which always change, are left as
bytes until somebody asks for them. Pure: it is fed with datagrams and sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from struct import Struct
from typing import Final

from lvsguard.core.model import (
    CounterKey,
    Counters,
    Observation,
    Realserver,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.kernel.ipvs_codec import (
    CMD_DEST,
    CMD_SERVICE,
    U32,
    RealserverEntry,
    decode_realserver,
    decode_service,
    service_name,
)
from lvsguard.kernel.ipvs_layout import Layout, counters_of, learn_realserver, learn_service
from lvsguard.kernel.netlink import GENL_PAYLOAD, Malformed, messages

CUTTERS_MAX: Final = 512
"""Structs kept; one per (entry length, entries in a datagram) that occurred."""
SETTINGS_MAX: Final = 4096
"""Realservers' settings kept to be shared; few differ in more than the weight."""
SERVICE_LAYOUTS_MAX: Final = 8
"""Layouts kept of service entries of one length."""

Place = tuple[int, int, int]
"""Datagram, start and end of a realserver's entry."""
Own = tuple[bytes, int, int, Layout | None]
"""Bytes, start and end of a service's entry, and its layout."""


class Record:
    """What is remembered of one service between reads."""

    __slots__ = (
        "entries",
        "fixed",
        "key",
        "layout",
        "places",
        "request",
        "sequence",
        "service",
        "settings",
    )

    def __init__(self, key: ServiceKey, settings: VirtualService, sequence: int) -> None:
        self.key = key
        self.settings = settings
        self.service = settings
        self.sequence = sequence
        """Of its dump request; always the same, so that unchanged answers are equal bytes."""
        self.request = service_name(key)
        self.fixed: tuple[tuple[bytes, ...], ...] | None = ()
        self.entries: dict[bytes, RealserverEntry | None] = {}
        self.places = Places([], [])
        self.layout: Layout | None = None


class Places:
    """Where the entries of one service's realservers are in a dump's datagrams."""

    __slots__ = ("_index", "_keys", "_places")

    def __init__(self, keys: list[RealserverKey], places: list[Place]) -> None:
        self._keys = keys
        self._places = places
        self._index: dict[RealserverKey, Place] | None = None

    @property
    def index(self) -> Mapping[RealserverKey, Place]:
        """By realserver; made when somebody asks, since a key's hash is dear."""
        if self._index is None:
            self._index = dict(zip(self._keys, self._places, strict=True))
        return self._index


class CounterTable(Mapping[CounterKey, Counters]):
    """The counters of one read, decoded when asked for. The lists are parallel."""

    __slots__ = ("_datagrams", "_layouts", "_own", "_places", "_positions")

    def __init__(
        self,
        positions: Mapping[ServiceKey, int],
        own: Sequence[Own],
        datagrams: Sequence[Sequence[bytes]],
        places: Sequence[Places],
        layouts: Mapping[int, Layout | None],
    ) -> None:
        self._positions = positions
        self._own = own
        self._datagrams = datagrams
        self._places = places
        self._layouts = layouts

    def __getitem__(self, key: CounterKey) -> Counters:
        service, realserver = key
        position = self._positions[service]
        if realserver is None:
            raw, start, end, own = self._own[position]
            return counters_of(raw, start, end, CMD_SERVICE, own)
        datagram, start, end = self._places[position].index[realserver]
        raw = self._datagrams[position][datagram]
        return counters_of(raw, start, end, CMD_DEST, self._layouts.get(end - start))

    def __iter__(self) -> Iterator[CounterKey]:
        for service, position in self._positions.items():
            yield service, None
            for realserver in self._places[position].index:
                yield service, realserver

    def __len__(self) -> int:
        positions = self._positions.values()
        return len(positions) + sum(len(self._places[position].index) for position in positions)


class TableReader:
    """Remembers the last table. Use: ``begin``, ``fill`` for each record in turn, ``finish``."""

    def __init__(self) -> None:
        self._sequences = count(1)
        self._known: dict[bytes, Record] = {}
        # Layouts by the length of the entry. Names make service entries differ in length, and
        # padding may bring two of them back to the same one.
        self._service_layouts: dict[int, list[Layout]] = {}
        self._layouts: dict[int, Layout | None] = {}
        self._cutters: dict[tuple[int, int], Struct] = {}
        self._settings: dict[bytes, Realserver] = {}
        # The last finished read.
        self._last: list[Record] = []
        self._positions: dict[ServiceKey, int] = {}
        self._services: dict[ServiceKey, VirtualService] = {}
        # The read under way.
        self._reading: dict[bytes, Record] = {}
        self._records: list[Record] = []
        self._own: list[Own] = []
        self._datagrams: list[Sequence[bytes]] = []

    def begin(self, datagrams: Sequence[bytes]) -> list[Record]:
        """Take the dump of all services; returns what to ask realservers of."""
        self._reading, self._records, self._own, self._datagrams = {}, [], [], []
        for raw in datagrams:
            for message in messages(raw):
                record = self._service(raw, message.start, message.end)
                if record is not None:
                    self._records.append(record)
                    self._own.append((raw, message.start, message.end, record.layout))
        return self._records

    def fill(self, record: Record, datagrams: Sequence[bytes]) -> Iterator[None]:
        """Take the dump of the next record's realservers. Yields where the caller may let others
        have a turn, since a large service that changed takes its time."""
        fixed = self._cut(datagrams)
        if fixed is None or fixed != record.fixed:
            yield from self._decode(record, datagrams)
            # Cut again: the layout may have been learned just now.
            record.fixed = self._cut(datagrams)
        self._datagrams.append(datagrams)

    def finish(self) -> Observation:
        """The table as it was read; the same mapping as last time when nothing has changed."""
        records = self._records
        self._known = self._reading
        if records != self._last:
            # A service that came twice (somebody else edited it meanwhile) counts once.
            self._positions = {record.key: at for at, record in enumerate(records)}
            self._last = records
            self._services = {}
        services = self._services
        if len(services) != len(self._positions) or any(
            record.service is not service
            for record, service in zip(records, services.values(), strict=False)
        ):
            self._services = {key: records[at].service for key, at in self._positions.items()}
        places = [record.places for record in records]
        return Observation(
            self._services,
            CounterTable(self._positions, self._own, self._datagrams, places, self._layouts),
        )

    def _service(self, raw: bytes, start: int, end: int) -> Record | None:
        """The record of a service entry; the known one when its configuration is the same."""
        length = end - start
        layouts = self._service_layouts.setdefault(length, [])
        for layout in layouts:
            fixed = layout.cut(raw, start)
            record = self._known.get(fixed)
            if record is not None:
                self._reading[fixed] = record
                return record
        entry = decode_service(raw, start + GENL_PAYLOAD, end)
        if entry is None:
            return None
        record = Record(entry.key, entry.settings, next(self._sequences))
        for layout in layouts:
            if layout.fits(raw, start):
                break
        else:
            learned = learn_service(raw, start, end)
            if learned is None:
                return record
            layout = learned
            if len(layouts) < SERVICE_LAYOUTS_MAX:
                layouts.append(layout)
        record.layout = layout
        self._reading[layout.cut(raw, start)] = record
        return record

    def _cut(self, datagrams: Sequence[bytes]) -> tuple[tuple[bytes, ...], ...] | None:
        """The fixed parts of all entries, or None when they are not all of one known layout."""
        cut = []
        for raw in datagrams:
            if len(raw) < GENL_PAYLOAD:
                raise Malformed(f"a datagram of {len(raw)} bytes")
            length: int = U32.unpack_from(raw)[0]
            layout = self._layouts.get(length)
            if layout is None or len(raw) % length:
                return None
            entries = len(raw) // length
            cutter = self._cutters.get((length, entries))
            if cutter is None:
                if len(self._cutters) >= CUTTERS_MAX:
                    self._cutters.clear()
                cutter = self._cutters[length, entries] = layout.cutter(entries)
            cut.append(cutter.unpack(raw))
        return tuple(cut)

    def _decode(self, record: Record, datagrams: Sequence[bytes]) -> Iterator[None]:
        """Go through the entries one by one; entries that are known are not decoded again."""
        entries: dict[bytes, RealserverEntry | None] = {}
        keys: list[RealserverKey] = []
        places: list[Place] = []
        realservers = {}
        for number, raw in enumerate(datagrams):
            for message in messages(raw):
                fixed, entry = self._realserver(record, raw, message.start, message.end)
                entries[fixed] = entry
                if entry is not None:
                    realservers[entry.key] = entry.settings
                    keys.append(entry.key)
                    places.append((number, message.start, message.end))
            yield
        record.entries, record.places = entries, Places(keys, places)
        if record.service.realservers != realservers:
            was = record.settings
            record.service = VirtualService(
                was.scheduler, was.flags, was.persistence, was.one_packet, realservers
            )

    def _realserver(
        self, record: Record, raw: bytes, start: int, end: int
    ) -> tuple[bytes, RealserverEntry | None]:
        layout = self._layouts.get(end - start)
        fixed = layout.cut(raw, start) if layout is not None else raw[start:end]
        if fixed in record.entries:
            return fixed, record.entries[fixed]
        name = layout.name if layout is not None else None
        settings = b""
        if name is not None and layout is not None:
            settings = raw[start + name.end : start + layout.front]
            known = self._settings.get(settings)
            if known is not None and (key := name.read(raw, start)) is not None:
                return fixed, RealserverEntry(key, known)
        entry = decode_realserver(raw, start + GENL_PAYLOAD, end, record.key.family)
        if entry is not None:
            if settings and len(self._settings) < SETTINGS_MAX:
                self._settings[settings] = entry.settings
            if end - start not in self._layouts:
                self._layouts[end - start] = learn_realserver(raw, start, end)
        return fixed, entry
