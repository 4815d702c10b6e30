"""What the journal keeps as rows of its file, and back. Pure."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from lvsguard.admin.entry import Entry
from lvsguard.core.begun import Begun, Lasting
from lvsguard.core.event import Level
from lvsguard.core.health import Verdict
from lvsguard.core.ledger import Record, Stamp
from lvsguard.core.model import Family, Protocol, ServiceKey, VipAddress
from lvsguard.core.override import Override, OverrideKind, Target, Weight

_Row = tuple[str | int | float | None, ...]


def override_row(override: Override) -> _Row:
    """An override's row."""
    target, weight = override.target, override.weight
    return (
        str(target.address),
        target.port,
        target.service,
        override.kind,
        override.actor,
        override.since,
        override.reason,
        weight.value if weight else None,
        weight.percent if weight else False,
        override.expires,
        override.ticket,
    )


def override(row: Sequence[Any]) -> Override:
    """An override from its row. Raises ValueError or TypeError for one that makes no sense."""
    address, port, service, kind, actor, since, reason, weight, percent, expires, *later = row
    return Override(
        Target(ip_address(address), port, service),
        OverrideKind(kind),
        str(actor),
        float(since),
        str(reason),
        None if weight is None else Weight(int(weight), bool(percent)),
        None if expires is None else float(expires),
        str(later[0] or "") if later else "",  # a file of an earlier schema has no ticket
    )


def record_row(record: Record) -> _Row:
    """A record's row; a tombstone has none of an override's values but its reason, which is why it
    was ended. Without an actor there an earlier version reads it as a tombstone, too."""
    target, kind = record.key
    stamp = record.stamp
    head = (str(target.address), target.port, target.service, kind)
    stamped = (*head, stamp.wall, stamp.counter, stamp.director, record.actor)
    if record.override is None:
        return (*stamped, None, None, record.reason, *(None,) * 4)
    return (*stamped, *override_row(record.override)[4:])


def record(row: Sequence[Any]) -> Record:
    """A record from its row. Raises ValueError or TypeError for one that makes no sense."""
    address, port, service, kind, wall, counter, director, ended_by, *held = row
    key = Target(ip_address(address), port, service), OverrideKind(kind)
    stamp = Stamp(int(wall), int(counter), str(director))
    if held[0] is None:
        return Record(key, stamp, None, str(ended_by or ""), str(held[2] or ""))
    return Record(key, stamp, override((address, port, service, kind, *held)), str(ended_by or ""))


def verdict_row(lasting: Lasting, begun: Begun) -> _Row:
    """A verdict's row."""
    return (*lasting, begun.verdict, begun.at)


def verdict(row: Sequence[Any]) -> tuple[Lasting, Begun]:
    """A verdict from its row. Raises ValueError or TypeError for one that makes no sense."""
    address, port, how, asked, word, at = row
    # Not whether the address is one: what matches no check is forgotten, and the start waits.
    return (str(address), int(port), str(how), str(asked)), Begun(Verdict(word), float(at))


def service_row(key: ServiceKey) -> tuple[str | int | None, ...]:
    """A service's key as a row."""
    address = None if key.address is None else str(key.address)
    return key.family, key.protocol, address, key.port, key.fwmark


def service(row: sqlite3.Row) -> ServiceKey:
    """A service's key. Raises ValueError, TypeError for a row that makes no sense."""
    family, protocol, address, port, fwmark = row
    return ServiceKey(
        Family(family),
        None if protocol is None else Protocol(protocol),
        None if address is None else ip_address(address),
        int(port),
        int(fwmark),
    )


def vip_address(row: sqlite3.Row) -> VipAddress:
    """A VIP on an interface. Raises ValueError, likewise."""
    interface, text, prefix = row
    address = ip_address(text)
    if not 0 <= prefix <= address.max_prefixlen:
        raise ValueError(f"{text}/{prefix} is no prefix of its family: the row is skipped")
    return VipAddress(str(interface), address, int(prefix))


def entry(row: Sequence[Any]) -> Entry:
    """A line of the history."""
    return Entry(row[0], row[1], row[2], Level(row[3]), row[4], json.loads(row[5]))


def entry_row(line: Entry) -> tuple[str | int | float, ...]:
    """Its row."""
    data = json.dumps(line.data, separators=(",", ":"))
    return line.id, line.at, line.kind, int(line.level), line.text, data
