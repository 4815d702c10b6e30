"""GET /v1/events: the history, and what happens from now on, as lines of JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from lvsguard.admin import protocol
from lvsguard.admin.call import Answer, Call, Refusal, Stream, refuse
from lvsguard.admin.entry import Entry
from lvsguard.admin.feed import Subscription
from lvsguard.admin.filter import Filter
from lvsguard.admin.operations import Operations
from lvsguard.admin.protocol import Failure
from lvsguard.admin.target import words
from lvsguard.core.event import Level
from lvsguard.core.event_kinds import by_kind
from lvsguard.core.trace import is_trace_id
from lvsguard.serving import Slices

IDLE_SECONDS = 1.0
"""How often a quiet event stream looks whether its reader is still there."""

KINDS: frozenset[str] = frozenset(by_kind()) | {"lost"}
"""Of events; the last one is made by the stream itself."""

_line = msgspec.json.Encoder().encode


class History:
    """The events resource and its open streams."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._following: set[Subscription] = set()

    def close(self) -> None:
        """End the streams."""
        for subscription in tuple(self._following):
            subscription.close()

    async def events(self, call: Call) -> Answer:
        """The history, and with ``follow=1`` what happens from now on, as JSON lines."""
        known = protocol.EventsQuery.__struct_fields__
        unknown = set(call.query) - set(known)
        if unknown:
            raise refuse(
                400, "bad-request", f"{', '.join(sorted(unknown))}: use {', '.join(known)}"
            )
        since = _instant("since", call.query.get("since", "0"))
        wanted = await self._wanted(call)
        if wanted.until is not None and since > wanted.until:
            raise refuse(400, "bad-request", "since is later than until: give an earlier since")
        limit = _limit(call.query.get("limit", str(protocol.HISTORY_DEFAULT)))
        follow = call.query.get("follow", "0")
        if follow not in ("0", "1"):
            raise refuse(400, "bad-request", "follow: give 0 or 1")
        lines = self._lines(call, since, limit, wanted, follow == "1")
        return Stream("application/x-ndjson", lines, follow == "1")

    async def _wanted(self, call: Call) -> Filter:
        """The filter that the query describes."""
        query = call.query
        kinds = frozenset(filter(None, query.get("kind", "").split(",")))
        if unknown := sorted(kinds - KINDS):
            failure = Failure(
                code="bad-request",
                error=f"kind: no event is of kind {unknown[0]!r}: use one of those there are",
                known=sorted(KINDS),
            )
            raise Refusal(400, failure)
        trace, target = query.get("id", ""), query.get("target", "")
        if trace and not is_trace_id(trace):
            raise refuse(400, "bad-request", "id: give ten hex digits, as events show them")
        if len(target) > protocol.TARGET_MAX:
            raise refuse(400, "bad-request", f"target: at most {protocol.TARGET_MAX} characters")
        until = _instant("until", query["until"]) if "until" in query else None
        about = await words(target, self._operations.view()) if target else frozenset[str]()
        return Filter(kinds, about=about, trace=trace, until=until)

    async def _lines(
        self, call: Call, since: float, limit: int, wanted: Filter, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        with self._operations.subscribe() as entries, self._listed(entries):
            last = 0
            slices = Slices()
            for entry in await self._operations.history(since, limit, wanted):
                last = entry.id
                yield _line(event_reply(entry)) + b"\n"
                if slices.due():
                    await slices.rest()
            lost = 0
            while follow and not call.gone() and not _over(wanted):
                try:
                    async with asyncio.timeout(IDLE_SECONDS):
                        entry = await anext(entries)
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    return
                if entries.lost > lost:
                    yield _line(_lost(entries.lost - lost, entry)) + b"\n"
                    lost = entries.lost
                if entry.id > last and wanted(entry):
                    yield _line(event_reply(entry)) + b"\n"

    @contextmanager
    def _listed(self, subscription: Subscription) -> Iterator[None]:
        self._following.add(subscription)
        try:
            yield
        finally:
            self._following.discard(subscription)


def _over(wanted: Filter) -> bool:
    """Whether nothing can happen any more that is wanted."""
    return wanted.until is not None and time.time() > wanted.until


def _instant(name: str, text: str) -> float:
    """Seconds since the epoch, or RFC 3339."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            stamp = None
        if stamp is None:
            raise refuse(
                400, "bad-request", f"{name}: give RFC 3339 or seconds since the epoch"
            ) from None
        seconds = (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < 1e11:
        raise refuse(
            400,
            "bad-request",
            f"{name}: give a time after 1970, such as 2026-11-23T10:00:00Z, or seconds (not"
            " milliseconds) since the epoch",
        )
    return seconds


def _limit(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 5:
        limit = int(text)
        if 0 < limit <= protocol.HISTORY_MAX:
            return limit
    raise refuse(400, "bad-request", f"limit: give 1 to {protocol.HISTORY_MAX}")


def event_reply(entry: Entry) -> protocol.EventReply:
    """An entry as the API tells it."""
    return protocol.EventReply(
        id=entry.id,
        time=protocol.rfc3339(entry.at),
        kind=entry.kind,
        level=entry.level.name.lower(),
        text=entry.text,
        data=dict(entry.data),
    )


def _lost(count: int, before: Entry) -> protocol.EventReply:
    return protocol.EventReply(
        id=before.id,
        time=protocol.rfc3339(before.at),
        kind="lost",
        level=Level.WARNING.name.lower(),
        text=f"{count} events went by faster than they were read: ask for them with since",
        data={"count": count},
    )
