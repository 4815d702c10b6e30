"""Overrides that replace or end somebody else's: what is told of that, and what ``mine`` leaves."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from lvsguard.admin.call import Call, Refusal
from lvsguard.admin.operations import Kept
from lvsguard.admin.overrides import Overrides
from lvsguard.admin.protocol import ChangeReply
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from tests.support.published import NOON, RS1, Desk, Picture, realserver, service

RS2 = realserver("10.0.0.43").key.address
ALICE, BOB = "alice (uid 1000)", "bob (uid 1001)"
DRAIN = OverrideKind.DRAIN


def drain(actor: str, target: Target | None = None, reason: str = "disk broken") -> Override:
    return Override(target or Target(RS1), DRAIN, actor, NOON, reason, None, NOON + 60, "OPS-1")


def desk(*overrides: Override) -> Desk:
    """One whose rs1 serves on two ports."""
    two = service(realserver("10.0.0.42"), realserver("10.0.0.42", 81))
    found = Desk(Picture((two,)))
    found.picture.kept = {one.key: one for one in overrides}
    return found


def call(actor: str, query: dict[str, str], request: dict[str, object]) -> Call:
    async def body(most: int) -> bytes:
        return msgspec.json.encode(request)

    async def who() -> str:
        return actor

    return Call(query, body, who, lambda: False)


async def put(desk: Desk, actor: str, target: str = "10.0.0.42", **more: object) -> ChangeReply:
    request = {"target": target, "kind": "drain"} | more
    reply = await Overrides(desk).put(call(actor, {}, request))
    assert isinstance(reply, ChangeReply)
    return reply


async def clear(desk: Desk, actor: str, target: str = "10.0.0.42", **more: str) -> ChangeReply:
    query = {"target": target, "kind": "drain"} | more
    reply = await Overrides(desk).clear(call(actor, query, {}))
    assert isinstance(reply, ChangeReply)
    return reply


def held(desk: Desk) -> list[str]:
    return [f"{one.target} by {one.actor}" for one in desk.picture.overrides()]


async def test_what_is_replaced_is_told_with_all_that_was_known_of_it() -> None:
    found = desk(drain(ALICE))
    (gone,) = (await put(found, BOB)).replaced
    assert (gone.target, gone.kind, gone.actor, gone.reason) == (
        "10.0.0.42",
        DRAIN,
        ALICE,
        "disk broken",
    )
    assert (gone.since, gone.expires) == ("2026-11-23T12:00:00.000Z", "2026-11-23T12:01:00.000Z")
    assert (gone.ticket, gone.user, gone.uid) == ("OPS-1", "alice", 1000)
    assert [one.actor for one in (await put(found, BOB)).replaced] == [BOB], "one's own, too"


async def test_what_is_new_or_of_another_kind_or_place_replaces_nothing() -> None:
    weight = Override(Target(RS1), OverrideKind.WEIGHT, ALICE, NOON, "slow", Weight(5))
    found = desk(weight, drain(ALICE, Target(RS1, 80)))
    assert (await put(found, BOB)).replaced == []


async def test_what_is_ended_is_told_of_each() -> None:
    found = desk(drain(ALICE, Target(RS1, 80, "web")), drain(BOB))
    reply = await clear(found, BOB)
    assert [(one.target, one.actor) for one in reply.ended] == [
        ("10.0.0.42:80 in web", ALICE),
        ("10.0.0.42", BOB),
    ]
    assert reply.targets == ["10.0.0.42:80 in web", "10.0.0.42"]
    assert (reply.left, held(found)) == ([], [])


async def test_what_crosses_the_target_is_left_and_told() -> None:
    found = desk(drain(ALICE, Target(RS1, None, "web")), drain(BOB, Target(RS1, 80)))
    reply = await clear(found, BOB, "10.0.0.42:80")
    assert reply.targets == ["10.0.0.42:80"]
    assert [one.target for one in reply.left] == ["10.0.0.42 in web"]


@pytest.mark.parametrize(
    "target", [Target(RS1), Target(RS1, 80), Target(RS1, 80, "web"), Target(RS1, None, "web")]
)
async def test_mine_sets_nothing_where_another_holds_any_of_it(target: Target) -> None:
    found = desk(drain(ALICE, target))
    with pytest.raises(Refusal) as caught:
        await put(found, BOB, mine=True)
    assert (caught.value.status, caught.value.failure.code) == (409, "others")
    assert f"the drain of {target} by {ALICE} since 2026-11-23" in caught.value.failure.error
    assert "reason: disk broken; ask whoever that is" in caught.value.failure.error
    assert held(found) == [f"{target} by {ALICE}"]


async def test_mine_is_what_the_same_actor_has_set_on_another_director_too() -> None:
    found = desk(drain(f"{BOB} on director2"))
    assert len((await put(found, BOB, mine=True)).replaced) == 1
    found = desk(drain(f"{BOB} on director2"))
    assert len((await clear(found, BOB, mine="1")).ended) == 1
    assert held(found) == []


async def test_mine_does_not_look_at_other_kinds_and_realservers() -> None:
    weight = Override(Target(RS1), OverrideKind.WEIGHT, ALICE, NOON, "slow", Weight(5))
    found = desk(weight, drain(ALICE, Target(RS2)))
    assert (await put(found, BOB, mine=True)).targets == ["10.0.0.42"]
    assert (await clear(found, BOB, mine="1")).left == []


async def test_mine_ends_what_is_mine_and_tells_the_rest() -> None:
    others = drain(ALICE, Target(RS1, 80, "web")), drain("carol (uid 1002)", Target(RS1, None))
    found = desk(*others, drain(BOB, Target(RS1, 80)))
    reply = await clear(found, BOB, "10.0.0.42:80", mine="1")
    assert reply.targets == ["10.0.0.42:80"]
    assert [one.actor for one in reply.ended] == [BOB]
    assert [one.actor for one in reply.left] == [ALICE, "carol (uid 1002)"]
    assert len(held(found)) == 2


async def test_mine_with_nothing_of_mine_ends_nothing() -> None:
    found = desk(drain(ALICE))
    reply = await clear(found, BOB, mine="1")
    assert (reply.targets, reply.ended) == ([], [])
    assert [one.reason for one in reply.left] == ["disk broken"]
    assert held(found) == [f"10.0.0.42 by {ALICE}"]


async def test_mine_that_is_wider_is_still_to_be_ended_as_it_was_set() -> None:
    found = desk(drain(BOB))
    with pytest.raises(Refusal, match="end that one instead"):
        await clear(found, BOB, "10.0.0.42:80", mine="1")


async def test_mine_leaves_what_another_has_taken_over_while_the_disk_was_waited_for() -> None:
    class Slow(Desk):
        async def clear_override(
            self, target: Target, kind: OverrideKind, actor: str, reason: str = ""
        ) -> Kept:
            kept = await super().clear_override(target, kind, actor, reason)
            taken = drain(ALICE, Target(RS1, 81))
            self.picture.kept[taken.key] = taken
            await asyncio.sleep(0)
            return kept

    whole = desk(drain(BOB, Target(RS1, 80)), drain(BOB, Target(RS1, 81)))
    found = Slow(whole.picture)
    reply = await clear(found, BOB, mine="1")
    assert reply.targets == ["10.0.0.42:80"]
    assert held(found) == [f"10.0.0.42:81 by {ALICE}"]
    assert [one.actor for one in reply.left] == [ALICE]
