"""Who claims a VIP: named by MAC address, kept while it lasts, drained where that is asked for."""

from __future__ import annotations

import sys
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from lvsguard.controller.conflicts import Conflicts
from lvsguard.controller.factbook import FactBook
from lvsguard.controller.neighbours import Neighbours
from lvsguard.core.config import OnConflict, ServiceConfig, VipConfig
from lvsguard.core.event import Event
from lvsguard.core.health import FailureClass, Health, Result, Verdict
from lvsguard.core.model import IPAddress, Protocol, RealserverKey, ServiceKey
from lvsguard.core.override import CONFLICT, Override, OverrideKind, Target
from lvsguard.core.snapshot import ConflictStatus
from lvsguard.core.vrrp_event import (
    ConflictDrain,
    HandoverStage,
    RoleChanged,
    VipConflict,
    VipConflictOver,
    VrrpProcessDied,
)
from tests.support import rig

RS1, RS2 = rig.RS1.address, rig.RS2.address
MAC1, MAC2 = "02:00:00:00:00:2a", "02:00:00:00:00:2b"
VIP = "10.0.0.8"
CLAIM = VipConflict("web", MAC1, "arp", VIP)
OVER = VipConflictOver("web", MAC1, 7.0, VIP)


class Scene:
    def __init__(self, on_conflict: OnConflict = OnConflict.TELL, *services: ServiceConfig) -> None:
        config = rig.config(*services)
        self.sought = 0
        vip = VipConfig("web", (), on_conflict=on_conflict)
        self.book = FactBook(replace(config, vips=(vip,)))
        for check in self.book.checks:
            self.book.record(check, Health(Verdict.UP))
        self.events: list[Event] = []
        self.neighbours = Neighbours(self.events.append)
        self.conflicts = Conflicts(
            self.book,
            self.neighbours,
            emit=self.events.append,
            put=self.book.put,
            clear=lambda target, kind, actor: self.book.drop(target, kind),
            clock=lambda: 1000.0,
        )
        self.conflicts.seek = self._seek

    def _seek(self) -> None:
        self.sought += 1

    @property
    def drained(self) -> list[str]:
        return [str(o.target) for o in self.book.overrides if o.kind is OverrideKind.DRAIN]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def draining() -> Scene:
    scene = Scene(OnConflict.DRAIN)
    scene.neighbours.met(RS1, MAC1)
    scene.neighbours.met(RS2, MAC2)
    return scene


def test_a_realserver_is_named_by_its_mac_address_with_what_to_run_there(scene: Scene) -> None:
    scene.neighbours.met(RS1, MAC1)
    scene.conflicts.tell(CLAIM)
    assert scene.events == [replace(CLAIM, realserver=str(RS1))]
    command = f"run there: lvsguard realserver check --vip {VIP} --rip {RS1}"
    assert command in str(scene.events[0])
    status = ConflictStatus(ip_address(VIP), MAC1, RS1, 1000.0)
    assert scene.conflicts.of("web") == (status,)
    assert [command in line for line in scene.conflicts.trouble()] == [True]


def test_one_that_is_no_realserver_is_told_by_its_mac_address(scene: Scene) -> None:
    scene.conflicts.tell(CLAIM)
    assert scene.events == [CLAIM]
    assert "a director that cannot be heard, or a realserver" in str(scene.events[0])


def test_the_name_is_told_as_soon_as_it_is_known_and_once(scene: Scene) -> None:
    scene.conflicts.tell(CLAIM)
    scene.neighbours.met(RS2, MAC2)
    scene.conflicts.named()
    scene.neighbours.met(RS1, MAC1)
    scene.conflicts.named()
    scene.conflicts.named()
    assert scene.events == [CLAIM, replace(CLAIM, realserver=str(RS1))]


def test_it_lasts_until_it_is_over(scene: Scene) -> None:
    scene.conflicts.tell(CLAIM)
    scene.conflicts.tell(OVER)
    assert scene.events == [CLAIM, OVER]
    assert scene.conflicts.of("web") == ()
    assert list(scene.conflicts.trouble()) == []


def test_a_vrrp_process_that_died_says_no_end_so_what_it_told_is_forgotten(scene: Scene) -> None:
    scene.conflicts.tell(CLAIM)
    scene.conflicts.tell(VrrpProcessDied("signal 9"))
    assert scene.conflicts.of("web") == ()
    assert scene.events == [CLAIM, VrrpProcessDied("signal 9")]


ADVERT = VipConflict("web", "10.0.0.40", "advert", "priority 100")


def test_another_master_that_is_heard_is_trouble_until_it_is_silent(scene: Scene) -> None:
    scene.conflicts.tell(ADVERT)
    assert list(scene.conflicts.trouble()) == [str(ADVERT)]
    assert scene.conflicts.of("web") == (), "it is no address that a realserver answers for"
    over = VipConflictOver("web", "10.0.0.40", 3.0)
    scene.conflicts.tell(over)
    assert list(scene.conflicts.trouble()) == []
    assert scene.events == [ADVERT, over]


@pytest.mark.parametrize(
    "event",
    [
        RoleChanged("web", "master", "backup", "higher priority heard", "10.0.0.40"),
        HandoverStage("web", "begun", ""),
        VrrpProcessDied("signal 9"),
    ],
)
def test_who_is_master_no_longer_has_no_other_master_beside_it(scene: Scene, event: Event) -> None:
    other = replace(ADVERT, vip="mail")
    for conflict in (ADVERT, other):
        scene.conflicts.tell(conflict)
    scene.conflicts.tell(event)
    left = [] if isinstance(event, VrrpProcessDied) else [str(other)]
    assert list(scene.conflicts.trouble()) == left
    assert scene.events[-1] == event


def test_nobody_is_drained_without_being_asked_for(scene: Scene) -> None:
    scene.neighbours.met(RS1, MAC1)
    scene.conflicts.tell(CLAIM)
    assert scene.drained == []


def test_a_drain_lasts_as_long_as_the_conflict(draining: Scene) -> None:
    draining.conflicts.tell(CLAIM)
    assert draining.drained == [str(RS1)]
    (override,) = draining.book.overrides
    assert (override.actor, override.reason) == (CONFLICT, f"it answers for VIP {VIP}")
    draining.conflicts.tell(CLAIM)
    draining.conflicts.tell(OVER)
    assert draining.drained == []


def test_the_last_one_of_a_service_is_not_drained(draining: Scene) -> None:
    failure = Result(False, "L4CON", "refused", failure=FailureClass.REFUSED)
    for check in draining.book.checks:
        if check.address == RS2:
            draining.book.record(check, Health(Verdict.DOWN, result=failure))
    draining.conflicts.tell(CLAIM)
    assert draining.drained == []
    assert draining.events[-1] == ConflictDrain("web", str(RS1), "web")


def test_of_two_only_the_first_is_drained(draining: Scene) -> None:
    draining.conflicts.tell(CLAIM)
    draining.conflicts.tell(VipConflict("web", MAC2, "arp", VIP))
    assert draining.drained == [str(RS1)]


def fails(scene: Scene, *addresses: IPAddress) -> None:
    failure = Result(False, "L4CON", "refused", failure=FailureClass.REFUSED)
    for check in scene.book.checks:
        if check.address in addresses:
            scene.book.record(check, Health(Verdict.DOWN, result=failure))


def test_who_was_drained_is_let_back_in_when_nobody_else_is_left(draining: Scene) -> None:
    draining.conflicts.tell(CLAIM)
    draining.conflicts.settle()
    assert draining.drained == [str(RS1)]
    fails(draining, RS2)
    draining.conflicts.settle()
    assert draining.drained == []
    assert draining.events[-1] == ConflictDrain("web", str(RS1), "web")
    for check in draining.book.checks:
        draining.book.record(check, Health(Verdict.UP))
    draining.conflicts.tell(CLAIM)  # as it is told each minute while it lasts
    assert draining.drained == [str(RS1)]
    draining.conflicts.tell(OVER)
    assert draining.drained == []


def test_a_look_while_nothing_has_changed_costs_nothing(draining: Scene) -> None:
    """Each pass looks, and who claims a VIP may be in a service of ten thousand realservers."""
    draining.conflicts.tell(CLAIM)
    assert draining.drained == [str(RS1)]
    draining.conflicts.settle()
    draining.book.decide(1.0)
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    draining.conflicts.settle()
    sys.setprofile(None)
    assert calls <= 3
    assert draining.drained == [str(RS1)]


def test_an_operators_drain_of_who_claims_a_vip_stands_though_nobody_else_is_left(
    draining: Scene,
) -> None:
    draining.conflicts.tell(CLAIM)
    theirs = Override(Target(RS1), OverrideKind.DRAIN, "alice", 1.0)
    draining.book.put(theirs)
    fails(draining, RS2)
    draining.conflicts.settle()
    assert draining.book.overrides == (theirs,)


def test_a_reload_that_wants_no_drain_any_more_ends_it(draining: Scene) -> None:
    draining.conflicts.tell(CLAIM)
    told = VipConfig("web", (), on_conflict=OnConflict.TELL)
    draining.book.configure(replace(draining.book.config, vips=(told,)), 0.0)
    draining.conflicts.settle()
    assert draining.drained == []


@pytest.mark.parametrize("rule", [{"quorum": 2}, {"panic_below": 0.6}])
def test_a_drain_that_costs_the_quorum_or_makes_panic_is_not_made(rule: dict[str, Any]) -> None:
    keys = (rig.RS1, rig.RS2, rig.RS3)
    service = replace(rig.service(*map(rig.realserver, keys)), **rule)
    scene = Scene(OnConflict.DRAIN, service)
    scene.neighbours.met(RS1, MAC1)
    scene.conflicts.tell(CLAIM)
    assert scene.drained == [str(RS1)]
    fails(scene, RS2)
    scene.conflicts.settle()
    assert scene.drained == []
    assert scene.events[-1] == ConflictDrain("web", str(RS1), "web")
    scene.conflicts.tell(CLAIM)
    assert scene.drained == []


@pytest.mark.parametrize("rule", [{"quorum": 3}, {"panic_below": 0.7}])
def test_a_service_that_has_too_few_already_loses_no_other(rule: dict[str, Any]) -> None:
    keys = (rig.RS1, rig.RS2, rig.RS3, rig.RS3._replace(address=rig.RS3.address + 1))
    service = replace(rig.service(*map(rig.realserver, keys)), **rule)
    scene = Scene(OnConflict.DRAIN, service)
    scene.neighbours.met(RS1, MAC1)
    fails(scene, RS2, rig.RS3.address)
    scene.book.decide(1.0)
    scene.conflicts.tell(CLAIM)
    assert scene.drained == []
    assert scene.events[-1] == ConflictDrain("web", str(RS1), "web")


def test_an_operators_drain_stays_the_operators(draining: Scene) -> None:
    theirs = Override(Target(RS1), OverrideKind.DRAIN, "alice", 1.0)
    draining.book.put(theirs)
    draining.conflicts.tell(CLAIM)
    draining.conflicts.tell(OVER)
    assert draining.book.overrides == (theirs,)


def test_a_drain_that_an_operator_took_over_is_not_ended(draining: Scene) -> None:
    draining.conflicts.tell(CLAIM)
    theirs = Override(Target(RS1), OverrideKind.DRAIN, "alice", 1.0)
    draining.book.put(theirs)
    draining.conflicts.tell(OVER)
    assert draining.book.overrides == (theirs,)


def test_one_that_an_operator_put_back_is_not_drained_again_in_the_same_conflict(
    draining: Scene,
) -> None:
    draining.conflicts.tell(CLAIM)
    draining.book.drop(Target(RS1), OverrideKind.DRAIN)
    draining.conflicts.tell(CLAIM)
    assert draining.drained == []


def test_who_still_claims_the_vip_when_another_drain_of_it_ends_is_drained_again(
    draining: Scene,
) -> None:
    draining.conflicts.tell(CLAIM)
    theirs = Override(Target(RS1), OverrideKind.DRAIN, "bob on director2", 1.0)
    draining.book.put(theirs)  # it took the place of this director's own
    draining.book.drop(*theirs.key)
    draining.conflicts.ended(Target(RS1))
    assert [o.actor for o in draining.book.overrides] == [CONFLICT]
    draining.conflicts.tell(OVER)
    assert draining.drained == []


def test_the_end_of_a_drain_that_came_before_the_conflict_drains_it_too(draining: Scene) -> None:
    theirs = Override(Target(RS1), OverrideKind.DRAIN, "bob on director2", 1.0)
    draining.book.put(theirs)
    draining.conflicts.tell(CLAIM)
    draining.book.drop(*theirs.key)
    draining.conflicts.ended(Target(RS2))
    assert draining.drained == []
    draining.conflicts.ended(Target(RS1))
    assert [o.actor for o in draining.book.overrides] == [CONFLICT]


def test_where_nobody_claims_a_vip_the_end_of_a_drain_is_its_end(draining: Scene) -> None:
    draining.conflicts.tell(CLAIM)
    draining.conflicts.tell(OVER)
    draining.conflicts.ended(Target(RS1))
    assert draining.drained == []


VIP6, RS1_6, RS2_6 = (ip_address(one) for one in ("fd00::8", "fd00::42", "fd00::43"))
CLAIM6 = VipConflict("web", MAC1, "nd", str(VIP6))


def service6() -> ServiceConfig:
    keys = (RealserverKey(one, 80) for one in (RS1_6, RS2_6))
    key = ServiceKey.at(Protocol.TCP, VIP6, 80)
    return rig.service(*map(rig.realserver, keys), name="web6", key=key)


@pytest.fixture
def dual() -> Scene:
    """One host stands for RS1 in both families."""
    scene = Scene(OnConflict.DRAIN, rig.service(), service6())
    for address in (RS1, RS1_6):
        scene.neighbours.met(address, MAC1)
    for address in (RS2, RS2_6):
        scene.neighbours.met(address, MAC2)
    return scene


def test_of_one_host_the_address_is_drained_that_serves_the_vip(dual: Scene) -> None:
    dual.conflicts.tell(CLAIM6)
    assert dual.events == [replace(CLAIM6, realserver=str(RS1_6))]
    assert dual.drained == [str(RS1_6)]
    dual.conflicts.tell(CLAIM)
    assert dual.events[-1] == replace(CLAIM, realserver=str(RS1))
    assert dual.drained == [str(RS1_6), str(RS1)]
    dual.conflicts.tell(VipConflictOver("web", MAC1, 7.0, str(VIP6)))
    assert dual.drained == [str(RS1)]


def test_one_that_is_known_in_another_family_only_names_the_host_and_is_not_drained() -> None:
    scene = Scene(OnConflict.DRAIN, rig.service(), service6())
    scene.neighbours.met(RS1, MAC1)
    scene.conflicts.tell(CLAIM6)
    assert scene.events == [replace(CLAIM6, realserver=str(RS1))]
    assert scene.drained == []
    assert scene.conflicts.sought() == {RS1_6, RS2_6}
    scene.neighbours.met(RS1_6, MAC1)
    scene.conflicts.named(MAC1)
    assert scene.events[-1] == replace(CLAIM6, realserver=str(RS1_6))
    assert scene.drained == [str(RS1_6)]


def test_each_address_of_one_host_that_serves_the_vip_is_drained_but_the_last_of_a_service() -> (
    None
):
    rs3 = rig.RS3.address
    keys = (rig.RS1, rig.RS2, rig.RS3)
    scene = Scene(OnConflict.DRAIN, rig.service(*map(rig.realserver, keys)))
    scene.neighbours.met(RS2, MAC1)
    scene.conflicts.tell(CLAIM)
    assert scene.drained == [str(RS2)]
    for address in (RS1, rs3):
        scene.neighbours.met(address, MAC1)
        scene.conflicts.named(MAC1)
    assert scene.drained == [str(RS2), str(RS1)]
    assert scene.events == [
        replace(CLAIM, realserver=str(RS2)),
        ConflictDrain("web", str(rs3), "web"),
    ]
    scene.conflicts.tell(OVER)
    assert scene.drained == []


def test_realservers_of_other_vips_are_drained_where_the_vip_has_none_on_that_host() -> None:
    scene = Scene(OnConflict.DRAIN, rig.service())
    scene.neighbours.met(RS1, MAC1)
    scene.conflicts.tell(replace(CLAIM, detail="10.0.0.9"))
    assert scene.drained == [str(RS1)]


def test_who_has_no_name_is_looked_for_among_the_realservers_of_the_family(dual: Scene) -> None:
    assert dual.conflicts.sought() == frozenset()
    dual.conflicts.tell(CLAIM)
    assert dual.sought == 0
    dual.conflicts.tell(replace(CLAIM6, other="02:00:00:00:00:63"))
    assert dual.sought == 1
    assert dual.conflicts.sought() == {RS1_6, RS2_6}
    dual.conflicts.tell(replace(CLAIM, other="02:00:00:00:00:63"))
    assert dual.conflicts.sought() == {RS1, RS2, RS1_6, RS2_6}
