"""rtnetlink messages about addresses and links: bytes to values. Pure.

include/uapi/linux/rtnetlink.h, if_addr.h, if_link.h. A dump of 1,000 addresses costs pyroute2 a
tenth of a second, and addresses are read every second; so what is read often is read here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from lvsguard.core.model import IPAddress
from lvsguard.kernel.netlink import (
    HEADER,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    Malformed,
    Message,
    attribute,
    attributes,
    text,
)

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
GROUPS: Final = 0x1 | 0x10 | 0x100
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR."""

NEIGHBOURS: Final = 0x4
"""RTMGRP_NEIGH."""
RTM_NEWNEIGH: Final = 28

_NDMSG: Final = Struct("=BxHiHBB")
_NDA_DST: Final = 1
_NUD_FAILED: Final = 0x20
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_CACHEINFO: Final = 6
_IFA_F_NODAD: Final = 0x02
_NLM_F_CREATE_NEW: Final = 0x400 | 0x200
"""NLM_F_CREATE and NLM_F_EXCL."""
_IFLA_IFNAME: Final = 3
_IFF_UP: Final = 0x1
_IFF_LOWER_UP: Final = 0x10000
_IFADDRMSG: Final = Struct("=BBBBI")
_CACHEINFO: Final = Struct("=IIII")
_FOREVER: Final = 0xFFFF_FFFF
_IFINFOMSG: Final = Struct("=BxHiII")
_SIZE: Final = {AF_INET: 4, AF_INET6: 16}


class AddressEntry(NamedTuple):
    """An address, and the index of the interface that it is on."""

    link: int
    address: IPAddress
    prefix: int


class LinkEntry(NamedTuple):
    """An interface and its index. ``up``: administratively up with carrier."""

    link: int
    name: str
    up: bool


def dump_addresses(sequence: int) -> bytes:
    """A request for all addresses."""
    return _message(RTM_GETADDR, NLM_F_DUMP, sequence, _IFADDRMSG.pack(0, 0, 0, 0, 0))


def dump_links(sequence: int) -> bytes:
    """A request for all interfaces."""
    return _message(RTM_GETLINK, NLM_F_DUMP, sequence, _IFINFOMSG.pack(0, 0, 0, 0, 0))


def get_link(name: str, flags: int, sequence: int) -> bytes:
    """A request for one interface."""
    payload = attribute(_IFLA_IFNAME, name.encode() + b"\0")
    return _message(RTM_GETLINK, flags, sequence, _IFINFOMSG.pack(0, 0, 0, 0, 0) + payload)


def add_address(link: int, address: IPAddress, prefix: int, sequence: int) -> bytes:
    """A request to put an address on an interface, EEXIST when it is there.

    IPv6 without duplicate detection, and deprecated: preferred for 0 s, valid for ever.
    """
    more = b""
    flags = 0
    if address.version == 6:
        flags = _IFA_F_NODAD
        more = attribute(_IFA_CACHEINFO, _CACHEINFO.pack(0, _FOREVER, 0, 0))
    payload = _address(link, address, prefix, flags) + more
    return _message(RTM_NEWADDR, NLM_F_ACK | _NLM_F_CREATE_NEW, sequence, payload)


def delete_address(link: int, address: IPAddress, prefix: int, sequence: int) -> bytes:
    """A request to take an address off an interface, EADDRNOTAVAIL when it is not there."""
    return _message(RTM_DELADDR, NLM_F_ACK, sequence, _address(link, address, prefix, 0))


def _address(link: int, address: IPAddress, prefix: int, flags: int) -> bytes:
    family = AF_INET if address.version == 4 else AF_INET6
    return (
        _IFADDRMSG.pack(family, prefix, flags, 0, link)
        + attribute(_IFA_LOCAL, address.packed)
        + attribute(_IFA_ADDRESS, address.packed)
    )


def decode_address(buffer: bytes, message: Message) -> AddressEntry | None:
    """Read RTM_NEWADDR or RTM_DELADDR; None for another family than IPv4 and IPv6."""
    start = message.start + HEADER.size
    if message.end - start < _IFADDRMSG.size:
        raise Malformed("an address message without its header")
    family, prefix, _flags, _scope, index = _IFADDRMSG.unpack_from(buffer, start)
    size = _SIZE.get(family)
    if size is None:
        return None
    found = attributes(buffer, start + _IFADDRMSG.size, message.end)
    # On a link with a peer, IFA_ADDRESS is the peer's; ours is IFA_LOCAL.
    where = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if where is None or where[1] - where[0] != size:
        raise Malformed("an address message without an address of its family")
    packed = buffer[where[0] : where[1]]
    address = IPv4Address(packed) if family == AF_INET else IPv6Address(packed)
    return AddressEntry(index, address, prefix)


def decode_failure(buffer: bytes, message: Message) -> IPAddress | None:
    """Read RTM_NEWNEIGH: the host that the kernel gave up (include/uapi/linux/neighbour.h); None
    for one in another state, or of another family than IPv4 and IPv6."""
    start = message.start + HEADER.size
    if message.end - start < _NDMSG.size:
        raise Malformed("a neighbour message without its header")
    family, _pad, _link, state, _flags, _type = _NDMSG.unpack_from(buffer, start)
    size = _SIZE.get(family)
    if size is None or not state & _NUD_FAILED:
        return None
    where = attributes(buffer, start + _NDMSG.size, message.end).get(_NDA_DST)
    if where is None or where[1] - where[0] != size:
        raise Malformed("a neighbour message without an address of its family")
    packed = buffer[where[0] : where[1]]
    return IPv4Address(packed) if family == AF_INET else IPv6Address(packed)


def decode_link(buffer: bytes, message: Message) -> LinkEntry | None:
    """Read RTM_NEWLINK or RTM_DELLINK; None when it does not name the interface (the bridge's
    messages about its ports do not always)."""
    start = message.start + HEADER.size
    if message.end - start < _IFINFOMSG.size:
        raise Malformed("a link message without its header")
    family, _type, index, flags, _change = _IFINFOMSG.unpack_from(buffer, start)
    if family:
        return None
    found = attributes(buffer, start + _IFINFOMSG.size, message.end)
    if _IFLA_IFNAME not in found:
        return None
    both = _IFF_UP | _IFF_LOWER_UP
    return LinkEntry(index, text(buffer, found[_IFLA_IFNAME]), flags & both == both)


def _message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    length = HEADER.size + len(payload)
    return HEADER.pack(length, kind, flags | NLM_F_REQUEST, sequence, 0) + payload
