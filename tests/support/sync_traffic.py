"""Connections of every kind that IPVS knows, through director1 of the seed network.

`balance` makes a host a director of them by plain ipvsadm and iptables, `start_servers` and
`start_clients` let packets flow, and `fill` makes connections up. As a program it is one server,
one client or one listener:

    python -m tests.support.sync_traffic serve|hold|listen [KIND:COUNT...]
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lvsguard.vrrp.conntable import ConnectionTable, Tally
from lvsguard.vrrp.flow_facts import FlowFacts
from lvsguard.vrrp.sync_codec import Packer, encode
from lvsguard.vrrp.sync_entry import Entry, Flags
from lvsguard.vrrp.sync_sender import SyncSender
from lvsguard.vrrp.transfer_message import Target
from tests.support.ipvs_table import from_ipvsadm
from tests.support.processes import wait_until
from tests.support.topology import VIP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.processes import Process
    from tests.support.topology import Host, Network

VIP6: Final = IPv6Address("fd00::8")
GROUP: Final = "224.0.0.81"
PORT: Final = 8848
SYNCID: Final = 51
SIZE_MAX: Final = 1472
"""Octets of a sync message."""
TCP, UDP, SCTP = socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_SCTP


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of connection: where clients go, and the service's ipvsadm options."""

    protocol: int
    address: str
    port: int
    service: str
    options: str = ""

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET


KINDS: Final = {
    "tcp4": Kind(TCP, str(VIP), 80, f"-t {VIP}:80"),
    "tcp6": Kind(TCP, str(VIP6), 80, f"-t [{VIP6}]:80"),
    "udp4": Kind(UDP, str(VIP), 53, f"-u {VIP}:53"),
    "udp6": Kind(UDP, str(VIP6), 53, f"-u [{VIP6}]:53"),
    "sctp4": Kind(SCTP, str(VIP), 3868, f"--sctp-service {VIP}:3868"),
    "sticky4": Kind(TCP, str(VIP), 443, f"-t {VIP}:443", "-p 300"),
    "sticky6": Kind(TCP, str(VIP6), 443, f"-t [{VIP6}]:443", "-p 300"),
    "mark4": Kind(TCP, str(VIP), 8080, "-f 7"),
    "mark6": Kind(TCP, str(VIP6), 8080, "-f 7 -6"),
    "stickymark4": Kind(TCP, str(VIP), 9090, "-f 9", "-p 120"),
    "stickymark6": Kind(TCP, str(VIP6), 9090, "-f 9 -6", "-p 120"),
    "sip4": Kind(UDP, str(VIP), 5060, f"-u {VIP}:5060", "-p 300 --pe sip"),
}
MARKS: Final = {8080: 7, 9090: 9}


def balance(director: Host, realservers: Sequence[Host]) -> None:
    """Give a host the services of all kinds, without the VIPs."""
    lines = []
    for kind in KINDS.values():
        lines.append(f"-A {kind.service} -s rr {kind.options}")
        for host in realservers:
            six = kind.family == socket.AF_INET6
            address = f"[{host.address6}]" if six else str(host.address)
            port = 0 if kind.port in MARKS else kind.port
            lines.append(f"-a {kind.service} -r {address}:{port} -g -w 1")
    director.run("ipvsadm", "-R", given="\n".join(lines) + "\n")
    for port, mark in MARKS.items():
        for tool, vip in (("iptables", VIP), ("ip6tables", VIP6)):
            match = f"-t mangle -A PREROUTING -d {vip} -p tcp --dport {port}"
            director.run(*f"{tool} -w {match} -j MARK --set-mark {mark}".split())


def take_vips(director: Host) -> None:
    """Put the VIPs on a host, and let the network know."""
    director.run("ip", "address", "add", f"{VIP}/24", "dev", "eth0")
    director.run("ip", "address", "add", f"{VIP6}/64", "dev", "eth0", "nodad")


def start_servers(network: Network) -> None:
    """Let every realserver hold the VIPs and answer all kinds."""
    for host in network.realservers:
        host.hold_vip()
        host.run("ip", "address", "add", f"{VIP6}/128", "dev", "ipvs0", "nodad")
    servers = [
        host.start("serve", "python", "-m", __name__, "serve") for host in network.realservers
    ]
    for server in servers:
        server.wait_for("serving")


def start_clients(client: Host, counts: dict[str, int]) -> Process:
    """Open connections of these kinds and hold them; returns when all are open."""
    words = [f"{kind}:{count}" for kind, count in counts.items()]
    process = client.start("hold", "python", "-m", __name__, "hold", *words)
    process.wait_for("holding", 30)
    return process


def start_listener(host: Host) -> Process:
    """Write every sync message that comes to this host into the log, one line of hex each."""
    process = host.start("listen", "python", "-m", __name__, "listen")
    process.wait_for("listening")
    return process


def backup(director: Host, syncid: int = SYNCID) -> None:
    """Run the kernel's backup daemon on a host."""
    words = f"--start-daemon backup --mcast-interface eth0 --syncid {syncid}"
    director.run("ipvsadm", *words.split())


def send_text(network: Network, folder: Path) -> tuple[float, int]:
    """Send director1's table to director2 from a file with its text, which is what a kernel costs
    that finds its place in it again (Linux 6.14). The seconds it took, and entries."""
    file = folder / "table"
    with network.director1.entered():
        file.write_bytes(Path("/proc/thread-self/net/ip_vs_conn").read_bytes())
        target = Target(interface="eth0", syncid=SYNCID)
        sender = SyncSender(target, time.monotonic, time.sleep)
    facts = FlowFacts(from_ipvsadm("\n".join(network.director1.ipvs()) + "\n"))
    table, tally, packer = ConnectionTable(facts, path=file), Tally(), Packer(SYNCID, SIZE_MAX)
    begun = time.monotonic()
    with closing(sender):
        for entries in table.read(tally):
            for entry in entries:
                full = packer.add(entry)
                if full is not None:
                    sender.send(full)
        rest = packer.rest()
        if rest is not None:
            sender.send(rest)
    return time.monotonic() - begun, tally.entries


def fill(network: Network, director: Host, numbers: range, syncid: int) -> None:
    """Give a director's table made-up connections to the VIP's port 80, over its backup daemon
    of this sync id; more than clients could open here."""
    realservers = [host.address.packed for host in network.realservers]
    made = (
        Entry(
            protocol=TCP,
            client=(0x0B000000 + n).to_bytes(4, "big"),
            client_port=1024 + n % 60000,
            virtual=VIP.packed,
            virtual_port=80,
            realserver=realservers[n % len(realservers)],
            realserver_port=80,
            state=1,
            flags=int(Flags.DROUTE | Flags.NOOUTPUT),
            fwmark=0,
            timeout=3600,
        )
        for n in numbers
    )
    target = Target(interface="eth0", syncid=syncid, rate=2000)
    sender_of = network.director2 if director is network.director1 else network.director1
    before = connections(director)
    with sender_of.entered():
        sender = SyncSender(target, time.monotonic, time.sleep)
    with contextlib.closing(sender):
        for message in encode(made, syncid, sender.size_max):
            sender.send(message)
    wait_until(
        lambda: connections(director) == before + len(numbers), 30, "the table is full", every_s=0.2
    )


def connections(director: Host) -> int:
    """How many connections a host's services have."""
    shown = director.run("ipvsadm", "-Ln").stdout.splitlines()
    return sum(
        int(word)
        for line in shown
        if "->" in line[:5]
        for word in line.split()[4:]
        if word.isdigit()
    )


def messages(listener: Process) -> list[bytes]:
    """What a listener has heard."""
    return [bytes.fromhex(line[5:]) for line in listener.text().splitlines() if line[:5] == "sync "]


def _serve() -> None:
    held = []
    for kind in KINDS.values():
        if kind.protocol == UDP:
            sock = socket.socket(kind.family, socket.SOCK_DGRAM)
        else:
            sock = socket.socket(kind.family, socket.SOCK_STREAM, kind.protocol)
        sock.bind((kind.address, kind.port))
        if kind.protocol != UDP:
            sock.listen(1024)
        held.append(sock)
    print("serving", flush=True)
    while True:
        time.sleep(3600)


def _hold(words: Sequence[str]) -> None:
    held = []
    for word in words:
        name, _, count = word.partition(":")
        held += [_open(KINDS[name], number) for number in range(int(count))]
    # What the director counts as established needs a second packet at the least.
    for _ in range(3):
        for sock in held:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM:
                sock.send(b"x")
    print("holding", flush=True)
    while True:
        time.sleep(3600)


def _open(kind: Kind, number: int) -> socket.socket:
    if kind.protocol == UDP:
        sock = socket.socket(kind.family, socket.SOCK_DGRAM)
        sock.connect((kind.address, kind.port))
        for _ in range(3):
            sock.send(
                b"OPTIONS sip:x@example.org SIP/2.0\r\nCall-ID: call-%d@example.org\r\n\r\n"
                % number
            )
        return sock
    sock = socket.socket(kind.family, socket.SOCK_STREAM, kind.protocol)
    sock.settimeout(10)
    sock.connect((kind.address, kind.port))
    return sock


def _listen() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((GROUP, PORT))
    index = socket.if_nametoindex("eth0")
    joined = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), index)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    print("listening", flush=True)
    while True:
        print("sync", sock.recv(65536).hex(), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        {"serve": _serve, "listen": _listen}.get(sys.argv[1], lambda: _hold(sys.argv[2:]))()
