"""Shares that are drained on two directors at the same moment, over real channels and etcd."""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lvsguard.admin import peer_channel
from lvsguard.admin.batch import Batches
from lvsguard.admin.call import Call, Refusal
from lvsguard.admin.journal import Journal
from lvsguard.admin.peer_message import VERSION
from lvsguard.admin.protocol import ShareReply
from lvsguard.controller.standing import Seen, Standing
from lvsguard.controller.view import LiveView
from lvsguard.core.cluster import EtcdAccess
from lvsguard.core.config import Config
from lvsguard.core.model import Counters, RealserverKey
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.daemon import turns
from lvsguard.daemon.failover import Failovers
from lvsguard.daemon.operations import DaemonOperations
from lvsguard.daemon.peers import Peers
from lvsguard.daemon.sharing import Sharing
from lvsguard.vrrp.client import VrrpClient
from tests.support.etcd import MISSING, server
from tests.support.peer_pair import Side, credential, secured, sides, until
from tests.support.rig import WEB, Rig, config, realserver, service

pytestmark = pytest.mark.slow

SIX = tuple(RealserverKey(ip_address("10.0.0.42") + n, 80) for n in range(6))
NEED = 3


def serving(name: str) -> Config:
    """Six realservers, of which three are needed."""
    six = replace(service(*map(realserver, SIX)), quorum=NEED)
    return replace(config(six), director=name)


class Director:
    """A controller over the kernel in memory, what drains shares on it, and the channel."""

    def __init__(self, given: Config, place: Path) -> None:
        self.name = given.director
        self.rig = Rig(given, place)
        self.live = len(SIX)
        """The fewest that were in rotation."""
        emit, controller = self.rig.events.append, self.rig.controller
        journal = Journal(None, emit)
        self.sharing = Sharing(given.director, controller, journal, emit)
        seen = {"web": Seen(standing=Standing(True, 100))}
        self.peers = Peers(given, controller, self.sharing, elections=lambda: seen, emit=emit)
        view = LiveView(controller, self.rig.owner, config_path="c", probers=lambda: (1, 1))
        self.batches = Batches(
            DaemonOperations(
                controller,
                view,
                journal,
                self.sharing,
                load=_no_config,
                face=_same_config,
                adopt=_no_reload,
                emit=emit,
                reloading=lambda begun: None,
                failovers=Failovers(
                    VrrpClient(told=_nobody, changed=_nobody, died=_nobody), emit=emit
                ),
                turn=self.peers.turn,
            )
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.rig.up(*SIX)
        await self.rig.resync()
        # Every director has other connections, so that each takes others first.
        for number, key in enumerate(SIX if self.name == "director1" else reversed(SIX)):
            self.rig.ipvs.count(WEB, key, Counters(active=number))
        await self.rig.resync()
        tasks = [asyncio.create_task(self.peers.run()), asyncio.create_task(self._watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await self.rig.turn()
            self.live = min(self.live, sum(self.rig.weights().values()))
            await asyncio.sleep(0.001)

    async def share(self, percent: int) -> ShareReply | str:
        """Drain so much of the service; the code of the refusal."""

        async def body(most: int) -> bytes:
            return msgspec.json.encode({"service": "web", "percent": percent})

        async def actor() -> str:
            return "alice (uid 1000)"

        try:
            reply = await self.batches.drain(Call({}, body, actor, lambda: False))
        except Refusal as refused:
            return refused.failure.code
        assert isinstance(reply, ShareReply)
        return reply

    @property
    def out(self) -> set[str]:
        return {str(o.target.address) for o in self.rig.controller.book.overrides}

    def hears(self, count: int = 1) -> bool:
        return sum(one.heard for one in self.peers.status()) == count


def _nobody(told: object) -> None:
    """No VRRP process runs."""


async def _no_config(text: str | None) -> Config:
    raise AssertionError("nobody reloads")


async def _same_config(given: Config) -> Config:
    return given


async def _no_reload(given: Config, actor: str) -> int:
    raise AssertionError("nobody reloads")


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Director, Director]:
    monkeypatch.setattr(peer_channel, "HEARD_S", 1.5)
    one, two = (
        Director(replace(serving(side.name), peer=side.config), tmp_path)
        for side in sides("director1", "director2")
    )
    return one, two


def _took(reply: ShareReply | str) -> int | str:
    return reply if isinstance(reply, str) else len(reply.targets)


async def _at_once(*asked: Coroutine[Any, Any, ShareReply | str]) -> list[ShareReply | str]:
    return list(await asyncio.gather(*asked))


@pytest.mark.parametrize("first", [0, 1])
async def test_two_shares_at_once_are_answered_as_by_one_director(
    pair: tuple[Director, Director], first: int
) -> None:
    """Half of six is what the quorum of three allows, two thirds is not."""
    one, two = pair[first], pair[1 - first]
    async with one.running(), two.running():
        await until(lambda: one.hears() and two.hears(), "they talk")
        begun = time.monotonic()
        replies = await _at_once(one.share(50), two.share(67))
        assert time.monotonic() - begun < turns.TURN_S / 2
        assert sorted(map(str, map(_took, replies))) == ["3", "below-quorum"]
        await until(lambda: one.out == two.out, "both hold the same")
        assert len(one.out) == len(SIX) - NEED
        assert min(one.live, two.live) >= NEED, "not for a moment"


async def test_who_is_second_counts_what_the_first_has_taken(
    pair: tuple[Director, Director],
) -> None:
    one, two = pair
    async with one.running(), two.running():
        await until(lambda: one.hears() and two.hears(), "they talk")
        for n in range(20):
            replies = await _at_once(one.share(50), two.share(50))
            took = sorted((reply for reply in replies if not isinstance(reply, str)), key=_took)
            assert [len(reply.targets) for reply in took] == [0, 3], n
            assert {r.address for r in took[0].already} == {r.address for r in took[1].realservers}
            assert [reply.unasked for reply in took] == [[], []]
            for target in one.out:
                where = Target(ip_address(target), 80, "web")
                await one.sharing.clear(where, OverrideKind.DRAIN, "alice")
            await until(lambda: not two.out, "all are back")
        assert min(one.live, two.live) >= NEED


async def test_a_plain_drain_elsewhere_is_counted_too(pair: tuple[Director, Director]) -> None:
    one, two = pair
    async with one.running(), two.running():
        await until(lambda: one.hears() and two.hears(), "they talk")
        target = Target(SIX[5].address, 80, "web")
        drain = Override(target, OverrideKind.DRAIN, "bob", time.time())
        await two.sharing.set(drain)
        assert _took(await one.share(50)) == 2, "one of three is out already"


async def test_one_that_is_not_heard_holds_up_nothing_and_is_told(
    pair: tuple[Director, Director],
) -> None:
    one, two = pair
    async with one.running():
        begun = time.monotonic()
        reply = await one.share(50)
        assert time.monotonic() - begun < 0.5
        assert isinstance(reply, ShareReply)
        assert len(reply.targets) == 3
        assert reply.unasked == ["director director2 is not heard"]
        async with two.running():
            # What was acknowledged on either side stands: this is the window that is left.
            await until(lambda: two.out == one.out, "it hears of it")


async def test_others_that_etcd_has_never_told_of_are_gone_without_and_that_is_told(
    tmp_path: Path,
) -> None:
    one = Director(
        replace(serving("director1"), etcd=EtcdAccess(("http://127.0.0.1:1",))), tmp_path
    )
    async with one.running():
        reply = await one.share(50)
    assert isinstance(reply, ShareReply)
    assert len(reply.targets) == 3
    assert reply.unasked == ["etcd has not told who the other directors are"]


async def test_one_that_hangs_is_not_waited_for_long(
    pair: tuple[Director, Director], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_S", 0.3)
    one, two = pair
    async with one.running(), two.running():
        await until(lambda: one.hears() and two.hears(), "they talk")
        async with two.peers.turn():  # it never ends
            reply = await one.share(50)
        assert isinstance(reply, ShareReply)
        assert len(reply.targets) == 3
        assert reply.unasked == ["director director2 has not answered within 0.3 s"]


async def test_one_of_the_version_before_is_not_waited_for_and_told(tmp_path: Path) -> None:
    old, new = sides("director1", "director2")
    two = Director(replace(serving("director2"), peer=new.config), tmp_path)
    async with two.running():
        _, writer = await _listening(new, old)
        beat = {"type": "Beat", "version": "0.1.0", "config": "", "programmed": True}
        for message in ({"type": "Hello", "version": VERSION, "director": "director1"}, beat):
            body = msgspec.json.encode(message)
            writer.write(len(body).to_bytes(4) + body)
        await until(two.hears, "it is heard")
        begun = time.monotonic()
        reply = await two.share(50)
        assert time.monotonic() - begun < turns.TURN_S / 2
        assert isinstance(reply, ShareReply)
        assert reply.unasked == [
            "director director1 has an lvsguard that takes no turns (upgrade it)"
        ]
        writer.close()


async def _listening(side: Side, caller: Side) -> tuple[StreamReader, StreamWriter]:
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return await secured(side, caller.config.address, credential())
        await asyncio.sleep(0.01)


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
async def test_three_directors_take_turns_by_way_of_etcd(tmp_path: Path) -> None:
    async with server() as etcd, AsyncExitStack() as stack:
        three = [
            Director(replace(serving(f"director{n}"), etcd=etcd.access), tmp_path) for n in range(3)
        ]
        for one in three:
            await stack.enter_async_context(one.running())
        for one in three:
            await until(lambda one=one: one.hears(2), "all talk")  # type: ignore[misc]
        replies = await _at_once(three[0].share(50), three[1].share(67), three[2].share(50))
        assert sorted(map(str, map(_took, replies))) == ["0", "3", "below-quorum"]
        assert all(isinstance(reply, str) or not reply.unasked for reply in replies)
        await until(lambda: three[0].out == three[1].out == three[2].out, "all hold the same")
        assert min(one.live for one in three) >= NEED
