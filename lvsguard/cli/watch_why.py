"""The lines that ``w`` shows: what the daemon says to *why*, or what the screen knows itself.

A daemon that knows the operation ``why`` is asked; of one that does not, the reason of the status
and the latest events about the realserver have to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from lvsguard.cli.text import printable

if TYPE_CHECKING:
    from lvsguard.admin.client import Client
    from lvsguard.admin.protocol import EventReply
    from lvsguard.cli.watch_screen import Look, Row

EVENTS_MAX = 20
HISTORY_MAX = 1000
"""Events that are searched for those about one realserver."""


class Answer(Protocol):
    """What the daemon says of one realserver of one service."""

    @property
    def sentences(self) -> Sequence[str]:
        """Why it is as it is."""

    @property
    def remedies(self) -> Sequence[str]:
        """What would bring it back."""


class Reply(Protocol):
    """What the daemon says to *why*."""

    @property
    def answers(self) -> Sequence[Answer]:
        """One a service."""

    @property
    def timeline(self) -> Sequence[EventReply]:
        """What happened, the oldest first."""


def why(client: Client, row: Row, look: Look) -> list[str]:
    """Lines. Raises what the client raises."""
    from lvsguard.admin.client import Refused

    ask: Callable[[str, str], Reply] | None = getattr(client, "why", None)
    if ask is not None:
        try:
            return [*map(printable, _answered(ask(row.endpoint, row.service.name)))]
        except Refused as refused:
            if refused.failure.code != "not-found":  # a daemon of an older version
                raise
    events = list(client.events(0.0, limit=HISTORY_MAX))
    return [*map(printable, _known(row, look, events))]


def _answered(reply: Reply) -> Iterator[str]:
    for answer in reply.answers:
        yield from answer.sentences
        if answer.remedies:
            yield "What would help:"
            yield from (f"  - {one}" for one in answer.remedies)
        yield ""
    yield from _timeline(reply.timeline)


def _known(row: Row, look: Look, events: Sequence[EventReply]) -> Iterator[str]:
    one = row.realserver
    held = "not in the kernel's table" if one.weight is None else f"weight {one.weight}"
    yield f"{row.title} of {row.service.name}: {row.state}, {held} of {one.configured_weight}"
    yield one.reason
    if one.agent is not None:
        yield f"agent on port {one.agent.port}: {one.agent.state} {one.agent.silent}".rstrip()
    yield from one.notes
    for override in look.overrides:
        if row.held_by(override):
            why = f": {override.reason}" if override.reason else ""
            until = f", until {override.expires}" if override.expires else ""
            yield f"{override.kind} of {override.target} by {override.actor}{why}{until}"
    yield from row.service.why
    yield ""
    names = {one.address, row.endpoint, one.name}
    about = [event for event in events if any(name in event.text for name in names)]
    yield from _timeline(about[-EVENTS_MAX:])


def _timeline(events: Sequence[EventReply]) -> Iterator[str]:
    yield "What happened, the latest last:" if events else "Nothing about it in the history."
    for event in events:
        yield f"  {event.time[:10]} {event.time[11:19]}  {event.text}"
