"""Changes of verdicts that are too many for a line each: their sum, with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from lvsguard.core.event import Event, HealthChanged, Level
from lvsguard.core.health import FailureClass, Verdict

KINDS: Final = 8
"""Kinds of changes that a sum tells apart, the largest; the others are one kind."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Changes for the same reason."""

    count: int
    after: Verdict
    detector: str
    """See ``HealthChanged``, as for all fields."""
    code: str
    failure: FailureClass | None
    least: float
    """Seconds from the hint to the verdict, or from the first probe where there was no hint."""
    most: float
    realserver: str
    """One of them."""
    reason: str
    """What was found there."""

    def __str__(self) -> str:
        found = f"{self.code} ({self.failure})" if self.failure else self.code
        times = f"in {self.least * 1000:.0f} to {self.most * 1000:.0f} ms"
        such = f"such as {self.realserver}: {self.reason}"
        return f"{self.count} {self.after} by {self.detector}, {found}, {times}, {such}"


@dataclass(frozen=True, slots=True)
class HealthChangedMany(Event):
    """More verdicts changed within a second than are worth a line each; a warning where some went
    down."""

    kind: ClassVar[str] = "health-many"
    up: int
    """Checks that became up."""
    down: int
    alike: tuple[Alike, ...] = ()
    """What made them so, the most frequent first."""

    def __str__(self) -> str:
        told = "; ".join(map(str, self.alike))
        line = f"{self.up} more checks became up and {self.down} down (lvsguard status has them)"
        return f"{line}: {told}" if told else line


@dataclass(frozen=True, slots=True)
class HealthLostMany(HealthChangedMany):
    """Some of them went down. ``down`` is not 0."""

    level: ClassVar[Level] = Level.WARNING


def summed(changes: Sequence[HealthChanged]) -> HealthChangedMany:
    """The sum of these changes."""
    groups: dict[tuple[object, ...], list[HealthChanged]] = {}
    for one in changes:
        groups.setdefault((one.after, one.detector, one.code, one.failure), []).append(one)
    order = sorted(groups.values(), key=len, reverse=True)
    alike = [_alike(group, group[0].detector, group[0].code) for group in order[:KINDS]]
    for verdict in Verdict:
        rest = [one for group in order[KINDS:] for one in group if one.after is verdict]
        if rest:
            alike.append(_alike(rest, "several", "several"))
    up = sum(one.after is Verdict.UP for one in changes)
    down = len(changes) - up
    kind = HealthLostMany if down else HealthChangedMany
    return kind(up, down, tuple(alike))


def _alike(group: Sequence[HealthChanged], detector: str, code: str) -> Alike:
    first = group[0]
    times = [one.took if one.latency is None else one.latency for one in group]
    failure = first.failure if all(one.failure is first.failure for one in group) else None
    return Alike(
        len(group),
        first.after,
        detector,
        code,
        failure,
        min(times),
        max(times),
        first.realserver,
        first.reason,
    )
