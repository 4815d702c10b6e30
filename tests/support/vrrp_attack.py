"""VRRP packets that no director sends: forged, broken, too many. Sent from one host of the lab."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import pack
from typing import TYPE_CHECKING

from lvsguard.vrrp import packet
from lvsguard.vrrp.advert import GROUP_V4, PROTOCOL, TTL, Advert, Version, Wire
from tests.support.topology import VIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.topology import Host

STRANGER = IPv4Address("10.0.0.200")
_SO_BINDTODEVICE = 25


def advert(
    vrid: int = 51,
    *,
    priority: int = 255,
    version: Version = Version.V3,
    source: IPv4Address = STRANGER,
    to: IPv4Address = GROUP_V4,
    vip: IPv4Address = VIP,
    password: bytes | None = None,
) -> bytes:
    """The payload of a well-formed advert."""
    said = Advert(vrid, priority, 1.0, (vip,), version)
    return packet.encode(said, Wire(version, password=password), source, to)


@dataclass(frozen=True, slots=True)
class Attacker:
    """A raw socket on a host's eth0, that sends what it is given."""

    sock: socket.socket

    def send(
        self,
        payload: bytes,
        *,
        source: IPv4Address = STRANGER,
        to: IPv4Address = GROUP_V4,
        ttl: int = TTL,
        times: int = 1,
    ) -> None:
        """Send a payload under any source address and TTL; the kernel sums the header up."""
        header = pack(">BBHHHBBH", 0x45, 0xC0, 0, 0, 0, ttl, PROTOCOL, 0)
        whole = header + source.packed + to.packed + payload
        for _ in range(times):
            self.sock.sendto(whole, (str(to), 0))

    def keep_sending(self, payload: bytes, seconds: float, per_second: float = 20) -> None:
        """Send it again and again, for some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(payload)
            time.sleep(1 / per_second)


@contextmanager
def attacker(host: Host) -> Iterator[Attacker]:
    """A host of the network turns against the directors."""
    with host.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, b"eth0\0")
        yield Attacker(sock)
