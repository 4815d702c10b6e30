"""TCP segments as whole IP packets, and the envelopes of the tun forwarding method. Pure.

RFC 9293 (TCP), 791 (IPv4), 8200 (IPv6); RFC 2003 (IPIP), 2784 (GRE), draft-ietf-intarea-gue (GUE),
the envelopes as the kernel's net/netfilter/ipvs/ip_vs_xmit.c makes them. What comes is read as far
as it is a whole segment; its checksum was the kernel's to verify.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from lvsguard.core.checksum import internet_checksum
from lvsguard.core.model import IPAddress, Tunnel, TunnelChecksum, TunnelKind

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10

ICMP: Final = 1
TCP: Final = 6
ICMP6: Final = 58

_IPIP: Final = 4
_IPV6: Final = 41
_UDP: Final = 17
_GRE: Final = 47
_TTL: Final = 64
_DONT_FRAGMENT: Final = 0x4000
_IPV4: Final = Struct("!BBHHHBBH4s4s")
_IPV6_HEADER: Final = Struct("!IHBB16s16s")
_TCP: Final = Struct("!HHIIBBHHH")
_MSS: Final = Struct("!BBH")
_PORTS: Final = Struct("!HHI")
_ETHERTYPE: Final = {4: 0x0800, 6: 0x86DD}
_INNER: Final = {4: _IPIP, 6: _IPV6}
_UNREACHABLE: Final = {ICMP: 3, ICMP6: 1}
"""ICMP type Destination Unreachable (RFC 792, RFC 4443)."""


class Segment(NamedTuple):
    """One TCP segment. Ports as on the wire: ``source`` is the sender's."""

    source: int
    port: int
    sequence: int
    acknowledged: int
    flags: int
    window: int = 0
    payload: bytes = b""
    mss: int = 0
    """Only with SYN; 0: no such option."""


class Unreachable(NamedTuple):
    """Somebody on the way says that a segment of ours cannot be delivered (ICMP)."""

    port: int
    """Our own, of the segment that it is about."""
    sequence: int
    code: int


def packet(source: IPAddress, destination: IPAddress, segment: Segment) -> bytes:
    """A segment as an IP packet, with its checksums."""
    options = _MSS.pack(2, 4, segment.mss) if segment.mss else b""
    offset = (_TCP.size + len(options)) // 4 << 4

    def encode(sum_: int) -> bytes:
        return (
            _TCP.pack(
                segment.source,
                segment.port,
                segment.sequence,
                segment.acknowledged,
                offset,
                segment.flags,
                segment.window,
                sum_,
                0,
            )
            + options
            + segment.payload
        )

    raw = encode(0)
    pseudo = (
        source.packed + destination.packed + len(raw).to_bytes(4, "big") + bytes((0, 0, 0, TCP))
    )
    return ip(source, destination, TCP, encode(internet_checksum(pseudo + raw)))


def ip(source: IPAddress, destination: IPAddress, protocol: int, payload: bytes) -> bytes:
    """An IP packet without options; both addresses of one family."""
    if source.version == 6:
        head = _IPV6_HEADER.pack(
            6 << 28, len(payload), protocol, _TTL, source.packed, destination.packed
        )
        return head + payload
    fields = (0x45, 0, 20 + len(payload), 0, _DONT_FRAGMENT, _TTL, protocol)
    sum_ = internet_checksum(_IPV4.pack(*fields, 0, source.packed, destination.packed))
    return _IPV4.pack(*fields, sum_, source.packed, destination.packed) + payload


def envelope(
    tunnel: Tunnel, source: IPAddress, realserver: IPAddress, port: int, inner: bytes
) -> bytes:
    """The packet as the tun forwarding method sends it. ``port``: the UDP source port of gue."""
    version = inner[0] >> 4
    if tunnel.kind is TunnelKind.IPIP:
        return ip(source, realserver, _INNER[version], inner)
    if tunnel.kind is TunnelKind.GRE:
        return ip(source, realserver, _GRE, _gre(tunnel, version, inner))
    data = bytes((0, _INNER[version], 0, 0)) + inner
    head = port.to_bytes(2, "big") + tunnel.port.to_bytes(2, "big")
    size = (8 + len(data)).to_bytes(2, "big")
    sum_ = 0
    # IPv6 wants a checksum of UDP (RFC 8200 section 8.1), whatever the service says.
    if tunnel.checksum is not TunnelChecksum.NONE or source.version == 6:
        length = (8 + len(data)).to_bytes(4, "big")
        pseudo = source.packed + realserver.packed + length + bytes((0, 0, 0, _UDP))
        sum_ = internet_checksum(pseudo + head + size + b"\0\0" + data) or 0xFFFF
    return ip(source, realserver, _UDP, head + size + sum_.to_bytes(2, "big") + data)


def _gre(tunnel: Tunnel, version: int, inner: bytes) -> bytes:
    kind = _ETHERTYPE[version].to_bytes(2, "big")
    if tunnel.checksum is TunnelChecksum.NONE:
        return b"\0\0" + kind + inner
    head = b"\x80\0" + kind
    sum_ = internet_checksum(head + bytes(4) + inner)
    return head + sum_.to_bytes(2, "big") + bytes(2) + inner


def read(raw: bytes) -> Segment | Unreachable | None:
    """What an IP packet brings; None for anything that is neither, and for a broken one."""
    found = _split(raw)
    if found is None:
        return None
    protocol, payload = found
    if protocol == TCP:
        return _read_tcp(payload)
    if protocol in _UNREACHABLE and len(payload) >= 8 and payload[0] == _UNREACHABLE[protocol]:
        return _read_quote(payload[1], payload[8:])
    return None


def _split(raw: bytes, *, quoted: bool = False) -> tuple[int, bytes] | None:
    """Protocol and payload of an IP packet; a quoted one is cut short."""
    version = raw[0] >> 4 if raw else 0
    if version == 4 and len(raw) >= 20:
        head, total = (raw[0] & 0xF) * 4, int.from_bytes(raw[2:4], "big")
        if head < 20 or raw[6] & 0x3F or raw[7]:  # a fragment: nobody cuts segments so small
            return None
        protocol = raw[9]
    elif version == 6 and len(raw) >= 40:
        head, total, protocol = 40, 40 + int.from_bytes(raw[4:6], "big"), raw[6]
    else:
        return None
    if total < head or (total > len(raw) and not quoted):
        return None
    return protocol, raw[head:total]


def _read_tcp(raw: bytes) -> Segment | None:
    if len(raw) < _TCP.size:
        return None
    source, port, sequence, acknowledged, offset, flags, window, _, _ = _TCP.unpack_from(raw)
    start = (offset >> 4) * 4
    if not _TCP.size <= start <= len(raw):
        return None
    mss = _read_mss(raw[_TCP.size : start]) if flags & SYN else 0
    flags &= FIN | SYN | RST | PSH | ACK
    return Segment(source, port, sequence, acknowledged, flags, window, raw[start:], mss)


def _read_mss(options: bytes) -> int:
    position = 0
    while position < len(options) and options[position]:
        if options[position] == 1:
            position += 1
            continue
        length = options[position + 1] if position + 1 < len(options) else 0
        if length < 2 or position + length > len(options):
            return 0
        if options[position] == 2 and length == 4:
            return int.from_bytes(options[position + 2 : position + 4], "big")
        position += length
    return 0


def _read_quote(code: int, quote: bytes) -> Unreachable | None:
    found = _split(quote, quoted=True)
    if found is None or found[0] != TCP or len(found[1]) < _PORTS.size:
        return None
    source, _port, sequence = _PORTS.unpack_from(found[1])
    return Unreachable(source, sequence, code)
