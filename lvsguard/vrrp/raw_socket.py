"""A raw socket for VRRP: one interface, one address family, received and sent.

It knows no instance and decodes no message. Behind it are raw(7), ip(7), ipv6(7).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from errno import EADDRNOTAVAIL, EINVAL, EMSGSIZE, ENETDOWN, ENETUNREACH, ENODEV, ENXIO, EPERM
from ipaddress import IPv4Address, IPv6Address
from os import strerror
from struct import Struct
from typing import Final

from lvsguard.core.bpf import DROP_ALL
from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import InterfaceState
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.socket_filter import attach
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, PROTOCOL, TTL
from lvsguard.vrrp.filter import Rule, program

RECEIVE_BUFFER: Final = 256 << 10
"""Bytes asked for; about 700 adverts fit."""
DATAGRAM_MAX: Final = 4608
"""More than any message: 255 IPv6 addresses are 4,088 octets, then a trailer."""
TOS: Final = 0xC0
"""Internetwork control, as keepalived and routers send."""
IP_HEADER: Final = 20
IPV6_HEADER: Final = 40

# Not in Python's socket module: include/uapi/linux/in.h, in6.h; asm-generic/socket.h
_IP_PKTINFO, _IP_MULTICAST_ALL = 8, 49
_IPV6_MULTICAST_ALL: Final = 29
_SO_MEMINFO, _SO_BINDTODEVICE = 55, 25
_MEMINFO: Final = Struct("=9I")
_MEMINFO_DROPS: Final = 8
_MREQN: Final = Struct("=4s4si")
_PKTINFO: Final = Struct("=i4s4s")
_PKTINFO6: Final = Struct("=16si")
_INT: Final = Struct("=i")
_CONTROL: Final = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_INT.size)
_NOWHERE: Final = bytes(4)


@dataclass(frozen=True, slots=True)
class Packet:
    """A VRRP message as it came: who sent it to whom, and its TTL or hop limit."""

    source: IPAddress
    destination: IPAddress
    ttl: int
    payload: bytes


class RawSocket:
    """Protocol 112 on one interface, for one family. Never waits."""

    def __init__(
        self,
        interface: InterfaceState,
        rule: Rule,
        *,
        receive_buffer: int = RECEIVE_BUFFER,
    ) -> None:
        """Open it and join the group. Raises KernelError."""
        self._index, self._name, self._mtu = interface.index, interface.name, interface.mtu
        self._family = rule.family
        try:
            self._socket = socket.socket(
                socket.AF_INET if rule.family == 4 else socket.AF_INET6,
                socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
                PROTOCOL,
            )
        except OSError as error:
            raise _explained("open a socket for VRRP", interface.name, error) from error
        try:
            self._set_up(receive_buffer)
            self.set_rule(rule)
            self._join()
        except OSError as error:
            self._socket.close()
            raise _explained("set up a socket for VRRP", interface.name, error) from error

    def fileno(self) -> int:
        """The descriptor; -1 when closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give it back."""
        self._socket.close()

    def set_rule(self, rule: Rule) -> None:
        """Let through what this rule says, from now on."""
        attach(self._socket, program(rule))

    def set_mtu(self, mtu: int) -> None:
        """The interface has another MTU."""
        self._mtu = mtu

    def drops(self) -> int:
        """Packets that the buffer had no room for, since it was opened (modulo 2**32)."""
        raw = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        drops: int = _MEMINFO.unpack(raw)[_MEMINFO_DROPS]
        return drops

    def receive(self, limit: int) -> tuple[list[Packet], int]:
        """The packets that are there, at most ``limit``, and how many more were no packets at all.
        Raises KernelError."""
        packets: list[Packet] = []
        malformed = 0
        take = self._take_v4 if self._family == 4 else self._take_v6
        for _ in range(limit):
            try:
                packet = take()
            except BlockingIOError:
                break
            except OSError as error:
                raise _explained("receive VRRP", self._name, error) from error
            if packet is None:
                malformed += 1
            else:
                packets.append(packet)
        return packets, malformed

    def send(self, payload: bytes, source: IPAddress, destination: IPAddress) -> None:
        """Send one message. Raises KernelError."""
        header = IP_HEADER if self._family == 4 else IPV6_HEADER
        if header + len(payload) > self._mtu:
            raise KernelError(
                f"cannot send VRRP on {self._name}: {header + len(payload)} octets do not fit into"
                f" its MTU of {self._mtu}: put fewer addresses into one vrid, or raise the MTU",
                EMSGSIZE,
            )
        # A neighbour for multicast, wherever routes point.
        flags = socket.MSG_DONTROUTE if destination.is_multicast else 0
        try:
            if self._family == 4:
                info = _PKTINFO.pack(self._index, source.packed, _NOWHERE)
                control = [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
                self._socket.sendmsg([payload], control, flags, (str(destination), 0))
                return
            info = _PKTINFO6.pack(source.packed, self._index)
            control = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
            local = destination.is_link_local or destination.is_multicast
            to = (str(destination), 0, 0, self._index if local else 0)
            self._socket.sendmsg([payload], control, flags, to)
        except OSError as error:
            what = f"send VRRP from {source} to {destination}"
            raise _explained(what, self._name, error) from error

    def _take_v4(self) -> Packet | None:
        raw = self._socket.recv(DATAGRAM_MAX)
        header = (raw[0] & 0xF) * 4 if raw else 0
        if header < IP_HEADER or len(raw) < header:
            return None
        return Packet(IPv4Address(raw[12:16]), IPv4Address(raw[16:20]), raw[8], raw[header:])

    def _take_v6(self) -> Packet | None:
        payload, control, _flags, sender = self._socket.recvmsg(DATAGRAM_MAX, _CONTROL)
        destination, ttl = None, None
        for level, kind, data in control:
            if level != socket.IPPROTO_IPV6:
                continue
            if kind == socket.IPV6_PKTINFO and len(data) == _PKTINFO6.size:
                destination = IPv6Address(data[:16])
            elif kind == socket.IPV6_HOPLIMIT and len(data) == _INT.size:
                ttl = _INT.unpack(data)[0]
        if destination is None or ttl is None:
            return None
        return Packet(IPv6Address(sender[0].partition("%")[0]), destination, ttl, payload)

    def _set_up(self, receive_buffer: int) -> None:
        sock, name = self._socket, self._name.encode()
        # Nothing from other interfaces, nor from before the filter, may ever be read.
        attach(sock, DROP_ALL)
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, name)
        try:
            while sock.recv(1):
                pass
        except BlockingIOError:
            pass
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if self._family == 4:
            ip = socket.IPPROTO_IP
            group = _MREQN.pack(_NOWHERE, _NOWHERE, self._index)
            sock.setsockopt(ip, socket.IP_TTL, TTL)
            sock.setsockopt(ip, socket.IP_MULTICAST_TTL, TTL)
            sock.setsockopt(ip, socket.IP_MULTICAST_LOOP, 0)
            sock.setsockopt(ip, socket.IP_MULTICAST_IF, group)
            sock.setsockopt(ip, _IP_MULTICAST_ALL, 0)
            sock.setsockopt(ip, socket.IP_TOS, TOS)
            return
        ip6 = socket.IPPROTO_IPV6
        sock.setsockopt(ip6, socket.IPV6_UNICAST_HOPS, TTL)
        sock.setsockopt(ip6, socket.IPV6_MULTICAST_HOPS, TTL)
        sock.setsockopt(ip6, socket.IPV6_MULTICAST_LOOP, 0)
        sock.setsockopt(ip6, socket.IPV6_MULTICAST_IF, self._index)
        sock.setsockopt(ip6, _IPV6_MULTICAST_ALL, 0)
        sock.setsockopt(ip6, socket.IPV6_TCLASS, TOS)
        sock.setsockopt(ip6, socket.IPV6_RECVHOPLIMIT, 1)
        sock.setsockopt(ip6, socket.IPV6_RECVPKTINFO, 1)

    def _join(self) -> None:
        if self._family == 4:
            request = _MREQN.pack(GROUP_V4.packed, _NOWHERE, self._index)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            return
        request = _PKTINFO6.pack(GROUP_V6.packed, self._index)  # ipv6_mreq has the same layout
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)


def _explained(what: str, interface: str, error: OSError) -> KernelError:
    number = error.errno or 0
    hint = _HINTS.get(number, "it is tried again; if it goes on, look at ip addr and dmesg")
    return KernelError(f"cannot {what} on {interface}: {strerror(number)}: {hint}", number)


_GONE: Final = "the interface is down or gone: raise it, or name another in the config (ip link)"
_NO_SOURCE: Final = (
    "the source is no address of this host any more: put it back (ip addr), or name another"
)
_HINTS: Final = {
    EPERM: "CAP_NET_RAW is needed: run as root, or give it in the systemd unit"
    " (AmbientCapabilities=CAP_NET_RAW); if it is there, a firewall rule drops protocol 112",
    ENODEV: _GONE,
    ENXIO: _GONE,
    ENETDOWN: _GONE,
    ENETUNREACH: "the source is no address of this host any more, or there is no route to it: put"
    " the address back (ip addr), or add a route",
    EINVAL: _NO_SOURCE,
    EADDRNOTAVAIL: _NO_SOURCE,
}
