"""Two directors that talk: over loopback, with TLS, real time and no more of it than it takes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lvsguard.admin import peer_channel, peer_session
from lvsguard.core.peer import VipPart
from tests.support.peer_pair import ACCOUNT, foreign, seen, sides, until

pytestmark = pytest.mark.slow


async def test_each_hears_what_the_other_says_of_itself() -> None:
    one, two = sides("director1", "director2")
    one.say(
        replace(ACCOUNT, config="1", services=seen(web=2), vips=(VipPart("web", "master", True),))
    )
    two.say(replace(ACCOUNT, config="2", services=seen(web=1)))
    async with one.running(), two.running():
        there, here = one.channel.peers["director2"], two.channel.peers["director1"]
        await until(lambda: here.services and there.services, "both are heard")
        assert there.beat is not None
        assert (there.beat.config, there.services) == ("2", seen(web=1))
        assert (here.vips, here.services) == ((VipPart("web", "master", True),), seen(web=2))
        assert (here.problem, here.silent) == ("", False)
    assert one.told("peer-heard") == [
        f"director director2 ({two.config.address}, lvsguard 0.1.0) is heard"
    ]


async def test_what_changes_is_told_at_once() -> None:
    one, two = sides("director1", "director2")
    async with one.running(), two.running():
        there = one.channel.peers["director2"]
        await until(lambda: there.beat, "it is heard")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        two.say(replace(ACCOUNT, services=seen(web=1)))
        await until(lambda: there.services == seen(web=1), "the change is known")
        assert loop.time() - begun < peer_session.BEAT_S / 2
        two.say(ACCOUNT)
        await until(lambda: there.services == {}, "what is gone is forgotten")


async def test_it_speaks_though_nothing_changes() -> None:
    one, two = sides("director1", "director2")
    async with one.running(), two.running():
        there = one.channel.peers["director2"]
        await until(lambda: there.heard, "it is heard")
        first = there.heard
        await until(lambda: there.heard != first, "it is heard again", 3)


async def test_one_that_restarts_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_channel, "HEARD_S", 0.3)
    one, two = sides("director1", "director2")
    async with one.running():
        async with two.running():
            await until(lambda: one.told("peer-heard"), "it is heard")
        there = one.channel.peers["director2"]
        await until(lambda: there.silent, "it has fallen silent")
        (silent,) = one.told("peer-silent")
        assert " is not heard any more: " in silent
        await until(lambda: there.problem == "connection refused", "it says why")
        async with two.running():
            await until(lambda: not there.silent, "it is heard again")
            await until(lambda: not two.channel.peers["director1"].silent, "and hears")
    assert "is heard, after " in one.told("peer-heard")[-1]


async def test_one_that_never_comes_costs_nothing_and_is_no_event() -> None:
    one, _ = sides("director1", "director2")
    async with one.running():
        there = one.channel.peers["director2"]
        await until(lambda: there.problem, "a reason is known")
        assert there.problem == "connection refused"
        assert (there.silent, there.last) == (True, 0.0)
    assert one.events == []


async def test_three_hear_each_other() -> None:
    all_of_them = sides("a", "b", "c")
    a, b, c = all_of_them
    async with a.running(), b.running(), c.running():
        await until(
            lambda: all(not p.silent for side in all_of_them for p in side.channel.peers.values()),
            "all are heard",
        )


async def test_an_address_that_this_host_lacks_is_told_and_tried_again() -> None:
    one, two = sides("director1", "director2")
    elsewhere = replace(two.config, address=two.config.address + 2**24 * 65)  # 192.x.y.z
    two.channel.configure(elsewhere)
    async with two.running():
        there = two.channel.peers["director1"]
        await until(lambda: "cannot listen on" in there.problem, "it is told")
        two.channel.configure(two.config)
        async with one.running():
            await until(lambda: not there.silent, "after a reload all is well")


@pytest.mark.slow
async def test_a_new_credential_on_one_is_refused_until_it_is_on_both() -> None:
    one, two = sides("director1", "director2")
    async with one.running(), two.running():
        there = one.channel.peers["director2"]
        await until(lambda: not there.silent, "it is heard")
        one.channel.configure(replace(one.config, credential=foreign()))
        there = one.channel.peers["director2"]
        await until(lambda: "credential" in there.problem, "it is refused")
        await until(lambda: two.told("peer-refused"), "the other one tells it too")
        two.channel.configure(replace(two.config, credential=foreign()))
        heard = there.heard
        await until(lambda: there.heard != heard, "it is heard again", 15)


async def test_what_a_reload_leaves_alone_goes_on() -> None:
    one, two = sides("director1", "director2")
    async with one.running(), two.running():
        there = one.channel.peers["director2"]
        await until(lambda: not there.silent, "it is heard")
        one.channel.configure(replace(one.config))
        assert one.channel.peers["director2"] is there
        one.channel.configure(None)
        assert one.channel.peers == {}
        await until(lambda: two.channel.peers["director1"].problem, "the other one notices")
        one.channel.configure(one.config)
        await until(lambda: not one.channel.peers["director2"].silent, "and all comes back")
