"""A coroutine's own CPU time; and that it is the same coroutine in every other way."""

from __future__ import annotations

import asyncio
from time import thread_time

import pytest

from lvsguard.controller.metered import Metered

BUSY_S = 0.05


def burn(seconds: float = BUSY_S) -> None:
    """Use so much CPU time of this thread."""
    end = thread_time() + seconds
    while thread_time() < end:
        pass


async def test_its_own_work_counts_on_both_sides_of_a_wait() -> None:
    async def work() -> str:
        burn()
        await asyncio.sleep(0)
        burn()
        return "done"

    metered = Metered(work())
    assert await metered == "done"
    assert 2 * BUSY_S <= metered.seconds < 3 * BUSY_S


async def test_what_others_do_while_it_waits_does_not_count() -> None:
    async def others() -> None:
        burn(4 * BUSY_S)

    async def work() -> None:
        await asyncio.create_task(others())
        await asyncio.sleep(0.01)

    metered = Metered(work())
    await metered
    assert metered.seconds < BUSY_S


async def test_an_error_comes_through_and_what_it_took_is_known() -> None:
    async def work() -> None:
        burn()
        await asyncio.sleep(0)
        raise KeyError("x")

    metered = Metered(work())
    with pytest.raises(KeyError, match="x"):
        await metered
    assert metered.seconds >= BUSY_S


async def test_an_error_of_what_is_awaited_reaches_the_coroutine() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return "in time"
        return "never"

    assert await Metered(work()) == "in time"


async def test_a_cancellation_reaches_the_coroutine() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def waiting() -> None:
        await Metered(work())

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
