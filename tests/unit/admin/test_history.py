"""The event stream towards a follower who is slow."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lvsguard.admin.call import Call, Stream
from lvsguard.admin.feed import BACKLOG
from lvsguard.admin.history import History
from lvsguard.core.event import Stopping
from tests.support.published import NOON, Desk


def call(query: Mapping[str, str], gone: bool = False) -> Call:
    async def nothing(limit: int = 0) -> bytes:
        return b""

    async def actor() -> str:
        return "test"

    return Call(query, nothing, actor, lambda: gone)


async def test_a_slow_follower_is_told_what_he_missed() -> None:
    desk = Desk()
    desk.happen(Stopping(keep=True))
    history = History(desk)
    stream = await history.events(call({"follow": "1"}))
    assert isinstance(stream, Stream)
    assert stream.endless
    assert json.loads(await anext(stream.pieces))["id"] == 1
    for _ in range(BACKLOG + 5):
        desk.happen(Stopping(keep=False), NOON + 1)
    lost = json.loads(await anext(stream.pieces))
    assert (lost["kind"], lost["data"]) == ("lost", {"count": 5})
    assert json.loads(await anext(stream.pieces))["id"] == 7
    await stream.pieces.aclose()


async def test_what_happens_while_the_history_is_read_comes_once() -> None:
    desk = Desk()
    desk.happen(Stopping(keep=True))
    stream = await History(desk).events(call({"follow": "1"}))
    assert isinstance(stream, Stream)
    assert json.loads(await anext(stream.pieces))["id"] == 1
    desk.feed.publish(desk.history_kept[0])
    desk.happen(Stopping(keep=True))
    assert json.loads(await anext(stream.pieces))["id"] == 2
    await stream.pieces.aclose()


async def test_a_stream_ends_at_the_time_up_to_which_it_was_asked_for() -> None:
    desk = Desk()
    for at in (1000.0, 1060.0):
        desk.happen(Stopping(keep=True), at)
    query = {"follow": "1", "until": "1030"}  # years ago
    stream = await History(desk).events(call(query))
    assert isinstance(stream, Stream)
    assert [json.loads(line)["id"] async for line in stream.pieces] == [1]


async def test_a_stream_ends_when_its_reader_left_or_the_server_stops() -> None:
    desk = Desk()
    stream = await History(desk).events(call({"follow": "1"}, gone=True))
    assert isinstance(stream, Stream)
    assert [piece async for piece in stream.pieces] == []
    history = History(desk)
    stream = await history.events(call({"follow": "1"}))
    assert isinstance(stream, Stream)
    desk.happen(Stopping(keep=True))
    await anext(stream.pieces)
    history.close()
    assert [piece async for piece in stream.pieces] == []
