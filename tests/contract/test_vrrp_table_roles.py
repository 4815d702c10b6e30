"""The connection table around changes of role, on real interfaces: with a program in the place of
the transfer process, and a clock that may be moved ahead."""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from lvsguard.core.event import Event
from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp import HmacAuth, VrrpConfig
from lvsguard.core.vrrp_event import TableFailed, TableReceived, TableSent, VrrpTold
from lvsguard.vrrp.action import Stage
from lvsguard.vrrp.instance import Family, Instance
from lvsguard.vrrp.joining import WORD_S
from lvsguard.vrrp.message import SyncTarget
from lvsguard.vrrp.refusals import HOLD_MAX_S
from lvsguard.vrrp.tables import STOOD_S, Tables
from lvsguard.vrrp.transitions import Trigger
from tests.support.topology import Host
from tests.support.vrrp_child import vip_group
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
SYNC = SyncTarget(interface="eth0", sync_id=51, group="224.0.0.81", port=8848)
DOUBLE = (sys.executable, "-m", "tests.support.transfer_double")
LEFT, LEFT6 = ip_address("10.0.0.41"), ip_address("fe80::41")


def instance(
    name: str = "web",
    address: str = "10.0.0.8/24",
    vrid: int = 51,
    auth: HmacAuth | None = None,
    interface: str = "eth0",
) -> Instance:
    family: Family = 6 if ":" in address else 4
    group = vip_group(name, address, vrrp=VrrpConfig(vrid, auth=auth), interface=interface)
    return Instance(group, family)


WEB = instance()
WEB6 = instance(address="fd00::8/64")
MAIL = instance("mail", "10.0.0.9/24", 52)


@dataclass
class Desk:
    """The tables of one director, and their loop."""

    host: Host
    tables: Tables
    log: Path
    events: list[Event]
    holds: list[tuple[str, float]]
    ahead: float = 0.0

    @property
    def now(self) -> float:
        return time.monotonic() + self.ahead

    def configure(self, *instances: Instance, sync: SyncTarget | None = SYNC) -> None:
        with self.host.entered():
            self.tables.configure(sync, instances, self.now)

    def become(self, mine: Instance, before: Role, after: Role, cause: Trigger) -> None:
        with self.host.entered():
            self.tables.changed(mine, before, after, cause, self.now)

    def start(self, *instances: Instance) -> None:
        for mine in instances:
            self.become(mine, Role.INIT, Role.BACKUP, Trigger.STARTED)

    def lead(self, *instances: Instance, cause: Trigger = Trigger.MASTER_SILENT) -> None:
        for mine in instances:
            self.become(mine, Role.BACKUP, Role.MASTER, cause)

    def hand_over(self, mine: Instance, stage: Stage) -> None:
        with self.host.entered():
            self.tables.handover(mine, stage, self.now)

    def hear(self, mine: Instance, voice: object = LEFT) -> None:
        with self.host.entered():
            self.tables.master_heard(mine, voice, "eth0", self.now)  # type: ignore[arg-type]

    def turn(self, seconds: float = 0.0) -> None:
        due = self.tables.timer()
        wait = seconds if due is None else max(min(seconds, due - self.now), 0)
        with self.host.entered():
            select.select([self.tables.fileno()], [], [], wait)
            self.tables.wake(self.now)

    def asked(self, kind: str = "Begin") -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [one for one in map(json.loads, lines) if one["type"] == kind]

    def filters(self) -> str:
        return self.host.run("tc", "filter", "show", "dev", "eth0", "egress").stdout

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def until(holds: Callable[[], bool], *desks: Desk, within: float = 5.0) -> None:
    """Run the loops until it holds."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, [one.events for one in desks]
        for one in desks:
            one.turn(0.01)


def run(seconds: float, *desks: Desk) -> None:
    """Run the loops for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in desks:
            one.turn(0.01)


@contextmanager
def desk(host: Host, log: Path, how: str = "well") -> Iterator[Desk]:
    events: list[Event] = []
    holds: list[tuple[str, float]] = []
    tables = Tables(
        emit=events.append,
        hold=lambda vip, s: holds.append((vip, s)),
        command=(*DOUBLE, how, str(log)),
    )
    one = Desk(host, tables, log, events, holds)
    try:
        yield one
    finally:
        with host.entered():
            tables.close(one.now)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.fixture
def left(hosts: Pair, tmp_path: Path) -> Iterator[Desk]:
    with desk(hosts.left, tmp_path / "left.log") as made:
        yield made


@pytest.fixture
def right(hosts: Pair, tmp_path: Path) -> Iterator[Desk]:
    with desk(hosts.right, tmp_path / "right.log") as made:
        yield made


def held(one: Desk, *addresses: str) -> Callable[[], bool]:
    """Whether exactly these are held back."""
    every = ("10.0.0.8", "10.0.0.9")

    def exactly() -> bool:
        shown = one.filters()
        found = {a for a in every if f" {int(ip_address(a))}" in shown}
        return found == set(addresses) and ("pref 8848" in shown) == bool(addresses)

    return exactly


@pytest.mark.parametrize(("mine", "voice"), [(WEB, LEFT), (WEB6, LEFT6)], ids=["ipv4", "ipv6"])
def test_a_director_that_joins_waits_for_the_masters_table(
    left: Desk, right: Desk, mine: Instance, voice: object
) -> None:
    left.configure(mine)
    left.lead(mine)
    right.configure(mine)
    right.start(mine)
    run(0.02, right)
    assert right.holds == [("web", WORD_S)]
    right.hear(mine, voice)
    until(lambda: ("web", 0.0) in right.holds, left, right)
    until(lambda: bool(left.told(TableSent)), left)
    (received,), (sent,) = right.told(TableReceived), left.told(TableSent)
    assert isinstance(received, TableReceived)
    assert isinstance(sent, TableSent)
    assert (received.entries, received.peer, sent.why) == (50, str(voice), "join")
    assert len(left.asked()) == 1
    assert len(left.asked("Again")) == 1


def led(right: Desk, left: Desk) -> None:
    """The right one leads after it had joined; meanwhile, unheard, the left one leads, too."""
    for one in (right, left):
        one.configure(WEB)
        one.start(WEB)
        run(0.02, one)
        one.lead(WEB)
        run(0.02, one)
    right.holds.clear()


@pytest.mark.parametrize(
    "cause", [Trigger.WAS_LATE, Trigger.HIGHER_PRIORITY, Trigger.GREATER_ADDRESS]
)
def test_a_master_that_may_have_missed_another_masters_reign_waits_for_its_table(
    left: Desk, right: Desk, cause: Trigger
) -> None:
    led(right, left)
    right.become(WEB, Role.MASTER, Role.BACKUP, cause)
    run(0.02, right)
    assert right.holds == [("web", WORD_S)]
    right.hear(WEB)
    until(lambda: ("web", 0.0) in right.holds, left, right)
    assert len(right.told(TableReceived)) == 1


def test_a_master_that_handed_over_as_planned_asks_nobody(left: Desk, right: Desk) -> None:
    led(right, left)
    right.become(WEB, Role.MASTER, Role.BACKUP, Trigger.SUCCESSOR_HEARD)
    right.hear(WEB)
    run(0.3, left, right)
    assert right.holds == []
    assert right.told(TableReceived) == []


def test_a_backup_that_stood_still_asks_again_and_one_that_was_a_little_late_does_not(
    left: Desk, right: Desk
) -> None:
    led(right, left)
    right.become(WEB, Role.MASTER, Role.BACKUP, Trigger.SUCCESSOR_HEARD)
    right.tables.stalled(WEB, STOOD_S - 0.1)
    right.hear(WEB)
    run(0.1, left, right)
    assert right.holds == []
    right.tables.stalled(WEB, STOOD_S)
    right.hear(WEB)
    until(lambda: ("web", 0.0) in right.holds, left, right)
    assert right.holds[0] == ("web", WORD_S)
    assert len(right.told(TableReceived)) == 1


def test_a_master_that_stood_still_and_finds_nobody_is_not_held_back(right: Desk) -> None:
    right.configure(WEB)
    right.lead(WEB)
    right.tables.stalled(WEB, 60.0)
    right.become(WEB, Role.MASTER, Role.BACKUP, Trigger.WAS_LATE)
    right.lead(WEB)
    run(0.05, right)
    assert right.holds == [("web", 0.0)]


def test_a_reload_while_the_answer_is_awaited_loses_nothing(left: Desk, right: Desk) -> None:
    keys = HmacAuth({1: b"k" * 32}, 1)
    new = instance(auth=keys)
    left.configure(new)
    left.lead(new)
    right.configure(WEB)
    right.start(WEB)
    right.hear(WEB)
    run(0.2, left, right)
    assert right.told(TableReceived) == [], "it had no key"
    right.configure(new)
    right.hear(new)
    until(lambda: ("web", 0.0) in right.holds, left, right)
    assert len(right.told(TableReceived)) == 1


def test_a_master_that_is_no_lvsguard_is_given_up_after_three_seconds(right: Desk) -> None:
    right.configure(WEB)
    right.start(WEB)
    right.hear(WEB)
    for _ in range(3):
        right.ahead += 1.01
        right.turn()
    right.turn()
    assert right.holds == [("web", WORD_S), ("web", 0.0)]
    assert "no lvsguard" in str(right.told(TableFailed)[-1])


def test_a_master_that_reads_for_long_is_waited_for_while_it_says_so(
    hosts: Pair, right: Desk, tmp_path: Path
) -> None:
    with desk(hosts.left, tmp_path / "slow.log", "mute") as left:
        left.configure(WEB)
        left.lead(WEB)
        right.configure(WEB)
        right.start(WEB)
        right.hear(WEB)
        for seconds in range(1, 25):
            right.ahead = left.ahead = 1.01 * seconds
            run(0.05, left, right)
        assert right.events == []
    assert right.holds == [("web", WORD_S)] * len(right.holds)
    assert len(right.holds) > 20, "each promise is as long"
    for seconds in range(25, 37):  # the master says no more
        right.ahead = 1.01 * seconds
        run(0.02, right)
    assert right.holds[-1] == ("web", 0.0)
    assert "in time" in str(right.told(TableFailed)[-1])


def test_without_sync_nobody_asks_waits_or_holds_back(right: Desk) -> None:
    right.configure(WEB, sync=None)
    right.start(WEB)
    right.hear(WEB)
    right.lead(WEB, cause=Trigger.PREEMPTS)
    right.hand_over(WEB, Stage.BEGUN)
    run(0.3, right)
    assert not any(seconds for _, seconds in right.holds)
    assert right.events == []
    assert right.filters() == ""
    assert not right.tables.busy
    assert right.tables.timer() is None or right.tables.timer() == pytest.approx(
        right.now + HOLD_MAX_S, abs=0.5
    )


def test_of_several_vip_groups_exactly_those_are_held_back_that_may_be_taken_over(
    left: Desk,
) -> None:
    left.configure(WEB, MAIL)
    left.start(WEB, MAIL)
    until(held(left, "10.0.0.8", "10.0.0.9"), left)
    left.lead(WEB)
    until(held(left, "10.0.0.9"), left)
    left.lead(MAIL, cause=Trigger.PREEMPTS)
    run(0.2, left)
    assert held(left, "10.0.0.9")(), "for a moment, the takeover was planned"
    left.ahead += HOLD_MAX_S
    until(held(left), left)
    left.become(WEB, Role.MASTER, Role.BACKUP, Trigger.HIGHER_PRIORITY)
    until(held(left, "10.0.0.8"), left)
    left.become(WEB, Role.BACKUP, Role.FAULT, Trigger.LINK_LOST)
    until(held(left), left)


@pytest.mark.parametrize("cause", [Trigger.OWNER_STARTED, Trigger.OWNER_BACK])
def test_an_owner_that_takes_over_from_one_that_speaks_holds_back_for_a_moment(
    left: Desk, cause: Trigger
) -> None:
    left.configure(WEB)
    left.start(WEB)
    left.lead(WEB, cause=cause)
    until(held(left, "10.0.0.8"), left)
    left.ahead += HOLD_MAX_S
    until(held(left), left)


def test_turning_sync_off_and_on_follows(left: Desk) -> None:
    left.configure(WEB)
    left.start(WEB)
    until(held(left, "10.0.0.8"), left)
    left.configure(WEB, sync=None)
    until(held(left), left)
    left.configure(WEB)
    until(held(left, "10.0.0.8"), left)


def test_the_end_leaves_the_interface_as_it_was(hosts: Pair, tmp_path: Path) -> None:
    with desk(hosts.left, tmp_path / "log") as one:
        one.configure(WEB)
        one.start(WEB)
        until(held(one, "10.0.0.8"), one)
    assert "clsact" not in hosts.left.run("tc", "qdisc", "show", "dev", "eth0").stdout


def test_what_does_not_change_is_not_written_again(hosts: Pair, left: Desk) -> None:
    left.configure(WEB)
    left.start(WEB)
    until(held(left, "10.0.0.8"), left)
    monitor = hosts.left.start("tc", "tc", "monitor")
    for _ in range(20):
        left.configure(WEB)
        left.hear(WEB)
        left.turn(0.01)
    assert monitor.text() == ""
    left.lead(WEB)
    until(lambda: "deleted" in monitor.text(), left)


def test_a_missing_interface_harms_nobody(left: Desk) -> None:
    gone = instance("mail", "10.0.0.9/24", 52, interface="eth7")
    left.configure(WEB, gone)
    left.start(WEB, gone)
    until(held(left, "10.0.0.8"), left)
    until(lambda: any("eth7" in str(event) for event in left.events), left)
    left.lead(WEB)
    until(held(left), left)
    assert len([event for event in left.events if "eth7" in str(event)]) == 1


def test_an_ingress_qdisc_in_the_way_is_told_once(hosts: Pair, left: Desk) -> None:
    hosts.left.run("tc", "qdisc", "add", "dev", "eth0", "ingress")
    left.configure(WEB, MAIL)
    left.start(WEB)
    until(lambda: bool(left.told(VrrpTold)), left)
    left.start(MAIL)
    run(0.3, left)
    assert len([event for event in left.told(VrrpTold) if "hold back" in str(event)]) == 1


def test_many_vip_groups_handed_over_at_once_send_the_table_twice_at_most(left: Desk) -> None:
    groups = [instance(f"g{n}", f"10.0.0.{100 + n}/24", 100 + n) for n in range(50)]
    left.configure(*groups)
    left.lead(*groups)
    run(0.5, left)
    for mine in groups:
        left.hand_over(mine, Stage.BEGUN)
    run(0.7, left)
    for mine in groups:
        left.hand_over(mine, Stage.HEARD)
    until(lambda: not left.tables.busy, left)
    assert len(left.asked()) <= 2
    assert len(left.asked("Again")) <= 8
    assert len(left.asked("Prepare")) <= 2


def test_what_is_handed_over_is_what_is_sent(left: Desk) -> None:
    left.configure(WEB, MAIL)
    left.lead(WEB)
    left.hand_over(WEB, Stage.BEGUN)
    until(lambda: len(left.asked()) == 1, left)
    assert left.asked()[0]["addresses"] == ["10.0.0.8"]


def test_a_vip_group_that_a_higher_priority_took_is_among_what_is_sent(left: Desk) -> None:
    left.configure(WEB, MAIL)
    left.lead(WEB)
    left.become(WEB, Role.MASTER, Role.BACKUP, Trigger.HIGHER_PRIORITY)
    until(lambda: len(left.asked()) == 1, left)
    assert left.asked()[0]["addresses"] == ["10.0.0.8"]


def test_the_last_packets_are_sent_though_the_role_is_gone(left: Desk) -> None:
    left.configure(WEB)
    left.lead(WEB)
    left.hand_over(WEB, Stage.BEGUN)
    until(lambda: not left.tables.busy, left)
    before = len(left.asked("Again"))
    left.hand_over(WEB, Stage.HEARD)
    left.become(WEB, Role.MASTER, Role.INIT, Trigger.SUCCESSOR_HEARD)
    assert left.tables.busy, "the process must not end yet"
    until(lambda: not left.tables.busy, left)
    assert len(left.asked("Again")) == before + 3
