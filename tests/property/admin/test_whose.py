"""Whoever sets and ends overrides of whatever: the answers tell exactly what is gone by it, and
with ``mine`` nothing of somebody else's ever is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from lvsguard.admin import status
from lvsguard.admin.call import Call, Refusal
from lvsguard.admin.overrides import Overrides
from lvsguard.admin.protocol import ChangeReply
from lvsguard.admin.target import clearable, parse_endpoint
from lvsguard.core.actor import same_actor
from lvsguard.core.model import IPAddress
from lvsguard.core.override import Override, OverrideKind, Target
from tests.support.published import Desk, Picture, realserver, service

WEB = service(realserver("10.0.0.42"), realserver("10.0.0.42", 81), realserver("10.0.0.43"))
MAIL = service(realserver("10.0.0.42", 81), name="mail")
ACTORS = ("alice (uid 1000)", "bob (uid 1001)", "deploy (from 10.0.0.7)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    actor: str
    ends: bool
    target: str
    service: str | None
    kind: str
    mine: bool


def asked() -> st.SearchStrategy[Asked]:
    return st.builds(
        Asked,
        actor=st.sampled_from(ACTORS),
        ends=st.booleans(),
        target=st.sampled_from(["10.0.0.42", "10.0.0.42:81", "10.0.0.43"]),
        service=st.sampled_from([None, "web"]),
        kind=st.sampled_from(["drain", "disable"]),
        mine=st.booleans(),
    )


async def answered(desk: Desk, one: Asked) -> ChangeReply | None:
    """None: it was refused."""
    fields = {"target": one.target, "kind": one.kind}
    fields |= {} if one.service is None else {"service": one.service}
    query = fields | ({"mine": "1"} if one.mine else {})

    async def body(most: int) -> bytes:
        return msgspec.json.encode({**fields, "mine": one.mine})

    async def actor() -> str:
        return one.actor

    resource = Overrides(desk)
    call = Call(query, body, actor, lambda: False)
    try:
        reply = await (resource.clear(call) if one.ends else resource.put(call))
    except Refusal:
        return None
    assert isinstance(reply, ChangeReply)
    return reply


def differs(before: tuple[Override, ...], after: tuple[Override, ...]) -> list[Override]:
    return [one for one in before if not any(one is other for other in after)]


def endpoint(text: str) -> tuple[IPAddress, int | None]:
    found = parse_endpoint(text)
    assert found is not None
    return found


CROSSING = [
    Asked("alice (uid 1000)", False, "10.0.0.42", "web", "drain", False),
    Asked("alice (uid 1000)", True, "10.0.0.42:81", None, "drain", True),
]


@example(CROSSING)
@given(st.lists(asked(), max_size=12))
def test_what_is_gone_is_told_and_with_mine_it_is_one_s_own(requests: list[Asked]) -> None:
    desk = Desk(Picture((WEB, MAIL)))
    for one in requests:
        before = desk.picture.overrides()
        reply = asyncio.run(answered(desk, one))
        after = desk.picture.overrides()
        gone = differs(before, after)
        if reply is None:
            assert after == before
            continue
        told = reply.ended if one.ends else reply.replaced
        assert told == [*map(status.override, gone)]
        assert (reply.replaced if one.ends else reply.ended) == []
        if one.mine:
            assert all(same_actor(held.actor, one.actor) for held in gone)
        where = Target(*endpoint(one.target), one.service)
        within, _ = clearable(where, OverrideKind(one.kind), after)
        # One's own is left where it is not within the target: it crosses it.
        own = {o.target for o in after if o.kind == one.kind and same_actor(o.actor, one.actor)}
        assert not one.ends or not own.intersection(within)
        met = [o for o in after if o.kind == one.kind and o.target.meets(where)]
        assert reply.left == ([*map(status.override, met)] if one.ends else [])
