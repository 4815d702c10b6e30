"""The messages between the VRRP process and its transfer process: one schema for both. Pure.

Each is a packet on a SOCK_SEQPACKET socketpair, as JSON. The transfer process says hello first,
with the version; whoever hears another version, or no message, says so and ends. The transfers
that were asked for are made one after the other.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

VERSION: Final = 1
"""Raise it with every change here; the two sides always come from one installation."""
PACKET_MAX: Final = 1 << 17
"""Bytes of a message: that of some 3,000 IPv6 VIPs."""
RATE: Final = 4000
"""Messages a second by default, so 160,000 IPv4 or 80,000 IPv6 connections."""

_T = TypeVar("_T")


class MessageError(ValueError):
    """What came is not a message of this version."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the table goes: the peer's backup daemon, as its own master would find it.

    The kernel binds that daemon to the multicast group, so there is no unicast.
    """

    interface: str
    syncid: int
    """The daemon's; 0 to 255."""
    group: str = "224.0.0.81"
    port: int = 8848
    ttl: int = 1
    size_max: int = 0
    """Bytes of a message, at most what the daemon takes (its sync_maxlen, 1472 at the least with
    IPv4 and 1452 with IPv6); 0: that, or what fits the interface's MTU."""
    rate: int = RATE
    """Messages a second."""


class Prepare(msgspec.Struct, frozen=True, tag=True):
    """Read the IPVS table now, so that the next Begin need not. For when there is time, and after
    every change of services."""


class Begin(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Send the connection table. ``addresses`` (VIPs) and ``marks`` limit it; None: all of it."""

    target: Target
    addresses: tuple[str, ...] | None = None
    marks: tuple[int, ...] | None = None


class Again(msgspec.Struct, frozen=True, tag=True):
    """Send, to where Begin did, what is new or in another state since it was sent; a small table
    as a whole. A read misses entries while others leave the table: this finds them."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Give up the transfer that runs and those that wait."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """First message: the transfer process waits for work."""

    version: int


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """Answer to Prepare."""

    services: int
    seconds: float


class Sent(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Answer to Begin and Again: what was sent, in how many seconds."""

    entries: int
    messages: int
    seconds: float
    whole: bool
    """The whole table, not only what is new."""
    stopped: bool = False
    """By Stop, before its end."""
    unknown: int = 0
    """Entries whose realserver is not in the IPVS table: forwarded as its service's others."""
    left_out: int = 0
    """Lines out of scope, or of a kind that the protocol cannot carry."""
    unreadable: int = 0


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Answer to what could not be done, and what to do about it."""

    reason: str


ToTransfer = Prepare | Begin | Again | Stop
FromTransfer = Hello | Prepared | Sent | Failed

_encoder: Final = msgspec.json.Encoder()
_to_transfer: Final[msgspec.json.Decoder[ToTransfer]] = msgspec.json.Decoder(ToTransfer)
_from_transfer: Final[msgspec.json.Decoder[FromTransfer]] = msgspec.json.Decoder(FromTransfer)


def encode(message: ToTransfer | FromTransfer) -> bytes:
    """A message as a packet."""
    return _encoder.encode(message)


def decode_to_transfer(packet: bytes) -> ToTransfer:
    """Read what the VRRP process says. Raises MessageError."""
    return _decode(_to_transfer, packet)


def decode_from_transfer(packet: bytes) -> FromTransfer:
    """Read what the transfer process says. Raises MessageError."""
    return _decode(_from_transfer, packet)


def _decode(decoder: msgspec.json.Decoder[_T], packet: bytes) -> _T:
    try:
        return decoder.decode(packet)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MessageError(f"no message of version {VERSION}: {error}") from error
