"""An event with its number and time, as the journal keeps it and the event stream sends it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lvsguard.core.actor import actor
from lvsguard.core.crowd_event import Alike
from lvsguard.core.event import Event, Level
from lvsguard.core.override import Override, Weight

Scalar = str | int | float | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]
"""What JSON can say."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history."""

    id: int
    """Grows by one with every event of this state directory."""
    at: float
    """Wall clock, seconds since the epoch."""
    kind: str
    level: Level
    text: str
    data: dict[str, Plain]
    """The event's fields."""


def entry(number: int, at: float, event: Event) -> Entry:
    """Number and date an event."""
    return Entry(number, at, event.kind, event.level, str(event), fields_of(event))


def fields_of(event: Event) -> dict[str, Plain]:
    """An event's fields, with ``user`` and ``uid`` beside an ``actor`` that is a user."""
    return _named({f.name: plain(getattr(event, f.name)) for f in fields(event)})


def _named(data: dict[str, Plain]) -> dict[str, Plain]:
    who = actor(str(data.get("actor", "")))
    return data if who is None else data | {"user": who.user or None, "uid": who.uid}


def plain(value: object) -> Plain:
    """A value as JSON can say it: overrides and sums as objects, all else by its ``str()``."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Override | Alike):
        return _named({f.name: plain(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, Weight):
        return str(value)
    if isinstance(value, tuple | list | frozenset) and not hasattr(value, "_fields"):
        return [plain(item) for item in value]
    return str(value)
