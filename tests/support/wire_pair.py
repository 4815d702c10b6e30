"""Two hosts on one cable, in network namespaces of their own: `left` and `right`, each with eth0.

    left 10.0.0.41, fd00::41, fe80::41          right 10.0.0.40, fd00::40, fe80::40

A second cable is eth1, where the addresses are in the other order:

    left 192.168.7.1, fe80::7:1                 right 192.168.7.2, fe80::7:2

Needs root and veth, no ip_vs; nothing of the host's own network is touched.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.processes import Processes, run
from tests.support.topology import Host

_serial = itertools.count()


@cache
def namespaces_problem() -> str:
    """Why no such network can be made here, or an empty text."""
    if os.geteuid() != 0:
        return "needs root"
    return _trial("ip link add trial0 type veth peer name trial1")


@cache
def macvlan_problem() -> str:
    """Why no macvlan can be made here, or an empty text."""
    if problem := namespaces_problem():
        return problem
    return _trial(
        "ip link add trial0 type veth peer name trial1 && ip link add link trial0 type macvlan"
    )


def _trial(command: str) -> str:
    argv = ("unshare", "-n", "sh", "-c", command)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return f"{command}: {done.stderr.strip()}" if done.returncode else ""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two hosts and where their programs' logs go."""

    left: Host
    right: Host

    def unplug(self) -> None:
        """Pull the cable: both ends lose the carrier."""
        self.right.run("ip", "link", "set", "eth0", "down")

    def plug(self) -> None:
        """Put it back."""
        self.right.run("ip", "link", "set", "eth0", "up")

    def cut(self, *links: str) -> None:
        """Let nothing pass these, though both ends keep their carrier: a cut behind a switch."""
        for host, link in itertools.product((self.left, self.right), links):
            host.run("tc", "qdisc", "replace", "dev", link, "root", "blackhole")

    def heal(self, *links: str) -> None:
        """Let everything pass again."""
        for host, link in itertools.product((self.left, self.right), links):
            host.run("tc", "qdisc", "del", "dev", link, "root")


@contextlib.contextmanager
def pair(logs: Path) -> Iterator[Pair]:
    """Build the two hosts, and take them down again with every program started in them."""
    processes = Processes(logs)
    prefix = f"lgvp{os.getpid()}x{next(_serial)}"
    left, right = Host(f"{prefix}l", 41, processes), Host(f"{prefix}r", 40, processes)
    made = []
    try:
        for host in (left, right):
            run(["ip", "netns", "add", host.name])
            made.append(host)
        connect(left, right)
        yield Pair(left, right)
    finally:
        processes.close()
        for host in made:
            run(["ip", "netns", "del", host.name])


def connect(left: Host, right: Host) -> None:
    """Put a cable between two hosts, with addresses at both ends."""
    left.run(
        *f"ip link add eth0 address {left.mac} type veth peer name eth0".split(),
        *f"address {right.mac} netns {right.name}".split(),
    )
    for host in (left, right):
        host.run("ip", "link", "set", "lo", "up")
        host.run("ip", "link", "set", "eth0", "addrgenmode", "none", "up")
        address(host, f"{host.address}/24", f"{host.address6}/64", f"fe80::{host.octet}/64")


def second_cable(left: Host, right: Host) -> None:
    """Put another cable between them."""
    left.run(*f"ip link add eth1 type veth peer name eth1 netns {right.name}".split())
    for number, host in enumerate((left, right), 1):
        host.run("ip", "link", "set", "eth1", "addrgenmode", "none", "up")
        address(host, f"192.168.7.{number}/24", f"fe80::7:{number}/64", link="eth1")


def address(host: Host, *addresses: str, link: str = "eth0") -> None:
    """Add addresses, IPv6 ones without duplicate detection."""
    for one in addresses:
        nodad = ("nodad",) if ":" in one else ()
        host.run("ip", "address", "add", one, "dev", link, *nodad)
