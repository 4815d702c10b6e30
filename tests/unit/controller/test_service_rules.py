"""The rules of a service in the loop: what is remembered, told, and when the next step is due."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path

from lvsguard.controller.rulebook import GRID_S
from lvsguard.controller.view import LiveView
from lvsguard.core.config import Config, RealserverConfig, SorryServer
from lvsguard.core.health import Verdict
from lvsguard.core.model import RealserverKey
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.rules import PANIC_REST_S
from lvsguard.core.service_event import (
    SERVICE,
    PanicBegan,
    PanicOver,
    QuorumBack,
    QuorumLost,
    SorryServerIn,
    SorryServerOut,
)
from lvsguard.core.snapshot import ServiceStatus
from tests.support.rig import REFUSED, RS1, RS2, RS3, WRONG, Rig, config, realserver, service

SORRY = RealserverKey(RS3.address, 80)
DRAIN = Override(Target(RS1.address), OverrideKind.DRAIN, "alice", 0.0, "disk")


def ruled(
    *,
    quorum: int = 1,
    band: int = 0,
    sorry: bool = False,
    panic_below: float = 0.0,
    slow_start: float = 0.0,
    members: tuple[RealserverConfig, ...] = (realserver(RS1, 10), realserver(RS2, 10)),
) -> Config:
    """The seed's service with rules, its realservers with weights of 10."""
    return config(
        replace(
            service(*members),
            quorum=quorum,
            quorum_hysteresis=band,
            sorry_server=SorryServer(SORRY) if sorry else None,
            panic_below=panic_below,
            slow_start=slow_start,
        )
    )


def seen(rig: Rig) -> ServiceStatus:
    view = LiveView(rig.controller, rig.owner, config_path="c", probers=lambda: (1, 1))
    (one,) = view.services()
    return one


def told(rig: Rig) -> list[str]:
    return [str(e) for e in rig.events if isinstance(e, SERVICE)]


async def down(rig: Rig, *keys: RealserverKey) -> None:
    for key in keys:
        rig.verdict(key, Verdict.DOWN, WRONG)
    await rig.turn()


async def up(rig: Rig, *keys: RealserverKey) -> None:
    rig.up(*keys)
    await rig.turn()


# -- quorum and sorry server -------------------------------------------------------------------


async def test_a_lost_quorum_and_its_return_are_told_with_the_sorry_server(tmp_path: Path) -> None:
    rig = Rig(ruled(quorum=15, band=4, sorry=True), tmp_path)
    await rig.settled()
    await down(rig, RS1)
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 0, "10.0.0.44": 1}
    assert (seen(rig).quorum_have, seen(rig).quorum_need, seen(rig).sorry) == (10, 19, True)
    await up(rig, RS1)
    assert rig.weights() == {"10.0.0.42": 10, "10.0.0.43": 10}
    assert (seen(rig).quorum_need, seen(rig).sorry) == (11, False)
    assert [type(e) for e in rig.events if isinstance(e, SERVICE)] == [
        QuorumLost,
        SorryServerIn,
        QuorumBack,
        SorryServerOut,
    ]


async def test_at_a_start_no_quorum_is_told_as_lost_before_the_verdicts(tmp_path: Path) -> None:
    rig = Rig(ruled(sorry=True), tmp_path)
    await rig.turn()
    rig.verdict(RS1, Verdict.DOWN, REFUSED)
    await rig.turn()
    assert (told(rig), rig.weights()) == ([], {"10.0.0.43": 0})
    await down(rig, RS2)
    assert rig.weights() == {"10.0.0.43": 0, "10.0.0.44": 1}
    assert [type(e) for e in rig.events if isinstance(e, SERVICE)] == [QuorumLost, SorryServerIn]


async def test_a_restart_with_the_sorry_server_in_writes_and_tells_nothing(tmp_path: Path) -> None:
    rig = Rig(ruled(quorum=15, sorry=True), tmp_path)
    await rig.settled()
    await down(rig, RS1)
    writes = rig.ipvs.writes
    again = Rig(ruled(quorum=15, sorry=True), tmp_path, rig.ipvs, rig.addresses)
    await again.turn()
    await down(again, RS1)
    await up(again, RS2)
    await again.resync()
    assert (again.ipvs.writes, told(again)) == (writes, [])
    assert seen(again).sorry


async def test_a_reload_leaves_the_sorry_server_in(tmp_path: Path) -> None:
    given = ruled(quorum=15, sorry=True)
    rig = Rig(given, tmp_path)
    await rig.settled()
    await down(rig, RS1)
    rig.events.clear()
    await rig.controller.reload(replace(given, digest="other"))
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 0, "10.0.0.44": 1}
    assert told(rig) == []


async def test_a_sorry_server_that_a_reload_drops_leaves_as_a_realserver_does(
    tmp_path: Path,
) -> None:
    rig = Rig(ruled(quorum=15, sorry=True), tmp_path)
    await rig.settled()
    await down(rig, RS1)
    await rig.controller.reload(ruled(quorum=15))
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 10, "10.0.0.44": 0}
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 10}
    assert [type(e) for e in rig.events if isinstance(e, SERVICE)][-1] is SorryServerOut


async def test_a_preview_remembers_and_tells_nothing(tmp_path: Path) -> None:
    rig = Rig(ruled(quorum=15, sorry=True), tmp_path)
    await rig.settled()
    await rig.controller.preview(ruled(quorum=20, band=0, sorry=True))
    before = dict(rig.controller.book.rules.memory)
    await rig.turn()
    assert (told(rig), rig.controller.book.rules.memory) == ([], before)


async def test_a_service_that_is_closed_by_its_weights_has_lost_nothing(tmp_path: Path) -> None:
    closed = (realserver(RS1, 0), realserver(RS2, 0))
    rig = Rig(ruled(sorry=True, members=closed), tmp_path)
    await rig.turn()
    await up(rig, RS1, RS2)
    assert rig.weights()["10.0.0.44"] == 1
    assert not rig.told(QuorumLost)


# -- panic -------------------------------------------------------------------------------------


async def test_panic_is_told_once_when_it_begins_and_once_when_it_is_over(tmp_path: Path) -> None:
    rig = Rig(ruled(panic_below=0.5), tmp_path)
    await rig.settled()
    await down(rig, RS1)
    assert (rig.weights(), seen(rig).panic) == ({"10.0.0.42": 0, "10.0.0.43": 10}, False)
    await down(rig, RS2)
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 10, "10.0.0.43": 10}
    assert seen(rig).panic
    assert seen(rig).quorum_have == 0
    await up(rig, RS1)
    assert rig.weights() == {"10.0.0.42": 10, "10.0.0.43": 10}
    rules = rig.controller.book.rules
    assert PANIC_REST_S - 1 < rules.wait(time.monotonic()) <= PANIC_REST_S + GRID_S
    wanted, _ = rig.controller.book.decide(time.monotonic() + PANIC_REST_S + GRID_S)
    (made,) = wanted.services.values()
    assert [one.weight for one in made.realservers.values()] == [10, 0]
    assert sum(isinstance(one, PanicOver) for one in rules.news()) == 1
    assert len(rig.told(PanicBegan)) == 1


# -- slow start --------------------------------------------------------------------------------


async def test_after_down_a_realserver_rises_without_a_read_of_the_kernel(tmp_path: Path) -> None:
    rig = Rig(ruled(slow_start=1.0), tmp_path)
    await rig.settled()
    await down(rig, RS1)
    reads = rig.ipvs.reads
    await up(rig, RS1)
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 10}
    assert seen(rig).rising == 1
    rules = rig.controller.book.rules
    assert 0 < rules.wait(time.monotonic()) <= 1 / 9 + GRID_S
    wanted, anew = rig.controller.book.decide(time.monotonic() + 0.5)
    ((key, made),) = wanted.services.items()
    assert anew == {key}
    assert 4 <= made.realservers[RS1].weight <= 6
    wanted, _ = rig.controller.book.decide(time.monotonic() + 1.2)
    assert wanted.services[key].realservers[RS1].weight == 10
    assert rules.wait(time.monotonic()) == float("inf")
    assert rig.ipvs.reads == reads


async def test_the_loop_wakes_for_each_step_and_then_no_more(tmp_path: Path) -> None:
    """On a real clock: a slow start of 0.3 s, with the next read far away."""
    rig = Rig(replace(ruled(slow_start=0.3), resync=60.0), tmp_path)
    await rig.settled()
    await down(rig, RS1)
    rig.up(RS1)
    reads = rig.ipvs.reads
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(rig.controller.run(), 0.8)
    assert rig.weights() == {"10.0.0.42": 10, "10.0.0.43": 10}
    assert rig.ipvs.reads == reads
    assert rig.controller.pulse.passes <= 10  # 3 until here, one for the verdict, one a step
    assert rig.controller.book.rules.wait(time.monotonic()) == float("inf")


async def test_an_undrain_goes_through_the_slow_start(tmp_path: Path) -> None:
    rig = Rig(ruled(slow_start=60.0), tmp_path)
    await rig.settled()
    rig.controller.override(DRAIN)
    await rig.turn()
    rig.controller.clear(DRAIN.target, DRAIN.kind, "alice")
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 10}
    assert "slow start: 1 of 10" in seen(rig).realservers[0].reason


async def test_a_start_and_a_restart_in_the_middle_give_the_whole_weight(tmp_path: Path) -> None:
    rig = Rig(ruled(slow_start=60.0), tmp_path)
    await rig.settled()
    assert rig.weights() == {"10.0.0.42": 10, "10.0.0.43": 10}
    await down(rig, RS1)
    await up(rig, RS1)
    again = Rig(ruled(slow_start=60.0), tmp_path, rig.ipvs, rig.addresses)
    await again.turn()
    assert again.weights() == {"10.0.0.42": 1, "10.0.0.43": 10}
    await up(again, RS1, RS2)
    assert again.weights() == {"10.0.0.42": 10, "10.0.0.43": 10}


async def test_a_reload_begins_no_slow_start_and_ends_none(tmp_path: Path) -> None:
    given = ruled(slow_start=60.0)
    rig = Rig(given, tmp_path)
    await rig.settled()
    await down(rig, RS1)
    await up(rig, RS1)
    members = (realserver(RS1, 10), realserver(RS2, 20), realserver(RS3, 10))
    await rig.controller.reload(ruled(slow_start=60.0, members=members))
    await up(rig, RS3)
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 20, "10.0.0.44": 10}


async def test_services_in_slow_start_share_their_wakes(tmp_path: Path) -> None:
    rig = Rig(ruled(slow_start=60.0), tmp_path)
    await rig.settled()
    await down(rig, RS1)
    await up(rig, RS1)
    (due,) = rig.controller.book.rules._due.values()
    assert abs(due / GRID_S - round(due / GRID_S)) < 1e-3
