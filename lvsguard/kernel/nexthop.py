"""Where the kernel would send a packet, and to which MAC address: routes and neighbours asked for.

rtnetlink, include/uapi/linux/rtnetlink.h and neighbour.h, by small messages of our own: it is asked
before every probe that is not the kernel's own. Nothing is added, changed or removed; only
``Paths.resolve`` has the kernel ask for a neighbour's MAC address, as sending to it would.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import EIO, ENOENT
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from lvsguard.core.model import IPAddress
from lvsguard.kernel.netlink import (
    HEADER,
    NLM_F_ACK,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    Malformed,
    Message,
    ack,
    attribute,
    attributes,
    messages,
    number,
)
from lvsguard.kernel.netlink_socket import NetlinkSocket, Refused
from lvsguard.kernel.port import KernelError

RTM_GETROUTE: Final = 26
RTM_NEWNEIGH: Final = 28
RTM_GETNEIGH: Final = 30

_NLM_F_CREATE: Final = 0x400
_RTMSG: Final = Struct("=BBBBBBBBI")
_RTN_UNICAST: Final = 1
_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_RTA_GATEWAY: Final = 5
_RTA_PREFSRC: Final = 7
_RTA_VIA: Final = 18
_NDMSG: Final = Struct("=BxxxiHBB")
_NDA_DST: Final = 1
_NDA_LLADDR: Final = 2
_NTF_USE: Final = 1
_NUD_FRESH: Final = 0x02 | 0x40 | 0x80
"""REACHABLE, NOARP, PERMANENT: no need to ask again."""
_NUD_VALID: Final = _NUD_FRESH | 0x04 | 0x08 | 0x10
"""And STALE, DELAY, PROBE: the MAC address is the one to send to."""
_UINT32: Final = Struct("=I")
_FAMILIES: Final = frozenset({AF_INET, AF_INET6})


class NextHop(NamedTuple):
    """Who takes a packet next: a neighbour (the destination itself on its own link), and the
    interface (index) that leads there. ``source``: the kernel's choice of an own address."""

    link: int
    neighbour: IPAddress
    source: IPAddress | None


class Neighbour(NamedTuple):
    """What the kernel knows of a neighbour. ``mac`` is empty while it knows none; ``fresh``: it
    need not be asked again."""

    mac: bytes
    fresh: bool


def get_route(destination: IPAddress, sequence: int) -> bytes:
    """A request for the route to one address."""
    family, size = _family(destination)
    payload = _RTMSG.pack(family, size * 8, 0, 0, 0, 0, 0, 0, 0)
    return _message(RTM_GETROUTE, 0, sequence, payload + attribute(_RTA_DST, destination.packed))


def get_neighbour(link: int, address: IPAddress, sequence: int) -> bytes:
    """A request for one neighbour (Linux 5.0)."""
    return _message(RTM_GETNEIGH, 0, sequence, _neighbour(link, address, 0))


def use_neighbour(link: int, address: IPAddress, sequence: int) -> bytes:
    """A request to find out a neighbour's MAC address, or to confirm it, as sending would."""
    return _message(
        RTM_NEWNEIGH, NLM_F_ACK | _NLM_F_CREATE, sequence, _neighbour(link, address, _NTF_USE)
    )


def decode_route(buffer: bytes, message: Message, destination: IPAddress) -> NextHop | None:
    """Read RTM_NEWROUTE; None where the packet would not leave this host."""
    start = message.start + HEADER.size
    if message.end - start < _RTMSG.size:
        raise Malformed("a route message without its header")
    family, _, _, _, _, _, _, kind, _ = _RTMSG.unpack_from(buffer, start)
    found = attributes(buffer, start + _RTMSG.size, message.end)
    if kind != _RTN_UNICAST or _RTA_OIF not in found or family not in _FAMILIES:
        return None
    source = _address(buffer, found[_RTA_PREFSRC]) if _RTA_PREFSRC in found else None
    neighbour: IPAddress = destination
    if _RTA_GATEWAY in found:
        neighbour = _address(buffer, found[_RTA_GATEWAY])
    elif _RTA_VIA in found:  # a gateway of another family: its family in front
        first, last = found[_RTA_VIA]
        neighbour = _address(buffer, (first + 2, last))
    return NextHop(number(buffer, found[_RTA_OIF], _UINT32), neighbour, source)


def decode_neighbour(buffer: bytes, message: Message) -> Neighbour:
    """Read RTM_NEWNEIGH."""
    start = message.start + HEADER.size
    if message.end - start < _NDMSG.size:
        raise Malformed("a neighbour message without its header")
    _family, _index, state, _flags, _type = _NDMSG.unpack_from(buffer, start)
    found = attributes(buffer, start + _NDMSG.size, message.end)
    if _NDA_LLADDR not in found or not state & _NUD_VALID:
        return Neighbour(b"", False)
    first, last = found[_NDA_LLADDR]
    return Neighbour(buffer[first:last], bool(state & _NUD_FRESH))


class Paths:
    """Asks the kernel, in the network namespace it is made in. The kernel answers inside the send,
    so nothing here waits; any error makes the next question open a new socket."""

    def __init__(self) -> None:
        self._netlink: NetlinkSocket | None = None

    def route(self, destination: IPAddress) -> NextHop | None:
        """Who is next on the way; None where the packet would not leave this host.

        Raises KernelError with connect(2)'s errno: ENETUNREACH where there is no route.
        """
        raw, message = self._ask(lambda sequence: get_route(destination, sequence))
        return decode_route(raw, message, destination)

    def neighbour(self, hop: NextHop) -> Neighbour:
        """What is known of the neighbour now. Raises KernelError."""
        try:
            raw, message = self._ask(lambda s: get_neighbour(hop.link, hop.neighbour, s))
        except Refused as error:
            if error.errno == ENOENT:
                return Neighbour(b"", False)
            raise
        return decode_neighbour(raw, message)

    def resolve(self, hop: NextHop) -> None:
        """Have the kernel find out or confirm the MAC address. Raises KernelError."""
        self._ask(lambda sequence: use_neighbour(hop.link, hop.neighbour, sequence))

    def close(self) -> None:
        """Give the socket back."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def _ask(self, request: Callable[[int], bytes]) -> tuple[bytes, Message]:
        try:
            if self._netlink is None:
                self._netlink = NetlinkSocket(socket.NETLINK_ROUTE, receive_buffer=1 << 16)
            sequence = self._netlink.next_sequence()
            self._netlink.send(request(sequence))
            while (raw := self._netlink.receive_now()) is not None:
                for message in messages(raw):
                    if message.sequence == sequence:
                        return raw, _refusals(raw, message)
            raise KernelError("the kernel gave no answer about a route: it is asked again", EIO)
        except Refused:
            raise
        except BaseException:
            self.close()
            raise


def _refusals(raw: bytes, message: Message) -> Message:
    """The message, unless it is a refusal, which is raised."""
    if message.type == NLMSG_ERROR and (answer := ack(raw, message)).errno:
        raise Refused(*answer)
    return message


def _family(address: IPAddress) -> tuple[int, int]:
    return (AF_INET, 4) if address.version == 4 else (AF_INET6, 16)


def _neighbour(link: int, address: IPAddress, flags: int) -> bytes:
    family, _ = _family(address)
    return _NDMSG.pack(family, link, 0, flags, 0) + attribute(_NDA_DST, address.packed)


def _address(buffer: bytes, where: tuple[int, int]) -> IPAddress:
    packed = buffer[where[0] : where[1]]
    if len(packed) == 4:
        return IPv4Address(packed)
    if len(packed) == 16:
        return IPv6Address(packed)
    raise Malformed(f"an address of {len(packed)} bytes in a route")


def _message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    length = HEADER.size + len(payload)
    return HEADER.pack(length, kind, flags | NLM_F_REQUEST, sequence, 0) + payload
