"""The sockets over which directors ask each other for the connection table. Never waits.

What is not asked for here the kernel drops, by a filter; of what looks right a small buffer is
kept and a few a slice of time are read: whatever somebody sends, it costs this process less than
a hundredth of a CPU.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from ipaddress import ip_address
from struct import Struct
from typing import Final, NamedTuple

from lvsguard.core.bpf import DROP_ALL
from lvsguard.core.model import IPAddress
from lvsguard.kernel.socket_filter import attach
from lvsguard.vrrp.table_request import SIZE_MAX, TTL, Family, Rule, program

BATCH: Final = 16
"""Datagrams of one family that one ``read`` takes."""
SLICE_S: Final = 0.1
"""After a full batch nothing is read for so long."""
RECEIVE_BUFFER: Final = 1 << 14
"""Bytes: some 40 datagrams."""
_INT: Final = Struct("=i")
_INFO4: Final = Struct("=I4s4s")
_INFO6: Final = Struct("=16sI")
_IP_PKTINFO: Final = 8
_IP_RECVTTL: Final = 12
_IPV6_PKTINFO: Final = 50
_CONTROL: Final = socket.CMSG_SPACE(_INFO6.size) + socket.CMSG_SPACE(_INT.size)


class Place(NamedTuple):
    """Where a director is, and how to speak to it."""

    address: IPAddress
    port: int
    link: int
    """Index of the interface; 0: whichever the routes say."""
    source: bytes
    """Address to speak from, packed; all 0: the kernel's choice."""


class Heard(NamedTuple):
    """A datagram of a host on the link."""

    data: bytes
    interface: str
    place: Place
    """To answer to, from the address that was spoken to."""


class TableSocket:
    """One UDP port, IPv4 and, where the host has it, IPv6."""

    def __init__(self, port: int) -> None:
        """Raises OSError when the port is taken."""
        self.port = port
        self._poll = select.epoll()
        self._sockets: dict[Family, socket.socket] = {}
        self._rule = Rule()
        self._resume: float | None = None
        self._names: dict[int, str | None] = {}
        """Of interfaces by index, for as long as one ``read`` takes: a look-up is three calls."""
        try:
            self._open(4)
            with suppress(OSError):
                self._open(6)
        except BaseException:
            self.close()
            raise

    def _open(self, family: Family) -> None:
        number, level = _NUMBERS[family]
        sock = socket.socket(number, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            attach(sock, DROP_ALL)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            if family == 6:
                sock.setsockopt(level, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(level, socket.IPV6_UNICAST_HOPS, TTL)
                sock.setsockopt(level, socket.IPV6_RECVHOPLIMIT, 1)
                sock.setsockopt(level, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(level, socket.IP_TTL, TTL)
                sock.setsockopt(level, _IP_RECVTTL, 1)
                sock.setsockopt(level, _IP_PKTINFO, 1)
            sock.bind(("", self.port))
            attach(sock, program(self._rule, family))
        except BaseException:
            sock.close()
            raise
        self._sockets[family] = sock
        self._poll.register(sock.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """The descriptor that is readable when ``read`` has something; -1 when closed."""
        return -1 if self._poll.closed else self._poll.fileno()

    def timer(self) -> float | None:
        """When to call ``read`` though nothing came, monotonic."""
        return self._resume

    def listen(self, rule: Rule) -> None:
        """Hear what this rule lets through, and nothing else."""
        if rule == self._rule:
            return
        self._rule = rule
        for family, sock in self._sockets.items():
            attach(sock, program(rule, family))

    def read(self, now: float) -> list[Heard]:
        """What came from this link, a few of it."""
        if self._resume is not None:
            if now < self._resume:
                return []
            self._pause(None)
        heard: list[Heard] = []
        for family, sock in self._sockets.items():
            for _ in range(BATCH):
                try:
                    data, control, _, where = sock.recvmsg(SIZE_MAX, _CONTROL)
                except OSError:
                    break
                place = _place(family, control, where)
                name = self._name(place.link) if place is not None else None
                if place is not None and name is not None:
                    heard.append(Heard(data, name, place))
            else:
                self._pause(now + SLICE_S)
        self._names.clear()
        return heard

    def _name(self, link: int) -> str | None:
        """The interface's name; None: it is gone again."""
        if link not in self._names:
            try:
                self._names[link] = socket.if_indextoname(link)
            except OSError:
                self._names[link] = None
        return self._names[link]

    def _pause(self, until: float | None) -> None:
        self._resume = until
        for sock in self._sockets.values():
            self._poll.modify(sock.fileno(), select.EPOLLIN if until is None else 0)

    def send(self, data: bytes, place: Place) -> bool:
        """Send to where a datagram came from, or to ``place``; False: it did not go out."""
        family: Family = 4 if place.address.version == 4 else 6
        sock = self._sockets.get(family)
        if sock is None:
            return False
        _, level = _NUMBERS[family]
        to: tuple[object, ...] = (str(place.address), place.port)
        if family == 4:
            about = (level, _IP_PKTINFO, _INFO4.pack(place.link, place.source, bytes(4)))
        else:
            about = (level, _IPV6_PKTINFO, _INFO6.pack(place.source, place.link))
            to = (*to, 0, place.link if place.address.is_link_local else 0)
        try:
            sock.sendmsg([data], [about], 0, to)
        except OSError:
            return False
        return True

    def place(self, address: IPAddress, interface: str) -> Place:
        """Where a director on an interface listens."""
        try:
            link = socket.if_nametoindex(interface)
        except OSError:
            link = 0
        return Place(address, self.port, link, bytes(len(address.packed)))

    def close(self) -> None:
        """Give the sockets back."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
        self._poll.close()


_NUMBERS: Final[dict[Family, tuple[int, int]]] = {
    4: (socket.AF_INET, socket.IPPROTO_IP),
    6: (socket.AF_INET6, socket.IPPROTO_IPV6),
}


def _place(
    family: Family, control: list[tuple[int, int, bytes]], where: tuple[str, int]
) -> Place | None:
    """Where a datagram is from; None: not from this link."""
    about = {kind: value for _, kind, value in control}
    ttl, info = (
        (about.get(socket.IP_TTL), about.get(_IP_PKTINFO))
        if family == 4
        else (about.get(socket.IPV6_HOPLIMIT), about.get(_IPV6_PKTINFO))
    )
    if ttl is None or info is None or _INT.unpack_from(ttl)[0] != TTL:
        return None
    if family == 4:
        link, source, _ = _INFO4.unpack_from(info)
    else:
        source, link = _INFO6.unpack_from(info)
    return Place(ip_address(where[0].partition("%")[0]), where[1], link, source)
