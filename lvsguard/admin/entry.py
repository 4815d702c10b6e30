"""An event with its number and time, as the journal keeps it and the event stream sends it."""

from __future__ import annotations

from dataclasses import dataclass, fields

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
    data = {f.name: plain(getattr(event, f.name)) for f in fields(event)}
    return Entry(number, at, event.kind, event.level, str(event), data)


def plain(value: object) -> Plain:
    """A value as JSON can say it: overrides and sums as objects, all else by its ``str()``."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Override | Alike):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Weight):
        return str(value)
    if isinstance(value, tuple | list | frozenset) and not hasattr(value, "_fields"):
        return [plain(item) for item in value]
    return str(value)
