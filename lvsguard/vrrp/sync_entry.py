"""What the kernel's sync protocol says of a connection: states, flags, and one entry. Pure values.

It knows no addresses as objects: 100,000 entries must cost little. How entries are written is
``sync_codec``'s.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final, NamedTuple

IPPROTO_IP: Final = 0
"""A persistence template of a fwmark service has it; its virtual address begins with the mark."""
IPPROTO_TCP: Final = 6
IPPROTO_UDP: Final = 17
IPPROTO_SCTP: Final = 132

ENGINE_NAME_MAX: Final = 16
ENGINE_DATA_MAX: Final = 255
"""Bytes (include/uapi/linux/ip_vs.h IP_VS_PENAME_MAXLEN, IP_VS_PEDATA_MAXLEN)."""

STATES: Final[dict[int, tuple[str, ...]]] = {
    IPPROTO_TCP: (
        *("NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT", "CLOSE"),
        *("CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK"),
    ),
    IPPROTO_UDP: ("UDP",),
    IPPROTO_SCTP: (
        *("NONE", "INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE", "C-ECHOED"),
        *("ESTABLISHED", "S-SENT", "S-RECEIVED", "S-ACK-SENT", "REJECTED", "CLOSED"),
    ),
}
"""By protocol, the states in the order of their numbers, named as /proc/net/ip_vs_conn does."""
TEMPLATE_STATES: Final = ("NONE", "ASSURED")
ESTABLISHED: Final = "ESTABLISHED"


class Flags(IntFlag):
    """Flags of a connection (include/uapi/linux/ip_vs.h IP_VS_CONN_F_*); bits 0 to 2 are a number,
    the forwarding method."""

    MASQ = 0
    LOCALNODE = 1
    TUNNEL = 2
    DROUTE = 3
    BYPASS = 4
    SYNC = 0x20
    HASHED = 0x40
    NOOUTPUT = 0x80
    INACTIVE = 0x100
    OUT_SEQ = 0x200
    IN_SEQ = 0x400
    NO_CPORT = 0x800
    TEMPLATE = 0x1000
    ONE_PACKET = 0x2000


FORWARDING_MASK: Final = 7


class Delta(NamedTuple):
    """How NAT changed the sequence numbers of one direction (struct ip_vs_seq)."""

    initial: int
    delta: int
    previous: int


class Engine(NamedTuple):
    """What a persistence engine, such as sip, remembers in a template."""

    name: bytes
    data: bytes


class Entry(NamedTuple):
    """A connection, or a persistence template. Addresses are 4 or 16 bytes, all of one length."""

    protocol: int
    client: bytes
    client_port: int
    virtual: bytes
    virtual_port: int
    realserver: bytes
    realserver_port: int
    state: int
    flags: int
    fwmark: int
    timeout: int
    """Seconds until it expires where it is received; 0: that kernel's own for the state."""
    deltas: tuple[Delta, Delta] | None = None
    """Of what comes in, and of what goes out."""
    engine: Engine | None = None
