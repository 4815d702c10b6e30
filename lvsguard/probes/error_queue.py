"""Reads what ICMP said to a socket, out of its error queue (ip(7), IP_RECVERR; ipv6(7)).

IPv4 needs no option: tcp_v4_err() in net/ipv4/tcp_ipv4.c queues what ends a connection request
unasked. An IPv6 socket needs IPV6_RECVERR; with it a connection that stands tells ICMP errors, too,
which TCP survives otherwise (RFC 5461) and has to here. Before Linux 5.8 nothing is queued.
"""

from __future__ import annotations

import socket
import sys
from _socket import socket as RawSocket
from ipaddress import ip_address
from struct import Struct
from typing import Final, overload

from lvsguard.core.model import IPAddress
from lvsguard.probes import icmp
from lvsguard.probes.icmp import Unreachable
from lvsguard.probes.outcome import Outcome

_IP_RECVERR: Final = 11
IPV6_RECVERR: Final = 25
"""To be set on an IPv6 socket that is going to connect. Not in Python's socket module."""
_ERROR: Final = Struct("=IBBBxII")
"""struct sock_extended_err: errno, origin, type, code, info, data; the sender's address follows."""
_ROOM: Final = socket.CMSG_SPACE(_ERROR.size + 28)
_KINDS: Final = {
    (socket.IPPROTO_IP, _IP_RECVERR): (2, 3, socket.AF_INET, slice(4, 8)),
    (socket.IPPROTO_IPV6, IPV6_RECVERR): (3, 1, socket.AF_INET6, slice(8, 24)),
}
"""By level and option: origin (SO_EE_ORIGIN_ICMP, _ICMP6), the type destination unreachable, the
family of the sender's address, and where in its sockaddr it is."""


def survived(sock: RawSocket, error: OSError) -> bool:
    """Whether an error of a connection that stands was ICMP's, which breaks none: it is to go on,
    and tells of no other. Reset by its peer or timed out, it cannot."""
    if sock.family != socket.AF_INET6 or error.errno not in icmp.UNSURE:
        return False
    if not sock.getsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR):
        return False
    mute(sock)
    return True


def mute(sock: RawSocket) -> None:
    """Have an IPv6 socket tell no ICMP errors from now on."""
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 0)


def connect_failed(sock: RawSocket, number: int, address: str) -> Outcome:
    """The network's answer to a connection request of this socket, which ended with ``number``."""
    said = heard(sock) if number in icmp.UNSURE else None
    return icmp.connect_failed(number, said, ip_address(address))


def heard(sock: RawSocket) -> Unreachable | None:
    """Take what ICMP said; None where it said nothing, or nothing of this kind."""
    try:
        _, notes, _, _ = sock.recvmsg(0, _ROOM, socket.MSG_ERRQUEUE)
        own = ip_address(sock.getsockname()[0])
    except OSError:
        return None
    for level, option, data in notes:
        if (level, option) in _KINDS and len(data) > _ERROR.size:
            return _read(data, *_KINDS[level, option], own)
    return None


def _read(
    data: bytes, origin: int, kind: int, family: int, where: slice, own: IPAddress
) -> Unreachable | None:
    _, its_origin, its_kind, code, _, _ = _ERROR.unpack_from(data)
    sender = data[_ERROR.size :]
    its_family = int.from_bytes(sender[:2], sys.byteorder)
    packed = sender[where]
    if (its_origin, its_kind, its_family) != (origin, kind, family):
        return None
    return Unreachable(code, ip_address(packed), own)


class Witness(socket.socket):
    """A socket that somebody else connects and closes: keeps what ICMP said meanwhile.

    asyncio asks for SO_ERROR once, when the request has succeeded or failed.
    """

    said: Unreachable | None = None

    @overload
    def getsockopt(self, level: int, option: int, /) -> int: ...
    @overload
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...

    def getsockopt(self, level: int, option: int, /, *size: int) -> int | bytes:
        """See ``socket.socket``."""
        value = super().getsockopt(level, option, *size)
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):
            if value:
                self.said = heard(self)
            elif self.family == socket.AF_INET6:
                mute(self)
        return value
