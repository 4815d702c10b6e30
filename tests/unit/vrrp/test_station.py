"""The station where no interface is: what it is told, when it begins and leaves, what it takes off.

Adverts that go over a wire are the contract tests' (``test_vrrp_process``).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from math import inf

import pytest

from lvsguard.core.event import Event
from lvsguard.core.model import VipAddress
from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp_event import RoleChanged
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.logbook import Logbook, blank
from lvsguard.vrrp.message import Put
from lvsguard.vrrp.ownership import AddressOwner
from lvsguard.vrrp.paths import Paths
from lvsguard.vrrp.station import Station
from lvsguard.vrrp.tables import Tables
from lvsguard.vrrp.transitions import State
from tests.support.fake_kernel import FakeAddresses
from tests.unit.vrrp.group_message import INTERFACE, SECOND, VIP, VIP6, VRRP, put

MAIL = put(SECOND, name="mail", vrrp=replace(VRRP, vrid=52))


class Ground:
    """A station with all its parts, over addresses in memory."""

    def __init__(self) -> None:
        self.kernel = FakeAddresses({INTERFACE: True})
        self.events: list[Event] = []
        self.left: list[str] = []
        owner = AddressOwner(self.kernel, emit=self.events.append, changed=lambda: None)
        self.keeper = Keeper(owner, Sysctl())
        self.watch = InterfaceWatch()
        self.tables = Tables(emit=self.events.append, hold=lambda *_: None)
        self.memory = blank()
        self.book = Logbook(self.memory)
        self.station = Station(
            Paths(self.watch, Sysctl()),
            self.keeper,
            self.tables,
            self.book,
            emit=self.events.append,
            stopped=self.left.extend,
        )

    async def configure(self, *puts: Put, found: Iterable[VipAddress] = ()) -> None:
        """Take part for these, as the process does it; ``found``: addresses that stand already."""
        self.kernel.held |= set(found)
        await self.station.rest()
        await self.keeper.find({INTERFACE})
        self.station.configure({one.name: one for one in puts}, None, time.monotonic())
        await asyncio.wait_for(self.station.rest(), 5)

    def states(self) -> dict[str, State]:
        """Of all elections, by instance."""
        parties = self.station.roster.parties.values()
        return {name: one.state for party in parties for name, one in party.group.members.items()}

    def roles(self) -> list[str]:
        """What was told of roles."""
        return [one.after for one in self.events if isinstance(one, RoleChanged)]

    def close(self) -> None:
        """Give everything back."""
        self.tables.close(time.monotonic())
        self.station.paths.close()
        self.watch.close()
        self.book.close()
        os.close(self.memory)


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    one = Ground()
    yield one
    await one.station.rest()
    one.close()


async def test_without_its_interface_a_vip_group_is_in_fault_and_says_what_to_do(
    ground: Ground,
) -> None:
    await ground.configure(put(VIP, VIP6))
    assert ground.states() == {"web/4": State.FAULT, "web/6": State.FAULT}
    assert set(ground.roles()) == {Role.FAULT}
    party = ground.station.roster.party("web")
    assert party is not None
    assert f"no interface {INTERFACE}" in ground.station.problem(party)
    assert party.due == inf


@pytest.mark.parametrize("start_delay", [0.0, 30.0])
async def test_addresses_that_it_finds_but_cannot_serve_are_taken_off(
    ground: Ground, start_delay: float
) -> None:
    group = put(VIP, VIP6, vrrp=replace(VRRP, start_delay=start_delay))
    await ground.configure(group, found=[VIP, VIP6, SECOND])
    assert ground.kernel.held == {SECOND}, "of which nobody told it"
    assert ground.station.idle()


async def test_a_start_delay_is_waited_for_only_where_nothing_stands(ground: Ground) -> None:
    await ground.configure(put(VIP, vrrp=replace(VRRP, start_delay=30.0)))
    assert ground.states() == {"web/4": State.INIT}
    assert 25.0 < ground.station.timer() - time.monotonic() <= 30.0


async def test_a_start_delay_does_not_begin_anew_with_another_config(ground: Ground) -> None:
    late = replace(VRRP, start_delay=30.0)
    await ground.configure(put(VIP))
    await ground.configure(put(VIP, SECOND, vrrp=late))
    await ground.configure(put(VIP, VIP6, vrrp=late))
    assert ground.states() == {"web/4": State.FAULT, "web/6": State.FAULT}


async def test_what_is_left_of_a_start_delay_is_waited_for(ground: Ground) -> None:
    late = replace(VRRP, start_delay=30.0)
    await ground.configure(put(VIP, vrrp=late))
    begun = time.monotonic()
    await asyncio.sleep(0.3)
    await ground.configure(put(VIP, VIP6, vrrp=late))
    assert ground.states() == {"web/4": State.INIT, "web/6": State.INIT}
    assert ground.station.timer() <= begun + 30.1


async def test_a_vip_group_that_is_new_waits_and_one_that_joins_a_sync_group_does_not(
    ground: Ground,
) -> None:
    late = replace(VRRP, start_delay=30.0)
    mail = put(SECOND, name="mail", vrrp=replace(late, vrid=52))
    await ground.configure(put(VIP))
    await ground.configure(put(VIP, vrrp=late), mail)
    assert ground.states() == {"web/4": State.FAULT, "mail/4": State.INIT}
    both = replace(late, sync_group="both")
    await ground.configure(put(VIP, vrrp=both), MAIL)
    other = put(SECOND, name="other", vrrp=replace(both, vrid=53))
    await ground.configure(put(VIP, vrrp=both), other)
    assert ground.states() == {"web/4": State.FAULT, "other/4": State.FAULT}


async def test_a_fresh_logbook_does_not_make_a_master_of_one_that_was_not_said_to_be_ready(
    ground: Ground,
) -> None:
    ground.book.note(f"{INTERFACE}/4/51", time.monotonic() + 1000.0)
    await ground.configure(put(VIP))
    assert Role.MASTER not in ground.roles()


async def test_a_standing_that_comes_before_the_config_counts(ground: Ground) -> None:
    ground.station.standing("web", ready=True, priority=77, now=time.monotonic())
    await ground.configure(put(VIP, VIP6))
    party = ground.station.roster.party("web")
    assert party is not None
    assert {one.priority for one in party.group.members.values()} == {77}
    assert all(one.contends for one in party.group.members.values())
    assert not ground.station.idle()


async def test_a_standing_of_a_vip_group_that_left_is_forgotten(ground: Ground) -> None:
    ground.station.standing("web", ready=True, priority=77, now=time.monotonic())
    await ground.configure(MAIL)
    await ground.configure(put(VIP), MAIL)
    party = ground.station.roster.party("web")
    assert party is not None
    assert {one.contends for one in party.group.members.values()} == {False}


async def test_a_sync_group_is_ready_when_all_of_its_vip_groups_are(ground: Ground) -> None:
    both = [
        put(VIP, vrrp=replace(VRRP, sync_group="all")),
        put(SECOND, name="mail", vrrp=replace(VRRP, vrid=52, sync_group="all")),
    ]
    await ground.configure(*both)
    now = time.monotonic()
    ground.station.standing("web", ready=True, priority=150, now=now)
    assert ground.station.idle()
    ground.station.standing("mail", ready=True, priority=90, now=now)
    assert not ground.station.idle()
    members = ground.station.roster.parties["group all"].group.members
    assert {name: one.priority for name, one in members.items()} == {"web/4": 150, "mail/4": 90}
    ground.station.unready(now)
    assert ground.station.idle()


async def test_what_did_not_change_goes_on_as_it_was(ground: Ground) -> None:
    await ground.configure(put(VIP), MAIL)
    web = ground.station.roster.party("web")
    mail = ground.station.roster.party("mail")
    await ground.configure(put(VIP, vrrp=replace(VRRP, interval=0.5)), MAIL)
    assert ground.station.roster.party("mail") is mail
    assert ground.station.roster.party("web") is not web
    assert ground.left == []


async def test_a_vip_group_that_the_config_has_no_more_leaves_and_that_is_told(
    ground: Ground,
) -> None:
    await ground.configure(put(VIP), MAIL)
    ground.station.touched.clear()
    await ground.configure(MAIL)
    assert ground.left == ["web"]
    assert ground.station.roster.instances.keys() == {"mail/4"}
    assert ground.station.roster.party("web") is None
    ground.station.tidy()
    assert ground.station.paths.links.keys() == {INTERFACE}


async def test_all_leave_when_it_is_told_to(ground: Ground) -> None:
    await ground.configure(put(VIP, VIP6), MAIL)
    ground.station.leave(time.monotonic(), keep=False)
    assert sorted(ground.left) == ["mail", "web"]
    assert ground.station.roster.parties == {}
    ground.station.tidy()
    assert ground.station.paths.links == {}


async def test_one_that_gets_no_table_does_not_end_the_wait_of_those_that_move_with_it(
    ground: Ground,
) -> None:
    together = replace(VRRP, sync_group="both")
    mail = put(SECOND, name="mail", vrrp=replace(together, vrid=52))
    await ground.configure(put(VIP, vrrp=together), mail)
    now, group = time.monotonic(), ground.station.roster.party("web")
    assert group is not None

    def held() -> set[float | None]:
        return {one.held_until for one in group.group.members.values()}

    for name in ("web", "mail"):
        ground.station.hold(name, 10.0, now)
    ground.station.hold("mail", 0.0, now)
    assert held() == {now + 10.0}
    ground.station.hold("web", 0.0, now)
    assert held() == {None}


async def test_commands_for_a_vip_group_that_is_not_there_change_nothing(ground: Ground) -> None:
    await ground.configure(MAIL)
    before, now = ground.states(), time.monotonic()
    ground.station.touched.clear()
    ground.station.failover("web", now)
    ground.station.resume("web", now)
    ground.station.hold("web", 5.0, now)
    ground.station.standing("web", ready=True, priority=200, now=now)
    assert ground.states() == before
    assert ground.station.touched == set()


async def test_whatever_happens_to_a_vip_group_is_marked_for_whoever_shows_it(
    ground: Ground,
) -> None:
    await ground.configure(put(VIP), MAIL)
    assert ground.station.touched == {"web", "mail"}
    ground.station.touched.clear()
    ground.station.standing("mail", ready=True, priority=100, now=time.monotonic())
    assert ground.station.touched == {"mail"}


async def test_with_nothing_to_do_it_waits_and_a_wake_up_changes_nothing(ground: Ground) -> None:
    await ground.configure(put(VIP))
    before, events = ground.states(), list(ground.events)
    for _ in range(3):
        ground.station.wake(time.monotonic())
    assert ground.states() == before
    assert ground.events == events
