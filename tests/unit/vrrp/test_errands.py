"""Errands are done beside the loop, one after the other, and the loop goes on with their ends."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator

import pytest

from lvsguard.vrrp.errands import Errands


@pytest.fixture
def errands() -> Iterator[Errands]:
    made = Errands()
    yield made
    made.close()


def settle(errands: Errands) -> None:
    """Go on when something is done."""
    assert select.select([errands.fileno()], [], [], 5)[0]
    errands.read()


def test_the_loop_does_not_wait_and_goes_on_itself(errands: Errands) -> None:
    gate, ran = threading.Event(), []

    def errand() -> Callable[[], None]:
        gate.wait(5)
        doer = threading.current_thread()
        return lambda: ran.append((doer, threading.current_thread()))

    errands.ask(errand)
    errands.read()
    assert ran == []
    gate.set()
    settle(errands)
    assert ran[0][0] is not ran[0][1]
    assert ran[0][1] is threading.current_thread()


def test_the_bell_is_silent_when_everything_is_read(errands: Errands) -> None:
    done: list[int] = []
    for number in range(20):
        errands.ask(lambda number=number: lambda: done.append(number))  # type: ignore[misc]
    while len(done) < 20:
        settle(errands)
    assert done == list(range(20))
    while select.select([errands.fileno()], [], [], 0)[0]:
        errands.read()
    assert not select.select([errands.fileno()], [], [], 0.01)[0]


def test_what_goes_wrong_is_raised_in_the_loop(errands: Errands) -> None:
    def errand() -> Callable[[], None]:
        raise ValueError("a bug")

    errands.ask(errand)
    with pytest.raises(ValueError, match="a bug"):
        settle(errands)


def test_the_end_waits_for_what_was_asked() -> None:
    errands, done = Errands(), []
    errands.ask(lambda: lambda: done.append(1))
    errands.close()
    assert done == [1]
    errands.close()
