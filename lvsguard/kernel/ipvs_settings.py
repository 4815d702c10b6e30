"""IPVS generic netlink beside the table: timeouts, information, sync daemons. Pure.

Same sources as ``ipvs_codec``. The attribute numbers of these three clash with each other and
with the table's, so they live apart.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from lvsguard.kernel.ipvs_codec import U8, U16, U32
from lvsguard.kernel.netlink import Malformed, attribute, attributes, nested, number, text
from lvsguard.kernel.port import Info, SyncDaemon, SyncRole, Timeouts

# IPVS_CMD_ATTR_*
CMD_DAEMON: Final = 3
CMD_TIMEOUT_TCP: Final = 4
CMD_TIMEOUT_TCP_FIN: Final = 5
CMD_TIMEOUT_UDP: Final = 6
# IPVS_INFO_ATTR_*
INFO_VERSION: Final = 1
INFO_CONN_TAB_SIZE: Final = 2
# IPVS_DAEMON_ATTR_*
DAEMON_STATE: Final = 1
DAEMON_MCAST_IFN: Final = 2
DAEMON_SYNC_ID: Final = 3
DAEMON_SYNC_MAXLEN: Final = 4
DAEMON_MCAST_GROUP: Final = 5
DAEMON_MCAST_GROUP6: Final = 6
DAEMON_MCAST_PORT: Final = 7
DAEMON_MCAST_TTL: Final = 8

_STATE: Final = {SyncRole.MASTER: 1, SyncRole.BACKUP: 2}
_ROLE: Final = {number: role for role, number in _STATE.items()}


def encode_timeouts(timeouts: Timeouts) -> bytes:
    """Attributes of IPVS_CMD_SET_CONFIG; a timeout of 0 is left out, and so stays."""
    return b"".join(
        attribute(kind, U32.pack(seconds))
        for kind, seconds in (
            (CMD_TIMEOUT_TCP, timeouts.tcp),
            (CMD_TIMEOUT_TCP_FIN, timeouts.tcp_fin),
            (CMD_TIMEOUT_UDP, timeouts.udp),
        )
        if seconds
    )


def decode_timeouts(buffer: bytes, start: int, end: int) -> Timeouts:
    """Read the answer to IPVS_CMD_GET_CONFIG; a protocol that is not built in has 0."""
    found = attributes(buffer, start, end)
    return Timeouts(
        *(
            number(buffer, found[kind], U32) if kind in found else 0
            for kind in (CMD_TIMEOUT_TCP, CMD_TIMEOUT_TCP_FIN, CMD_TIMEOUT_UDP)
        )
    )


def decode_info(buffer: bytes, start: int, end: int) -> Info:
    """Read the answer to IPVS_CMD_GET_INFO."""
    found = attributes(buffer, start, end)
    if INFO_VERSION not in found or INFO_CONN_TAB_SIZE not in found:
        raise Malformed("version or table size is missing")
    version = number(buffer, found[INFO_VERSION], U32)
    return Info(
        f"{version >> 16 & 0xFF}.{version >> 8 & 0xFF}.{version & 0xFF}",
        number(buffer, found[INFO_CONN_TAB_SIZE], U32),
    )


def encode_sync(daemon: SyncDaemon) -> bytes:
    """IPVS_CMD_ATTR_DAEMON to start a daemon; what is 0 or empty is the kernel's to choose."""
    words = [
        attribute(DAEMON_STATE, U32.pack(_STATE[daemon.role])),
        attribute(DAEMON_MCAST_IFN, daemon.interface.encode("ascii") + b"\0"),
        attribute(DAEMON_SYNC_ID, U32.pack(daemon.sync_id)),
    ]
    if daemon.max_length:
        words.append(attribute(DAEMON_SYNC_MAXLEN, U16.pack(daemon.max_length)))
    if daemon.group:
        group = ip_address(daemon.group)
        kind = DAEMON_MCAST_GROUP if group.version == 4 else DAEMON_MCAST_GROUP6
        words.append(attribute(kind, group.packed))
    if daemon.port:
        words.append(attribute(DAEMON_MCAST_PORT, U16.pack(daemon.port)))
    if daemon.ttl:
        words.append(attribute(DAEMON_MCAST_TTL, U8.pack(daemon.ttl)))
    return nested(CMD_DAEMON, *words)


def encode_sync_role(role: SyncRole) -> bytes:
    """IPVS_CMD_ATTR_DAEMON to stop a daemon."""
    return nested(CMD_DAEMON, attribute(DAEMON_STATE, U32.pack(_STATE[role])))


def decode_sync(buffer: bytes, start: int, end: int) -> SyncDaemon:
    """Read one entry of the IPVS_CMD_GET_DAEMON dump."""
    outer = attributes(buffer, start, end)
    if CMD_DAEMON not in outer:
        raise Malformed("the sync daemon (attribute 3) is missing")
    found = attributes(buffer, *outer[CMD_DAEMON])
    state = number(buffer, found.get(DAEMON_STATE, (0, 0)), U32)
    if state not in _ROLE:
        raise Malformed(f"a sync daemon of state {state}")
    return SyncDaemon(
        _ROLE[state],
        text(buffer, found.get(DAEMON_MCAST_IFN, (0, 0))),
        number(buffer, found.get(DAEMON_SYNC_ID, (0, 0)), U32),
        number(buffer, found[DAEMON_SYNC_MAXLEN], U16) if DAEMON_SYNC_MAXLEN in found else 0,
        _group(buffer, found),
        number(buffer, found[DAEMON_MCAST_PORT], U16) if DAEMON_MCAST_PORT in found else 0,
        number(buffer, found[DAEMON_MCAST_TTL], U8) if DAEMON_MCAST_TTL in found else 0,
    )


def _group(buffer: bytes, found: dict[int, tuple[int, int]]) -> str:
    for kind, size, make in (
        (DAEMON_MCAST_GROUP, 4, IPv4Address),
        (DAEMON_MCAST_GROUP6, 16, IPv6Address),
    ):
        if kind in found:
            start, end = found[kind]
            if end - start != size:
                raise Malformed(f"a multicast group of {end - start} bytes")
            return str(make(buffer[start:end]))
    return ""
