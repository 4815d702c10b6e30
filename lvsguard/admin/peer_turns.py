"""Turns on the wire between directors (``core.turns``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from lvsguard.admin.peer_records import Whole
from lvsguard.core.ledger import Stamp

DIRECTORS_MAX: Final = 64


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """The stamp of a turn; whose it is, is known."""

    wall: Whole
    counter: Whole


Known = Annotated[
    dict[Annotated[str, msgspec.Meta(min_length=1, max_length=63)], Turn],
    msgspec.Meta(max_length=DIRECTORS_MAX),
]


def turn(stamp: Stamp | None) -> Turn | None:
    """A turn for the wire."""
    return None if stamp is None else Turn(stamp.wall, stamp.counter)


def known(stamps: Mapping[str, Stamp]) -> dict[str, Turn]:
    """Turns of others for the wire."""
    return {name: Turn(one.wall, one.counter) for name, one in stamps.items()}


def stamp(turn: Turn | None, director: str) -> Stamp | None:
    """A director's turn from the wire."""
    return None if turn is None else Stamp(turn.wall, turn.counter, director)


def stamps(told: Mapping[str, Turn]) -> dict[str, Stamp]:
    """Turns from the wire, by director."""
    return {name: Stamp(one.wall, one.counter, name) for name, one in told.items()}
