"""The addresses of instances: put on, taken off, found; over addresses in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from errno import EPERM

from lvsguard.kernel.sysctl import Sysctl
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.ownership import AddressOwner
from tests.support.fake_kernel import FakeAddresses
from tests.unit.vrrp.group_message import INTERFACE, SECOND, VIP, VIP6, VRRP, put

ONE = Instance(put(VIP, SECOND, VIP6), 4)
SIX = Instance(put(VIP, SECOND, VIP6), 6)


class Ground:
    """A keeper over a kernel's addresses."""

    def __init__(self, *held: object) -> None:
        known = [one for one in (VIP, SECOND, VIP6) if one in held]
        self.kernel = FakeAddresses({INTERFACE: True}, known)
        owner = AddressOwner(self.kernel, emit=lambda _: None, changed=lambda: None)
        self.keeper = Keeper(owner, Sysctl())
        self.keeper.watch({INTERFACE})


async def test_an_instance_gets_its_addresses_and_no_others() -> None:
    ground = Ground()
    assert await ground.keeper.add(ONE) == []
    assert ground.kernel.held == {VIP, SECOND}
    assert ground.keeper.holds_all(ONE)
    assert not ground.keeper.holds(SIX)
    assert await ground.keeper.add(SIX) == []
    assert await ground.keeper.remove(ONE) == []
    assert ground.kernel.held == {VIP6}
    assert (ground.keeper.holds(ONE), ground.keeper.holds(SIX)) == (False, True)


async def test_what_the_kernel_refuses_comes_back_as_text_and_the_rest_is_done() -> None:
    ground = Ground()
    ground.kernel.fail(EPERM, VIP)
    (trouble,) = await ground.keeper.add(ONE)
    assert "10.0.0.8" in trouble
    assert ground.keeper.held(ONE) == {SECOND}
    assert ground.keeper.holds(ONE)
    assert not ground.keeper.holds_all(ONE)


async def test_an_address_that_cannot_be_taken_off_is_told_and_still_held() -> None:
    ground = Ground()
    await ground.keeper.add(SIX)
    ground.kernel.fail(EPERM, VIP6)
    (trouble,) = await ground.keeper.remove(SIX)
    assert "2001:db8::8" in trouble
    assert ground.keeper.holds(SIX)
    assert await ground.keeper.remove(SIX) == []
    assert not ground.keeper.holds(SIX)


async def test_what_is_there_is_held_only_by_the_instance_that_adopts_it() -> None:
    ground = Ground(VIP, VIP6)
    assert not ground.keeper.holds(ONE)
    await ground.keeper.find({INTERFACE})
    assert not ground.keeper.holds(ONE)
    ground.keeper.adopt(ONE)
    assert ground.keeper.held(ONE) == {VIP}
    assert not ground.keeper.holds(SIX)
    assert ground.kernel.writes == 0


async def test_what_stands_on_an_interface_that_is_new_to_the_config_is_found() -> None:
    ground = Ground(VIP)
    ground.keeper.watch(())
    await ground.keeper.find(())
    ground.keeper.adopt(ONE)
    assert not ground.keeper.holds(ONE)
    await ground.keeper.find({INTERFACE})
    ground.keeper.adopt(ONE)
    assert ground.keeper.holds(ONE)


async def test_what_nobody_has_any_more_is_taken_off_and_can_be_waited_for() -> None:
    ground = Ground()
    await ground.keeper.add(ONE)
    await ground.keeper.add(SIX)
    assert not ground.keeper.busy
    ground.keeper.drop({VIP, VIP6}, ())
    assert ground.keeper.busy
    await asyncio.wait_for(ground.keeper.rest(), 5)
    assert not ground.keeper.busy
    assert ground.kernel.held == {SECOND}


async def test_to_drop_what_is_not_held_leaves_it_where_it_is() -> None:
    ground = Ground(VIP)
    ground.keeper.drop({VIP}, ())
    assert not ground.keeper.busy
    await ground.keeper.rest()
    assert ground.kernel.held == {VIP}
    assert ground.kernel.writes == 0


async def test_a_virtual_mac_that_was_never_made_is_not_taken_down() -> None:
    ground = Ground()
    virtual = Instance(put(VIP, vrrp=replace(VRRP, virtual_mac=True)), 4)
    assert virtual.virtual is not None
    ground.keeper.drop((), [virtual.virtual])
    assert not ground.keeper.busy
    assert await ground.keeper.remove(virtual) == []
