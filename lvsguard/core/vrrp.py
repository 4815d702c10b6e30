"""What is configured for the election of one VIP group. Frozen values.

The words of the wire (version, checksum, authentication) are here, and not in the room that
speaks them, because the config names them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from lvsguard.core.model import IPAddress


class Version(IntEnum):
    """VRRP version: 2 (RFC 3768, IPv4 only) or 3 (RFC 5798, RFC 9568)."""

    V2 = 2
    V3 = 3


class Checksum(StrEnum):
    """What the checksum of version 3 over IPv4 covers; the other three cases have one form each."""

    RFC5798 = "rfc5798"
    """IPv4 pseudo-header and message: what keepalived speaks by default."""
    RFC9568 = "rfc9568"
    """The message alone."""


class HmacMode(StrEnum):
    """How firmly an instance asks for the authentication trailer of keepalived 2.4.

    The three steps of bringing it to running directors: all to ``receive-only``, all to
    ``permissive``, all to ``enforce``.
    """

    RECEIVE_ONLY = "receive-only"
    """Sends none. A trailer that is there is verified; adverts without one are believed."""
    PERMISSIVE = "permissive"
    """Sends one. A trailer that is there is verified; adverts without one are believed."""
    ENFORCE = "enforce"
    """Sends one. Adverts without one are dropped."""


@dataclass(frozen=True, slots=True)
class HmacAuth:
    """Keys of the authentication trailer (keepalived's ``auth_hmac``)."""

    keys: Mapping[int, bytes] = field(repr=False)
    """Key by its id, 1 to 255; each 32 to 64 octets. Any of them is believed."""
    send_key: int
    """Id of the key to sign with (``active_key``)."""
    mode: HmacMode = HmacMode.ENFORCE
    window: int | None = None
    """Seconds, 1 to 300, that a sender's wall clock may differ (``anti_replay time``); None:
    clocks are not compared, only order is (``anti_replay monotonic``)."""


@dataclass(frozen=True, slots=True)
class Announcing:
    """How often the neighbours are told where the addresses are (ARP, ND); keepalived's defaults
    but for ``refresh``."""

    repeat: int = 5
    """Times at once on becoming master, and as often again after ``delay``."""
    delay: float = 5.0
    """Seconds."""
    refresh: float = 60.0
    """Seconds between two slow repetitions while master; 0: none."""


class TrackKind(StrEnum):
    """What a priority may depend on."""

    SERVICE = "service"
    """A service of this name has lost its quorum."""
    INTERFACE = "interface"
    """An interface is down."""
    FILE = "file"
    """A file exists: a switch for scripts and people."""
    COMMAND = "command"
    """A command fails: no shell; bounded in time."""
    PEER = "peer"
    """Another director sees more healthy realservers of the services on this VIP group."""


@dataclass(frozen=True, slots=True)
class Track:
    """One thing that the priority depends on."""

    kind: TrackKind
    subject: str
    """Name of the service or interface, or path of the file; of a command its words as one; of a
    peer the name of the VIP group."""
    drop: int | None = None
    """How much the priority drops while it is not well; None: the director stands back."""
    argv: tuple[str, ...] = ()
    """Of a command."""
    interval: float = 1.0
    """Seconds between two looks."""
    timeout: float = 1.0
    """Seconds that a command may take."""
    rise: int = 2
    """Looks in a row that make it well again."""
    fall: int = 2
    """Looks in a row that make it not well."""


@dataclass(frozen=True, slots=True)
class VrrpConfig:
    """The election of one VIP group. Its IPv4 and IPv6 addresses are two instances that move
    together."""

    vrid: int
    priority: int = 100
    """Of this director; 255: owns the addresses."""
    interval: float = 1.0
    """Seconds."""
    version: Version = Version.V3
    checksum: Checksum = Checksum.RFC5798
    password: bytes | None = field(default=None, repr=False)
    """Version 2 only, 1 to 8 octets."""
    auth: HmacAuth | None = None
    peers: tuple[IPAddress, ...] = ()
    """Of this director: unicast to these; empty: multicast."""
    source: IPAddress | None = None
    """Address to speak from; None: the interface's first that is not a VIP. Of a group of both
    families that of IPv4."""
    unicast_ttl: int | None = None
    """Least TTL of a unicast advert; None: 255 over IPv4, not looked at over IPv6."""
    strict: bool = False
    preempt: bool = True
    preempt_delay: float = 0.0
    start_delay: float = 0.0
    heartbeat: tuple[str, ...] = ()
    """More interfaces that adverts go over, so that one cut cable is no split brain."""
    virtual_mac: bool = False
    sync_group: str | None = None
    """VIP groups that name the same one move together."""
    unready_drop: int | None = None
    """How much the priority drops while this director cannot serve; None: it stands back."""
    track: tuple[Track, ...] = ()
    announcing: Announcing = Announcing()
    source6: IPAddress | None = None
    """Of a group of both families the IPv6 address to speak from."""


@dataclass(frozen=True, slots=True)
class ConnectionSync:
    """The kernel's connection sync between directors, and the table's transfer."""

    interface: str
    sync_id: int = 0
    """0 to 255; directors of one pair have the same. 0 hears all."""
    group: IPAddress | None = None
    """Multicast group; None: the kernel's 224.0.0.81."""
    port: int = 8848
    threshold: int = 2
    """Packets of a connection after which it is first sent."""
    period: int = 50
    """Packets between two later messages of one connection."""
