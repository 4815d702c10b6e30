"""Controllers that meet in a real etcd: drains, status, fitness, and what its loss does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.admin.journal import Journal
from lvsguard.controller.ahead import LINGER_S, Ahead
from lvsguard.controller.standing import Seen, Standing
from lvsguard.core.cluster import EtcdAccess
from lvsguard.core.health import Verdict
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.daemon.peers import FROZEN, NOBODY, Peers
from lvsguard.daemon.sharing import Sharing
from lvsguard.vrrp.message import State
from tests.support.etcd import MISSING, server
from tests.support.peer_pair import until
from tests.support.rig import OK, RS1, RS2, WRONG, Rig, config
from tests.support.vrrp_peer import state

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING)]


class Director:
    """A controller over the kernel in memory, and its way to etcd."""

    def __init__(self, name: str, access: EtcdAccess, place: Path, role: str = "backup") -> None:
        given = replace(config(), director=name, etcd=access)
        self.rig = Rig(given, place)
        emit = self.rig.events.append
        self.sharing = Sharing(name, self.rig.controller, Journal(None, emit), emit)
        seen = Seen(state=_state(role), standing=Standing(True, 100))
        self.peers = Peers(
            given, self.rig.controller, self.sharing, elections=lambda: {"web": seen}, emit=emit
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

    @property
    def drained(self) -> set[str]:
        return {str(o.target) for o in self.rig.controller.book.overrides}

    def fits(self) -> dict[str, list[str]]:
        return {one.name: [str(r.why) for r in one.unfit] for one in self.peers.status()}


def _state(role: str) -> State:
    return state("web", role)


async def test_three_directors_share_and_judge_each_other(tmp_path: Path) -> None:
    async with server() as etcd:
        one = Director("director1", etcd.access, tmp_path, "master")
        two, three = (Director(f"director{n}", etcd.access, tmp_path) for n in (2, 3))
        async with one.running(), two.running(), three.running():
            await until(lambda: one.fits() == {"director2": [], "director3": []}, "both are fit")
            target = Target(RS1.address)
            await two.sharing.set(Override(target, OverrideKind.DRAIN, "alice", time.time()))
            await until(lambda: one.drained == three.drained == {str(target)}, "it is shared")
            await until(lambda: one.fits() == {"director2": [], "director3": []}, "as before")
            three.rig.verdict(RS2, Verdict.DOWN, WRONG)
            await three.rig.turn()
            await until(lambda: one.fits()["director3"] == ["checks"], "it is judged")
            assert one.peers.cluster is True
            assert one.peers.trouble == ""

            etcd.kill()
            await until(lambda: one.peers.cluster is False, "its loss is known", 15)
            assert one.peers.trouble.startswith(FROZEN)
            assert one.fits()["director2"] == ["silent"]
            assert one.fits()["director3"] == ["silent", "checks"], "as it was known last"
            assert one.drained == {str(target)}
            (refused, *_) = await one.peers.objections(["web"])
            assert refused.startswith(FROZEN)
            await one.sharing.clear(target, OverrideKind.DRAIN, "bob")
            three.rig.verdict(RS2, Verdict.UP, OK)
            await three.rig.turn()

            await etcd.start()
            await until(lambda: two.drained == three.drained == set(), "it has caught up", 20)
            await until(lambda: one.fits() == {"director2": [], "director3": []}, "fit again")
            assert await one.peers.objections(["web"]) == ()


async def test_a_frozen_picture_is_not_held_against_what_is_seen_here(tmp_path: Path) -> None:
    """A realserver that dies for all while one director has lost etcd is no reason to fail over."""
    async with server() as etcd:
        one = Director("director1", etcd.access, tmp_path, "master")
        two = Director("director2", etcd.access, tmp_path)
        ahead = Ahead(one.rig.controller.book, one.peers.heard)
        async with one.running(), two.running():
            await until(lambda: ahead.at("web", 100.0).well, "both see the same")
            etcd.kill()
            await until(lambda: one.peers.trouble, "its loss is known", 15)
            one.rig.verdict(RS2, Verdict.DOWN, WRONG)
            await one.rig.turn()
            for now in (101.0, 100.0 + LINGER_S, 1000.0):
                assert ahead.at("web", now).well is None


async def test_nothing_is_left_to_a_director_that_is_not_in_etcd(tmp_path: Path) -> None:
    """There may be a backup by VRRP all the same; nobody knows how it is."""
    async with server() as etcd:
        one = Director("director1", etcd.access, tmp_path, "master")
        async with one.running():
            await until(lambda: one.peers.cluster, "etcd is reached")
            assert await one.peers.objections(["web"]) == (NOBODY,)
            two = Director("director2", etcd.access, tmp_path)
            async with two.running():
                await until(lambda: one.fits() == {"director2": []}, "it is fit")
                assert await one.peers.objections(["web"]) == ()
            await until(lambda: not one.peers.status()[0].heard, "it is gone")
            (objection,) = await one.peers.objections(["web"])
            assert objection.startswith("director2: nothing is heard of it (its lease")
            assert "etcd answers it" in objection
