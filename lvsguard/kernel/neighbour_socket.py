"""Sockets that hear ARP and neighbour advertisements on one interface: packet(7), raw(7).

ARP comes by a packet socket, neighbour advertisements by a raw ICMPv6 one, so that a busy
director's IPv6 packets pass no filter of ours. What they mean is others' business.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv6Address
from struct import Struct
from typing import Final

from lvsguard.core.bpf import DROP_ALL, NOT_FOR_OTHERS, Instruction
from lvsguard.core.frame import ETHERTYPE_ARP, Neighbour, parse_neighbour
from lvsguard.kernel.socket_filter import attach

RECEIVE_BUFFER: Final = 64 << 10

_MESSAGE_MAX: Final = 1500
_ICMP6_FILTER: Final = 1
_ADVERTISEMENT: Final = 136
_FILTER: Final = Struct("=8I")
_PKTINFO6: Final = Struct("=16si")
_INT: Final = Struct("=i")
_CONTROL: Final = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_INT.size)


def arp(
    interface: str, let_through: Iterable[Instruction], *, buffer: int = RECEIVE_BUFFER
) -> socket.socket:
    """A socket that receives whole ARP frames that the filter lets through, and may send any frame.
    Never waits. Raises OSError."""
    sock = _open(socket.AF_PACKET, 0, buffer)
    try:
        attach(sock, (*NOT_FOR_OTHERS, *let_through))
        sock.bind((interface, ETHERTYPE_ARP))
    except BaseException:
        sock.close()
        raise
    return sock


def advertisements(
    interface: str, let_through: Iterable[Instruction], *, buffer: int = RECEIVE_BUFFER
) -> socket.socket:
    """A socket for ``receive``, of the advertisements that the filter lets through; it sees them
    from the ICMPv6 header on. Never waits. Raises OSError."""
    blocked = [0xFFFF_FFFF] * 8
    blocked[_ADVERTISEMENT >> 5] &= ~(1 << (_ADVERTISEMENT & 31))
    sock = _open(socket.AF_INET6, socket.IPPROTO_ICMPV6, buffer)
    try:
        attach(sock, DROP_ALL)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        with suppress(BlockingIOError):
            while sock.recv(1):
                pass
        ip6 = socket.IPPROTO_IPV6
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _FILTER.pack(*blocked))
        sock.setsockopt(ip6, socket.IPV6_RECVHOPLIMIT, 1)
        sock.setsockopt(ip6, socket.IPV6_RECVPKTINFO, 1)
        attach(sock, let_through)
    except BaseException:
        sock.close()
        raise
    return sock


def receive(sock: socket.socket) -> Neighbour | None:
    """Take one advertisement; None for one that breaks a rule of RFC 4861. Raises OSError."""
    message, control, _flags, sender = sock.recvmsg(_MESSAGE_MAX, _CONTROL)
    destination, hops = IPv6Address(0), 0
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            destination = IPv6Address(data[:16])
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT):
            hops = _INT.unpack(data)[0]
    source = IPv6Address(sender[0].partition("%")[0])
    return parse_neighbour(message, source, destination, hops)


def _open(family: int, protocol: int, buffer: int) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    return sock
