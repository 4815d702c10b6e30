"""Ethernet frames that announce an address and ask who has it: ARP and neighbour discovery. Pure.

RFC 826 and 5227 (ARP), RFC 4861 and 4862 (neighbour discovery). A frame that cannot be read is
None, never an exception: everybody on the network may send one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final

from lvsguard.core.checksum import internet_checksum
from lvsguard.core.model import IPAddress

ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD
BROADCAST: Final = b"\xff" * 6
MAC_LENGTH: Final = 6

_ETHERNET: Final = Struct("!6s6sH")
_ARP: Final = Struct("!HHBBH6s4s6s4s")
_ARP_ETHERNET_IPV4: Final = (1, 0x0800, 6, 4)
_NO_MAC: Final = bytes(6)
_IPV6: Final = Struct("!IHBB16s16s")
_IPV6_VERSION: Final = 6 << 28
_NEIGHBOUR: Final = Struct("!BBHI16s")
_LINK_OPTION: Final = Struct("!BB6s")
_WORD: Final = Struct("!H")
_PSEUDO: Final = Struct("!II")
_NEXT_HEADER_ICMPV6: Final = 58
_HOP_LIMIT: Final = 255
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOURCE_LINK, _TARGET_LINK = 1, 2
_ROUTER: Final = 0x8000_0000
_SOLICITED: Final = 0x4000_0000
_OVERRIDE: Final = 0x2000_0000
_ALL_NODES: Final = IPv6Address("ff02::1")
_SOLICITED_NODE: Final = IPv6Address("ff02::1:ff00:0").packed[:13]
_UNSPECIFIED: Final = IPv6Address(0)


class ArpOperation(IntEnum):
    """What an ARP packet is (RFC 826)."""

    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet for IPv4 over Ethernet. ``source_mac``: of the frame around it."""

    operation: ArpOperation
    sender_mac: bytes
    sender: IPv4Address
    target_mac: bytes
    target: IPv4Address
    source_mac: bytes = _NO_MAC


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour solicitation or advertisement.

    ``mac``: what its link-layer address option says; empty where it has none. ``source_mac``: of
    the frame around it, empty where only the message was seen.
    """

    advertisement: bool
    target: IPv6Address
    mac: bytes
    source: IPv6Address
    destination: IPv6Address
    router: bool = False
    solicited: bool = False
    override: bool = False
    source_mac: bytes = b""


def announcement(mac: bytes, address: IPAddress, *, router: bool = False) -> bytes:
    """The frame that tells the network that ``address`` is at ``mac``: a gratuitous ARP request or
    an unsolicited neighbour advertisement. ``router``: the host forwards IPv6."""
    if isinstance(address, IPv4Address):
        return gratuitous_arp(mac, address)
    return unsolicited_advertisement(mac, address, router=router)


def question(mac: bytes, address: IPAddress) -> bytes:
    """The frame that asks whether anybody else has ``address``, and changes nobody's cache."""
    if isinstance(address, IPv4Address):
        return arp_probe(mac, address)
    return duplicate_solicitation(mac, address)


def request(mac: bytes, source: IPAddress, address: IPAddress, to: bytes = b"") -> bytes:
    """The frame that asks ``address`` where it is, from ``source`` at ``mac``; the answer comes to
    nobody else. ``to``: the MAC address to ask, else all hosts (ARP) or its group (RFC 4861)."""
    if isinstance(source, IPv4Address) and isinstance(address, IPv4Address):
        target_mac = to or _NO_MAC
        body = _ARP.pack(
            *_ARP_ETHERNET_IPV4,
            ArpOperation.REQUEST,
            mac,
            source.packed,
            target_mac,
            address.packed,
        )
        return _ETHERNET.pack(to or BROADCAST, mac, ETHERTYPE_ARP) + body
    if not isinstance(source, IPv6Address) or not isinstance(address, IPv6Address):
        raise ValueError(f"{source} cannot ask for {address}: name two of one family")
    group = IPv6Address(_SOLICITED_NODE + address.packed[13:])
    option = _LINK_OPTION.pack(_SOURCE_LINK, 1, mac)
    return _neighbour(mac, _SOLICITATION, 0, address, source, address if to else group, option, to)


def gratuitous_arp(mac: bytes, address: IPv4Address) -> bytes:
    """A broadcast ARP request of an address for itself (RFC 5227 section 3: a request reaches
    caches that ignore replies nobody asked for), laid out as keepalived's: target MAC all ones."""
    return _arp(mac, ArpOperation.REQUEST, address, BROADCAST, address)


def arp_probe(mac: bytes, address: IPv4Address) -> bytes:
    """An ARP probe (RFC 5227 section 2.1.1): from 0.0.0.0, so that it teaches nobody anything."""
    return _arp(mac, ArpOperation.REQUEST, IPv4Address(0), _NO_MAC, address)


def unsolicited_advertisement(mac: bytes, address: IPv6Address, *, router: bool = False) -> bytes:
    """A neighbour advertisement to all nodes (RFC 4861 section 7.2.6): Override set, not Solicited,
    with the target's link-layer address."""
    flags = _OVERRIDE | (_ROUTER if router else 0)
    body = _LINK_OPTION.pack(_TARGET_LINK, 1, mac)
    return _neighbour(mac, _ADVERTISEMENT, flags, address, address, _ALL_NODES, body)


def duplicate_solicitation(mac: bytes, address: IPv6Address) -> bytes:
    """A solicitation from the unspecified address (RFC 4862 section 5.4.2): whoever has the address
    answers to all nodes, and nobody learns a MAC address from the question."""
    group = IPv6Address(_SOLICITED_NODE + address.packed[13:])
    return _neighbour(mac, _SOLICITATION, 0, address, _UNSPECIFIED, group, b"")


def parse_arp(frame: bytes) -> Arp | None:
    """Read an Ethernet frame; None when it is no ARP for IPv4 over Ethernet. Padding is ignored."""
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    _destination, source_mac, ethertype = _ETHERNET.unpack_from(frame)
    if ethertype != ETHERTYPE_ARP:
        return None
    *kind, operation, sender_mac, sender, target_mac, target = _ARP.unpack_from(
        frame, _ETHERNET.size
    )
    if tuple(kind) != _ARP_ETHERNET_IPV4 or operation not in (1, 2):
        return None
    return Arp(
        ArpOperation(operation),
        sender_mac,
        IPv4Address(sender),
        target_mac,
        IPv4Address(target),
        source_mac,
    )


def parse_neighbour_frame(frame: bytes) -> Neighbour | None:
    """Read an Ethernet frame; None when it is no valid solicitation or advertisement."""
    start = _ETHERNET.size + _IPV6.size
    if len(frame) < start:
        return None
    _destination_mac, source_mac, ethertype = _ETHERNET.unpack_from(frame)
    if ethertype != ETHERTYPE_IPV6:
        return None
    first, length, following, hops, source, destination = _IPV6.unpack_from(frame, _ETHERNET.size)
    if first >> 28 != 6 or following != _NEXT_HEADER_ICMPV6 or len(frame) < start + length:
        return None
    message = frame[start : start + length]
    return parse_neighbour(
        message, IPv6Address(source), IPv6Address(destination), hops, source_mac=source_mac
    )


def parse_neighbour(
    message: bytes,
    source: IPv6Address,
    destination: IPv6Address,
    hop_limit: int,
    *,
    source_mac: bytes = b"",
) -> Neighbour | None:
    """Read an ICMPv6 message; None when it is neither, or a rule of RFC 4861 sections 7.1.1 and
    7.1.2 is broken (hop limit 255, checksum, code, lengths of the options)."""
    if hop_limit != _HOP_LIMIT or len(message) < _NEIGHBOUR.size:
        return None
    kind, code, _stated, flags, packed = _NEIGHBOUR.unpack_from(message)
    if kind not in (_SOLICITATION, _ADVERTISEMENT) or code != 0:
        return None
    if _checksum(source, destination, message) != 0:
        return None
    target, advertisement = IPv6Address(packed), kind == _ADVERTISEMENT
    mac = _link_option(message, _TARGET_LINK if advertisement else _SOURCE_LINK)
    if target.is_multicast or mac is None:
        return None
    return Neighbour(
        advertisement,
        target,
        mac,
        source,
        destination,
        router=advertisement and bool(flags & _ROUTER),
        solicited=advertisement and bool(flags & _SOLICITED),
        override=advertisement and bool(flags & _OVERRIDE),
        source_mac=source_mac,
    )


def mac_bytes(text: str) -> bytes:
    """``02:00:00:00:00:29`` as six octets. Raises ValueError for anything else."""
    octets = bytes.fromhex(text.replace(":", ""))
    if len(octets) != MAC_LENGTH or text.count(":") not in (0, MAC_LENGTH - 1):
        raise ValueError(f"{text!r} is no MAC address: write it like 02:00:00:00:00:29")
    return octets


def mac_text(mac: bytes) -> str:
    """Six octets as ``02:00:00:00:00:29``."""
    return mac.hex(":")


def _arp(
    mac: bytes,
    operation: ArpOperation,
    sender: IPv4Address,
    target_mac: bytes,
    target: IPv4Address,
) -> bytes:
    return _ETHERNET.pack(BROADCAST, mac, ETHERTYPE_ARP) + _ARP.pack(
        *_ARP_ETHERNET_IPV4, operation, mac, sender.packed, target_mac, target.packed
    )


def _neighbour(
    mac: bytes,
    kind: int,
    flags: int,
    target: IPv6Address,
    source: IPv6Address,
    destination: IPv6Address,
    body: bytes,
    to: bytes = b"",
) -> bytes:
    message = bytearray(_NEIGHBOUR.pack(kind, 0, 0, flags, target.packed) + body)
    _WORD.pack_into(message, 2, _checksum(source, destination, bytes(message)))
    # RFC 2464 section 7: the group's last four octets after 33:33.
    link = to or b"\x33\x33" + destination.packed[12:]
    ethernet = _ETHERNET.pack(link, mac, ETHERTYPE_IPV6)
    header = _IPV6.pack(
        _IPV6_VERSION,
        len(message),
        _NEXT_HEADER_ICMPV6,
        _HOP_LIMIT,
        source.packed,
        destination.packed,
    )
    return ethernet + header + bytes(message)


def _link_option(message: bytes, wanted: int) -> bytes | None:
    """The link-layer address of the wanted option, empty without one; None when options do not
    fit."""
    mac, position = b"", _NEIGHBOUR.size
    while position < len(message):
        if len(message) - position < _LINK_OPTION.size:
            return None
        kind, eights, link = _LINK_OPTION.unpack_from(message, position)
        if eights == 0 or position + eights * 8 > len(message):
            return None
        if kind == wanted and eights == 1 and not mac:
            mac = link
        position += eights * 8
    return mac


def _checksum(source: IPv6Address, destination: IPv6Address, message: bytes) -> int:
    """Checksum of a message behind its pseudo-header (RFC 8200 section 8.1); 0: it is right."""
    lengths = _PSEUDO.pack(len(message), _NEXT_HEADER_ICMPV6)
    return internet_checksum(source.packed + destination.packed + lengths + message)
