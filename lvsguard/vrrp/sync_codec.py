"""The kernel's connection sync protocol, version 1: entries to messages and back. Pure.

net/netfilter/ipvs/ip_vs_sync.c. The kernel's backup daemon takes such messages for a master's; so
whoever can write them can hand over a connection table. Everything is big endian. A message is a
header and up to 255 entries, each padded to 4 bytes:

    message  u8 0, u8 syncid, u16 size, u8 entries, s8 version 1, u16 0
    entry    u8 type (1: IPv6), u8 protocol, u16 version 0 << 12 | size, u32 flags, u16 state,
             u16 client, virtual, realserver port, u32 fwmark, u32 timeout in seconds,
             client, virtual, realserver address, then options: u8 type, u8 length, data

It reads no table, and 100,000 entries must cost little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from struct import Struct
from typing import Final

from lvsguard.vrrp.sync_entry import (
    ENGINE_DATA_MAX,
    ENGINE_NAME_MAX,
    STATES,
    Delta,
    Engine,
    Entry,
    Flags,
)

ENTRIES_MAX: Final = 255
"""Entries of one message: their number has 8 bits."""
SIZE_MAX: Final = 65535 - 20 - 8
"""Bytes of a message: what one UDP datagram carries."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was received."""

    syncid: int
    entries: tuple[Entry, ...]


class Reason(StrEnum):
    """Why bytes are no message."""

    LENGTH = "shorter or longer than it says"
    VERSION = "not of version 1"
    SYNCID = "of another sync id"
    TYPE = "an entry of unknown type"
    ENTRY = "an entry shorter or longer than it says"
    OPTION = "an option that is malformed, unknown or there twice"
    STATE = "a state that the protocol does not have"
    PROTOCOL = "a protocol that IPVS does not have"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that the kernel would not take, or not whole."""

    reason: Reason


_HEADER: Final = Struct(">BBHBbH")
_VERSION: Final = 1
_V4: Final = Struct(">BBHIHHHHII4s4s4s")
_V6: Final = Struct(">BBHIHHHHII16s16s16s")
_SIZE_MASK: Final = 0x0FFF
_TYPE_V6: Final = 1
_SEQ_DATA, _PE_DATA, _PE_NAME = 1, 2, 3
_OPTIONAL: Final = 0x40
_OPTION: Final = Struct(">BB")
_DELTAS: Final = Struct(">6I")
_BARE_PROTOCOLS: Final = frozenset({50, 51})
"""ESP and AH, which IPVS knows, with one state each."""


class Packer:
    """Fills messages with entries, each as full as it may be.

    It is told the largest message (the sync MTU) and the sync id, and gives messages back as they
    fill up: ``add`` returns the full ones, ``rest`` what has been begun.
    """

    __slots__ = ("_buffer", "_count", "_size_max", "_syncid")

    def __init__(self, syncid: int, size_max: int) -> None:
        """Args: size_max: bytes; at most what the peer's daemon takes, so its sync_maxlen."""
        if not 0 <= syncid <= 255:
            raise ValueError(f"a sync id is 0 to 255, not {syncid}")
        if not _HEADER.size + _V6.size <= size_max <= SIZE_MAX:
            raise ValueError(f"a message has {_HEADER.size + _V6.size} to {SIZE_MAX} bytes")
        self._syncid = syncid
        self._size_max = size_max
        self._buffer = bytearray(_HEADER.size)
        self._count = 0

    def add(self, entry: Entry) -> bytes | None:
        """Add an entry; the message before it, when that is full now."""
        packed = encode_entry(entry)
        buffer = self._buffer
        pad = -len(buffer) & 3
        full = None
        if (
            len(buffer) + pad + len(packed) > self._size_max or self._count == ENTRIES_MAX
        ) and self._count:
            full = self.rest()
            buffer, pad = self._buffer, 0
        if pad:
            buffer += bytes(pad)
        buffer += packed
        self._count += 1
        return full

    def rest(self) -> bytes | None:
        """The message that has been begun, and nothing is begun any more; None: there is none."""
        if not self._count:
            return None
        buffer = self._buffer
        _HEADER.pack_into(buffer, 0, 0, self._syncid, len(buffer), self._count, _VERSION, 0)
        self._buffer = bytearray(_HEADER.size)
        self._count = 0
        return bytes(buffer)


def encode(entries: Iterable[Entry], syncid: int, size_max: int) -> Iterator[bytes]:
    """Entries as messages of at most ``size_max`` bytes."""
    packer = Packer(syncid, size_max)
    for entry in entries:
        full = packer.add(entry)
        if full is not None:
            yield full
    rest = packer.rest()
    if rest is not None:
        yield rest


def encode_entry(entry: Entry) -> bytes:
    """One entry without the padding that follows it. Raises ValueError, struct.error for values
    that do not fit; whoever reads a table sees to that."""
    length = len(entry.client)
    if not length == len(entry.virtual) == len(entry.realserver) or length not in (4, 16):
        raise ValueError(f"the addresses of {entry} are not of one family")
    layout, kind = (_V4, 0) if length == 4 else (_V6, _TYPE_V6)
    options = b""
    if entry.deltas is not None or entry.engine is not None:
        options = _encode_options(entry.deltas, entry.engine)
    return (
        layout.pack(
            *(kind, entry.protocol, layout.size + len(options), entry.flags, entry.state),
            *(entry.client_port, entry.virtual_port, entry.realserver_port),
            *(entry.fwmark, entry.timeout, entry.client, entry.virtual, entry.realserver),
        )
        + options
    )


def decode(data: bytes, syncid: int = 0) -> Message | Rejected:
    """Read a message as the kernel's backup daemon does, but all of it or nothing.

    Args:
        data: the UDP payload.
        syncid: the only sync id to take; 0 takes every one.
    """
    if len(data) < _HEADER.size:
        return Rejected(Reason.LENGTH)
    reserved, came, size, count, version, spare = _HEADER.unpack_from(data)
    if size != len(data):
        return Rejected(Reason.LENGTH)
    if syncid and came != syncid:
        return Rejected(Reason.SYNCID)
    if version != _VERSION or reserved or spare:
        return Rejected(Reason.VERSION)
    entries = []
    position = _HEADER.size
    for _ in range(count):
        read = _decode_entry(data, position)
        if isinstance(read, Reason):
            return Rejected(read)
        entry, length = read
        entries.append(entry)
        position += (length + 3) & ~3
    return Message(came, tuple(entries)) if position >= size else Rejected(Reason.LENGTH)


def _decode_entry(data: bytes, position: int) -> tuple[Entry, int] | Reason:
    if position + _V4.size > len(data):
        return Reason.ENTRY
    kind = data[position]
    if kind not in (0, _TYPE_V6):
        return Reason.TYPE
    layout = _V6 if kind else _V4
    version_size = int.from_bytes(data[position + 2 : position + 4], "big")
    size = version_size & _SIZE_MASK
    if version_size > _SIZE_MASK:
        return Reason.VERSION
    if size < layout.size or position + size > len(data):
        return Reason.ENTRY
    _, protocol, _, flags, state, *rest = layout.unpack_from(data, position)
    cport, vport, rport, fwmark, timeout, client, virtual, realserver = rest
    refused = _unknown_state(protocol, state, flags)
    if refused is not None:
        return refused
    options = _decode_options(data[position + layout.size : position + size])
    if options is None:
        return Reason.OPTION
    ends = (client, cport, virtual, vport, realserver, rport)
    entry = Entry(protocol, *ends, state, flags, fwmark, timeout, *options)
    return entry, size


def _unknown_state(protocol: int, state: int, flags: int) -> Reason | None:
    if flags & Flags.TEMPLATE:
        return None  # the kernel takes every state and protocol there
    if protocol in STATES:
        return Reason.STATE if state >= len(STATES[protocol]) else None
    if protocol in _BARE_PROTOCOLS:
        return Reason.STATE if state else None
    return Reason.PROTOCOL


def _encode_options(deltas: tuple[Delta, Delta] | None, engine: Engine | None) -> bytes:
    options = b""
    if deltas is not None:
        options += _OPTION.pack(_SEQ_DATA, _DELTAS.size) + _DELTAS.pack(*deltas[0], *deltas[1])
    if engine is not None:
        name, data = engine
        if not 0 < len(name) <= ENGINE_NAME_MAX or not 0 < len(data) <= ENGINE_DATA_MAX:
            raise ValueError(
                f"a persistence engine has a name of 1 to {ENGINE_NAME_MAX} bytes and 1 to"
                f" {ENGINE_DATA_MAX} bytes of data, not {len(name)} and {len(data)}"
            )
        options += _OPTION.pack(_PE_DATA, len(data)) + data
        options += _OPTION.pack(_PE_NAME, len(name)) + name
    return options


def _decode_options(
    options: bytes,
) -> tuple[tuple[Delta, Delta] | None, Engine | None] | None:
    found: dict[int, bytes] = {}
    position = 0
    while position < len(options):
        if position + _OPTION.size > len(options):
            return None
        kind, length = _OPTION.unpack_from(options, position)
        position += _OPTION.size
        data = options[position : position + length]
        if not length or len(data) < length:
            return None
        position += length
        known = kind & ~_OPTIONAL
        if known in _LENGTHS:
            least, most = _LENGTHS[known]
            if known in found or not least <= length <= most:
                return None
            found[known] = data
        elif not kind & _OPTIONAL:
            return None
    deltas = None
    if _SEQ_DATA in found:
        numbers = _DELTAS.unpack(found[_SEQ_DATA])
        deltas = Delta(*numbers[:3]), Delta(*numbers[3:])
    if _PE_DATA not in found:
        return deltas, None
    if _PE_NAME not in found:
        return None
    return deltas, Engine(found[_PE_NAME], found[_PE_DATA])


_LENGTHS: Final = {
    _SEQ_DATA: (_DELTAS.size, _DELTAS.size),
    _PE_DATA: (1, ENGINE_DATA_MAX),
    _PE_NAME: (1, ENGINE_NAME_MAX),
}
