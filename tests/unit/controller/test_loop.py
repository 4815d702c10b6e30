"""The loop over a kernel in memory: start, verdicts, drift, overrides, failures, reload, stop."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from errno import EBUSY, ENOBUFS, ENOMEM
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsguard.core.config import VipConfig
from lvsguard.core.crowd_event import HealthChangedMany
from lvsguard.core.event import (
    Applied,
    AppliedMany,
    ForeignChanged,
    HealthChanged,
    KernelFailed,
    KernelRecovered,
    Level,
    LinkEvent,
    MoreAlike,
    OverrideCleared,
    OverrideIdle,
    Reloaded,
    Repaired,
    Started,
    StepRefused,
)
from lvsguard.core.health import FailureClass, Health, Hint, Verdict
from lvsguard.core.model import (
    Counters,
    Observation,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VipAddress,
    VirtualService,
)
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.core.step import (
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
)
from lvsguard.kernel.port import KernelError
from tests.support.fake_kernel import FakeAddresses, FakeIpvs
from tests.support.rig import (
    OK,
    REFUSED,
    RS1,
    RS2,
    RS3,
    SILENCE,
    VIP,
    WEB,
    WRONG,
    Rig,
    config,
    realserver,
    service,
)

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = ServiceKey.at(Protocol.TCP, ip_address("192.0.2.7"), 25)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(config(), tmp_path)


def drain(key: RealserverKey, kind: OverrideKind = OverrideKind.DRAIN) -> Override:
    return Override(Target(key.address), kind, "alice (uid 1000)", 0.0, "kernel update")


async def test_first_pass_creates_the_service_with_realservers_at_weight_0_then_the_vip(
    rig: Rig,
) -> None:
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 0}
    assert rig.addresses.held == {VIP}
    assert rig.controller.programmed.is_set()
    assert [str(e) for e in rig.told(Applied)][-1] == "applied: ip addr add 10.0.0.8/24 dev eth0"


async def test_first_success_gives_a_realserver_its_weight(rig: Rig) -> None:
    await rig.turn()
    rig.up(RS1)
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 0}


async def test_a_verdict_reaches_the_kernel_without_reading_it(rig: Rig) -> None:
    await rig.settled()
    reads = rig.ipvs.reads
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 1}
    assert rig.ipvs.reads == reads
    assert len(rig.latencies) == 3
    assert rig.told(HealthChanged)


async def test_refused_removes_and_a_wrong_answer_quiesces(rig: Rig) -> None:
    await rig.settled()
    rig.verdict(RS1, Verdict.DOWN, REFUSED)
    rig.verdict(RS2, Verdict.DOWN, WRONG)
    await rig.turn()
    assert rig.weights() == {"10.0.0.43": 0}


async def test_restart_writes_nothing_when_nothing_changed(tmp_path: Path, rig: Rig) -> None:
    await rig.settled()
    writes = rig.ipvs.writes
    again = Rig(config(), tmp_path, rig.ipvs, rig.addresses)
    await again.turn()
    again.up(RS1, RS2)
    await again.turn()
    assert rig.ipvs.writes == writes
    assert rig.addresses.writes == 1
    assert [e.adopted for e in again.events if isinstance(e, Started)] == [2]


async def test_restart_leaves_out_what_was_out_until_it_has_a_verdict(
    tmp_path: Path, rig: Rig
) -> None:
    await rig.settled()
    rig.verdict(RS1, Verdict.DOWN, REFUSED)
    await rig.turn()
    writes = rig.ipvs.writes
    again = Rig(config(), tmp_path, rig.ipvs, rig.addresses)
    await again.turn()
    assert rig.ipvs.writes == writes
    again.up(RS1)
    await again.turn()
    assert rig.weights()["10.0.0.42"] == 1


async def test_a_cleared_table_is_mended_with_one_event(rig: Rig) -> None:
    await rig.settled()
    rig.ipvs.clear()
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 1}
    assert len(rig.told(Repaired)) == 1
    assert not rig.told(Applied)


async def test_a_deleted_realserver_and_a_changed_weight_are_one_event_each(rig: Rig) -> None:
    await rig.settled()
    rig.ipvs.drop(WEB, RS1)
    entries = dict(rig.ipvs.table[WEB].realservers)
    entries[RS2] = replace(entries[RS2], weight=7)
    rig.ipvs.put(WEB, replace(rig.ipvs.table[WEB], realservers=entries))
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 1}
    assert {str(e) for e in rig.told(Repaired)} == {
        "drift repaired on 10.0.0.42:80 in tcp 10.0.0.8:80: it was deleted by somebody else",
        "drift repaired on 10.0.0.43:80 in tcp 10.0.0.8:80: weight 1 became 7",
    }
    named = {(e.service, e.realserver) for e in rig.events if isinstance(e, Repaired)}
    assert named == {
        ("web", "10.0.0.42:80"),
        ("web", "10.0.0.43:80"),
    }


async def test_a_quiet_resync_writes_and_says_nothing(rig: Rig) -> None:
    await rig.settled()
    writes = rig.ipvs.writes
    await rig.resync()
    assert rig.ipvs.writes == writes
    assert rig.events == []


async def test_a_foreign_service_is_told_once_and_never_touched(rig: Rig) -> None:
    foreign = VirtualService("rr", realservers={RS3: Realserver(5)})
    rig.ipvs.put(FOREIGN, foreign)
    await rig.settled()
    await rig.resync()
    rig.ipvs.clear()
    rig.ipvs.put(FOREIGN, foreign)
    await rig.resync()
    assert rig.ipvs.table[FOREIGN] == foreign
    assert WEB in rig.ipvs.table
    assert rig.told(ForeignChanged) == []


async def test_an_address_removed_behind_its_back_is_put_back_by_the_event(rig: Rig) -> None:
    await rig.settled()
    follow = asyncio.create_task(rig.owner.run())
    await asyncio.sleep(0)
    rig.addresses.drop(VIP)
    await rig.addresses.until(lambda: VIP in rig.addresses.held)
    await rig.resync()
    follow.cancel()
    assert [str(e) for e in rig.events] == [
        "drift repaired on 10.0.0.8/24 dev eth0: it was removed by somebody else"
    ]


async def test_an_address_whose_event_was_lost_is_put_back_by_the_resync(rig: Rig) -> None:
    await rig.settled()
    rig.addresses.drop_silently(VIP)
    await rig.resync()
    assert rig.addresses.held == {VIP}
    assert len(rig.told(Repaired)) == 1
    assert rig.told(Applied) == []


async def test_a_link_that_is_down_takes_no_realserver_out(rig: Rig) -> None:
    rig.addresses.put(VipAddress("eth0", ip_address("10.0.0.41"), 24))
    await rig.settled()
    rig.addresses.set_link("eth0", up=False)
    await rig.resync()
    rig.verdict(RS1, Verdict.DOWN, SILENCE)
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 1}
    assert rig.told(HealthChanged) == []
    rig.verdict(RS1, Verdict.DOWN, REFUSED)  # a link that carries an answer is not down
    await rig.turn()
    assert rig.weights() == {"10.0.0.43": 1}


async def test_a_link_to_realservers_is_watched_though_it_carries_no_vip(tmp_path: Path) -> None:
    behind = RealserverKey(ip_address("10.1.0.42"), 80)
    two = config(service(realserver(RS1), realserver(behind)))
    rig = Rig(replace(two, legs=frozenset({"eth1"})), tmp_path)
    rig.addresses.up["eth1"] = True
    rig.addresses.put(VipAddress("eth1", ip_address("10.1.0.41"), 24))
    await rig.settled(RS1, behind)
    rig.addresses.set_link("eth1", up=False)
    await rig.resync()
    assert rig.told(LinkEvent) == [LinkEvent("eth1", up=False)]
    rig.verdict(behind, Verdict.DOWN, replace(SILENCE, failure=FailureClass.HOST_DEAD))
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 1, "10.1.0.42": 1}
    await rig.controller.reload(two)
    assert set(rig.owner.links) == {"eth0"}


async def test_drain_disable_and_weight_reach_the_kernel_and_end(rig: Rig) -> None:
    await rig.settled()
    rig.controller.override(drain(RS1))
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 1}
    rig.controller.override(drain(RS1, OverrideKind.DISABLE))
    await rig.turn()
    assert rig.weights() == {"10.0.0.43": 1}
    rig.controller.clear(Target(RS1.address), OverrideKind.DISABLE, "alice")
    rig.controller.clear(Target(RS1.address), OverrideKind.DRAIN, "alice")
    heavy = replace(drain(RS2, OverrideKind.WEIGHT), weight=Weight(300, percent=True))
    rig.controller.override(heavy)
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 3}


async def test_overrides_by_the_facts_are_reviewed_before_each_decision(rig: Rig) -> None:
    await rig.settled()
    rig.controller.override(drain(RS1))
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 1}

    def review() -> None:
        rig.controller.clear(Target(RS1.address), OverrideKind.DRAIN, "lvsguard")

    rig.controller.review = review
    rig.verdict(RS2, Verdict.DOWN, WRONG)
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 0}


async def test_an_expired_override_ends_by_itself(rig: Rig) -> None:
    await rig.settled()
    rig.controller.override(replace(drain(RS1), expires=time.time() - 1))
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 1}
    assert [e.actor for e in rig.events if isinstance(e, OverrideCleared)] == ["expiry"]


async def test_a_drain_holds_through_a_restart(tmp_path: Path, rig: Rig) -> None:
    await rig.settled()
    rig.controller.override(drain(RS1))
    await rig.turn()
    again = Rig(config(), tmp_path, rig.ipvs, rig.addresses)
    again.controller.override(drain(RS1))
    await again.turn()
    again.up(RS1, RS2)
    await again.turn()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 1}


async def test_a_refused_realserver_holds_nothing_else_back_and_is_told_once(
    rig: Rig,
) -> None:
    rig.ipvs.fail(ENOMEM, lambda s: isinstance(s, AddRealserver) and s.realserver == RS1, times=3)
    await rig.turn()
    await rig.resync()
    await rig.resync()
    assert rig.weights() == {"10.0.0.43": 0}
    assert rig.addresses.held == {VIP}
    refused = [e for e in rig.events if isinstance(e, StepRefused)]
    assert [(e.service, e.realserver) for e in refused] == [("web", "10.0.0.42:80")]
    assert not rig.controller.pulse.programmed
    assert rig.controller.report.trouble()
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 0}
    assert rig.controller.report.trouble() == ()


async def test_no_vip_while_its_service_cannot_be_created(rig: Rig) -> None:
    rig.ipvs.fail(ENOMEM, lambda s: isinstance(s, AddService))
    await rig.turn()
    assert rig.addresses.held == set()
    await rig.resync()
    assert rig.addresses.held == {VIP}


async def test_a_stale_step_makes_the_same_pass_read_again(rig: Rig) -> None:
    await rig.settled()
    rig.ipvs.drop(WEB, RS1)
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 1}


async def test_a_kernel_that_does_not_answer_is_told_once_and_retried(rig: Rig) -> None:
    await rig.settled()
    rig.ipvs.fail_reads(ENOBUFS, times=2)
    await rig.resync()
    await rig.resync()
    assert len(rig.told(KernelFailed)) == 1
    assert rig.controller.report.trouble()
    await rig.turn()
    assert len(rig.told(KernelRecovered)) == 1
    assert rig.told(Repaired) == []


async def test_an_apply_that_breaks_off_is_not_taken_for_drift(rig: Rig) -> None:
    await rig.settled()
    rig.ipvs.fail_applies(ENOBUFS)
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    await rig.turn()
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 0, "10.0.0.43": 1}
    assert rig.told(Repaired) == []


async def test_reload_adds_at_weight_0_and_lets_a_removed_one_finish(rig: Rig) -> None:
    await rig.settled()
    rig.ipvs.count(WEB, RS2, Counters(active=3))
    new = config(service(realserver(RS1, weight=4), realserver(RS3)), digest="new")
    await rig.controller.reload(new)
    assert rig.weights() == {"10.0.0.42": 4, "10.0.0.43": 0, "10.0.0.44": 0}
    rig.up(RS3)
    await rig.turn()
    assert rig.weights()["10.0.0.44"] == 1
    rig.ipvs.count(WEB, RS2, Counters(active=0))
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 4, "10.0.0.44": 1}
    assert rig.told(Reloaded)
    assert rig.told(Repaired) == []


async def test_reload_does_not_take_a_count_from_before_weight_0_for_idle(rig: Rig) -> None:
    await rig.settled()  # RS2 has no connection when the reload reads, and may get one right then
    await rig.controller.reload(config(service(realserver(RS1)), digest="new"))
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 0}
    await rig.resync()
    assert rig.weights() == {"10.0.0.42": 1}


async def test_reload_keeps_a_weight_while_a_changed_check_has_no_verdict(rig: Rig) -> None:
    await rig.settled()
    other = replace(realserver(RS1).checks[0].spec, port=8080)
    new = config(service(realserver(RS1, spec=other), realserver(RS2)))
    await rig.controller.reload(new)
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 1}


async def test_reload_removes_a_service_and_the_vip_that_left(rig: Rig) -> None:
    await rig.settled()
    new = replace(config(), vips=(), services=())
    await rig.controller.reload(new)
    assert rig.ipvs.table == {}
    assert rig.addresses.held == set()


async def test_preview_writes_nothing_and_names_the_steps(rig: Rig) -> None:
    await rig.settled()
    writes = rig.ipvs.writes
    steps = await rig.controller.preview(config(service(realserver(RS1, weight=4))))
    assert rig.ipvs.writes == writes
    assert {type(s) for s in steps} == {EditRealserver}
    assert await rig.controller.preview(config()) == ()


async def test_a_service_owned_by_an_earlier_run_is_removed(tmp_path: Path) -> None:
    ipvs = FakeIpvs({FOREIGN: VirtualService("rr")})
    rig = Rig(config(), tmp_path, ipvs, recorded=(FOREIGN,))
    await rig.turn()
    assert set(ipvs.table) == {WEB}


async def test_release_takes_out_what_is_owned_only(rig: Rig) -> None:
    rig.ipvs.put(FOREIGN, VirtualService("rr"))
    await rig.settled()
    await rig.controller.release()
    assert set(rig.ipvs.table) == {FOREIGN}
    assert rig.addresses.held == set()


async def test_many_verdicts_and_steps_are_told_as_sums(tmp_path: Path) -> None:
    keys = [RealserverKey(ip_address("10.1.0.0") + n, 80) for n in range(150)]
    rig = Rig(config(service(*(realserver(k) for k in keys))), tmp_path)
    await rig.turn()
    rig.up(*keys)
    rig.controller.report.tick(time.monotonic() + 10)
    assert len(rig.told(Applied)) == 100
    assert [e.count for e in rig.events if isinstance(e, AppliedMany)] == [52]
    assert len(rig.told(HealthChanged)) == 100
    (many,) = [e for e in rig.events if isinstance(e, HealthChangedMany)]
    assert many.up == 50
    assert [(one.count, one.detector, one.code) for one in many.alike] == [(50, "check", "L7OK")]


async def test_a_crowd_of_bad_verdicts_makes_one_plan(tmp_path: Path) -> None:
    keys = [RealserverKey(ip_address("10.1.0.0") + n, 80) for n in range(400)]
    crowded = replace(service(*(realserver(k) for k in keys)), panic_below=0.5)
    rig = Rig(config(crowded), tmp_path)
    await rig.settled(*keys)
    writes = rig.ipvs.writes
    running = asyncio.create_task(rig.controller.run())
    await asyncio.sleep(0.2)  # no quick pass was just now
    for first in range(0, len(keys), 50):
        for key in keys[first : first + 50]:
            rig.verdict(key, Verdict.DOWN, REFUSED)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.3)
    running.cancel()
    assert "panic" in {event.kind for event in rig.events}
    # Whoever had planned with the first of them would have taken those out, and back in again.
    assert rig.ipvs.writes == writes
    assert set(rig.weights().values()) == {1}


async def test_an_override_that_a_reload_leaves_without_a_subject_is_told(rig: Rig) -> None:
    await rig.settled()
    rig.controller.override(drain(RS1))
    await rig.controller.reload(config(service(realserver(RS2))))
    await rig.controller.reload(config(service(realserver(RS2))))
    idle = [event.override.target for event in rig.events if isinstance(event, OverrideIdle)]
    assert idle == [Target(RS1.address)]


async def test_many_foreign_services_are_told_as_a_sum(rig: Rig) -> None:
    for number in range(150):
        rig.ipvs.put(replace(FOREIGN, port=1000 + number), VirtualService("rr"))
    await rig.turn()
    rig.controller.report.tick(time.monotonic() + 10)
    assert len(rig.told(ForeignChanged)) == 100
    assert [(e.of, e.count) for e in rig.events if isinstance(e, MoreAlike)] == [("foreign", 50)]


async def test_verdicts_of_one_moment_make_one_plan(rig: Rig) -> None:
    await rig.settled()
    passes = rig.controller.pulse.passes
    loop = asyncio.create_task(rig.controller.run())
    for _ in range(100):
        await asyncio.sleep(0)
    assert rig.controller.pulse.passes > passes
    applies = len(rig.ipvs.applied)
    rig.verdict(RS1, Verdict.DOWN, REFUSED)
    rig.verdict(RS2, Verdict.DOWN, REFUSED)
    await rig.ipvs.until(lambda: len(rig.ipvs.applied) > applies)
    loop.cancel()
    assert rig.weights() == {}
    assert all(isinstance(s, DeleteRealserver) for s in rig.ipvs.applied[-2:])


async def test_a_quick_pass_does_not_end_what_a_whole_pass_found_wrong(rig: Rig) -> None:
    await rig.settled()
    other = ServiceKey.at(Protocol.TCP, VIP.address, 81)
    rig.ipvs.fail(ENOMEM, lambda s: isinstance(s, AddService) and s.service == other, times=9)
    await rig.controller.reload(config(service(), service(name="more", key=other)))
    trouble = rig.controller.report.trouble()
    assert trouble
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    await rig.turn()
    assert rig.controller.report.trouble() == trouble
    assert not rig.controller.pulse.programmed
    assert not rig.controller.pulse.holds({VIP.address})
    assert rig.controller.pulse.holds({VIP.address + 1})
    await rig.resync()
    assert len(rig.told(StepRefused)) == 1
    rig.ipvs.heal()
    await rig.resync()
    assert rig.controller.report.trouble() == ()
    assert rig.controller.pulse.programmed
    assert rig.controller.pulse.holds({VIP.address})


async def test_a_vip_that_cannot_be_removed_keeps_its_service(rig: Rig) -> None:
    await rig.settled()
    rig.addresses.fail(EBUSY, VIP, times=2)
    await rig.controller.reload(replace(config(), vips=(), services=()))
    await rig.resync()
    assert rig.addresses.held == {VIP}
    assert WEB in rig.ipvs.table
    assert rig.controller.report.trouble()
    await rig.resync()
    assert rig.addresses.held == set()
    assert rig.ipvs.table == {}


async def test_a_reload_while_the_kernel_is_silent_is_in_force_and_applied_later(
    rig: Rig,
) -> None:
    await rig.settled()
    rig.ipvs.fail_reads(ENOBUFS)
    new = config(service(realserver(RS1, weight=4), realserver(RS2)), digest="new")
    await rig.controller.reload(new)
    assert rig.controller.book.config.digest == "new"
    assert rig.weights() == {"10.0.0.42": 1, "10.0.0.43": 1}
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 4, "10.0.0.43": 1}
    assert rig.told(Repaired) == []


async def test_a_vip_that_stands_there_already_is_held_from_then_on(rig: Rig) -> None:
    await rig.settled()
    second = VipAddress("eth0", ip_address("10.0.0.9"), 24)
    rig.addresses.put(second)
    vips = (VipConfig("web", (VIP, second)),)
    await rig.controller.reload(replace(config(), vips=vips))
    assert rig.owner.held == {VIP, second}


async def test_a_release_that_leaves_something_behind_says_so(rig: Rig) -> None:
    await rig.settled()
    rig.ipvs.fail(ENOMEM, lambda s: isinstance(s, DeleteService))
    with pytest.raises(KernelError, match="not everything could be taken out"):
        await rig.controller.release()


async def test_a_vip_owned_by_an_earlier_run_is_removed_and_others_are_not(
    tmp_path: Path,
) -> None:
    old = VipAddress("eth1", ip_address("10.0.1.9"), 24)
    other = VipAddress("eth1", ip_address("10.0.1.1"), 24)
    addresses = FakeAddresses({"eth0": True, "eth1": True}, {old, other})
    rig = Rig(config(), tmp_path, addresses=addresses, recorded_addresses=(old,))
    assert rig.controller.owned_addresses == {VIP, old}
    await rig.turn()
    assert addresses.held == {VIP, other}
    assert rig.controller.owned_addresses == {VIP}


@pytest.mark.parametrize("pause", [0.005, 0.0])
async def test_verdicts_that_keep_coming_do_not_put_off_the_next_read(
    tmp_path: Path, pause: float
) -> None:
    rig = Rig(replace(config(), resync=0.05), tmp_path)
    await rig.settled()
    loop = asyncio.create_task(rig.controller.run())
    reads = rig.ipvs.reads
    until = time.monotonic() + 1
    well = True
    while rig.ipvs.reads < reads + 3 and time.monotonic() < until:
        well = not well
        rig.verdict(RS1, Verdict.UP if well else Verdict.DOWN, OK if well else WRONG)
        await asyncio.sleep(pause)
    loop.cancel()
    assert rig.ipvs.reads >= reads + 3


class SlowIpvs(FakeIpvs):
    """A table that takes long to read."""

    TOOK_S = 0.1

    async def read(self) -> Observation:
        await asyncio.sleep(self.TOOK_S)
        return await super().read()


async def test_a_slow_read_does_not_put_off_the_next_one(tmp_path: Path) -> None:
    rig = Rig(config(), tmp_path, SlowIpvs())
    resync = rig.config.resync
    assert await rig.controller.turn() <= resync - SlowIpvs.TOOK_S
    assert rig.controller.pulse.reads == 1
    assert rig.controller.pulse.read_seconds >= SlowIpvs.TOOK_S
    assert 0 < rig.controller.pulse.read_cpu_seconds < SlowIpvs.TOOK_S


async def test_a_crowd_puts_the_next_read_off_while_first_verdicts_are_awaited_and_no_longer(
    tmp_path: Path,
) -> None:
    keys = [RealserverKey(ip_address("10.1.0.0") + n, 80) for n in range(60)]
    services = [
        service(realserver(key), name=f"s{n}", key=replace(WEB, port=1000 + n))
        for n, key in enumerate(keys)
    ]
    rig = Rig(replace(config(*services), resync=60.0), tmp_path)
    await rig.turn()
    rig.up(*keys[1:])
    assert await rig.controller.turn() > 60
    rig.up(keys[0])
    assert await rig.controller.turn() <= 60
    for key in keys:  # somebody's whole network fails: drift is looked for as ever
        rig.verdict(key, Verdict.DOWN, WRONG)
    assert await rig.controller.turn() <= 60
    assert rig.ipvs.reads == 1


async def test_a_change_of_verdict_carries_its_evidence(rig: Rig) -> None:
    await rig.settled()
    (check,) = rig.controller.book.config.services[0].realservers[0].checks
    bad = replace(WRONG, duration=0.25, seen="503 Busy")
    hint = Hint("passive", "1.2 packets each", 99.5)
    down = Health(Verdict.DOWN, 100.0, 0, 3, bad, bad, hint, doubted=98.0)
    rig.controller.record(check, down)
    rig.controller.record(check, Health(Verdict.UP, 110.0, 2, result=OK, doubted=109.0))
    first, second = rig.told(HealthChanged)
    assert (first.level, second.level) == (Level.WARNING, Level.INFO)
    assert isinstance(first, HealthChanged)
    assert (first.detector, first.hint, first.latency) == ("passive", "1.2 packets each", 0.5)
    assert (first.code, first.failure) == ("L7STS", FailureClass.WRONG)
    assert (first.duration, first.probes, first.took, first.seen) == (0.25, 3, 2.0, "503 Busy")
    assert isinstance(second, HealthChanged)
    assert (second.detector, second.latency, second.probes, second.took) == ("check", None, 2, 1.0)
