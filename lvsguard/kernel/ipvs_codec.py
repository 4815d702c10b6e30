"""IPVS generic netlink: the project's values to bytes and back. Pure.

include/uapi/linux/ip_vs.h and ip_vs_genl_* in net/netfilter/ipvs/ip_vs_ctl.c. Every attribute is
always sent: what is left out the kernel refuses or, worse, fills in (a missing threshold is 0, a
missing persistence engine is none). What is read is bounded: broken bytes raise ``Malformed``,
unknown attributes are ignored, and an entry that the project has no words for (a protocol or
tunnel of a later kernel) is None, since it can only be foreign.
"""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP
from struct import Struct
from typing import Final, NamedTuple

from lvsguard.core.model import (
    Counters,
    Family,
    Forwarding,
    IPAddress,
    Persistence,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    Tunnel,
    TunnelChecksum,
    TunnelKind,
    VirtualService,
)
from lvsguard.core.scheduler import flag_names, normal_flags
from lvsguard.core.step import (
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    IpvsStep,
)
from lvsguard.kernel.netlink import Malformed, attribute, attributes, nested, number, text

GENL_NAME: Final = "IPVS"


class Command(IntEnum):
    """IPVS_CMD_*."""

    NEW_SERVICE = 1
    SET_SERVICE = 2
    DEL_SERVICE = 3
    GET_SERVICE = 4
    NEW_DEST = 5
    SET_DEST = 6
    DEL_DEST = 7
    GET_DEST = 8
    NEW_DAEMON = 9
    DEL_DAEMON = 10
    GET_DAEMON = 11
    SET_CONFIG = 12
    GET_CONFIG = 13
    SET_INFO = 14
    GET_INFO = 15
    ZERO = 16


# IPVS_CMD_ATTR_*
CMD_SERVICE: Final = 1
CMD_DEST: Final = 2
# IPVS_SVC_ATTR_*
SVC_AF: Final = 1
SVC_PROTOCOL: Final = 2
SVC_ADDR: Final = 3
SVC_PORT: Final = 4
SVC_FWMARK: Final = 5
SVC_SCHED_NAME: Final = 6
SVC_FLAGS: Final = 7
SVC_TIMEOUT: Final = 8
SVC_NETMASK: Final = 9
SVC_STATS: Final = 10
SVC_PE_NAME: Final = 11
SVC_STATS64: Final = 12
# IPVS_DEST_ATTR_*
DEST_ADDR: Final = 1
DEST_PORT: Final = 2
DEST_FWD_METHOD: Final = 3
DEST_WEIGHT: Final = 4
DEST_U_THRESH: Final = 5
DEST_L_THRESH: Final = 6
DEST_ACTIVE_CONNS: Final = 7
DEST_INACT_CONNS: Final = 8
DEST_PERSIST_CONNS: Final = 9
DEST_STATS: Final = 10
DEST_ADDR_FAMILY: Final = 11
DEST_STATS64: Final = 12
DEST_TUN_TYPE: Final = 13
DEST_TUN_PORT: Final = 14
DEST_TUN_FLAGS: Final = 15
# IPVS_STATS_ATTR_*: the five totals; the rates follow, and 11 is padding
STATS_TOTALS: Final = (1, 2, 3, 4, 5)

SVC_F_PERSISTENT: Final = 0x1
SVC_F_ONEPACKET: Final = 0x4
SVC_F_SCHED: Final = (0x8, 0x10, 0x20)
CONN_F_FWD_MASK: Final = 0x7
WITHOUT_PERSISTENCE: Final = {Family.INET: 32, Family.INET6: 128}

U8: Final = Struct("=B")
U16: Final = Struct("=H")
BE16: Final = Struct(">H")
U32: Final = Struct("=I")
I32: Final = Struct("=i")
BE32: Final = Struct(">I")
U64: Final = Struct("=Q")
FLAGS: Final = Struct("=II")

_AF: Final = {Family.INET: int(AF_INET), Family.INET6: int(AF_INET6)}
_FAMILY: Final = {number: family for family, number in _AF.items()}
_PROTOCOL_NUMBER: Final = {
    Protocol.TCP: IPPROTO_TCP,
    Protocol.UDP: IPPROTO_UDP,
    Protocol.SCTP: IPPROTO_SCTP,
}
_PROTOCOL: Final = {number: protocol for protocol, number in _PROTOCOL_NUMBER.items()}
_FORWARDING: Final = {
    0: Forwarding.NAT,
    1: Forwarding.LOCAL,
    2: Forwarding.TUN,
    3: Forwarding.DR,
    4: Forwarding.BYPASS,
}
_FORWARDING_NUMBER: Final = {method: number for number, method in _FORWARDING.items()}
_TUNNEL: Final = {0: TunnelKind.IPIP, 1: TunnelKind.GUE, 2: TunnelKind.GRE}
_TUNNEL_NUMBER: Final = {kind: number for number, kind in _TUNNEL.items()}
_CHECKSUM: Final = {0: TunnelChecksum.NONE, 1: TunnelChecksum.FULL, 2: TunnelChecksum.REMOTE}
_CHECKSUM_NUMBER: Final = {checksum: number for number, checksum in _CHECKSUM.items()}
_IPIP: Final = Tunnel()


# To the kernel.


def encode(step: IpvsStep) -> tuple[Command, bytes]:
    """The command and the attributes of a step that ``refusal`` has let pass."""
    match step:
        case AddService(key, wanted):
            return Command.NEW_SERVICE, service_settings(key, wanted)
        case EditService(key, wanted):
            return Command.SET_SERVICE, service_settings(key, wanted)
        case DeleteService(key):
            return Command.DEL_SERVICE, service_name(key)
        case AddRealserver(key, realserver, entry):
            return Command.NEW_DEST, service_name(key) + realserver_settings(realserver, entry)
        case EditRealserver(key, realserver, entry):
            return Command.SET_DEST, service_name(key) + realserver_settings(realserver, entry)
        case DeleteRealserver(key, realserver):
            return Command.DEL_DEST, service_name(key) + realserver_name(realserver)


def service_name(key: ServiceKey) -> bytes:
    """IPVS_CMD_ATTR_SERVICE with what identifies a service."""
    return nested(CMD_SERVICE, *_service_identity(key))


def service_settings(key: ServiceKey, service: VirtualService) -> bytes:
    """IPVS_CMD_ATTR_SERVICE, complete."""
    persistence = service.persistence
    flags = sum(
        bit
        for bit, name in zip(SVC_F_SCHED, flag_names(service.scheduler), strict=True)
        if name in normal_flags(service.scheduler, service.flags)
    )
    if service.one_packet:
        flags |= SVC_F_ONEPACKET
    if persistence is not None:
        flags |= SVC_F_PERSISTENT
    engine = persistence.engine if persistence is not None and persistence.engine else ""
    return nested(
        CMD_SERVICE,
        *_service_identity(key),
        attribute(SVC_SCHED_NAME, service.scheduler.encode("ascii") + b"\0"),
        attribute(SVC_PE_NAME, engine.encode("ascii") + b"\0"),
        attribute(SVC_FLAGS, FLAGS.pack(flags, 0xFFFFFFFF)),
        attribute(SVC_TIMEOUT, U32.pack(persistence.timeout if persistence is not None else 0)),
        attribute(SVC_NETMASK, _netmask(key.family, persistence)),
    )


def realserver_name(key: RealserverKey) -> bytes:
    """IPVS_CMD_ATTR_DEST with what identifies a realserver."""
    return nested(CMD_DEST, *_realserver_identity(key))


def realserver_settings(key: RealserverKey, entry: Realserver) -> bytes:
    """IPVS_CMD_ATTR_DEST, complete."""
    tunnel = entry.tunnel or _IPIP
    return nested(
        CMD_DEST,
        *_realserver_identity(key),
        attribute(DEST_FWD_METHOD, U32.pack(_FORWARDING_NUMBER[entry.forwarding])),
        attribute(DEST_WEIGHT, U32.pack(entry.weight)),
        attribute(DEST_U_THRESH, U32.pack(entry.upper_threshold)),
        attribute(DEST_L_THRESH, U32.pack(entry.lower_threshold)),
        attribute(DEST_TUN_TYPE, U8.pack(_TUNNEL_NUMBER[tunnel.kind])),
        attribute(DEST_TUN_PORT, BE16.pack(tunnel.port)),
        attribute(DEST_TUN_FLAGS, U16.pack(_CHECKSUM_NUMBER[tunnel.checksum])),
    )


def _service_identity(key: ServiceKey) -> tuple[bytes, ...]:
    af = attribute(SVC_AF, U16.pack(_AF[key.family]))
    if key.address is None or key.protocol is None:
        return af, attribute(SVC_FWMARK, U32.pack(key.fwmark))
    return (
        af,
        attribute(SVC_PROTOCOL, U16.pack(_PROTOCOL_NUMBER[key.protocol])),
        attribute(SVC_ADDR, _packed(key.address)),
        attribute(SVC_PORT, BE16.pack(key.port)),
    )


def _realserver_identity(key: RealserverKey) -> tuple[bytes, ...]:
    return (
        attribute(DEST_ADDR, _packed(key.address)),
        attribute(DEST_PORT, BE16.pack(key.port)),
        attribute(DEST_ADDR_FAMILY, U16.pack(_AF[Family(key.address.version)])),
    )


def _packed(address: IPAddress) -> bytes:
    """union nf_inet_addr: 16 bytes, an IPv4 address in the first four."""
    return address.packed.ljust(16, b"\0")


def _netmask(family: Family, persistence: Persistence | None) -> bytes:
    """IPv4: the mask in network byte order. IPv6: the prefix length as a host number."""
    prefix = WITHOUT_PERSISTENCE[family] if persistence is None else persistence.prefix
    if family is Family.INET6:
        return U32.pack(prefix)
    return BE32.pack(0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF)


# From the kernel.


class ServiceEntry(NamedTuple):
    """A service as the kernel told it, without its realservers."""

    key: ServiceKey
    settings: VirtualService


class RealserverEntry(NamedTuple):
    """A realserver as the kernel told it."""

    key: RealserverKey
    settings: Realserver


def decode_service(buffer: bytes, start: int, end: int) -> ServiceEntry | None:
    """Read the attributes of an IPVS_CMD_NEW_SERVICE message."""
    found = attributes(buffer, *_inside(buffer, start, end, CMD_SERVICE))
    family = _FAMILY.get(number(buffer, _need(found, SVC_AF, "address family"), U16))
    if family is None:
        return None
    key = _decode_key(buffer, found, family)
    if key is None:
        return None
    where = _need(found, SVC_FLAGS, "flags")
    if where[1] - where[0] != FLAGS.size:
        raise Malformed(f"service flags of {where[1] - where[0]} bytes")
    flags: int = FLAGS.unpack_from(buffer, where[0])[0]
    scheduler = text(buffer, found[SVC_SCHED_NAME]) if SVC_SCHED_NAME in found else "none"
    return ServiceEntry(
        key,
        VirtualService(
            scheduler,
            frozenset(
                name
                for bit, name in zip(SVC_F_SCHED, flag_names(scheduler), strict=True)
                if flags & bit
            ),
            _decode_persistence(buffer, found, family) if flags & SVC_F_PERSISTENT else None,
            bool(flags & SVC_F_ONEPACKET),
        ),
    )


def decode_realserver(
    buffer: bytes, start: int, end: int, family: Family
) -> RealserverEntry | None:
    """Read the attributes of an IPVS_CMD_NEW_DEST message. ``family`` is its service's, which
    kernels before 3.18 mean when they name none."""
    found = attributes(buffer, *_inside(buffer, start, end, CMD_DEST))
    af = _number(buffer, found, DEST_ADDR_FAMILY, U16, _AF[family])
    address = _need(found, DEST_ADDR, "realserver address")
    port = _need(found, DEST_PORT, "port")
    if (address[1] - address[0], port[1] - port[0]) != (16, 2):
        raise Malformed(f"an address of {address[1] - address[0]} bytes, or a port of another size")
    key = realserver_key(buffer[slice(*address)], buffer[slice(*port)], af)
    method = number(buffer, _need(found, DEST_FWD_METHOD, "forwarding method"), U32)
    forwarding = _FORWARDING.get(method & CONN_F_FWD_MASK)
    tunnel = _decode_tunnel(buffer, found) if forwarding is Forwarding.TUN else None
    if key is None or forwarding is None:
        return None
    if forwarding is Forwarding.TUN and tunnel is None:
        return None
    return RealserverEntry(
        key,
        Realserver(
            number(buffer, _need(found, DEST_WEIGHT, "weight"), I32),
            forwarding,
            tunnel,
            _number(buffer, found, DEST_U_THRESH, U32),
            _number(buffer, found, DEST_L_THRESH, U32),
        ),
    )


def realserver_key(address: bytes, port: bytes, af: int) -> RealserverKey | None:
    """The key of a realserver from its 16 and 2 bytes; None for another address family."""
    (number,) = BE16.unpack(port)
    if af == AF_INET:
        return RealserverKey(IPv4Address(address[:4]), number)
    return RealserverKey(IPv6Address(address), number) if af == AF_INET6 else None


def decode_counters(buffer: bytes, start: int, end: int, kind: int) -> Counters:
    """Read the counters of a service (``kind`` CMD_SERVICE) or realserver (CMD_DEST) message.

    Kernels before 4.1 have no 64-bit statistics; their 32-bit ones are read instead.
    """
    found = attributes(buffer, *_inside(buffer, start, end, kind))
    # SVC_STATS and DEST_STATS are the same number, and so are the two STATS64.
    if DEST_STATS64 in found:
        stats = attributes(buffer, *found[DEST_STATS64])
        totals = [_number(buffer, stats, total, U64) for total in STATS_TOTALS]
    else:
        stats = attributes(buffer, *found[DEST_STATS]) if DEST_STATS in found else {}
        totals = [_either(buffer, stats, total) for total in STATS_TOTALS]
    if kind == CMD_SERVICE:
        return Counters(*totals)
    connections = (DEST_ACTIVE_CONNS, DEST_INACT_CONNS, DEST_PERSIST_CONNS)
    return Counters(*totals, *(_number(buffer, found, one, U32) for one in connections))


def _inside(buffer: bytes, start: int, end: int, kind: int) -> tuple[int, int]:
    return _need(attributes(buffer, start, end), kind, "entry")


def _need(found: dict[int, tuple[int, int]], kind: int, name: str) -> tuple[int, int]:
    if kind not in found:
        raise Malformed(f"the {name} (attribute {kind}) is missing")
    return found[kind]


def _number(
    buffer: bytes, found: dict[int, tuple[int, int]], kind: int, layout: Struct, default: int = 0
) -> int:
    return number(buffer, found[kind], layout) if kind in found else default


def _either(buffer: bytes, found: dict[int, tuple[int, int]], kind: int) -> int:
    """A total of the old statistics: packets have 32 bits, bytes 64."""
    if kind not in found:
        return 0
    start, end = found[kind]
    return number(buffer, found[kind], U64 if end - start == U64.size else U32)


def _decode_key(
    buffer: bytes, found: dict[int, tuple[int, int]], family: Family
) -> ServiceKey | None:
    if SVC_FWMARK in found:
        return ServiceKey.marked(number(buffer, found[SVC_FWMARK], U32), family)
    protocol = _PROTOCOL.get(number(buffer, _need(found, SVC_PROTOCOL, "protocol"), U16))
    address = _address(buffer, _need(found, SVC_ADDR, "service address"), _AF[family])
    port = number(buffer, _need(found, SVC_PORT, "service port"), BE16)
    if protocol is None or address is None:
        return None
    return ServiceKey(family, protocol, address, port)


def _address(buffer: bytes, where: tuple[int, int], af: int) -> IPAddress | None:
    start, end = where
    if end - start != 16:
        raise Malformed(f"an address of {end - start} bytes")
    if af == AF_INET:
        return IPv4Address(buffer[start : start + 4])
    return IPv6Address(buffer[start:end]) if af == AF_INET6 else None


def _decode_persistence(
    buffer: bytes, found: dict[int, tuple[int, int]], family: Family
) -> Persistence:
    timeout = _number(buffer, found, SVC_TIMEOUT, U32)
    where = _need(found, SVC_NETMASK, "netmask")
    if family is Family.INET6:
        prefix = number(buffer, where, U32)
    else:
        prefix = number(buffer, where, BE32).bit_count()
    engine = text(buffer, found[SVC_PE_NAME]) if SVC_PE_NAME in found else ""
    return Persistence(timeout, prefix, engine or None)


def _decode_tunnel(buffer: bytes, found: dict[int, tuple[int, int]]) -> Tunnel | None:
    kind = _TUNNEL.get(_number(buffer, found, DEST_TUN_TYPE, U8))
    checksum = _CHECKSUM.get(_number(buffer, found, DEST_TUN_FLAGS, U16))
    if kind is None or checksum is None:
        return None
    return Tunnel(kind, _number(buffer, found, DEST_TUN_PORT, BE16), checksum)
