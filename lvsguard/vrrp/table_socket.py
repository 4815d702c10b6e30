"""The sockets over which directors ask each other for the connection table. Never waits."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from ipaddress import ip_address
from struct import Struct
from typing import Final, NamedTuple

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.table_request import SIZE_MAX

TTL: Final = 255
"""Sent, and demanded: a router in between would have made it less (RFC 5082)."""
BATCH: Final = 16
_IP_RECVTTL: Final = 12
_INT: Final = Struct("=i")
_CONTROL: Final = socket.CMSG_SPACE(_INT.size)


class Heard(NamedTuple):
    """A datagram of a host on the link."""

    data: bytes
    source: IPAddress
    where: tuple[object, ...]
    """To answer to."""


class TableSocket:
    """One UDP port, IPv4 and IPv6."""

    def __init__(self, port: int) -> None:
        """Raises OSError when the port is taken."""
        self._port = port
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        try:
            self._open(socket.AF_INET, socket.IPPROTO_IP, socket.IP_TTL, _IP_RECVTTL)
            with suppress(OSError):  # a host without IPv6
                self._open(
                    socket.AF_INET6,
                    socket.IPPROTO_IPV6,
                    socket.IPV6_UNICAST_HOPS,
                    socket.IPV6_RECVHOPLIMIT,
                )
        except BaseException:
            self.close()
            raise

    def _open(self, family: int, level: int, ttl: int, receive: int) -> None:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(level, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(level, ttl, TTL)
            sock.setsockopt(level, receive, 1)
            sock.bind(("", self._port))
        except BaseException:
            sock.close()
            raise
        self._sockets[family] = sock
        self._poll.register(sock.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """The descriptor that is readable when ``read`` has something; -1 when closed."""
        return -1 if self._poll.closed else self._poll.fileno()

    def read(self) -> list[Heard]:
        """What came from this link."""
        heard: list[Heard] = []
        for sock in self._sockets.values():
            for _ in range(BATCH):
                try:
                    data, control, _, where = sock.recvmsg(SIZE_MAX, _CONTROL)
                except OSError:
                    break
                near = any(
                    len(value) >= _INT.size and _INT.unpack_from(value)[0] == TTL
                    for _, _, value in control
                )
                if near:
                    heard.append(Heard(data, ip_address(where[0].partition("%")[0]), where))
        return heard

    def send(self, data: bytes, where: tuple[object, ...]) -> bool:
        """Send to where a datagram came from, or to ``place``; False: it did not go out."""
        family = socket.AF_INET6 if ":" in str(where[0]) else socket.AF_INET
        sock = self._sockets.get(family)
        if sock is None:
            return False
        try:
            sock.sendto(data, where)
        except OSError:
            return False
        return True

    def place(self, address: IPAddress, interface: str) -> tuple[object, ...]:
        """Where a director on an interface listens."""
        if address.version == 4:
            return (str(address), self._port)
        try:
            index = socket.if_nametoindex(interface)
        except OSError:
            index = 0
        return (str(address), self._port, 0, index)

    def close(self) -> None:
        """Give the sockets back."""
        for sock in self._sockets.values():
            sock.close()
        self._poll.close()
