"""Hooks: which events one wants, and when it is tried again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final

from lvsguard.core.event import Event, Level

FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0
"""Pauses between two tries of a webhook: doubled each time, from the first to the longest."""
JITTER: Final = 0.2
"""Share of a pause that chance takes away, so that directors do not come back together."""
About = frozenset[tuple[str, str]]
"""What an event concerns, as pairs such as ``("service", "web")``."""


class Outcome(StrEnum):
    """What became of an event for a hook, or of one try. Public: a label of metrics."""

    DONE = "done"
    RETRIED = "retried"
    """A try failed, and another one follows."""
    FAILED = "failed"
    """It was given up."""
    DROPPED = "dropped"
    """The queue was full."""


@dataclass(frozen=True, slots=True)
class HookConfig:
    """A command or a webhook that is told of events."""

    name: str
    argv: tuple[str, ...] = ()
    """The command's words; empty: it is a webhook."""
    url: str = ""
    key: bytes = field(default=b"", repr=False)
    """Signs what a webhook is sent; empty: unsigned."""
    kinds: frozenset[str] = frozenset()
    """Of events; empty: all."""
    about: About | None = None
    """What events must concern one of; None: anything."""
    level: Level = Level.INFO
    """At least."""
    timeout: float = 10.0
    """Seconds of one run of the command, or of one try of the webhook."""
    give_up: float = 600.0
    """Seconds after an event in which a webhook is still tried."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event as hooks are told it."""

    director: str
    id: int
    at: float
    """Wall clock, seconds since the epoch."""
    kind: str
    level: Level
    text: str
    data: Mapping[str, object]
    """The event's fields, as JSON can say them."""


@dataclass(frozen=True, slots=True)
class HookFailed(Event):
    """A hook does not work; told once, until it has worked again. No hook is told of it."""

    kind: ClassVar[str] = "hook-failed"
    level: ClassVar[Level] = Level.WARNING
    hook: str
    why: str

    def __str__(self) -> str:
        return f"hook {self.hook} failed: {self.why}"


@dataclass(frozen=True, slots=True)
class HookWell(Event):
    """A hook that failed has worked again, or has caught up."""

    kind: ClassVar[str] = "hook-well"
    hook: str
    dropped: int
    """Events that it was not told of meanwhile."""

    def __str__(self) -> str:
        lost = f"; it was not told of {self.dropped} events" if self.dropped else ""
        return f"hook {self.hook} works again{lost}"


HOOK: Final[tuple[type[Event], ...]] = (HookFailed, HookWell)
_OWN: Final = frozenset(event.kind for event in HOOK)
"""Events of hooks, which would beget each other."""


def wants(hook: HookConfig, occurrence: Occurrence) -> bool:
    """Whether a hook is to be told of an event."""
    if occurrence.kind in _OWN or occurrence.level < hook.level:
        return False
    if hook.kinds and occurrence.kind not in hook.kinds:
        return False
    return hook.about is None or not hook.about.isdisjoint(concerns(occurrence.data))


def concerns(data: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What an event is about, from its fields."""
    for name in ("service", "realserver", "vip"):
        if isinstance(value := data.get(name), str) and value:
            yield name, value
    if isinstance(override := data.get("override"), Mapping):
        target, _, service = str(override.get("target", "")).partition(" in ")
        if service:
            yield "service", service
        else:
            yield "realserver", target
            yield "address", target


def pause(tries: int, chance: float) -> float:
    """Seconds to wait after so many tries that failed. ``chance``: 0 to 1."""
    whole = min(FIRST_S * 2.0 ** min(tries - 1, 30), LONGEST_S)
    return whole * (1.0 - JITTER * chance)
