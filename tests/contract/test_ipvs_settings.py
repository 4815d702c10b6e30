"""Counters, timeouts and sync daemons: the same rules in memory and on the real kernel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from errno import EEXIST, EINVAL, ENODEV, ESRCH
from ipaddress import ip_address

import pytest

from lvsguard.core.model import (
    Counters,
    Forwarding,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    Tunnel,
    VirtualService,
)
from lvsguard.core.step import AddRealserver, AddService, DeleteService
from lvsguard.kernel.port import KernelError, SyncDaemon, SyncRole, Timeouts
from tests.support.ipvs_rig import (
    SYNC_LINK,
    FakeRig,
    LinuxRig,
    Rig,
    daemons_seen,
    does,
    linux_rig,
    make_sync_link,
    timeouts_seen,
)

# The kernel sends to this VIP from itself, so that a packet needs no second host.
ECHO = ServiceKey.at(Protocol.UDP, ip_address("10.99.0.1"), 7777)
OTHER = ServiceKey.at(Protocol.UDP, ip_address("10.99.0.1"), 7778)
HERE = RealserverKey(ip_address("10.99.0.1"), 8777)
HERE_TOO = RealserverKey(ip_address("10.99.0.1"), 8778)
RR = VirtualService("rr")
MASTER = SyncDaemon(SyncRole.MASTER, SYNC_LINK, 7)
BACKUP = SyncDaemon(SyncRole.BACKUP, SYNC_LINK, 8, 1400, "224.0.0.99", 9999, 4)


@pytest.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.kernel)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "fake":
        yield FakeRig()
    else:
        make_sync_link()
        async with linux_rig() as real:
            yield real


async def counted(rig: Rig) -> None:
    """Two services, each with one realserver, of which each has had one packet."""
    for key, realserver in ((ECHO, HERE), (OTHER, HERE_TOO)):
        await does(
            rig, AddService(key, RR), AddRealserver(key, realserver, Realserver(1, Forwarding.NAT))
        )
        await rig.traffic(key)


async def test_every_entry_has_counters(rig: Rig) -> None:
    await does(
        rig, AddService(ECHO, RR), AddRealserver(ECHO, HERE, Realserver(1)), AddService(OTHER, RR)
    )
    counters = (await rig.ipvs.read()).counters
    assert set(counters) == {(ECHO, None), (ECHO, HERE), (OTHER, None)}
    assert len(counters) == 3
    assert set(counters.values()) == {Counters()}
    with pytest.raises(KeyError):
        counters[OTHER, HERE]


async def test_a_packet_is_counted_for_the_service_and_its_realserver(rig: Rig) -> None:
    await counted(rig)
    counters = (await rig.ipvs.read()).counters
    # IPv4 and UDP headers, and one byte.
    assert counters[ECHO, None] == Counters(connections=1, in_packets=1, in_bytes=29)
    realserver = counters[ECHO, HERE]
    assert realserver[:5] == counters[ECHO, None][:5]
    # A realserver that comes back to the real table still has its connections of the last time.
    assert realserver.active + realserver.inactive >= 1


async def test_an_observation_keeps_its_counters(rig: Rig) -> None:
    await counted(rig)
    before = await rig.ipvs.read()
    await rig.ipvs.zero()
    await rig.ipvs.read()
    assert before.counters[ECHO, None].connections == 1


async def test_zero_of_one_service_leaves_the_other(rig: Rig) -> None:
    await counted(rig)
    writes = rig.ipvs.writes
    before = (await rig.ipvs.read()).counters[ECHO, HERE]
    await rig.ipvs.zero(ECHO)
    assert rig.ipvs.writes == writes + 1
    counters = (await rig.ipvs.read()).counters
    assert counters[ECHO, None].connections == 0
    assert counters[ECHO, HERE] == Counters(
        active=before.active, inactive=before.inactive, persistent=before.persistent
    )
    assert counters[OTHER, None].connections == 1


async def test_zero_of_all(rig: Rig) -> None:
    await counted(rig)
    await rig.ipvs.zero()
    counters = (await rig.ipvs.read()).counters
    assert [counters[key, None].connections for key in (ECHO, OTHER)] == [0, 0]


async def test_zero_of_a_missing_service_says_so(rig: Rig) -> None:
    with pytest.raises(KernelError, match=f"cannot zero .*{ECHO}.*not in the table") as caught:
        await rig.ipvs.zero(ECHO)
    assert caught.value.errno == ESRCH


async def test_a_service_that_comes_back_starts_to_count_at_zero(rig: Rig) -> None:
    await counted(rig)
    await does(rig, DeleteService(ECHO), AddService(ECHO, RR))
    assert (await rig.ipvs.read()).counters[ECHO, None] == Counters()


async def test_timeouts_are_set_and_a_zero_leaves_one(rig: Rig) -> None:
    await rig.ipvs.set_timeouts(Timeouts(900, 120, 300))
    writes = rig.ipvs.writes
    await rig.ipvs.set_timeouts(Timeouts(0, 30, 0))
    assert rig.ipvs.writes == writes + 1
    assert await rig.ipvs.timeouts() == Timeouts(900, 30, 300)
    await rig.ipvs.set_timeouts(Timeouts(0, 0, 0))
    assert await rig.ipvs.timeouts() == Timeouts(900, 30, 300)
    if isinstance(rig, LinuxRig):
        assert timeouts_seen() == Timeouts(900, 30, 300)


@pytest.mark.parametrize("timeouts", [Timeouts(-1, 0, 0), Timeouts(0, 0, 2**31)])
async def test_a_timeout_out_of_range_is_not_sent(rig: Rig, timeouts: Timeouts) -> None:
    before = await rig.ipvs.timeouts()
    with pytest.raises(KernelError, match="IPVS timeout") as caught:
        await rig.ipvs.set_timeouts(timeouts)
    assert caught.value.errno == EINVAL
    assert await rig.ipvs.timeouts() == before
    assert rig.ipvs.writes == 0


async def test_the_kernel_tells_its_version_and_table_size(rig: Rig) -> None:
    info = await rig.ipvs.info()
    assert info.version == "1.2.1"
    assert info.table_size >= 256
    assert info.table_size & (info.table_size - 1) == 0


async def test_sync_daemons_of_both_roles_start_and_stop(rig: Rig) -> None:
    assert await rig.ipvs.sync_daemons() == ()
    await rig.ipvs.start_sync(BACKUP)
    await rig.ipvs.start_sync(MASTER)
    master = SyncDaemon(SyncRole.MASTER, SYNC_LINK, 7, 1472, "224.0.0.81", 8848, 1)
    assert await rig.ipvs.sync_daemons() == (master, BACKUP)
    if isinstance(rig, LinuxRig):
        assert daemons_seen() == {SyncRole.MASTER: master, SyncRole.BACKUP: BACKUP}
    await rig.ipvs.stop_sync(SyncRole.MASTER)
    assert await rig.ipvs.sync_daemons() == (BACKUP,)
    await rig.ipvs.stop_sync(SyncRole.BACKUP)
    assert await rig.ipvs.sync_daemons() == ()
    assert rig.ipvs.writes == 4


async def test_there_is_one_sync_daemon_of_a_role(rig: Rig) -> None:
    await rig.ipvs.start_sync(MASTER)
    with pytest.raises(KernelError, match="one of this role runs already") as caught:
        await rig.ipvs.start_sync(SyncDaemon(SyncRole.MASTER, SYNC_LINK, 9))
    assert caught.value.errno == EEXIST
    assert [daemon.sync_id for daemon in await rig.ipvs.sync_daemons()] == [7]


async def test_a_sync_daemon_may_change_its_role_at_once(rig: Rig) -> None:
    """The kernel does not answer when a daemon is stopped before its thread has run."""
    for role in (SyncRole.MASTER, SyncRole.BACKUP) * 5:
        await rig.ipvs.start_sync(SyncDaemon(role, SYNC_LINK, 7))
        assert [daemon.role for daemon in await rig.ipvs.sync_daemons()] == [role]
        await rig.ipvs.stop_sync(role)
        assert await rig.ipvs.sync_daemons() == ()


async def test_stopping_what_does_not_run_says_so(rig: Rig) -> None:
    with pytest.raises(KernelError, match="none of this role runs") as caught:
        await rig.ipvs.stop_sync(SyncRole.BACKUP)
    assert caught.value.errno == ESRCH


async def test_a_sync_daemon_needs_its_interface(rig: Rig) -> None:
    with pytest.raises(KernelError, match="there is no interface none0") as caught:
        await rig.ipvs.start_sync(SyncDaemon(SyncRole.MASTER, "none0"))
    assert caught.value.errno == ENODEV


async def test_mixed_families_and_sync_daemons_exclude_each_other(rig: Rig) -> None:
    other = RealserverKey(ip_address("2001:db8::42"), 7777)
    mixed = AddRealserver(ECHO, other, Realserver(1, Forwarding.TUN, Tunnel()))
    await does(rig, AddService(ECHO, RR), mixed)
    with pytest.raises(KernelError, match="another address family") as caught:
        await rig.ipvs.start_sync(MASTER)
    assert caught.value.errno == EINVAL
    await does(rig, DeleteService(ECHO), AddService(ECHO, RR))
    await rig.ipvs.start_sync(MASTER)
    (failed,) = await rig.ipvs.apply([mixed])
    assert failed.errno == EINVAL
    assert "no sync daemon may run" in failed.message
