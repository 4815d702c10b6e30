"""Shares that the daemon drains: chosen and put in force as one."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from lvsguard.admin.batch import Batches
from lvsguard.admin.call import Call, Refusal
from lvsguard.admin.operations import Kept
from lvsguard.admin.protocol import DrainShare, ShareReply
from lvsguard.core.model import Counters
from lvsguard.core.override import Override
from tests.support.published import Desk, Picture, realserver, service


class Busy(Desk):
    """A daemon that has a turn for somebody else before it does what is asked."""

    async def set_override(self, override: Override) -> Kept:
        await asyncio.sleep(0.01)
        return await super().set_override(override)


def asked(percent: int, **more: object) -> Call:
    request = {"service": "web", "percent": percent} | more

    async def body(most: int) -> bytes:
        return msgspec.json.encode(request)

    async def actor() -> str:
        return "alice (uid 1000)"

    return Call({}, body, actor, lambda: False)


async def drained(batches: Batches, percent: int, **more: object) -> ShareReply:
    reply = await batches.drain(asked(percent, **more))
    assert isinstance(reply, ShareReply)
    return reply


@pytest.fixture
def desk() -> Busy:
    """Five realservers, of which the service needs three."""
    five = (realserver(f"10.0.0.{n}", counters=Counters(active=n)) for n in range(42, 47))
    return Busy(Picture((service(*five, need=3),)))


async def test_who_asks_second_finds_what_the_first_has_taken(desk: Busy) -> None:
    batches = Batches(desk)
    one, other = await asyncio.gather(drained(batches, 20), drained(batches, 40))
    assert one.targets == ["10.0.0.42:80 in web"]
    assert other.targets == ["10.0.0.43:80 in web"]
    assert other.already == one.realservers


async def test_it_says_by_whom_why_and_until_when(desk: Busy) -> None:
    await drained(Batches(desk), 20, reason="kernel", ticket="OPS-1", expires_in=60)
    (drain,) = desk.picture.overrides()
    assert (drain.actor, drain.reason, drain.ticket) == ("alice (uid 1000)", "kernel", "OPS-1")
    assert drain.expires == drain.since + 60


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (DrainShare(service="web", percent=60), "below-quorum"),
        (DrainShare(service="nosuch", percent=20), "unknown-service"),
        (DrainShare(service="web", percent=20, reason="two\nlines"), "bad-request"),
    ],
    ids=["quorum", "service", "reason"],
)
async def test_what_is_refused_drains_nobody(desk: Busy, request_: DrainShare, code: str) -> None:
    fields = msgspec.to_builtins(request_)
    with pytest.raises(Refusal) as refused:
        await Batches(desk).drain(asked(**fields))
    assert refused.value.failure.code == code
    assert desk.picture.overrides() == ()
