"""The real IPVS alone: overflow, missing rights and modules, other readers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from errno import ENOBUFS, ENOENT
from ipaddress import ip_address
from pathlib import Path

import pytest
from pyroute2.ipvs import AsyncIPVS, IPVSService

from lvsguard.core.model import (
    Forwarding,
    Persistence,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.core.step import AddRealserver, AddService, EditRealserver, IpvsStep
from lvsguard.kernel.ipvs import LinuxIpvs
from tests.support.ipvs_rig import LinuxRig, does, holds, ipvsadm, linux_rig
from tests.support.ipvs_table import Table, steps_to

pytestmark = pytest.mark.kernel
WEB = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 80)
RR = VirtualService("rr")
UP = Realserver(1)


def realservers(count: int, weight: int = 1) -> dict[RealserverKey, Realserver]:
    return {
        RealserverKey(ip_address(f"10.1.{n >> 8}.{n & 255}"), 80): Realserver(weight)
        for n in range(count)
    }


@pytest.fixture
async def rig() -> AsyncIterator[LinuxRig]:
    async with linux_rig() as real:
        yield real


async def test_an_overflow_in_the_middle_of_writing_never_hangs(rig: LinuxRig) -> None:
    """ENOBUFS: the buffer takes two or three answers, of sixteen and more that come at once."""
    narrow = await LinuxIpvs.open(receive_buffer=1)
    everything = realservers(300)
    assert await narrow.apply([AddService(WEB, RR)]) == ()
    steps = [AddRealserver(WEB, key, entry) for key, entry in everything.items()]
    async with asyncio.timeout(20):
        failures = await narrow.apply(steps)
    assert failures
    assert {(failed.errno, failed.stale) for failed in failures} == {(ENOBUFS, True)}
    assert "will be read again to see what was done" in failures[0].message
    await holds(rig, {WEB: replace(RR, realservers=everything)})
    assert (await narrow.read()).services[WEB].realservers == everything
    assert await narrow.apply([AddService(replace(WEB, port=81), RR)]) == ()
    await narrow.close()


async def test_a_table_is_read_through_the_smallest_buffer(rig: LinuxRig) -> None:
    await does(rig, *steps_to({WEB: replace(RR, realservers=realservers(500))}))
    narrow = await LinuxIpvs.open(receive_buffer=1)
    assert (await narrow.read()).services == (await rig.ipvs.read()).services
    await narrow.close()


async def test_a_read_that_is_cancelled_leaves_a_table_that_can_be_read(rig: LinuxRig) -> None:
    table: Table = {
        replace(WEB, port=port): replace(RR, realservers=realservers(20)) for port in range(1, 101)
    }
    await does(rig, *steps_to(table))
    for turns in (1, 2, 3, 8):
        reading = asyncio.create_task(rig.ipvs.read())
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert (await rig.ipvs.read()).services == table


async def test_reads_and_writes_at_once_take_turns(rig: LinuxRig) -> None:
    everything = realservers(400)
    await does(rig, *steps_to({WEB: replace(RR, realservers=everything)}))
    edits = [EditRealserver(WEB, key, Realserver(7), UP) for key in everything]
    reads, written, _ = await asyncio.gather(
        asyncio.gather(*(rig.ipvs.read() for _ in range(5))),
        rig.ipvs.apply(edits),
        rig.ipvs.timeouts(),
    )
    assert written == ()
    for observed in reads:
        assert observed.services[WEB].realservers.keys() == everything.keys()
    await holds(rig, {WEB: replace(RR, realservers=realservers(400, weight=7))})


async def test_a_closed_table_opens_again_when_it_is_asked(rig: LinuxRig) -> None:
    await rig.ipvs.close()
    assert (await rig.ipvs.read()).services == {}


async def test_pyroute2_reads_the_same(rig: LinuxRig) -> None:
    """A third reader, written by others. It knows IPv4 only."""
    table: Table = {
        WEB: VirtualService("sh", frozenset({"sh-port"}), Persistence(600, 24)),
        ServiceKey.at(Protocol.UDP, ip_address("10.0.0.9"), 53): VirtualService(
            "wlc",
            realservers={
                RealserverKey(ip_address("10.0.0.42"), 5353): Realserver(
                    65535, Forwarding.NAT, None, 9, 3
                )
            },
        ),
    }
    await does(rig, *steps_to(table))
    seen: Table = {}
    protocols = {6: Protocol.TCP, 17: Protocol.UDP}
    async with AsyncIPVS() as other:  # type: ignore[no-untyped-call]
        await other.setup_endpoint()
        for message in await other.service("dump"):
            service = message.get_attr("IPVS_CMD_ATTR_SERVICE")
            key = ServiceKey.at(
                protocols[service.get_attr("IPVS_SVC_ATTR_PROTOCOL")],
                ip_address(service.get_attr("IPVS_SVC_ATTR_ADDR")),
                service.get_attr("IPVS_SVC_ATTR_PORT"),
            )
            flags = service.get_attr("IPVS_SVC_ATTR_FLAGS")["flags"]
            mask = int(ip_address(service.get_attr("IPVS_SVC_ATTR_NETMASK")))
            seen[key] = VirtualService(
                service.get_attr("IPVS_SVC_ATTR_SCHED_NAME"),
                frozenset({"sh-port"}) if flags & 0x10 else frozenset(),
                Persistence(service.get_attr("IPVS_SVC_ATTR_TIMEOUT"), mask.bit_count())
                if flags & 1
                else None,
                realservers={
                    RealserverKey(
                        ip_address(dest.get_attr("IPVS_DEST_ATTR_ADDR")),
                        dest.get_attr("IPVS_DEST_ATTR_PORT"),
                    ): Realserver(
                        dest.get_attr("IPVS_DEST_ATTR_WEIGHT"),
                        {0: Forwarding.NAT}[dest.get_attr("IPVS_DEST_ATTR_FWD_METHOD")],
                        None,
                        dest.get_attr("IPVS_DEST_ATTR_U_THRESH"),
                        dest.get_attr("IPVS_DEST_ATTR_L_THRESH"),
                    )
                    for reply in await other.dest("dump", service=_named(message))
                    for dest in [reply.get_attr("IPVS_CMD_ATTR_DEST")]
                },
            )
    assert seen == table


def _named(service: object) -> object:
    return IPVSService.from_message(service)  # type: ignore[no-untyped-call]


WITHOUT = """
import asyncio
from ipaddress import ip_address
from pathlib import Path
from lvsguard.core.model import *
from lvsguard.core.step import *
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.ipvs import LinuxIpvs
from lvsguard.kernel.port import KernelError

async def main():
    ipvs = LinuxIpvs()
    key = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 80)
    for asked in (
        ipvs.read(), ipvs.apply([AddService(key, VirtualService("rr"))]), ipvs.zero(),
        ipvs.timeouts(), LinuxAddresses().add(VipAddress("lo", ip_address("10.0.0.8"), 32)),
    ):
        try:
            await asked
        except KernelError as error:
            print(error.errno, error)

asyncio.run(main())
"""


@pytest.mark.usefixtures("rig")
def test_a_missing_capability_is_named_whatever_is_asked() -> None:
    without = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    done = subprocess.run(
        (*without, sys.executable, "-c", WITHOUT), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    told = done.stdout.splitlines()
    assert len(told) == 5
    for line in told:
        assert line.startswith("1 cannot ")
        assert "Operation not permitted: CAP_NET_ADMIN is needed" in line
        assert "AmbientCapabilities=CAP_NET_ADMIN" in line


async def test_a_scheduler_whose_module_is_not_loaded_is_loaded(rig: LinuxRig) -> None:
    unloaded = VirtualService("ovf")
    subprocess.run(("modprobe", "-r", "ip_vs_ovf"), check=True)
    step: IpvsStep = AddService(WEB, unloaded)
    left_alone = await LinuxIpvs.open(load_modules=False)
    kernels_own = Path("/proc/sys/kernel/modprobe")
    before = kernels_own.read_text()
    kernels_own.write_text("/bin/false")
    try:
        (failed,) = await left_alone.apply([step])
        assert (failed.errno, failed.stale) == (ENOENT, False)
        assert "load it with modprobe -a ip_vs_ovf" in failed.message
        assert await rig.ipvs.apply([step]) == ()
        assert rig.ipvs.writes == 2, "once in vain"
    finally:
        kernels_own.write_text(before)
        await left_alone.close()
    await holds(rig, {WEB: unloaded})


async def test_large_batches_keep_the_loop_for_short_stretches_only(rig: LinuxRig) -> None:
    """mh builds its whole table anew for each realserver, all inside one send."""
    await does(rig, AddService(WEB, VirtualService("mh")))
    steps = [AddRealserver(WEB, key, entry) for key, entry in realservers(300).items()]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    assert await rig.ipvs.apply(steps) == ()
    counting.cancel()
    assert turns > len(steps) / 100
    assert len(ipvsadm("-Sn").splitlines()) == 301
