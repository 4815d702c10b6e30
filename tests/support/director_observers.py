"""Observers of a director that are not lvsguard: what happened to its addresses and its netlink.

Each runs in the director's namespace and tells afterwards what the kernel saw.
"""

from __future__ import annotations

import re
import struct
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.topology import Capture, Host

_LINE = re.compile(r"^\[(\S+)\] (Deleted )?\d+: (\S+) +inet6? (\S+)")

IPVS_WRITES = {
    1: "new-service",
    2: "set-service",
    3: "del-service",
    5: "new-dest",
    6: "set-dest",
    7: "del-dest",
    9: "new-daemon",
    10: "del-daemon",
    12: "set-config",
    16: "zero",
    17: "flush",
}
"""Commands that change something (linux/ip_vs.h, IPVS_CMD_*)."""
_LAST = "ipvs set-config"
_ROUTE_READ = 2
"""Of a request of rtnetlink the last two bits are its kind: new, del, get, set."""
_REQUEST = 1
_FROM_USER = 4
_NETLINK_ROUTE, _NETLINK_GENERIC = 0, 16


@dataclass(frozen=True, slots=True)
class AddressChange:
    """An address that came or went. `at`: wall clock, s."""

    at: float
    added: bool
    link: str
    address: str


@dataclass(frozen=True, slots=True)
class AddressMonitor:
    """`ip -ts monitor address` on a host."""

    process: Process

    def changes(self, address: str = "") -> list[AddressChange]:
        """What was seen so far, maybe of one address (`10.0.0.8/24`)."""
        found = []
        for line in self.process.text().splitlines():
            if match := _LINE.match(line):
                at = datetime.fromisoformat(match[1]).timestamp()
                found.append(AddressChange(at, match[2] is None, match[3], match[4]))
        return [change for change in found if address in ("", change.address)]

    def gaps_s(self, address: str) -> list[float]:
        """How long the address was away, each time that it came back."""
        gaps, gone_at = [], None
        for change in self.changes(address):
            if not change.added:
                gone_at = change.at
            elif gone_at is not None:
                gaps.append(change.at - gone_at)
                gone_at = None
        return gaps


def monitor_addresses(host: Host) -> AddressMonitor:
    """Start watching the addresses of a host, and see that it does."""
    process = host.start("monitor", "ip", "-ts", "monitor", "address")
    monitor = AddressMonitor(process)
    trial = "192.0.2.1/32"  # of the range for documentation (RFC 5737)
    deadline = time.monotonic() + 10
    while not monitor.changes(trial):
        assert time.monotonic() < deadline, "ip monitor shows nothing"
        host.run("ip", "address", "add", trial, "dev", "lo")
        host.run("ip", "address", "del", trial, "dev", "lo")
    return monitor


@dataclass(frozen=True, slots=True)
class NetlinkTap:
    """A capture of every netlink message in a host's namespace, on a device of type nlmon."""

    host: Host
    capture: Capture
    family: int
    """Message type of IPVS in generic netlink."""

    def writes(self) -> list[str]:
        """End it; the requests that it saw to change the IPVS table, an address, a link or route.

        A last request of its own, which changes nothing, tells that it has seen all before that.
        """
        self.host.run("ipvsadm", "--set", "0", "0", "0")
        wait_until(lambda: self._seen()[-1:] == [_LAST], 5, "the tap has seen all", every_s=0.1)
        self.capture.process.stop()
        return self._seen()[:-1]

    def _seen(self) -> list[str]:
        return [name for raw in _packets(self.capture.file) for name in self._writes(raw)]

    def _writes(self, packet: bytes) -> list[str]:
        kind, protocol = struct.unpack_from(">H12xH", packet)
        found = []
        at = 16  # the cooked header of LINKTYPE_NETLINK
        while kind == _FROM_USER and at + 16 <= len(packet):
            length, message, flags = struct.unpack_from("=IHH", packet, at)
            if flags & _REQUEST and protocol == _NETLINK_GENERIC and message == self.family:
                command = packet[at + 16]
                found += [f"ipvs {IPVS_WRITES[command]}"] if command in IPVS_WRITES else []
            elif flags & _REQUEST and protocol == _NETLINK_ROUTE and message & 3 != _ROUTE_READ:
                found.append(f"rtnetlink {message}")
            at += max((length + 3) & ~3, 16)
        return found


def tap_netlink(host: Host) -> NetlinkTap:
    """Start listening to all netlink messages of a host."""
    shown = host.run("genl", "ctrl", "get", "name", "IPVS").stdout
    identity = re.search(r"ID: (0x[0-9a-f]+)", shown)
    assert identity, shown
    host.run("ip", "link", "add", "nlmon0", "type", "nlmon", check=False)
    host.run("ip", "link", "set", "nlmon0", "up")
    number = sum(1 for process in host.processes.started if ".netlink" in process.name)
    return NetlinkTap(host, host.capture(f"netlink{number}", link="nlmon0"), int(identity[1], 16))


def _packets(file: Path) -> list[bytes]:
    """The packets of a capture file (pcap, little endian, LINKTYPE_NETLINK)."""
    data = file.read_bytes()
    if len(data) < 24:  # it has not begun to write
        return []
    magic, linktype = struct.unpack_from("<I16xI", data)
    assert magic in (0xA1B2C3D4, 0xA1B23C4D), hex(magic)
    assert linktype == 253, linktype
    packets, at = [], 24
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("<8xI", data, at)
        packets.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    return packets
