"""The seed network in network namespaces: a client, two directors and realservers on one switch.

    client 10.0.0.100   director2 10.0.0.40   director1 10.0.0.41   rs1 10.0.0.42   rs2 10.0.0.43

Each is a namespace of that name with an `eth0`, its MAC address 02:00:00:00:00:NN where NN is the
last octet, and fd00::NN beside the IPv4 address. The switch is a bridge in a namespace of its own,
so a cable can be pulled without the host's doing. Nothing here uses lvsguard: what a test compares
lvsguard with must not be lvsguard. Runs inside the lab only (tests/lab/README.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import threading
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.cable import switch_link
from tests.support.processes import Process, Processes, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from subprocess import CompletedProcess

VIP = IPv4Address("10.0.0.8")
SWITCH = "switch"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the network: a namespace with an eth0 on the switch."""

    name: str
    octet: int
    processes: Processes = field(repr=False, compare=False)

    @property
    def address(self) -> IPv4Address:
        return IPv4Address(f"10.0.0.{self.octet}")

    @property
    def address6(self) -> IPv6Address:
        return IPv6Address(f"fd00::{self.octet}")

    @property
    def mac(self) -> str:
        return f"02:00:00:00:00:{self.octet:02x}"

    def run(self, *command: str, check: bool = True, given: str = "") -> CompletedProcess[str]:
        """Run a command here to its end; with `check`, a failure raises with what it said."""
        return run(["ip", "netns", "exec", self.name, *command], check=check, given=given)

    def start(
        self, name: str, *command: str, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program here that keeps running; its log is `<host>.<name>.log`."""
        return self.processes.start(
            f"{self.name}.{name}", ["ip", "netns", "exec", self.name, *command], environment
        )

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread's new sockets and its /proc/sys/net be this host's."""
        there = Path("/run/netns", self.name)
        with Path("/proc/thread-self/ns/net").open() as home, there.open() as here:
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def pids(self) -> list[int]:
        """Return all processes of this host."""
        there = Path("/run/netns", self.name).stat().st_ino
        found = []
        for namespace in Path("/proc").glob("[0-9]*/ns/net"):
            with contextlib.suppress(OSError):  # it has just ended
                if namespace.stat().st_ino == there:
                    found.append(int(namespace.parts[2]))
        return found

    def get(
        self, address: IPv4Address | IPv6Address, path: str = "/", *, port: int = 80
    ) -> tuple[int, str]:
        """Ask by HTTP from here, over a new connection; return status and body."""
        connection = HTTPConnection(str(address), port, timeout=3)
        with self.entered():
            connection.connect()
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()

    def sysctl(self, name: str, value: int | str) -> None:
        """Write a kernel setting of this host, named as in `net.ipv4.ip_forward`."""
        with self.entered():
            Path("/proc/sys", *name.split(".")).write_text(str(value))

    def addresses(self, link: str = "eth0") -> list[str]:
        """Return the IPv4 addresses of a link, as `10.0.0.8/24`, in the kernel's order."""
        shown = json.loads(self.run("ip", "-json", "-4", "address", "show", "dev", link).stdout)
        return [f"{a['local']}/{a['prefixlen']}" for item in shown for a in item["addr_info"]]

    def neighbour(self, address: IPv4Address | IPv6Address) -> str | None:
        """Return the MAC address that this host would send to for an address, if it knows one."""
        shown = json.loads(self.run("ip", "-json", "neighbour", "show", str(address)).stdout)
        return next((entry["lladdr"] for entry in shown if "lladdr" in entry), None)

    def ipvs(self) -> list[str]:
        """Return the IPVS table as `ipvsadm -Sn` prints it, one line per entry."""
        return [line.strip() for line in self.run("ipvsadm", "-Sn").stdout.splitlines()]

    def forward(
        self, service: str, *realservers: str, scheduler: str = "rr", vip: str = f"{VIP}/24"
    ) -> None:
        """Make this the director by hand: the VIP on eth0, and a DR service of realservers."""
        lines = [f"-A -t {service} -s {scheduler}"]
        lines += [f"-a -t {service} -r {realserver} -g -w 1" for realserver in realservers]
        _ip(self.name, f"address add {vip} dev eth0")
        self.run("ipvsadm", "-R", given="\n".join(lines) + "\n")

    def hold_vip(self, vip: IPv4Address = VIP) -> None:
        """Make this a realserver by hand: silent about the VIP, and then holding it."""
        self.sysctl("net.ipv4.conf.all.arp_ignore", 1)
        self.sysctl("net.ipv4.conf.all.arp_announce", 2)
        with self.entered():
            there = Path("/proc/sys/net/ipv4/conf/ipvs0").exists()
        link = () if there else ("link add ipvs0 type dummy", "link set ipvs0 up")
        _ip(self.name, *link, f"address add {vip}/32 dev ipvs0")

    def capture(self, name: str = "capture", expression: str = "", link: str = "eth0") -> Capture:
        """Start tcpdump here and wait until it listens."""
        file = self.processes.logs / f"{self.name}.{name}.pcap"
        command = ["tcpdump", "-U", "-Z", "root", "-n", "-i", link, "-w", str(file)]
        process = self.start(name, *command, *expression.split())
        process.wait_for("listening on")
        return Capture(process, file)


@dataclass(frozen=True, slots=True)
class Capture:
    """A running tcpdump and the file that it writes."""

    process: Process
    file: Path

    def stop(self, expression: str = "") -> list[str]:
        """End it; return its packets, one line each: seconds, Ethernet header, what it is."""
        self.process.stop()
        return run(
            ["tcpdump", "-nn", "-tt", "-e", "-r", str(self.file), *expression.split()]
        ).stdout.splitlines()


@dataclass(frozen=True, slots=True)
class Network:
    """The whole network; `artifacts` takes logs, captures and, after a failure, every table."""

    client: Host
    director1: Host
    director2: Host
    realservers: tuple[Host, ...]
    artifacts: Path
    processes: Processes

    @property
    def rs1(self) -> Host:
        return self.realservers[0]

    @property
    def rs2(self) -> Host:
        return self.realservers[1]

    @property
    def hosts(self) -> tuple[Host, ...]:
        return (self.client, self.director1, self.director2, *self.realservers)

    def unplug(self, host: Host) -> None:
        """Pull the host's cable: its eth0 loses the carrier and nothing passes."""
        self._switch_port(host, up=False)

    def plug(self, host: Host) -> None:
        """Put the host's cable back."""
        self._switch_port(host, up=True)

    def _switch_port(self, host: Host, *, up: bool) -> None:
        # Without a program: a guest takes up to 0.4 s to start one, and tests time from here.
        with replace(host, name=SWITCH).entered(), socket.socket(type=socket.SOCK_DGRAM) as sock:
            switch_link(sock, host.name, up=up)

    def part(self, *hosts: Host) -> None:
        """Let these reach everybody but each other; their cables are well."""
        _ip(SWITCH, *(f"link set {host.name} type bridge_slave isolated on" for host in hosts))

    def rejoin(self, *hosts: Host) -> None:
        """Let these reach each other again."""
        _ip(SWITCH, *(f"link set {host.name} type bridge_slave isolated off" for host in hosts))

    def add_cable(self, *ends: Host) -> None:
        """Put a cable from one host straight to another: eth1, 192.168.7.1 and 192.168.7.2."""
        one, other = ends
        _ip(one.name, f"link add eth1 type veth peer name eth1 netns {other.name}")
        for number, host in enumerate(ends, 1):
            _ip(host.name, f"address add 192.168.7.{number}/24 dev eth1", "link set eth1 up")

    def save_tables(self, folder: Path | None = None) -> None:
        """Write what every host's kernel holds to a folder, that of the artifacts by default."""
        for host in self.hosts:
            shown = [_ip(host.name, "address show", "route show", "neighbour show")]
            with host.entered():
                for table in ("ip_vs", "ip_vs_stats", "ip_vs_conn"):
                    file = Path("/proc/thread-self/net", table)
                    shown.append(f"# {file.name}\n{file.read_text() if file.exists() else ''}")
                if Path("/proc/thread-self/net/ip_vs").exists():  # ipvsadm would load the module
                    shown += ["# ipvsadm -Ln", host.run("ipvsadm", "-Ln", check=False).stdout]
            (folder or self.artifacts).joinpath(f"{host.name}.tables.txt").write_text(
                "\n".join(shown)
            )


@contextlib.contextmanager
def seed_network(artifacts: Path, realservers: int = 2) -> Iterator[Network]:
    """Build the network, yield it, and take it down with every process that was started in it."""
    processes = Processes(artifacts)
    network = Network(
        client=Host("client", 100, processes),
        director1=Host("director1", 41, processes),
        director2=Host("director2", 40, processes),
        realservers=tuple(Host(f"rs{n}", 41 + n, processes) for n in range(1, realservers + 1)),
        artifacts=artifacts,
        processes=processes,
    )
    try:
        _build(network.hosts)
        yield network
    finally:
        processes.close()
        _remove(network.hosts)


def _build(hosts: tuple[Host, ...]) -> None:
    run(
        ["ip", "-batch", "-"],
        given="\n".join(f"netns add {name}" for name in (SWITCH, *(host.name for host in hosts))),
    )
    # VRRP and neighbour discovery are multicast, which a snooping bridge may keep back.
    _ip(
        SWITCH,
        "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        "link set br0 up",
        *(
            line
            for host in hosts
            for line in (
                f"link add {host.name} type veth"
                f" peer name eth0 address {host.mac} netns {host.name}",
                f"link set {host.name} master br0 up",
            )
        ),
    )
    for host in hosts:
        host.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
        _ip(
            host.name,
            "link set lo up",
            "link set eth0 up",
            f"address add {host.address}/24 dev eth0",
            f"address add {host.address6}/64 dev eth0 nodad",
        )


def _remove(hosts: tuple[Host, ...]) -> None:
    """Delete the namespaces; what still runs in one (a daemon of a daemon) is ended first."""
    names = [*(host.name for host in hosts), SWITCH]
    made = {Path("/run/netns", name).stat().st_ino for name in names}
    for namespace in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):  # it has just ended
            if namespace.stat().st_ino in made:
                os.kill(int(namespace.parts[2]), signal.SIGKILL)
    run(["ip", "-batch", "-"], given="\n".join(f"netns delete {name}" for name in names))


def _ip(namespace: str, *lines: str) -> str:
    return run(["ip", "-n", namespace, "-batch", "-"], given="\n".join(lines)).stdout


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)} (in thread {threading.get_ident()})")
