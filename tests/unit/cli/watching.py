"""What a screen of ``status --watch`` is drawn from: what a daemon would answer about a picture."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsguard.admin import status
from lvsguard.admin.entry import entry
from lvsguard.admin.protocol import EventReply, OverrideReply, rfc3339
from lvsguard.cli.watch_screen import Look, Screen
from lvsguard.core.event import Event, HealthChanged, OverrideSet, Repaired
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.model import Counters
from lvsguard.core.override import Override, OverrideKind, Target
from tests.support.published import NOON, OTHER, Picture, realserver, service
from tests.unit.cli.test_status import busy, documents

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAIN = Override(
    Target(ip_address("10.0.0.44")),
    OverrideKind.DRAIN,
    "alice (uid 1000)",
    NOON - 300,
    "kernel update of the whole rack",
    None,
    NOON + 3600,
)
HAPPENED: tuple[Event, ...] = (
    HealthChanged(
        "10.0.0.43:80",
        "http",
        Verdict.UP,
        Verdict.DOWN,
        "L4CON",
        "connection refused",
        FailureClass.REFUSED,
    ),
    OverrideSet(DRAIN),
    Repaired("realserver", "tcp 10.0.0.8:80 10.0.0.42", "weight 7 instead of 1", ()),
)


def events(happened: Sequence[Event] = HAPPENED) -> list[EventReply]:
    """As the daemon tells them, a minute apart."""
    lines = (entry(n + 1, NOON - 180 + 60 * n, one) for n, one in enumerate(happened))
    return [
        EventReply(
            id=line.id,
            time=rfc3339(line.at),
            kind=line.kind,
            level=line.level.name.lower(),
            text=line.text,
            data={},
        )
        for line in lines
    ]


async def look(picture: Picture, at: float = NOON, happened: Sequence[Event] = HAPPENED) -> Look:
    """One look at a picture."""
    overrides: list[OverrideReply] = [status.override(one) for one in picture.overrides()]
    document, health = await documents(picture)
    return Look(at, document, health, overrides, events(happened))


def moved(picture: Picture, seconds: float, rate: float) -> Picture:
    """The picture some seconds later, with so many new connections a second on each realserver."""
    shown = []
    for one in picture.shown:
        members = [
            replace(
                r,
                counters=r.counters._replace(
                    connections=r.counters.connections + int(rate * seconds)
                ),
            )
            for r in one.realservers
        ]
        shown.append(replace(one, realservers=tuple(members)))
    return replace(picture, shown=shown)


def eventful() -> Picture:
    """The busy director, with a drain and another director."""
    picture = replace(busy(), others=(OTHER,))
    picture.kept[DRAIN.key] = DRAIN
    return picture


def crowded(count: int = 60) -> Picture:
    """More realservers than lines."""
    members = [realserver(f"10.0.1.{n + 1}", counters=Counters(active=n)) for n in range(count)]
    return Picture([service(*members)])


async def watched(picture: Picture, rate: float = 40.0) -> Screen:
    """A screen that has looked for five seconds."""
    screen = Screen()
    screen.take(await look(picture, NOON - 5))
    screen.take(await look(moved(picture, 5, rate), NOON))
    return screen
