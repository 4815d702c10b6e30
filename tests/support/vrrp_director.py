"""lvsguard as one of two directors: its VRRP process, who holds the VIP, what was on the wire."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.director import Director, make_director
from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.processes import run, wait_until
from tests.support.topology import VIP

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from tests.support.topology import Capture, Host, Network

COMPLAINTS = ("bad", "[|", "trunc", "invalid", "missing")
"""What tcpdump says of a packet that is not as it should be."""


@dataclass(frozen=True, slots=True)
class Group:
    """A VIP group of the config, with its election."""

    name: str
    vips: tuple[str, ...]
    vrrp: str

    def toml(self) -> str:
        vips = ", ".join(f'"{vip}"' for vip in self.vips)
        return f'[[vip]]\nname = "{self.name}"\naddresses = [{vips}]\n[vip.vrrp]\n{self.vrrp}'


def setup(*groups: Group, more: str = "") -> Setup:
    """A director with elections and without checks: ready as soon as its IPVS table is."""
    tables = "\n".join(group.toml() for group in groups)
    return Setup(services=(Service(check=NO_CHECK),), vips=(), more=f"{tables}\n{more}")


def web(vrrp: str) -> Group:
    """The seed's VIP with an election."""
    return Group("web", (f"{VIP}/24",), vrrp)


def vrrp(
    priority: int = 150,
    *,
    vrid: int = 51,
    interval: str = "1s",
    version: int = 3,
    peers: tuple[str, ...] = (),
    password: str = "",
    more: str = "",
) -> str:
    """The lines of `[vip.vrrp]`."""
    lines = [f"vrid = {vrid}", f"priority = {priority}", f'interval = "{interval}"']
    lines += [f"version = {version}"]
    lines += ["peers = [" + ", ".join(f'"{one}"' for one in peers) + "]"] if peers else []
    lines += [f'password = "{password}"'] if password else []
    return "\n".join([*lines, more])


def launch(host: Host, configured: Setup) -> Director:
    """Start lvsguard on a host and wait for its first pass."""
    director = make_director(host, configured)
    start(director)
    return director


def start(director: Director) -> float:
    """Start a director and wait until it takes part in the election; the seconds it took."""
    begun = time.monotonic()
    director.start()
    wait_until(lambda: role(director) in ("backup", "master"), 10, "it takes part", every_s=0.03)
    return time.monotonic() - begun


def child(director: Director) -> int:
    """The VRRP process of a director; 0: there is none. Its session is its own."""
    there = Path("/run/netns", director.host.name).stat().st_ino
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"lvsguard.vrrp.process" in command and (
                (process / "ns/net").stat().st_ino == there
            ):
                return int(process.name)
    return 0


def crash(director: Director) -> None:
    """End the controller and the VRRP process at once; addresses stay."""
    pid = child(director)
    director.kill()
    if pid:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not child(director), 5, "the VRRP process is gone")


def role(director: Director, vip: int = 0) -> str:
    """What `status` says."""
    vips = director.status().vips
    return vips[vip].role if len(vips) > vip else ""


def wait_for_role(director: Director, wanted: str, within_s: float) -> float:
    """Wait until the first VIP group has this role; the seconds it took."""
    try:
        return wait_until(
            lambda: role(director) == wanted,
            within_s,
            f"{director.host.name} is {wanted}",
            every_s=0.05,
        )
    except AssertionError as error:
        raise AssertionError(f"{error}: {director.status().vips}\n{director.text()}") from error


def holders(network: Network, vip: str = f"{VIP}/24") -> list[str]:
    """The directors that hold the VIP."""
    directors = (network.director1, network.director2)
    return [one.name for one in directors if vip in one.addresses()]


def wait_for_holder(network: Network, name: str, within_s: float) -> float:
    """Wait until exactly this one holds the VIP."""
    return wait_until(
        lambda: holders(network) == [name], within_s, f"{name} alone holds the VIP", every_s=0.03
    )


def addresses(host: Host) -> set[str]:
    """All addresses of a host's eth0, IPv6 too, as `10.0.0.8/24`."""
    shown = json.loads(host.run("ip", "-json", "address", "show", "dev", "eth0").stdout)
    return {f"{a['local']}/{a['prefixlen']}" for item in shown for a in item["addr_info"]}


def sources(host: Host) -> tuple[str, ...]:
    """What a host's adverts come from: its IPv4 and its link-local address (of its MAC), and by
    unicast its global one."""
    return str(host.address), f"fe80::ff:fe00:{host.octet:x}", str(host.address6)


def ask_for(host: Host, address: IPv4Address | IPv6Address = VIP) -> None:
    """Have a host look for a VIP, and keep what it finds: only an announcement changes it."""
    family, kind = (socket.AF_INET, "ipv4") if address.version == 4 else (socket.AF_INET6, "ipv6")
    host.sysctl(f"net.{kind}.neigh.eth0.base_reachable_time_ms", 600_000)
    with host.entered(), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"", (str(address), 9))


def wait_for_neighbour(
    host: Host, whose: Host, within_s: float, address: IPv4Address | IPv6Address = VIP
) -> float:
    """Wait until a host sends what is for the VIP to this director."""
    return wait_until(
        lambda: host.neighbour(address) == whose.mac,
        within_s,
        f"{host.name} sends to {whose.name}",
        every_s=0.03,
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """An advert of a capture."""

    at: float
    source: str
    version: int
    vrid: int
    priority: int
    text: str


def adverts(capture: Capture, source: object = "") -> list[Heard]:
    """What tcpdump's decoder makes of the adverts of a capture, maybe of one sender."""
    capture.process.stop()
    return heard(capture.file, source)


def heard(file: Path, source: object = "") -> list[Heard]:
    """The same of a file."""
    command = ["tcpdump", "-nn", "-tt", "-vvv", "-r", str(file), "proto 112 or ip6 proto 112"]
    printed = re.sub(r"\n\s+", " ", run(command).stdout)
    found = []
    for line in printed.splitlines():
        at = float(line.partition(" ")[0])
        who = re.search(r"(\S+) > \S+?: .*?VRRPv(\d).*?vrid (\d+), prio (\d+)", line)
        if who is None:
            found.append(Heard(at, "", 0, 0, 0, line))
        else:
            found.append(Heard(at, who[1], int(who[2]), int(who[3]), int(who[4]), line))
    return [one for one in found if not source or one.source == str(source)]


def complaints(said: list[Heard]) -> list[str]:
    """The packets that tcpdump finds fault with, and those that it cannot read at all."""
    bad = (one.text for one in said if not one.vrid or any(bad in one.text for bad in COMPLAINTS))
    return list(bad)
