"""A VRRP process in a namespace, with the test as its controller: everything real but the caller.

The test says messages and reads what comes back; `ip` and tcpdump see what it does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

from lvsguard.core.config import VipConfig
from lvsguard.core.model import VipAddress
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp import message
from lvsguard.vrrp.logbook import blank
from lvsguard.vrrp.message import (
    Counts,
    Failed,
    Gone,
    Hello,
    Only,
    Put,
    Standing,
    State,
    SyncTarget,
    ToController,
    Told,
    ToProcess,
)
from tests.support.topology import Capture, Host

COMMAND = (sys.executable, "-P", "-m", "lvsguard.vrrp.process")
FAST = 0.1
"""Seconds between adverts, where a test does not need others."""


def vip_group(
    name: str = "web",
    *addresses: str,
    vrrp: VrrpConfig | None = None,
    interface: str = "eth0",
) -> Put:
    """A VIP group as the controller sends it."""
    listed = []
    for one in addresses or ("10.0.0.8/24",):
        plain, prefix = one.split("/")
        listed.append(VipAddress(interface, ip_address(plain), int(prefix)))
    config = vrrp or VrrpConfig(51, interval=FAST)
    return message.put(VipConfig(name, tuple(listed), config), config)


@dataclass
class Child:
    """One process and the connection to it."""

    host: Host
    logs: Path
    prefix: tuple[str, ...] = ()
    popen: subprocess.Popen[bytes] | None = None
    connection: socket.socket | None = None
    book: int = -1
    """What the next one takes over from the one before."""
    states: dict[str, State] = field(default_factory=dict)
    counts: Counts | None = None
    heard: list[ToController] = field(default_factory=list)

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    def start(self) -> Child:
        """Start it as the controller does, and connect."""
        with (
            self.host.entered(),
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
            (self.logs / f"{self.host.name}.child.log").open("ab") as log,
        ):
            listener.bind(message.NAME)
            listener.listen(4)
            number = listener.fileno()
            if self.book < 0:
                self.book = blank()
            command = [*self.prefix, *COMMAND, str(number), str(self.book)]
            self.popen = subprocess.Popen(
                command,
                pass_fds=[number, self.book],
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
            self.connect()
        return self

    def connect(self) -> None:
        """Be its controller (anew)."""
        self.part()
        self.states.clear()
        with self.host.entered():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.connect(message.NAME)
        connection.settimeout(10)
        self.connection = connection
        self.say(Hello(message.VERSION, os.getpid()))

    def part(self) -> None:
        """Be gone, like a controller that died."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def say(self, *messages: ToProcess) -> None:
        for one in messages:
            self.raw(message.encode(one))

    def raw(self, packet: bytes) -> None:
        assert self.connection is not None
        self.connection.send(packet)

    def serve(
        self,
        *puts: Put,
        grace: float = 30.0,
        ready: bool = True,
        sync: SyncTarget | None = None,
    ) -> Child:
        """Take part for these VIP groups, in the order in which the controller says it."""
        names = tuple(put.name for put in puts)
        standings = [Standing(name=p.name, ready=ready, priority=p.priority) for p in puts]
        self.say(*puts, *standings, Only(names=names, grace=grace, sync=sync))
        return self

    def hear(self, within: float = 0.0) -> bool:
        """Take in one message; whether there was one. EOF raises ConnectionResetError."""
        assert self.connection is not None
        if not select.select([self.connection], [], [], within)[0]:
            return False
        packet = self.connection.recv(message.PACKET_MAX)
        if not packet:
            raise ConnectionResetError("the process closed the connection")
        received = message.decode_to_controller(packet)
        self.heard.append(received)
        match received:
            case State(name=name):
                self.states[name] = received
            case Counts():
                self.counts = received
            case Gone(names):
                for name in names:
                    self.states.pop(name, None)
            case _:
                pass
        return True

    def until(self, holds: Callable[[], bool], what: str, within: float = 5.0) -> float:
        """Take in messages until it holds; the seconds that it took."""
        begun = time.monotonic()
        while not holds():
            left = begun + within - time.monotonic()
            assert left > 0, f"not within {within:g} s: {what}\n{self.states}\n{self.log()}"
            self.hear(min(left, 0.02))
        return time.monotonic() - begun

    def until_role(self, role: str, name: str = "web", within: float = 5.0) -> float:
        """Until it has that role; a backup is one only when it has heard its master: before, it
        may be about to become one."""
        return self.until(
            lambda: self.role(name) == role and (role != "backup" or self.master(name) != ""),
            f"{name} is {role}",
            within,
        )

    def listen(self, seconds: float) -> None:
        """Take in what comes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.hear(left)

    def role(self, name: str = "web") -> str:
        state = self.states.get(name)
        return state.role if state else ""

    def master(self, name: str = "web") -> str:
        state = self.states.get(name)
        return state.master if state else ""

    def held(self, name: str = "web") -> set[str]:
        """The addresses that it says to hold."""
        state = self.states.get(name)
        return {f"{one.address}/{one.prefix}" for one in state.held} if state else set()

    def fresh_counts(self) -> Counts:
        """What it has counted by now."""
        self.counts = None
        self.until(lambda: self.counts is not None, "it tells what it counted")
        assert self.counts is not None
        return self.counts

    def told(self, kind: str = "") -> list[Told]:
        """Events so far."""
        return [one for one in self.heard if isinstance(one, Told) and kind in ("", one.kind)]

    def failures(self) -> list[str]:
        return [one.text for one in self.heard if isinstance(one, Failed)]

    def log(self) -> str:
        return (self.logs / f"{self.host.name}.child.log").read_text()

    def wait(self, within: float = 5.0) -> int:
        """Wait for its end."""
        assert self.popen is not None
        return self.popen.wait(within)

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def kill(self) -> None:
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.popen is not None
        self.popen.send_signal(number)

    def close(self) -> None:
        self.part()
        self.kill()
        if self.book >= 0:
            os.close(self.book)
            self.book = -1

    def cpu_s(self) -> float:
        """Seconds of CPU used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


@contextlib.contextmanager
def children(logs: Path, *hosts: Host) -> Iterator[list[Child]]:
    """A process on each host, not yet serving anything; ended afterwards."""
    made = [Child(host, logs) for host in hosts]
    try:
        yield [child.start() for child in made]
    finally:
        for child in made:
            child.close()


def held(host: Host, link: str = "eth0") -> set[str]:
    """The addresses of an interface but the host's own, as `10.0.0.8/24`."""
    shown = json.loads(host.run("ip", "-json", "address", "show", "dev", link).stdout)
    own = {str(host.address), str(host.address6), f"fe80::{host.octet}"}
    return {
        f"{one['local']}/{one['prefixlen']}"
        for item in shown
        for one in item.get("addr_info", ())
        if one["local"] not in own
    }


@dataclass(frozen=True, slots=True)
class Wire:
    """What a host hears: adverts and announcements, with their times (seconds, wall clock)."""

    lines: tuple[str, ...]

    def adverts(self, source: str = "", priority: int | None = None) -> list[float]:
        """When adverts came."""
        return [
            float(line.split()[0])
            for line in self.lines
            if "VRRPv" in line
            and (not source or f" {source} >" in line)
            and (priority is None or f"prio {priority}," in line)
        ]

    def vrids(self) -> list[tuple[float, int]]:
        """When adverts came, and of which router."""
        return [
            (float(line.split()[0]), int(line.split("vrid ")[1].split(",")[0]))
            for line in self.lines
            if "VRRPv" in line
        ]

    def announced(self, address: str = "") -> list[float]:
        """When announcements came (of one address)."""
        return [
            float(line.split()[0])
            for line in self.lines
            if "Request who-has" in line
            and (parts := line.split("Request who-has ")[1].split())
            and parts[0] == parts[-3].rstrip(",")
            and address in ("", parts[0])
        ]


def gaps(times: list[float]) -> list[float]:
    """Seconds between one and the next."""
    return [later - earlier for earlier, later in pairwise(times)]


@contextlib.contextmanager
def listening(host: Host, name: str = "wire", more: str = "") -> Iterator[list[Wire]]:
    """What a host hears while the block runs; it is in the list afterwards. ``more``: what else
    must be true of a packet, as tcpdump says it."""
    file = host.processes.logs / f"{host.name}.{name}.pcap"
    wanted = "(ip proto 112 or ip6 proto 112 or arp)" + (f" and {more}" if more else "")
    command = f"tcpdump --immediate-mode -B 16384 -U -Z root -n -i eth0 -w {file}"
    process = host.start(name, *command.split(), wanted)
    process.wait_for("listening on")
    result: list[Wire] = []
    yield result
    time.sleep(0.05)
    result.append(Wire(tuple(Capture(process, file).stop())))


@contextlib.contextmanager
def address_log(host: Host) -> Iterator[Path]:
    """What becomes of a host's addresses, line by line as `ip monitor` says it."""
    process = host.start("addresses", "ip", "-ts", "monitor", "address")
    time.sleep(0.2)
    yield process.log
    process.stop()
