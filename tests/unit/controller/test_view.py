"""What is published is what is: weights of the kernel, reasons of the decision."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from lvsguard.controller.view import LiveView
from lvsguard.core.config import SorryServer, VipPath
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.model import RealserverKey
from lvsguard.core.override import Admin, Override, OverrideKind, Target
from lvsguard.core.snapshot import Role, ServiceStatus
from lvsguard.core.standstill import STALE_S
from lvsguard.telemetry.health import alive
from tests.support.fake_kernel import FakeIpvs
from tests.support.rig import HTTP, REFUSED, RS1, RS2, VIP, WRONG, Rig, config, realserver, service

SORRY = SorryServer(RealserverKey(ip_address("10.0.0.49"), 80))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(config(), tmp_path)


def seen(rig: Rig) -> ServiceStatus:
    (service,) = view(rig).services()
    return service


def view(rig: Rig) -> LiveView:
    return LiveView(rig.controller, rig.owner, config_path="config.toml", probers=lambda: (1, 1))


async def test_a_realserver_has_its_verdict_weight_and_reason(rig: Rig) -> None:
    await rig.settled()
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    rig.verdict(RS2, Verdict.DOWN, REFUSED)
    await rig.turn()
    one, two = seen(rig).realservers
    assert (one.verdict, one.weight) == (Verdict.DOWN, 0)
    assert one.reason == "down: L7STS 503, expected 200"
    assert (two.verdict, two.weight) == (Verdict.DOWN, None)
    assert two.reason == "down, removed: L4CON connection refused"
    assert seen(rig).quorum_have == 0


async def test_a_service_is_read_once_the_kernel_was(rig: Rig) -> None:
    """Its counters are nothing before that, not even once it is there by the daemon's own hand."""
    assert not seen(rig).read
    await rig.turn()
    assert (seen(rig).present, seen(rig).read) == (True, False)
    await rig.resync()
    assert seen(rig).read


async def test_drained_weight_does_not_count_for_the_quorum(rig: Rig) -> None:
    await rig.settled()
    assert seen(rig).quorum_have == 2
    rig.controller.override(Override(Target(RS1.address), OverrideKind.DRAIN, "alice", 0.0, "disk"))
    await rig.turn()
    assert seen(rig).quorum_have == 1
    assert seen(rig).realservers[0].admin is Admin.DRAIN
    assert seen(rig).realservers[0].reason == "drained by alice: disk"


async def test_adopted_weight_counts_before_the_first_verdict(tmp_path: Path, rig: Rig) -> None:
    await rig.turn()
    assert seen(rig).quorum_have == 0
    rig.up(RS1, RS2)
    await rig.turn()
    again = Rig(config(), tmp_path, rig.ipvs, rig.addresses)
    await again.turn()
    assert seen(again).quorum_have == 2


async def test_a_lone_director_is_master_of_the_vips_that_it_holds(rig: Rig) -> None:
    (vip,) = view(rig).vips()
    assert (vip.role, vip.held) == (Role.INIT, frozenset())
    await rig.turn()
    (vip,) = view(rig).vips()
    assert (vip.role, vip.held, vip.master) == (Role.MASTER, frozenset({VIP}), "director1")


async def test_a_link_that_is_down_is_trouble_with_what_to_do(rig: Rig) -> None:
    rig.addresses.set_link("eth0", up=False)
    await rig.turn()
    (trouble,) = view(rig).loop().trouble
    assert trouble.startswith("interface eth0 is down: look at")


async def test_a_controller_that_stands_still_is_trouble_in_the_words_of_healthz(rig: Rig) -> None:
    ahead = [0.0]
    shown = LiveView(
        rig.controller,
        rig.owner,
        config_path="config.toml",
        probers=lambda: (1, 1),
        clock=lambda: time.time() + ahead[0],
    )
    ahead[0] = STALE_S + 1
    (trouble,) = shown.loop().trouble
    assert "no pass has ended since the start at" in trouble
    await rig.turn()
    ahead[0] = STALE_S - 1
    assert shown.loop().trouble == ()
    ahead[0] = STALE_S + 1
    (trouble,) = shown.loop().trouble
    assert alive(shown, None, time.time() + ahead[0]).reasons == (trouble,)
    assert trouble.startswith("the controller stands still: no pass has ended since ")
    ahead[0] += 5
    assert shown.loop().trouble == (trouble,)  # which the page reads out once
    await rig.turn()
    ahead[0] = 0.0
    assert shown.loop().trouble == ()


async def test_a_controller_that_rests_for_long_does_not_stand_still(tmp_path: Path) -> None:
    rig = Rig(replace(config(), resync=60.0), tmp_path)
    await rig.turn()
    shown = view(rig)
    later = time.time() + 61
    assert alive(shown, None, later).ok
    assert not alive(shown, None, later + 60).ok


@pytest.mark.parametrize("rules", [{"panic_below": 0.5}, {"sorry_server": SORRY}])
async def test_nothing_is_in_while_the_kernel_lacks_the_service(
    tmp_path: Path, rules: dict[str, Any]
) -> None:
    """Neither the sorry server nor, in panic, who is down, whatever was decided."""
    lacks = replace(service(realserver(RS1), realserver(RS2)), scheduler="mh", **rules)
    rig = Rig(config(lacks), tmp_path, FakeIpvs(schedulers={"rr"}))
    await rig.turn()
    for key in (RS1, RS2):
        rig.verdict(key, Verdict.DOWN, REFUSED)
    await rig.turn()
    one = seen(rig)
    assert (one.present, one.panic, one.sorry, one.why) == (False, False, False, ())


async def test_a_vip_that_does_not_answer_is_told_of_a_check_that_asks_it(tmp_path: Path) -> None:
    asks = replace(HTTP, path=VipPath(ip_address("10.0.0.8"), 80))
    rig = Rig(config(service(realserver(RS1, spec=asks), realserver(RS2))), tmp_path)
    await rig.settled()
    assert [r.checks[0].vip_path for r in seen(rig).realservers] == [True, None]
    rig.verdict(RS1, Verdict.DOWN, replace(WRONG, failure=FailureClass.VIP_PATH))
    rig.verdict(RS2, Verdict.DOWN, WRONG)
    await rig.turn()
    assert [r.checks[0].vip_path for r in seen(rig).realservers] == [False, None]


async def test_a_drain_is_told_with_what_was_read_after_it(rig: Rig) -> None:
    await rig.settled()
    rig.controller.look()
    await rig.turn()
    rig.controller.override(Override(Target(RS1.address), OverrideKind.DRAIN, "alice", 0.0, "disk"))
    one = seen(rig).realservers[0]
    assert (one.weight, one.weight_read, one.full_weight) == (1, 1, 0)
    await rig.turn()
    one = seen(rig).realservers[0]
    assert (one.weight, one.weight_read) == (0, 1)  # a quick pass reads nothing
    rig.controller.look()
    await rig.turn()
    one = seen(rig).realservers[0]
    assert (one.weight, one.weight_read) == (0, 0)


async def test_since_when_probers_are_missing_is_known(rig: Rig) -> None:
    alive = [2]
    view = LiveView(
        rig.controller, rig.owner, config_path="config.toml", probers=lambda: (alive[0], 2)
    )
    before = time.time()
    there = view.loop().probers_there
    assert there >= before
    alive[0] = 1
    assert view.loop().probers_there == there
    alive[0] = 2
    assert view.loop().probers_there >= there


async def test_times_follow_a_clock_that_was_set_and_no_jitter(rig: Rig) -> None:
    await rig.settled()
    ahead = [0.0]
    shown = LiveView(
        rig.controller,
        rig.owner,
        config_path="config.toml",
        probers=lambda: (1, 1),
        clock=lambda: 1000.0 + ahead[0],
        steady=lambda: 400.0,
    )

    def since() -> float:
        (service,) = shown.services()
        return service.realservers[0].since

    at = since()
    for ahead[0] in (0.3, -0.3):
        assert since() == at
    for ahead[0] in (86400.0, -7200.0):
        assert since() == pytest.approx(at + ahead[0])
