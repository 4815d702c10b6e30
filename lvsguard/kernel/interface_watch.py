"""The state of this host's interfaces, kept up to date by the kernel's events, without asyncio.

For the VRRP process, whose loop is its own: ``fileno`` tells when to call ``read``, which never
waits. Everything comes over one rtnetlink socket, which is opened anew when events were lost.
"""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from struct import Struct
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.kernel.netlink import (
    HEADER,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_MIN_TYPE,
    Malformed,
    Message,
    ack,
    attributes,
    messages,
    number,
    text,
)
from lvsguard.kernel.netlink_socket import RECEIVE_BUFFER, AnswersLost, NetlinkSocket
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.rtnetlink import (
    GROUPS,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    dump_addresses,
    dump_links,
)

# include/uapi/linux/if.h, if_link.h, if_addr.h
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x1_0000
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_CARRIER_CHANGES = 1, 3, 4, 35
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_SECONDARY, _IFA_F_OPTIMISTIC, _IFA_F_DADFAILED = 0x01, 0x04, 0x08
_IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x20, 0x40
_IFINFOMSG: Final = Struct("=BxHiII")
_IFADDRMSG: Final = Struct("=BBBBI")
_NUMBER: Final = Struct("=I")
_SIZE: Final = {socket.AF_INET: 4, socket.AF_INET6: 16}
_PIECES_MAX: Final = 100_000
"""Datagrams of one dump: an end, should the kernel never give one."""
_EVENTS_MAX: Final = 256
"""Datagrams taken at one ``read``: a flood of events must not keep the caller from its timers."""


@dataclass(frozen=True, slots=True)
class HeldAddress:
    """An address on an interface.

    ``usable``: packets may come from it (IPv6: duplicate detection is over and found nobody).
    ``secondary``: IPv4, another address of the same network came first. ``deprecated``: IPv6, not
    to be chosen as a source of new connections.
    """

    address: IPAddress
    prefix: int
    usable: bool = True
    secondary: bool = False
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """An interface. ``up``: administratively up with carrier. ``mac``: empty when it has none.
    ``turns``: times that the carrier came or went, by which a loss shows that was over before
    anybody looked."""

    index: int
    name: str
    up: bool
    mtu: int
    mac: bytes
    addresses: tuple[HeldAddress, ...] = ()
    turns: int = 0


class InterfaceWatch:
    """All interfaces of the network namespace that it is made in."""

    def __init__(self, receive_buffer: int = RECEIVE_BUFFER) -> None:
        """Listen, then read all. Raises KernelError."""
        self._receive_buffer = receive_buffer
        self._sequences = count(1)
        self._states: dict[int, InterfaceState] = {}
        self._poll = select.epoll()
        try:
            self._socket = self._open()
        except BaseException:
            self._poll.close()
            raise

    def fileno(self) -> int:
        """The descriptor that is readable when something may have changed: always the same one,
        though the socket behind it may be another; -1 when closed."""
        return -1 if self._poll.closed else self._poll.fileno()

    def state(self, name: str) -> InterfaceState | None:
        """An interface by its name; None when there is none."""
        return next((state for state in self._states.values() if state.name == name), None)

    @property
    def macs(self) -> frozenset[bytes]:
        """The MAC addresses of all interfaces."""
        return frozenset(state.mac for state in self._states.values() if any(state.mac))

    def read(self) -> frozenset[str]:
        """Take in what the kernel reported; the names of the interfaces that changed since. Never
        waits. Raises KernelError when the socket failed and could not be opened again; the next
        call tries again."""
        before = dict(self._states)
        try:
            if self._socket.fileno() < 0:
                self._socket = self._open()
            for _ in range(_EVENTS_MAX):
                raw = self._socket.receive_now()
                if raw is None:
                    break
                self._take(raw)
        except KernelError:
            # Events were lost, or make no sense: begin again.
            self._socket.close()
            self._socket = self._open()
        return frozenset(
            state.name
            for index in before.keys() | self._states.keys()
            if before.get(index) != self._states.get(index)
            for state in (before.get(index), self._states.get(index))
            if state is not None
        )

    def close(self) -> None:
        """Give the sockets back."""
        self._socket.close()
        self._poll.close()

    def _open(self) -> NetlinkSocket:
        netlink = NetlinkSocket(socket.NETLINK_ROUTE, GROUPS, self._receive_buffer)
        try:
            self._states = {}
            # One after the other: a socket holds one dump at a time.
            for request in (dump_links, dump_addresses):
                sequence = next(self._sequences)
                netlink.send(request(sequence))
                self._dump(netlink, sequence)
            self._poll.register(netlink.fileno(), select.EPOLLIN)
        except BaseException:
            netlink.close()
            raise
        return netlink

    def _dump(self, netlink: NetlinkSocket, sequence: int) -> None:
        """Take in all pieces of a dump, and the events that come between them."""
        for _ in range(_PIECES_MAX):
            # The kernel makes each piece inside the call that fetches it, so it is there.
            raw = netlink.receive_now()
            if raw is None:
                break
            for message in messages(raw):
                if message.sequence == sequence and message.type in (NLMSG_DONE, NLMSG_ERROR):
                    answer = ack(raw, message)
                    if answer.errno:
                        raise KernelError(
                            f"the kernel did not list its interfaces: {answer.detail or 'error'}"
                            f" {answer.errno}: try again",
                            answer.errno,
                        )
                    return
            self._take(raw)
        raise AnswersLost(0)

    def _take(self, raw: bytes) -> None:
        for message in messages(raw):
            if message.type < NLMSG_MIN_TYPE:
                continue
            if message.type in (RTM_NEWLINK, RTM_DELLINK):
                self._take_link(raw, message)
            elif message.type in (RTM_NEWADDR, RTM_DELADDR):
                self._take_address(raw, message)

    def _take_link(self, raw: bytes, message: Message) -> None:
        start = message.start + HEADER.size
        if message.end - start < _IFINFOMSG.size:
            raise Malformed("a link message without its header")
        family, _type, index, flags, _change = _IFINFOMSG.unpack_from(raw, start)
        if family:  # a bridge or IPv6 on one of its own matters
            return
        if message.type == RTM_DELLINK:
            self._states.pop(index, None)
            return
        found = attributes(raw, start + _IFINFOMSG.size, message.end)
        if _IFLA_IFNAME not in found:
            return
        both = _IFF_UP | _IFF_LOWER_UP
        mac = found.get(_IFLA_ADDRESS, (0, 0))
        before = self._states.get(index)
        self._states[index] = InterfaceState(
            index,
            text(raw, found[_IFLA_IFNAME]),
            flags & both == both,
            _optional(raw, found.get(_IFLA_MTU)),
            raw[mac[0] : mac[1]],
            before.addresses if before else (),
            _optional(raw, found.get(_IFLA_CARRIER_CHANGES)),
        )

    def _take_address(self, raw: bytes, message: Message) -> None:
        start = message.start + HEADER.size
        if message.end - start < _IFADDRMSG.size:
            raise Malformed("an address message without its header")
        family, prefix, flags, _scope, index = _IFADDRMSG.unpack_from(raw, start)
        size, state = _SIZE.get(family), self._states.get(index)
        if size is None or state is None:
            return
        found = attributes(raw, start + _IFADDRMSG.size, message.end)
        # On a link with a peer, IFA_ADDRESS is the peer's; ours is IFA_LOCAL.
        where = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        if where is None or where[1] - where[0] != size:
            raise Malformed("an address message without an address of its family")
        if _IFA_FLAGS in found:
            flags = number(raw, found[_IFA_FLAGS], _NUMBER)
        packed = raw[where[0] : where[1]]
        address = IPv4Address(packed) if size == 4 else IPv6Address(packed)
        held = _held(address, prefix, flags)
        self._states[index] = replace(
            state, addresses=_with(state.addresses, held, gone=message.type == RTM_DELADDR)
        )


def _optional(raw: bytes, where: tuple[int, int] | None) -> int:
    return number(raw, where, _NUMBER) if where is not None else 0


def _held(address: IPAddress, prefix: int, flags: int) -> HeldAddress:
    # An optimistic address may be used before its duplicate detection ends (RFC 4429).
    unsettled = flags & _IFA_F_TENTATIVE and not flags & _IFA_F_OPTIMISTIC
    return HeldAddress(
        address,
        prefix,
        usable=not (unsettled or flags & _IFA_F_DADFAILED),
        secondary=address.version == 4 and bool(flags & _IFA_F_SECONDARY),
        deprecated=bool(flags & _IFA_F_DEPRECATED),
    )


def _with(
    addresses: tuple[HeldAddress, ...], held: HeldAddress, *, gone: bool
) -> tuple[HeldAddress, ...]:
    """The addresses after a change; one that was there keeps its place."""
    key = (held.address, held.prefix)
    if gone:
        return tuple(one for one in addresses if (one.address, one.prefix) != key)
    if any((one.address, one.prefix) == key for one in addresses):
        return tuple(held if (one.address, one.prefix) == key else one for one in addresses)
    return (*addresses, held)
