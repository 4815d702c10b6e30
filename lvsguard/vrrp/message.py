"""The messages between the controller and the VRRP process: one schema for both. Pure.

Each is a packet on a SOCK_SEQPACKET connection, as JSON. Either side says hello first, with the
version; another version ends the connection, and the controller then replaces the process. Either
side may die and come back: whoever connects says all that holds again, which changes nothing where
nothing changed.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeVar

import msgspec

from lvsguard.core.config import VipConfig
from lvsguard.core.event import Event
from lvsguard.core.model import VipAddress
from lvsguard.core.vrrp import Announcing, Checksum, HmacAuth, Version, VrrpConfig
from lvsguard.core.vrrp_event import TOLD

VERSION: Final = 1
"""Raise it with every change here; the two sides mostly come from one installation."""
PACKET_MAX: Final = 1 << 17
"""Bytes of a message: that of a VIP group of 255 addresses needs a tenth of it."""
NAME: Final = b"\0lvsguard-vrrp"
"""Abstract socket that the process listens on: one in a network namespace, gone with it."""

_T = TypeVar("_T")


class MessageError(ValueError):
    """What came is not a message of this version."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """First message of either side. Never changes, whatever the version."""

    version: int
    pid: int


class Address(msgspec.Struct, frozen=True, array_like=True):
    """A ``VipAddress`` on the wire."""

    address: str
    prefix: int
    interface: str


_Octet = Annotated[int, msgspec.Meta(ge=1, le=255)]
_Interval = Annotated[float, msgspec.Meta(ge=0.01, le=255)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Put(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Take part in the election of this VIP group. One that runs with the same settings is left
    alone; one whose settings changed begins anew with the addresses it holds."""

    name: str
    addresses: tuple[Address, ...]
    vrid: _Octet
    priority: _Octet
    interval: _Interval
    version: Version
    checksum: Checksum
    password: bytes | None
    auth: HmacAuth | None
    peers: tuple[str, ...]
    source: str | None
    source6: str | None
    unicast_ttl: int | None
    strict: bool
    preempt: bool
    preempt_delay: _Seconds
    start_delay: _Seconds
    heartbeat: tuple[str, ...]
    virtual_mac: bool
    sync_group: str | None
    unready_drop: int | None
    announcing: Announcing
    aside: bool = False
    """Whether a failover of before keeps it from preempting when it begins."""


class SyncTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where the kernel's connection sync of the directors is heard."""

    interface: str
    sync_id: int
    group: str
    port: int


class Only(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """No VIP groups but these: the others are handed over. Puts in force what each ``Put`` said,
    and follows the last ``Put`` and ``Standing``."""

    names: tuple[str, ...]
    grace: _Seconds
    """Seconds to go on without a controller before handing over."""
    sync: SyncTarget | None = None
    """None: connections are not kept in step."""


class Standing(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Whether this director can serve a VIP group, and with which priority it stands."""

    name: str
    ready: bool
    priority: _Octet


class Failover(msgspec.Struct, frozen=True, tag=True):
    """Give up mastership of a VIP group, and do not take it back by preemption."""

    name: str


class Resume(msgspec.Struct, frozen=True, tag=True):
    """Preempt again after a failover."""

    name: str


class Hold(msgspec.Struct, frozen=True, tag=True):
    """Leave a master of lower priority alone for some seconds; 0: no longer."""

    name: str
    seconds: _Seconds


class Leave(msgspec.Struct, frozen=True, tag=True):
    """Hand everything over and end. ``keep``: addresses that nobody takes stay."""

    keep: bool


class Path(msgspec.Struct, frozen=True, array_like=True):
    """An interface that adverts of a VIP group go over."""

    heard: bool
    """Whether adverts of another director come by it; of a master, whether its own go out."""
    problem: str = ""
    """What is wrong with it while another one is well, and what to do."""


class State(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """How a VIP group stands now; told at once when it changes."""

    name: str
    role: str
    since: float
    """Wall clock."""
    priority: int
    master: str
    """Address; empty: not known."""
    held: tuple[Address, ...]
    held_back: bool
    """Whether a failover keeps it from preempting."""
    problem: str
    """Why it cannot take part now, and what to do; empty: nothing is wrong."""
    paths: dict[str, Path] = {}
    """By interface, the one of the VIPs first; none before it takes part."""


class Told(msgspec.Struct, frozen=True, tag=True):
    """An event. ``kind`` names its class."""

    kind: str
    fields: dict[str, Any]


class Mended(msgspec.Struct, frozen=True, tag=True):
    """An address that somebody else removed was put back."""

    address: Address


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The kernel refused something; the text says what to do."""

    text: str


class Counts(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What was counted since the process began, by VIP group; about each second."""

    sent: dict[str, int]
    received: dict[str, int]
    rejected: dict[str, dict[str, int]]
    """By reason."""
    discarded: dict[str, int]
    """Before any group, by reason."""
    announced: int
    """ARP and ND frames."""
    conflicts: dict[str, int]
    """Adverts of another master."""
    claims: dict[str, int]
    """Answers of somebody else for a VIP, by ARP or ND."""
    lateness: tuple[int, ...]
    """Adverts by how late they left: counts below each of ``LATENESS``, and one beyond."""
    lateness_sum: float
    """Seconds."""
    real_time: bool
    """Whether the process runs with real-time priority."""
    resigned: dict[str, int] = {}
    """Adverts of priority 0 sent, by which a master gives up at once."""
    resignations: dict[str, int] = {}
    """Those that were received."""
    late: dict[str, int] = {}
    """Adverts that left late by more than half their interval, or not at all for that."""


class Gone(msgspec.Struct, frozen=True, tag=True):
    """A VIP group has left the election, or, at the end, all have."""

    names: tuple[str, ...]


LATENESS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
"""Seconds: upper bounds of the counts in ``Counts.lateness``."""

ToProcess = Hello | Put | Only | Standing | Failover | Resume | Hold | Leave
ToController = Hello | State | Told | Mended | Failed | Counts | Gone


def address(vip: VipAddress) -> Address:
    """An address as it goes into a message."""
    return Address(str(vip.address), vip.prefix, vip.interface)


def vip_address(sent: Address) -> VipAddress:
    """The address of a message. Raises ValueError."""
    return VipAddress(sent.interface, ip_address(sent.address), sent.prefix)


def put(vip: VipConfig, vrrp: VrrpConfig) -> Put:
    """A VIP group as it goes to the process; what is tracked stays with the controller."""
    kept = {name: getattr(vrrp, name) for name in Put.__struct_fields__ if name not in _OTHERWISE}
    return Put(
        name=vip.name,
        addresses=tuple(map(address, vip.addresses)),
        peers=tuple(map(str, vrrp.peers)),
        source=str(vrrp.source) if vrrp.source else None,
        source6=str(vrrp.source6) if vrrp.source6 else None,
        **kept,
    )


def told(event: Event) -> Told:
    """An event as a message."""
    return Told(event.kind, msgspec.to_builtins(event))


def event_of(message: Told) -> Event:
    """The event of a message. Raises MessageError."""
    try:
        return msgspec.convert(message.fields, TOLD[message.kind])
    except (KeyError, msgspec.MsgspecError) as error:
        raise MessageError(f"no event of version {VERSION}: {error}") from error


_OTHERWISE: Final = frozenset({"name", "addresses", "peers", "source", "source6", "aside"})

_encoder: Final = msgspec.json.Encoder()
_to_process: Final[msgspec.json.Decoder[ToProcess]] = msgspec.json.Decoder(ToProcess)
_to_controller: Final[msgspec.json.Decoder[ToController]] = msgspec.json.Decoder(ToController)


def encode(message: ToProcess | ToController) -> bytes:
    """A message as a packet."""
    return _encoder.encode(message)


def decode_to_process(packet: bytes) -> ToProcess:
    """Read what the controller says. Raises MessageError."""
    received = _decode(_to_process, packet)
    if isinstance(received, Put):
        _check(received)
    return received


def _check(put: Put) -> None:
    """What a type does not say. Raises MessageError."""
    try:
        for one in put.addresses:
            vip_address(one)
        for host in filter(None, (*put.peers, put.source, put.source6)):
            ip_address(host)
    except ValueError as error:
        raise MessageError(f"VIP group {put.name}: {error}") from error
    if not put.addresses:
        raise MessageError(f"VIP group {put.name} has no address")


def decode_to_controller(packet: bytes) -> ToController:
    """Read what the VRRP process says. Raises MessageError."""
    return _decode(_to_controller, packet)


def _decode(decoder: msgspec.json.Decoder[_T], packet: bytes) -> _T:
    try:
        return decoder.decode(packet)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MessageError(f"no message of version {VERSION}: {error}") from error
