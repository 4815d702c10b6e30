"""The connection table of this host, read in slices: text of the kernel to sync entries.

/proc/net/ip_vs_conn (net/netfilter/ipvs/ip_vs_conn.c ip_vs_conn_seq_show) is the only place where
the kernel shows connections. A line is

    TCP 0A000064 8D32 0A000008 0050 0A00002A 0050 ESTABLISHED     896 [PEName PEData]

with protocol, client, virtual service, realserver, state and the seconds left. What it lacks is
``flow_facts``'s to tell. A read gives a page at most, after which the kernel (before Linux 6.14)
searches its place again from the start, and what left the table meanwhile makes it skip as many
entries; so whoever wants all of them reads again, for what is new.

It sends nothing and writes nothing. No text makes it raise.
"""

from __future__ import annotations

import os
from binascii import unhexlify
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.flow_facts import Facts, FlowFacts
from lvsguard.vrrp.sync_entry import (
    ENGINE_DATA_MAX,
    ENGINE_NAME_MAX,
    ESTABLISHED,
    FORWARDING_MASK,
    IPPROTO_IP,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    STATES,
    TEMPLATE_STATES,
    Engine,
    Entry,
    Flags,
)

TABLE: Final = Path("/proc/self/net/ip_vs_conn")
SLICE: Final = 65536
"""Bytes asked for at once; kernels give a page."""
LINE_MAX: Final = 4096
"""Bytes; the longest line that the kernel writes has some 450."""
SEEN_MAX: Final = 1_000_000
"""Connections remembered as read; with more, a later read gives those beyond it again."""
COMMON_MAX: Final = 65536
"""Combinations of service, realserver and state remembered."""

_HEADER: Final = b"Pro "
_PROTOCOLS: Final = {
    b"TCP": IPPROTO_TCP,
    b"UDP": IPPROTO_UDP,
    b"SCTP": IPPROTO_SCTP,
    b"IP": IPPROTO_IP,
}
_STATE_NUMBERS: Final = {
    protocol: {name.encode(): number for number, name in enumerate(names)}
    for protocol, names in STATES.items()
}
_TEMPLATE_NUMBERS: Final = {name.encode(): number for number, name in enumerate(TEMPLATE_STATES)}
_FIELDS: Final = 9
_LENGTHS: Final = frozenset({65, 66, 158, 159})
"""Of the lines of a family without an engine; SCTP's are one longer."""
_EXPIRES: Final = 7
"""Columns of the seconds left, which end such a line."""
_EXPIRED_VPORT: Final = 0xFFFF
"""Of a template that the kernel has made invalid (ip_vs_check_template)."""
_FTP: Final = 21
_TIMEOUT_MAX: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Scope:
    """Which connections are meant: those to these VIPs, and templates of these marks.

    None means all. A director that is master of some VIPs only must not hand over what it knows
    of the others from their master: it would overwrite what is newer there.
    """

    addresses: frozenset[bytes] | None = None
    """VIPs, packed."""
    marks: frozenset[int] | None = None


class _Common(NamedTuple):
    """What all connections of one service, realserver and state have in common."""

    protocol: int
    virtual: bytes
    virtual_port: int
    realserver: bytes
    realserver_port: int
    state: int
    flags: int
    fwmark: int
    persistence: int | None
    """Seconds, for a template of a known service."""
    known: bool


@dataclass(slots=True)
class Tally:
    """What became of the lines of one read."""

    entries: int = 0
    unknown: int = 0
    """Entries whose realserver the IPVS table does not have."""
    repeated: int = 0
    """Lines that an earlier read gave."""
    left_out: int = 0
    """Lines out of scope, or of a kind that the protocol cannot carry."""
    unreadable: int = 0


class ConnectionTable:
    """Reads the table of the network namespace that it is used in, once or again and again."""

    def __init__(self, facts: FlowFacts, scope: Scope | None = None, path: Path = TABLE) -> None:
        """``path``: the file to read."""
        self._facts = facts
        self._scope = scope or Scope()
        self._path = path
        self._common: dict[tuple[bytes, ...], _Common | None] = {}
        self._seen: set[bytes] = set()

    def learn(self, facts: FlowFacts) -> None:
        """Use a newer read of the IPVS table."""
        self._facts = facts
        self._common.clear()

    def read(self, tally: Tally, *, new_only: bool = False) -> Iterator[list[Entry]]:
        """The table, in slices of some tens of entries. Raises KernelError.

        Args:
            tally: is counted up.
            new_only: without what an earlier read gave, unless its state or realserver changed.
        """
        if not new_only:
            self._seen.clear()
        for lines in _lines(self._path):
            yield self._entries(lines, tally)

    def _entries(self, lines: list[bytes], tally: Tally) -> list[Entry]:
        entries = []
        seen = self._seen
        for line in lines:
            identity = None
            if len(line) in _LENGTHS:
                identity = line[:-_EXPIRES]
                if identity in seen:
                    tally.repeated += 1
                    continue
            entry = self._entry(line, tally)
            if entry is None:
                continue
            if identity is not None and len(seen) < SEEN_MAX:
                seen.add(identity)
            entries.append(entry)
        tally.entries += len(entries)
        return entries

    def _entry(self, line: bytes, tally: Tally) -> Entry | None:
        fields = line.split(None, _FIELDS + 1)
        if len(fields) < _FIELDS:
            tally.unreadable += bool(fields)
            return None
        name, caddr, cport, *ends, state, expires = fields[:_FIELDS]
        try:
            client, client_port = _address(caddr), _port(cport)
            key = (name, *ends, state, b"" if client_port else cport)
            if key in self._common:
                common = self._common[key]
            else:
                common = self._remember(key, self._find(name, ends, state, client_port))
            left = int(expires)
            engine = _engine(fields[_FIELDS:])
        except (ValueError, KeyError):
            tally.unreadable += not line.startswith(_HEADER)
            return None
        if common is None or len(client) != len(common.virtual):
            tally.left_out += 1
            return None
        tally.unknown += not common.known
        timeout = left if common.persistence is None else common.persistence
        return Entry(
            common.protocol,
            client,
            client_port,
            common.virtual,
            common.virtual_port,
            common.realserver,
            common.realserver_port,
            common.state,
            common.flags,
            common.fwmark,
            min(max(timeout, 1), _TIMEOUT_MAX),
            None,
            engine,
        )

    def _remember(self, key: tuple[bytes, ...], common: _Common | None) -> _Common | None:
        if len(self._common) >= COMMON_MAX:
            self._common.clear()
        self._common[key] = common
        return common

    def _find(
        self, name: bytes, ends: list[bytes], state: bytes, client_port: int
    ) -> _Common | None:
        """None: it is not to be sent. Raises ValueError and KeyError for what is no line."""
        protocol = _PROTOCOLS[name]
        virtual, realserver = _address(ends[0]), _address(ends[2])
        virtual_port, realserver_port = _port(ends[1]), _port(ends[3])
        template = client_port == 0 and state in _TEMPLATE_NUMBERS
        number = (_TEMPLATE_NUMBERS if template else _STATE_NUMBERS[protocol])[state]
        if len(virtual) != len(realserver) or not self._in_scope(protocol, virtual):
            return None
        facts = self._facts(protocol, virtual, virtual_port, realserver, realserver_port)
        if template and virtual_port == _EXPIRED_VPORT:
            return None
        if not facts.flags & FORWARDING_MASK and virtual_port == _FTP:
            # NAT changes this protocol's sequence numbers, by how much the table does not say,
            # and without that the entry would spoil what the kernel's own daemon has sent.
            return None
        return _Common(
            protocol,
            virtual,
            virtual_port,
            realserver,
            realserver_port,
            number,
            _flags(facts, state, template=template, no_port=client_port == 0),
            facts.fwmark,
            facts.persistence if template else None,
            facts.known,
        )

    def _in_scope(self, protocol: int, virtual: bytes) -> bool:
        if protocol == IPPROTO_IP:
            marks = self._scope.marks
            return marks is None or int.from_bytes(virtual[:4], "big") in marks
        addresses = self._scope.addresses
        return addresses is None or virtual in addresses


def _lines(path: Path) -> Iterator[list[bytes]]:
    """The lines of a file as they come; one that never ends is given up."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError(
            f"cannot read {path}: {error.strerror}: load ip_vs, or give the unit ProcSubset=all",
            error.errno or 0,
        ) from error
    try:
        rest = b""
        while slice_ := os.read(descriptor, SLICE):
            *lines, rest = (rest + slice_).split(b"\n")
            rest = rest[:LINE_MAX]
            yield lines
        yield [rest]
    except OSError as error:
        raise KernelError(
            f"cannot read {path}: {error.strerror}: it is tried again at the next transfer",
            error.errno or 0,
        ) from error
    finally:
        os.close(descriptor)


def _flags(facts: Facts, state: bytes, *, template: bool, no_port: bool) -> int:
    flags = facts.flags
    if template:
        return flags | Flags.TEMPLATE | Flags.INACTIVE
    if state != ESTABLISHED.encode():
        flags |= Flags.INACTIVE
    if no_port:
        flags |= Flags.NO_CPORT
    return int(flags)


def _address(text: bytes) -> bytes:
    """``0A000008``, or eight groups of four digits."""
    packed = unhexlify(text if len(text) == 8 else text.replace(b":", b""))
    if len(packed) not in (4, 16):
        raise ValueError("no address")
    return packed


def _port(text: bytes) -> int:
    packed = unhexlify(text)
    if len(packed) != 2:
        raise ValueError("no port")
    return int.from_bytes(packed, "big")


def _engine(fields: list[bytes]) -> Engine | None:
    """The persistence engine's name and data, which end the line of one of its templates."""
    if not fields:
        return None
    name, data = fields
    if len(name) > ENGINE_NAME_MAX or len(data) > ENGINE_DATA_MAX:
        raise ValueError("no persistence engine")
    return Engine(name, data)
