"""A kernel whose ip_vs is not loaded: it is loaded, or named with what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from errno import ENOENT
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.core.model import Protocol, ServiceKey, VirtualService
from lvsguard.core.step import AddService
from lvsguard.kernel.genl import FamilyMissing
from lvsguard.kernel.ipvs import LinuxIpvs

pytestmark = pytest.mark.without_ipvs
WEB = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 80)


KERNELS_OWN = Path("/proc/sys/kernel/modprobe")


@pytest.fixture(autouse=True)
def _unloaded_again() -> Iterator[None]:
    before = KERNELS_OWN.read_text()
    yield
    KERNELS_OWN.write_text(before)
    unload()


@pytest.fixture
def kernel_loads_nothing(_unloaded_again: None) -> None:
    """The kernel asks for the module of a family that it does not know; here it gets none."""
    KERNELS_OWN.write_text("/bin/false")


def unload() -> None:
    if Path("/proc/net/ip_vs").exists():
        subprocess.run(("ipvsadm", "-C"), check=True)
        subprocess.run(("modprobe", "-r", "ip_vs_rr", "ip_vs_wlc", "ip_vs"), check=True)


@pytest.mark.usefixtures("kernel_loads_nothing")
async def test_without_leave_to_load_the_module_and_the_command_are_named() -> None:
    with pytest.raises(FamilyMissing) as caught:
        await LinuxIpvs.open(load_modules=False)
    assert caught.value.errno == ENOENT
    assert "the module ip_vs is not loaded" in str(caught.value)
    assert "run `modprobe ip_vs` as root" in str(caught.value)


@pytest.mark.parametrize("by", ["the kernel", "the daemon"])
async def test_the_module_is_loaded_when_it_is_needed(by: str) -> None:
    if by == "the daemon":
        KERNELS_OWN.write_text("/bin/false")
    ipvs = await LinuxIpvs.open()
    assert Path("/proc/net/ip_vs").exists()
    assert await ipvs.apply([AddService(WEB, VirtualService("rr"))]) == ()
    assert set((await ipvs.read()).services) == {WEB}
    await ipvs.close()


async def test_a_module_that_was_unloaded_meanwhile_is_loaded_again() -> None:
    """Its netlink family then has another number."""
    ipvs = await LinuxIpvs.open()
    assert await ipvs.apply([AddService(WEB, VirtualService("rr"))]) == ()
    unload()
    assert (await ipvs.read()).services == {}
    assert await ipvs.apply([AddService(WEB, VirtualService("rr"))]) == ()
    await ipvs.close()


@pytest.mark.usefixtures("kernel_loads_nothing")
def test_what_modprobe_said_is_passed_on() -> None:
    """Without CAP_SYS_MODULE it may not load anything."""
    code = """
import asyncio
from lvsguard.kernel.ipvs import LinuxIpvs
from lvsguard.kernel.port import KernelError
try:
    asyncio.run(LinuxIpvs.open())
except KernelError as error:
    print(error.errno, error)
"""
    without = ("setpriv", "--bounding-set=-sys_module", "--inh-caps=-sys_module")
    done = subprocess.run(
        (*without, sys.executable, "-c", code), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("2 this kernel has no IPVS: the module ip_vs is not loaded")
    assert "modprobe ip_vs failed (" in done.stdout
    assert "Operation not permitted" in done.stdout
