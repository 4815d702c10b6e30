"""A whole director for a recording: python -m tests.support.cast_director FOLDER.

The daemon, its prober and its admin socket are real, and so are the addresses: it runs in a network
namespace of its own, whose eth0 has those of the director and of the realservers
(``set_up_network``). Only the kernel's table is in memory, and clients are counts in it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from lvsguard.admin.journal import Journal
from lvsguard.config.load import loads
from lvsguard.core.config import Config
from lvsguard.core.event import StateTrouble
from lvsguard.core.model import Counters, RealserverKey, ServiceKey
from lvsguard.daemon.house import House
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.port import Ipvs
from lvsguard.kernel.sysctl import Sysctl
from tests.support.documents import CHECKOUT, blocks
from tests.support.fake_kernel import FakeIpvs

OWN, REALSERVERS = "10.0.0.41", ("10.0.0.42", "10.0.0.43")
SOCKET = "lvsguard.sock"
"""In the folder."""
CLIENTS = 78.0
"""New connections a second, shared by those that have a weight."""
ROUND_S = 0.1
STAYS_S = 0.1
"""How long a short connection is active."""
LONG = 8
"""Connections to each realserver that last for as long as it serves."""
ENDS_S = 0.5
"""One of them ends so often once it is drained."""
MORE = """
[telemetry]
listen = false
[admin]
socket = "{folder}/{socket}"
group = "root"
[state]
directory = "{folder}/state"
"""


class Clients:
    """Those of one service, as the kernel's table counts them."""

    def __init__(self, ipvs: FakeIpvs) -> None:
        self._ipvs = ipvs
        self._total: dict[tuple[ServiceKey, RealserverKey], float] = {}
        self._long: dict[RealserverKey, float] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            for key in self._ipvs.table:
                self._come(key)
            await asyncio.sleep(ROUND_S)

    def _come(self, key: ServiceKey) -> None:
        entries = self._ipvs.table[key].realservers
        serving = [one for one, entry in entries.items() if entry.weight]
        for one in entries:
            share = CLIENTS / len(serving) if one in serving else 0.0
            left = max(self._long.get(one, LONG) - ROUND_S / ENDS_S, 0.0)
            self._long[one] = LONG if one in serving else left
            total = self._total[key, one] = self._total.get((key, one), 0.0) + share * ROUND_S
            active = round(share * STAYS_S + self._long[one])
            # Packets enough for no passive sign to wonder.
            n = int(total)
            counts = Counters(n, n * 12, n * 9, n * 2000, n * 9000, active=active, inactive=0)
            self._ipvs.count(key, one, counts)


def config(folder: Path) -> Config:
    """What the README begins with, and what it takes to run it in a folder."""
    readme = (CHECKOUT / "README.md").read_text()
    wanted = next(block.text for block in blocks(readme) if block.language == "toml")
    wanted = wanted.replace('interval = "1s"', 'interval = "1s", arp = false')  # of its own host
    return loads(wanted + MORE.format(folder=folder, socket=SOCKET))


def settings(folder: Path, wanted: Config) -> Sysctl:
    """Those of a kernel with IPVS, in files."""
    ipvs = folder / "sys/net/ipv4/vs"
    ipvs.mkdir(parents=True)
    for name, value in wanted.ipvs.sysctls.items():
        (ipvs / name).write_text(value)
    return Sysctl(folder / "sys")


def set_up_network() -> None:
    """Give this namespace, which has nothing, the addresses of everybody."""
    commands = ["link set lo up", "link add eth0 type veth peer name eth1"]
    # Its other end must not answer in the director's place.
    commands += ["link set eth0 up", "link set eth1 arp off up"]
    commands += [f"address add {address}/24 dev eth0" for address in (OWN, *REALSERVERS)]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


async def direct(folder: Path) -> None:
    """Run the director until it is told to stop."""
    wanted = config(folder)

    def told(trouble: StateTrouble) -> None:
        raise AssertionError(trouble)

    async def load(text: str | None) -> Config:
        raise AssertionError("nobody reloads")

    async def face(config: Config) -> Config:
        return config

    ipvs = FakeIpvs()

    async def open_ipvs() -> Ipvs:
        return ipvs

    journal = Journal(wanted.state_directory, told)
    await journal.open()
    addresses = LinuxAddresses()
    house = House(
        wanted,
        journal,
        addresses,
        config_path="config.toml",
        load=load,
        face=face,
        open_ipvs=open_ipvs,
        sysctl=settings(folder, wanted),
    )
    clients = asyncio.create_task(Clients(ipvs).run())
    await house.run()
    clients.cancel()
    await addresses.close()
    await journal.close()


if __name__ == "__main__":
    asyncio.run(direct(Path(sys.argv[1])))
