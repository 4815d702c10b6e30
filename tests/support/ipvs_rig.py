"""The two tables that the IPVS contract is held against: in memory, and the real one.

On the real one `ipvsadm` is the second reader (``witness``), and "somebody else" who edits.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from lvsguard.core.model import Counters, KernelState, RealserverKey, ServiceKey
from lvsguard.core.plan import applied
from lvsguard.core.step import IpvsStep
from lvsguard.kernel.ipvs import LinuxIpvs
from lvsguard.kernel.port import Ipvs, SyncDaemon, SyncRole, Timeouts
from tests.support.fake_kernel import FakeIpvs
from tests.support.ipvs_table import Table, from_ipvsadm, without_thresholds

SYNC_LINK = "sync0"
TABLE_HEADER = 3
"""Lines of /proc/net/ip_vs above the table."""


class Rig(Protocol):
    """A table, and a way around the port to see and change it."""

    @property
    def ipvs(self) -> Ipvs:
        """The port."""

    def witness(self) -> Table | None:
        """The table as somebody else sees it, without thresholds; None when nobody else can."""

    def thresholds(self) -> dict[str, tuple[int, int]] | None:
        """(upper, lower) by realserver, as somebody else sees them."""

    def by_hand(self, *steps: IpvsStep) -> None:
        """Somebody else changes the table."""

    async def traffic(self, service: ServiceKey) -> None:
        """Let one packet of a new UDP flow arrive for a service, and wait until it is counted."""


class FakeRig:
    """The table in memory."""

    def __init__(self) -> None:
        self.ipvs = FakeIpvs(interfaces=("lo", SYNC_LINK))

    def witness(self) -> Table | None:
        return None

    def thresholds(self) -> dict[str, tuple[int, int]] | None:
        return None

    def by_hand(self, *steps: IpvsStep) -> None:
        before = KernelState(self.ipvs.table)
        self.ipvs.table = dict(applied(before, steps).services)

    async def traffic(self, service: ServiceKey) -> None:
        (realserver,) = self.ipvs.table[service].realservers
        once = Counters(connections=1, in_packets=1, in_bytes=29)
        self.ipvs.count(service, None, once)
        self.ipvs.count(service, realserver, once._replace(inactive=1))


class LinuxRig:
    """The table of the kernel that the tests run on."""

    def __init__(self, ipvs: LinuxIpvs) -> None:
        self.ipvs = ipvs

    def witness(self) -> Table | None:
        return from_ipvsadm(ipvsadm("-Sn"))

    def thresholds(self) -> dict[str, tuple[int, int]] | None:
        found = {}
        for line in ipvsadm("-Ln", "--thresholds").splitlines():
            match line.split():
                case ["->", realserver, upper, lower, _active, _inactive] if upper.isdigit():
                    found[realserver] = (int(upper), int(lower))
        return found

    def by_hand(self, *steps: IpvsStep) -> None:
        for step in steps:
            program, *arguments = shlex.split(str(step))
            assert program == "ipvsadm"
            ipvsadm(*arguments)

    async def traffic(self, service: ServiceKey) -> None:
        """The kernel adds its processors' counts up every two seconds (ip_vs_est.c)."""
        (realserver,) = (await self.ipvs.read()).services[service].realservers
        udp = socket.AF_INET, socket.SOCK_DGRAM
        with socket.socket(*udp) as server, socket.socket(*udp) as client:
            server.bind((str(realserver.address), realserver.port))
            client.sendto(b"x", (str(service.address), service.port))
            async with asyncio.timeout(10):
                # Nobody tells when it has.
                while not await self._counted(service, realserver):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

    async def _counted(self, service: ServiceKey, realserver: RealserverKey) -> bool:
        return (await self.ipvs.read()).counters[service, realserver].connections > 0


def ipvsadm(*arguments: str) -> str:
    """Run ipvsadm; its output. AssertionError with its words when it fails."""
    done = subprocess.run(("ipvsadm", *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ipvsadm {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def ip(*arguments: str) -> str:
    """Run ip; its output."""
    done = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@asynccontextmanager
async def linux_rig() -> AsyncIterator[LinuxRig]:
    """The real table, empty before and after, with its timeouts as they were."""
    _empty()
    ipvs = await LinuxIpvs.open()
    before = await ipvs.timeouts()
    try:
        yield LinuxRig(ipvs)
    finally:
        await ipvs.set_timeouts(before)
        for daemon in await ipvs.sync_daemons():
            await ipvs.stop_sync(daemon.role)
        await ipvs.close()
        _empty()


def _empty() -> None:
    # A fork costs 0.1 s in user-mode Linux, so it is worth a look.
    if len(Path("/proc/net/ip_vs").read_text().splitlines()) > TABLE_HEADER:
        ipvsadm("-C")


def make_sync_link() -> None:
    """Make the interface that sync daemons use here, once."""
    if not Path(f"/sys/class/net/{SYNC_LINK}").exists():
        ip("link", "add", SYNC_LINK, "type", "dummy")
        ip("addr", "add", "10.99.0.1/24", "dev", SYNC_LINK)
        ip("link", "set", SYNC_LINK, "up")


async def holds(rig: Rig, table: Table) -> None:
    """Assert that the port and everybody else see this table."""
    assert dict((await rig.ipvs.read()).services) == table
    seen = rig.witness()
    if seen is not None:
        assert seen == without_thresholds(table)


async def does(rig: Rig, *steps: IpvsStep) -> None:
    """Assert that steps succeed, each counted as a write."""
    before = rig.ipvs.writes
    assert await rig.ipvs.apply(steps) == ()
    assert rig.ipvs.writes == before + len(steps)


def daemons_seen() -> dict[SyncRole, SyncDaemon]:
    """What `ipvsadm --list --daemon` says."""
    found = {}
    for line in ipvsadm("--list", "--daemon").splitlines():
        role, _, settings = line.partition(" sync daemon ")
        words = dict(word.split("=") for word in settings.strip("()").split(", "))
        found[SyncRole(role)] = SyncDaemon(
            SyncRole(role),
            words["mcast"],
            int(words["syncid"]),
            int(words["maxlen"]),
            words["group"],
            int(words["port"]),
            int(words["ttl"]),
        )
    return found


def timeouts_seen() -> Timeouts:
    """What `ipvsadm --list --timeout` says."""
    numbers = ipvsadm("--list", "--timeout").rpartition(":")[2].split()
    tcp, tcp_fin, udp = (int(number) for number in numbers)
    return Timeouts(tcp, tcp_fin, udp)
