"""The messages between the controller's side and a prober process: one schema for both. Pure.

Each is a frame on a socketpair: its length in 4 bytes, big endian, then msgpack. Both sides say
hello first, with the version; whoever hears another version, or anything that is not a message,
says so and ends the connection (the controller's side then replaces the process).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Final, TypeVar

import msgspec

from lvsguard.core.agent import Agent, AgentKind, AgentSpec, Standing
from lvsguard.core.config import (
    ArpSpec,
    CanarySpec,
    Check,
    CheckKind,
    CheckSpec,
    HttpSpec,
    TcpSpec,
    TlsSpec,
    VipPath,
)
from lvsguard.core.frame import mac_text
from lvsguard.core.health import Health, Hint, Timing
from lvsguard.core.model import IPAddress, Tunnel
from lvsguard.core.tally import BUCKETS, Tally

VERSION: Final = 13
"""Raise it with every change here; the two sides always come from one installation."""
FRAME_MAX: Final = 1 << 24
"""Bytes of a frame."""
CHUNK: Final = 200
"""Checks, counts or healths in one message, so that neither side is kept busy for long."""

_T = TypeVar("_T")


class MessageError(ValueError):
    """What came is not a message of this version."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """First message of either side."""

    version: int


class Path(msgspec.Struct, frozen=True, array_like=True):
    """A ``VipPath`` on the wire."""

    address: str
    port: int
    tunnel: Tunnel | None


class Arp(msgspec.Struct, frozen=True, array_like=True):
    """An ``ArpSpec`` on the wire."""

    interval: float
    tries: int
    interface: str
    source: str | None


class Spec(msgspec.Struct, frozen=True, array_like=True):
    """A ``CheckSpec`` on the wire."""

    kind: CheckKind
    timing: Timing
    port: int | None
    source: str | None
    own: str | None
    http: HttpSpec | None
    tls: TlsSpec | None
    tcp: TcpSpec | None
    canary: CanarySpec | None
    path: Path | None
    arp: Arp | None


class Added(msgspec.Struct, frozen=True, array_like=True):
    """A check to run. ``spec`` is an index into the message's specs."""

    number: int
    address: str
    port: int
    spec: int
    health: Health | None = None


class AddedAgent(msgspec.Struct, frozen=True, array_like=True):
    """An ``Agent`` to ask, and what it said before."""

    number: int
    address: str
    port: int
    weight: int
    kind: AgentKind
    interval: float
    timeout: float
    step: float
    send: bytes
    path: str
    host: str | None
    source: str | None
    own: str | None
    standing: Standing | None = None


class Configure(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To the prober: checks and agents to end, then those to begin."""

    specs: list[Spec]
    add: list[Added]
    remove: list[int]
    agents: list[AddedAgent] = []


class ProbeNow(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To the prober: probe these checks at once and after each of the delays (seconds).

    With a hint: those that are up, or ``all`` of them, in a burst of the prober's own, at its pace.
    """

    numbers: list[int]
    delays: list[float]
    hint: Hint | None = None
    all: bool = False


class Verdicts(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To the controller: healths with a new verdict or a new reason, by number."""

    healths: list[tuple[int, Health]]


class Words(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To the controller: what agents say, by number."""

    standings: list[tuple[int, Standing]]


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """What one check did since the last message; see ``core.tally.Tally``."""

    number: int
    codes: dict[str, int]
    seconds: float
    buckets: tuple[int, ...]
    last: float
    failures: dict[str, int] = {}
    expires: float = 0.0


class Counts(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To the controller, once a second."""

    counts: list[Counted]


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To the controller, once a second: the prober lives, and how it fares."""

    lateness: float
    in_flight: int
    waiting: int
    local: int
    trouble: str


class Met(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """To the controller: addresses, and the MAC addresses that answer for them."""

    hosts: list[tuple[str, bytes]]


ToProber = Hello | Configure | ProbeNow
ToController = Hello | Verdicts | Words | Counts | Heartbeat | Met

_encoder = msgspec.msgpack.Encoder()
_to_prober: msgspec.msgpack.Decoder[ToProber] = msgspec.msgpack.Decoder(ToProber)
_to_controller: msgspec.msgpack.Decoder[ToController] = msgspec.msgpack.Decoder(ToController)


def encode(message: ToProber | ToController) -> bytes:
    """Encode one frame; ``MessageError`` where it would be longer than ``FRAME_MAX``."""
    body = _encoder.encode(message)
    if len(body) > FRAME_MAX:
        raise MessageError(f"a message of {len(body)} bytes: make the checks' bodies smaller")
    return len(body).to_bytes(4, "big") + body


def take_frames(buffer: bytearray) -> Iterator[bytes]:
    """Take the whole frames out of what was received; ``MessageError`` for one too long."""
    start = 0
    while len(buffer) - start >= 4:
        size = int.from_bytes(buffer[start : start + 4], "big")
        if size > FRAME_MAX:
            raise MessageError(f"a frame of {size} bytes, at most {FRAME_MAX} are allowed")
        if len(buffer) - start < 4 + size:
            break
        yield bytes(buffer[start + 4 : start + 4 + size])
        start += 4 + size
    del buffer[:start]


def decode_to_prober(frame: bytes) -> ToProber:
    """Decode what a prober receives; ``MessageError`` for anything else."""
    return _decode(_to_prober, frame)


def decode_to_controller(frame: bytes) -> ToController:
    """Decode what the controller's side receives; ``MessageError`` for anything else."""
    return _decode(_to_controller, frame)


def check_version(message: ToProber | ToController) -> None:
    """Check the first message; ``MessageError`` where it is not this version's hello."""
    if not isinstance(message, Hello):
        raise MessageError(f"expected hello, got {type(message).__name__}")
    if message.version != VERSION:
        raise MessageError(
            f"the other side speaks version {message.version}, this one {VERSION}:"
            " two versions of lvsguard are mixed, restart the daemon"
        )


def configure(
    add: Iterable[tuple[int, Check, Health | None]], remove: Iterable[int]
) -> Iterator[Configure]:
    """Cut a change of checks into messages of at most ``CHUNK`` checks, removals first."""
    for numbers in chunks(list(remove)):
        yield Configure([], [], list(numbers))
    for part in chunks(list(add)):
        specs: dict[CheckSpec, int] = {}
        added = [
            Added(
                number,
                str(check.address),
                check.port,
                specs.setdefault(check.spec, len(specs)),
                health,
            )
            for number, check, health in part
        ]
        yield Configure([_spec(spec) for spec in specs], added, [])


def configure_agents(
    add: Iterable[tuple[int, Agent, Standing | None]],
) -> Iterator[Configure]:
    """Cut agents to begin with into messages of at most ``CHUNK``."""
    for part in chunks([_added_agent(*one) for one in add]):
        yield Configure([], [], [], list(part))


def agents(message: Configure) -> Iterator[tuple[int, Agent, Standing | None]]:
    """Read the added agents back; ``MessageError`` where they make no sense."""
    try:
        for added in message.agents:
            spec = AgentSpec(
                added.kind,
                added.interval,
                added.timeout,
                added.step,
                added.send,
                added.path,
                added.host,
                None if added.source is None else ip_address(added.source),
                None if added.own is None else ip_address(added.own),
            )
            agent = Agent(ip_address(added.address), added.port, added.weight, spec)
            yield added.number, agent, added.standing
    except ValueError as error:
        raise MessageError(f"an agent that makes no sense: {error}") from error


def checks(message: Configure) -> Iterator[tuple[int, Check, Health | None]]:
    """Read the added checks back; ``MessageError`` where they make no sense."""
    try:
        specs = [_check_spec(spec) for spec in message.specs]
        for added in message.add:
            check = Check(ip_address(added.address), added.port, specs[added.spec])
            yield added.number, check, added.health
    except (ValueError, IndexError) as error:
        raise MessageError(f"a check that makes no sense: {error}") from error


def tally(counted: Counted, check: Check) -> Tally:
    """Make the controller's value of it; ``MessageError`` where it makes no sense."""
    if len(counted.buckets) != len(BUCKETS) + 1:
        raise MessageError(f"{len(counted.buckets)} buckets, expected {len(BUCKETS) + 1}")
    return Tally(
        check,
        counted.codes,
        counted.seconds,
        counted.buckets,
        counted.last,
        counted.failures,
        counted.expires,
    )


def macs(message: Met) -> Iterator[tuple[IPAddress, str]]:
    """Read which MAC address is whose; ``MessageError`` where it makes no sense."""
    try:
        for address, mac in message.hosts:
            yield ip_address(address), mac_text(mac)
    except ValueError as error:
        raise MessageError(f"an address that makes no sense: {error}") from error


def chunks(items: Sequence[_T], size: int = CHUNK) -> Iterator[Sequence[_T]]:
    """Cut a sequence into parts of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _decode(decoder: msgspec.msgpack.Decoder[_T], frame: bytes) -> _T:
    try:
        return decoder.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MessageError(f"not a message of version {VERSION}: {error}") from error


def _added_agent(number: int, agent: Agent, standing: Standing | None) -> AddedAgent:
    spec = agent.spec
    return AddedAgent(
        number,
        str(agent.address),
        agent.port,
        agent.weight,
        spec.kind,
        spec.interval,
        spec.timeout,
        spec.step,
        spec.send,
        spec.path,
        spec.host,
        None if spec.source is None else str(spec.source),
        None if spec.own is None else str(spec.own),
        standing,
    )


def _spec(spec: CheckSpec) -> Spec:
    source = None if spec.source is None else str(spec.source)
    own = None if spec.own is None else str(spec.own)
    way = spec.path
    path = None if way is None else Path(str(way.address), way.port, way.tunnel)
    return Spec(
        spec.kind,
        spec.timing,
        spec.port,
        source,
        own,
        spec.http,
        spec.tls,
        spec.tcp,
        spec.canary,
        path,
        _arp(spec.arp),
    )


def _arp(spec: ArpSpec | None) -> Arp | None:
    if spec is None:
        return None
    source = None if spec.source is None else str(spec.source)
    return Arp(spec.interval, spec.tries, spec.interface, source)


def _arp_spec(spec: Arp | None) -> ArpSpec | None:
    if spec is None:
        return None
    source = None if spec.source is None else ip_address(spec.source)
    return ArpSpec(spec.interval, spec.tries, spec.interface, source)


def _check_spec(spec: Spec) -> CheckSpec:
    way = spec.path
    path = None if way is None else VipPath(ip_address(way.address), way.port, way.tunnel)
    return CheckSpec(
        spec.kind,
        spec.timing,
        spec.port,
        None if spec.source is None else ip_address(spec.source),
        None if spec.own is None else ip_address(spec.own),
        spec.http,
        spec.tls,
        spec.tcp,
        spec.canary,
        path,
        _arp_spec(spec.arp),
    )
