"""Two controllers that hear each other: what each makes of the other."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.admin import peer_channel
from lvsguard.admin.journal import Journal
from lvsguard.controller.standing import Seen, Standing
from lvsguard.core.config import Config
from lvsguard.core.health import Verdict
from lvsguard.core.override import CONFLICT, Override, OverrideKind, Target
from lvsguard.core.peer import VipPart
from lvsguard.daemon import fitness, peers
from lvsguard.daemon.peers import Peers
from lvsguard.daemon.sharing import Sharing
from tests.support.peer_pair import sides, until
from tests.support.rig import OK, RS1, RS2, WRONG, Rig, config
from tests.support.vrrp_peer import state

pytestmark = pytest.mark.slow


class Director:
    """A controller over the kernel in memory, and its end of the channel."""

    def __init__(self, given: Config, place: Path) -> None:
        self.rig = Rig(given, place)
        self.seen = {"web": Seen(standing=Standing(True, 150))}
        emit = self.rig.events.append
        self.sharing = Sharing(given.director, self.rig.controller, Journal(None, emit), emit)
        self.peers = Peers(
            given, self.rig.controller, self.sharing, elections=lambda: self.seen, emit=emit
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.rig.up(RS1, RS2)
        await self.rig.resync()
        task = asyncio.create_task(self.peers.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def told(self, kind: str) -> list[str]:
        return [str(event) for event in self.rig.events if event.kind == kind]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Director, Director]:
    monkeypatch.setattr(peers, "LOOK_S", 0.02)
    monkeypatch.setattr(peer_channel, "HEARD_S", 1.5)
    one, two = sides("director1", "director2")
    found = [
        Director(replace(config(), director=side.name, peer=side.config), tmp_path)
        for side in (one, two)
    ]
    return found[0], found[1]


async def test_the_status_tells_of_the_other_director(pair: tuple[Director, Director]) -> None:
    one, two = pair
    async with one.running(), two.running():
        await until(lambda: one.peers.status()[0].vips, "it is heard")
        (status,) = one.peers.status()
        assert (status.name, status.heard, status.problem) == ("director2", True, "")
        assert (status.same_config, status.programmed, status.differs) == (True, True, ())
        assert status.vips == (VipPart("web", "init", True, 150),)
        two.rig.verdict(RS2, Verdict.DOWN, WRONG)
        await two.rig.turn()
        await until(lambda: one.peers.status()[0].differs, "its health is another one")
        assert one.peers.status()[0].differs == (
            "web: 1 of 2 healthy there, 2 here (10.0.0.43 down there)",
        )
        assert two.peers.status()[0].differs == (
            "web: 2 of 2 healthy there, 1 here (10.0.0.43 down here)",
        )
        two.rig.verdict(RS2, Verdict.UP, OK)
        await two.rig.turn()
        await until(lambda: not one.peers.status()[0].differs, "all is the same again")


async def test_who_ended_a_drain_on_the_other_director_and_why_is_told_here(
    pair: tuple[Director, Director],
) -> None:
    one, two = pair
    target = Target(RS1.address)
    async with one.running(), two.running():
        await until(lambda: one.peers.status()[0].vips, "it is heard")
        drain = Override(target, OverrideKind.DRAIN, "alice", time.time(), "kernel update")
        await one.sharing.set(drain)
        await until(lambda: two.told("override-set"), "it is told")
        await one.sharing.clear(target, OverrideKind.DRAIN, "bob", "the update is done")
        await until(lambda: two.told("override-cleared"), "its end is told")
        assert two.told("override-cleared") == [
            f"drain of {target} ended by bob on director1: the update is done"
        ]


async def test_what_is_not_heard_is_not_told_as_if_it_were(
    pair: tuple[Director, Director],
) -> None:
    one, two = pair
    async with one.running():
        async with two.running():
            await until(lambda: one.peers.status()[0].heard, "it is heard")
        await until(lambda: not one.peers.status()[0].heard, "it is silent", 10)
        (status,) = one.peers.status()
        assert (status.same_config, status.programmed, status.vips) == (None, None, ())
        assert status.problem == "connection refused"
        assert status.last > 0


async def test_a_config_that_stays_another_one_is_told_once(
    pair: tuple[Director, Director], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ROLLOUT_S", 0.2)
    one, two = pair
    async with one.running(), two.running():
        await until(lambda: one.peers.status()[0].same_config, "it is heard")
        book = two.rig.controller.book
        book.configure(replace(book.config, digest="fedcba987654"), 0.0)
        await until(lambda: one.told("peer-config"), "it is told")
        assert one.peers.status()[0].same_config is False
        await asyncio.sleep(0.5)
        assert one.told("peer-config") == [
            "director director2 has configuration fedcba987654, this one 0123456789ab: make the"
            " files the same and reload"
        ]
        book.configure(replace(book.config, digest="0123456789ab"), 0.0)
        await until(lambda: len(one.told("peer-config")) == 2, "its end is told, too")


async def test_the_keys_that_differ_are_named_and_unfitness_is_told(
    pair: tuple[Director, Director], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitness, "SETTLE_S", 0.2)
    monkeypatch.setattr(peers, "PATIENCE_S", 0.2)
    one, two = pair
    two.seen = {"web": Seen(state=state("web", "backup"), standing=Standing(True, 100))}
    async with one.running(), two.running():
        await until(lambda: one.told("peer-fit"), "it is fit", 10)
        assert one.peers.status()[0].fit
        assert await one.peers.objections(["web"]) == ()
        await until(lambda: one.peers.status()[0].clock, "its clock is known")
        offset = one.peers.status()[0].clock
        assert offset is not None
        assert abs(offset.seconds) <= offset.bound + 0.01
        for director, scheduler in ((one, "aa"), (two, "bb")):
            book = director.rig.controller.book
            keys = {("service",): scheduler, ("service", "web"): scheduler, ("vip",): "0"}
            digest = scheduler * 6
            book.configure(replace(book.config, digest=digest, keys=keys), 0.0)
        await until(lambda: one.peers.status()[0].config_differs, "the keys are told", 10)
        status = one.peers.status()[0]
        assert status.config_differs == ("service.web",)
        assert [reason.why for reason in status.unfit] == ["config"]
        await until(lambda: one.told("peer-unfit"), "it is told", 10)
        told = "its config differs in service.web: make the files the same and reload"
        assert one.told("peer-unfit") == [f"director director2 is not fit to take over: {told}"]
        assert await one.peers.objections(["web"]) == (f"director2: {told}",)
        book = two.rig.controller.book
        mine = one.rig.controller.book.config
        book.configure(replace(book.config, digest=mine.digest, keys=mine.keys), 0.0)
        await until(lambda: len(one.told("peer-fit")) == 2, "its end, too", 10)


async def test_a_table_that_stays_another_one_for_no_reason_is_told(
    pair: tuple[Director, Director], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "TABLE_S", 1.0)
    monkeypatch.setattr(peers, "WATCH_S", 0.1)
    one, two = pair
    async with one.running(), two.running():
        await until(lambda: one.peers.status()[0].same_overrides, "it is heard")
        await asyncio.sleep(1.5)
        assert not one.peers.status()[0].other_table
        # A drain that is not shared: the other one claims a VIP there, and here it does not.
        own = Override(Target(RS2.address), OverrideKind.DRAIN, CONFLICT, time.time())
        two.rig.controller.override(own)
        await two.rig.turn()
        await asyncio.sleep(0.5)
        assert not one.peers.status()[0].other_table, "not yet"
        await until(lambda: one.peers.status()[0].other_table, "it is told")
        assert one.peers.status()[0].fit is two.peers.status()[0].fit
        one.rig.controller.override(own)
        await one.rig.turn()
        await until(lambda: not one.peers.status()[0].other_table, "both do the same again")


async def test_a_failover_to_one_that_is_not_heard_is_objected_to(
    pair: tuple[Director, Director], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PATIENCE_S", 0.1)
    one, _ = pair
    async with one.running():
        (objection,) = await one.peers.objections(["web"])
        assert objection.startswith("director2: nothing is heard of it (")
