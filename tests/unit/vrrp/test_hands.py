"""What the elections ask for is done in order, one address write at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from lvsguard.vrrp.action import Action, AddAddresses, Announce, Occasion, RemoveAddresses, Stopped
from lvsguard.vrrp.hands import Hands

ANNOUNCE = Announce(Occasion.TAKEOVER)


class Desk:
    """Does everything; what is slow waits for its gate."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Action]] = []
        self.gates: list[asyncio.Future[None]] = []
        self.hands = Hands(self._do)

    def _do(self, name: str, action: Action) -> Awaitable[None] | None:
        self.done.append((name, action))
        if isinstance(action, Stopped):
            raise ZeroDivisionError
        if not isinstance(action, AddAddresses | RemoveAddresses):
            return None
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        return gate


async def test_what_is_quick_is_done_at_once() -> None:
    desk = Desk()
    desk.hands.take([("a", ANNOUNCE), ("b", ANNOUNCE)])
    assert desk.done == [("a", ANNOUNCE), ("b", ANNOUNCE)]
    assert not desk.hands.busy


async def test_the_rest_waits_behind_a_write() -> None:
    desk = Desk()
    desk.hands.take([("a", AddAddresses()), ("a", ANNOUNCE)])
    desk.hands.take([("b", RemoveAddresses()), ("b", ANNOUNCE)])
    assert desk.done == [("a", AddAddresses())]
    desk.gates[0].set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert desk.done[1:] == [("a", ANNOUNCE), ("b", RemoveAddresses())]
    resting = asyncio.create_task(desk.hands.rest())
    desk.gates[1].set_result(None)
    await resting
    assert desk.done[3:] == [("b", ANNOUNCE)]
    assert not desk.hands.busy


async def test_what_waits_can_be_forgotten() -> None:
    desk = Desk()
    desk.hands.take([("a", AddAddresses()), ("a", ANNOUNCE), ("a", RemoveAddresses())])
    desk.hands.forget(lambda name, action: isinstance(action, Announce))
    desk.gates[0].set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert desk.done == [("a", AddAddresses()), ("a", RemoveAddresses())]
    desk.gates[1].set_result(None)
    await desk.hands.rest()


async def test_a_bug_is_heard_of_and_keeps_nothing_behind_it_from_being_done() -> None:
    heard: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: heard.append(context["exception"])
    )
    desk = Desk()
    desk.hands.take([("a", AddAddresses()), ("a", ANNOUNCE)])
    desk.gates[0].set_exception(ZeroDivisionError())
    await asyncio.sleep(0.01)
    assert desk.done[1:] == [("a", ANNOUNCE)]
    assert [type(error) for error in heard] == [ZeroDivisionError]
    with pytest.raises(ZeroDivisionError):
        desk.hands.take([("a", Stopped()), ("b", ANNOUNCE)])
    desk.hands.take([])
    assert desk.done[-1] == ("b", ANNOUNCE)
