"""Two hosts on one wire, in network namespaces: a realserver and a client that asks it.

Nothing here touches the namespace that the tests run in. The realserver's functions run in this
process, on a thread that has entered the realserver's namespace.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from lvsguard.realserver.session import Host

T = TypeVar("T")
CONF = Path("/proc/sys/net/ipv4/conf")
KEYS = ("arp_ignore", "arp_announce")
SETTLED_S = 4.0
_CLONE_NEWNET = 0x40000000
_serial = itertools.count()


@cache
def namespaces_problem() -> str:
    """Why no such network can be made here, or an empty text."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("ip", "arping", "arptables", "nft"):
        if subprocess.run(("which", tool), capture_output=True, check=False).returncode:
            return f"{tool} is not installed (apt install iproute2 arping arptables nftables)"
    return _trial("ip link add trial0 type veth peer name trial1")


@cache
def dummy_problem() -> str:
    """Why no dummy link can be made here, or an empty text."""
    return namespaces_problem() or _trial("ip link add trial0 type dummy")


def _trial(command: str) -> str:
    argv = ("unshare", "-n", *command.split())
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return f"{command}: {done.stderr.strip()}" if done.returncode else ""


@dataclass(frozen=True)
class Namespace:
    """One host: a network namespace with ``eth0``."""

    name: str

    def run(self, command: str) -> str:
        """Run a command in it and return its output."""
        done = self.attempt(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def attempt(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, whatever becomes of it."""
        return self.do(
            lambda: subprocess.run(
                command.split(), capture_output=True, text=True, timeout=30, check=False
            )
        )

    def batch(self, *commands: str) -> None:
        """Run commands of ip(8) in it with one process."""

        def work() -> subprocess.CompletedProcess[str]:
            text = "\n".join(commands)
            argv = ("ip", "-batch", "-")
            return subprocess.run(argv, input=text, capture_output=True, text=True, check=False)

        done = self.do(work)
        assert done.returncode == 0, f"{commands}: {done.stderr}"

    def call(self, work: Callable[[], Coroutine[None, None, T]]) -> T:
        """Run a coroutine in it and return what it returns."""
        return self.do(lambda: asyncio.run(work()))

    def do(self, work: Callable[[], T]) -> T:
        """Call a function on a thread that has entered the namespace; return what it returns."""
        results: list[T] = []
        errors: list[BaseException] = []

        def body() -> None:
            try:
                enter(self.name)
                results.append(work())
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                errors.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def send(self, target: str, source: str = "") -> None:
        """Send one packet, which makes the kernel look for its neighbour."""

        def work() -> None:
            family = socket.AF_INET6 if ":" in target else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                if source:
                    sender.bind((source, 0))
                sender.sendto(b"?", (target, 9))

        self.do(work)

    def wait_for_carrier(self) -> None:
        """Wait until the kernel's link watch has seen that both ends of the wire are up."""
        deadline = time.monotonic() + 10
        while '"operstate":"UP"' not in self.run("ip -j link show eth0"):
            assert time.monotonic() < deadline, "eth0 did not come up"
            time.sleep(0.05)

    def learns(self, address: str) -> bool:
        """Whether a MAC address for it turns up within 0.3 s."""
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            entries = json.loads(self.run(f"ip -j neigh show {address} dev eth0") or "[]")
            if any("lladdr" in entry for entry in entries):
                return True
            time.sleep(0.05)
        return False

    def sysctl(self, name: str, value: int | None = None) -> str:
        """Read or write a setting of net/ipv4/conf."""
        path = CONF / name

        def work() -> str:
            if value is not None:
                path.write_text(str(value))
            return path.read_text().strip()

        return self.do(work)


def enter(name: str) -> None:
    """Move the calling thread into a namespace (os.setns is 3.12 and later)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (Path("/run/netns") / name).open() as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {name}")


@dataclass(frozen=True)
class Wire:
    """A client 10.0.0.1, fd00::1 and a realserver 10.0.0.42, fd00::42 on one wire."""

    client: Namespace
    realserver: Namespace
    host: Host

    def answers_arp(self, address: str) -> bool:
        """Whether anybody answers the client's ARP request for an address."""
        return self.client.attempt(f"arping -q -c 1 -w 0.3 -I eth0 {address}").returncode == 0

    def answers_nd(self, address: str) -> bool:
        """Whether anybody answers the client's neighbour solicitation for an address."""
        self.client.attempt("ip -6 neigh flush dev eth0")
        self.client.send(address)
        return self.client.learns(address)

    def asks_as(self, address: str) -> bool:
        """Whether the realserver asks in the name of an address, so that the client learns it."""
        for host in (self.client, self.realserver):
            host.run("ip neigh flush dev eth0")
        self.realserver.send("10.0.0.1", source=address)
        return self.client.learns(address)

    def reset(self) -> None:
        """Make the realserver bare again, whatever a test left."""
        links = json.loads(self.realserver.run("ip -j link"))
        strange = [link["ifname"] for link in links if link["ifname"] not in {"lo", "eth0"}]
        self.realserver.batch(
            *(f"link del {name}" for name in strange),
            "addr flush dev lo",
            "addr add 127.0.0.1/8 dev lo",
            "addr flush dev eth0",
            "addr add 10.0.0.42/24 dev eth0",
            "addr add fd00::42/64 dev eth0 nodad",
        )
        for link in ("all", "default", "lo", "eth0"):
            for key in KEYS:
                self.realserver.sysctl(f"{link}/{key}", 0)
        self.realserver.run("arptables -F")
        self.realserver.attempt("nft delete table arp lvsguard_arp")
        shutil.rmtree(self.host.directory, ignore_errors=True)

    def snapshot(self) -> dict[str, str]:
        """Everything that up may change, in the tools' own words, once it stays as it is: the
        kernel adds IPv6 routes when an address has no duplicate, and takes them away later than
        their link."""
        end, now = time.monotonic() + SETTLED_S, self._state()
        while time.monotonic() < end:
            time.sleep(0.1)
            before, now = now, self._state()
            if now == before and "tentative" not in now["ip -j addr"]:
                break
        return now

    def _state(self) -> dict[str, str]:
        # Not arptables-save: the legacy one leaves mangle rules out.
        commands = ("ip route show table all", "arptables -L -n", "nft list table arp lvsguard_arp")
        state = {command: self.realserver.attempt(command).stdout for command in commands}
        links = json.loads(self.realserver.run("ip -j addr"))
        for link in links:
            # The kernel gives a link its queue discipline when it first goes up, for good.
            del link["qdisc"], link["operstate"]
        state["ip -j addr"] = json.dumps(links, indent=1)
        state["arp settings"] = self.realserver.do(
            lambda: "\n".join(
                f"{path.relative_to(CONF)} {path.read_text().strip()}"
                for path in sorted(p for p in CONF.glob("*/arp_*") if p.name in KEYS)
            )
        )
        return state


@contextmanager
def wire(directory: Path) -> Iterator[Wire]:
    """Build the two hosts, and take them down again."""
    prefix = f"lgrs{os.getpid()}x{next(_serial)}"
    client, realserver = Namespace(f"{prefix}c"), Namespace(f"{prefix}r")
    made = []
    try:
        for namespace in (client, realserver):
            subprocess.run(("ip", "netns", "add", namespace.name), check=True)
            made.append(namespace)
        client.run(f"ip link add eth0 type veth peer name eth0 netns {realserver.name}")
        for namespace, last in ((client, 1), (realserver, 42)):
            namespace.batch(
                "link set lo up",
                # No link-local address, whose duplicate detection would end between two snapshots.
                "link set eth0 addrgenmode none up",
                f"addr add 10.0.0.{last}/24 dev eth0",
                f"addr add fd00::{last}/64 dev eth0 nodad",
            )
        for namespace in (client, realserver):
            namespace.wait_for_carrier()
        # arptables-nft makes its table with empty chains on its first change and leaves it.
        for action in ("-A", "-D"):
            realserver.attempt(f"arptables {action} INPUT -d 192.0.2.1 -j DROP")
        yield Wire(client, realserver, Host(directory=directory))
    finally:
        for namespace in made:
            subprocess.run(("ip", "netns", "del", namespace.name), check=True)
