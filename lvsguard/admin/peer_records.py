"""The ledger's records on the wire between directors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Annotated, Final

import msgspec

from lvsguard.core.ledger import Record, Stamp
from lvsguard.core.model import WEIGHT_MAX
from lvsguard.core.override import Override, OverrideKind, Target, Weight

PIECE: Final = 48 * 1024
"""Octets of records in one message."""
ACTOR_MAX: Final = 300
REASON_MAX: Final = 500
TICKET_MAX: Final = 100

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Actor = Annotated[str, msgspec.Meta(max_length=ACTOR_MAX)]
_Reason = Annotated[str, msgspec.Meta(max_length=REASON_MAX)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=2**40)]


class Held(msgspec.Struct, frozen=True):
    """An override on the wire, without its target and kind."""

    actor: _Actor
    since: _Seconds
    reason: _Reason = ""
    weight: Annotated[int, msgspec.Meta(ge=0, le=WEIGHT_MAX)] | None = None
    percent: bool = False
    expires: _Seconds | None = None
    ticket: Annotated[str, msgspec.Meta(max_length=TICKET_MAX)] = ""


class Word(msgspec.Struct, frozen=True):
    """A record on the wire."""

    address: Annotated[str, msgspec.Meta(max_length=45)]
    kind: OverrideKind
    wall: Whole
    counter: Whole
    director: _Name
    port: _Port | None = None
    service: _Name | None = None
    held: Held | None = None
    """None: it was ended."""
    actor: _Actor = ""
    """Who ended it."""
    reason: _Reason = ""
    """Why it was ended; a director of an earlier version neither tells nor keeps it."""


_size: Final = msgspec.json.Encoder().encode


def word(record: Record) -> Word:
    """A record for the wire."""
    target, kind = record.key
    stamp, override = record.stamp, record.override
    return Word(
        address=str(target.address),
        kind=kind,
        wall=stamp.wall,
        counter=stamp.counter,
        director=stamp.director,
        port=target.port,
        service=target.service,
        held=None if override is None else _held(override),
        actor=record.actor[:ACTOR_MAX],
        reason=record.reason[:REASON_MAX],
    )


def _held(override: Override) -> Held:
    weight = override.weight
    return Held(
        actor=override.actor[:ACTOR_MAX],
        since=override.since,
        reason=override.reason[:REASON_MAX],
        weight=None if weight is None else weight.value,
        percent=weight is not None and weight.percent,
        expires=override.expires,
        ticket=override.ticket[:TICKET_MAX],
    )


def record(word: Word) -> Record:
    """A record from the wire. Raises ValueError for one that nobody could have written."""
    target = Target(ip_address(word.address), word.port, word.service)
    stamp = Stamp(word.wall, word.counter, word.director)
    held = word.held
    if held is None:
        return Record((target, word.kind), stamp, None, word.actor, word.reason)
    if (held.weight is None) == (word.kind is OverrideKind.WEIGHT):
        raise ValueError(f"a {word.kind} with weight {held.weight}")
    if held.percent and (held.weight or 0) > 100:
        raise ValueError(f"a weight of {held.weight} %")
    weight = None if held.weight is None else Weight(held.weight, held.percent)
    override = Override(
        target,
        word.kind,
        held.actor,
        held.since,
        held.reason,
        weight,
        held.expires,
        held.ticket,
    )
    return Record((target, word.kind), stamp, override, word.actor)


def pieces(records: Iterable[Record]) -> Iterator[list[Word]]:
    """Records in pieces that fit into messages."""
    piece: list[Word] = []
    size = 0
    for one in map(word, records):
        octets = len(_size(one)) + 1
        if piece and size + octets > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += octets
    if piece:
        yield piece
