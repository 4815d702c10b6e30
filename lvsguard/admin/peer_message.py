"""The messages between directors: one schema for all of them. Pure.

Each is four octets of length (big endian) and so many of JSON. Either side says hello first, with
the version; another version ends the connection. What is said after that is always the whole truth
on what it names, so a message that comes twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec

from lvsguard.admin import peer_turns
from lvsguard.admin.peer_records import Word
from lvsguard.admin.peer_turns import Known, Turn
from lvsguard.core.clock import Clock
from lvsguard.core.config_keys import Keys, Path
from lvsguard.core.peer import DOWN_MAX, Account, ServiceHealth, VipPart
from lvsguard.core.turns import Turns

VERSION: Final = 2
"""Raise it when a director of the version before could not make sense of what is said."""
MESSAGE_MAX: Final = 64 * 1024
"""Octets of a message."""
SERVICES_EACH: Final = 400
"""Services in one message."""
PIECE: Final = 48 * 1024
"""Octets of services or keys in one message."""
KEYS_EACH: Final = 2000
"""Keys in one message; its size bounds them sooner."""
KEYS_MAX: Final = 100_000
TROUBLE_MAX: Final = 3
"""Lines of trouble that are told."""
LINE_MAX: Final = 300
SERVICES_MAX: Final = 100_000
WORDS_EACH: Final = 1000
"""Overrides in one message; its size bounds them sooner."""
VIPS_MAX: Final = 200
"""VIP groups that are told of; it is for people to look at."""

CLOCKS_MAX: Final = 64

_WHY_MAX: Final = 100
_WHYS: Final = 50
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Word = Annotated[str, msgspec.Meta(max_length=64)]
_Line = Annotated[str, msgspec.Meta(max_length=LINE_MAX)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=2**40)]


class MessageError(ValueError):
    """What came is not a message of this version."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """First message of either side. Never changes, whatever the version."""

    version: int
    director: _Name


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A ``VipPart`` on the wire."""

    name: _Name
    role: _Word
    ready: bool
    priority: _Count = 0
    why: _Line = ""


class Service(msgspec.Struct, frozen=True, array_like=True):
    """A service, as its sender sees it."""

    name: _Name
    healthy: _Count
    unknown: _Count
    total: _Count
    live: _Count
    down: Annotated[list[_Name], msgspec.Meta(max_length=DOWN_MAX)] = []


class Times(msgspec.Struct, frozen=True, array_like=True):
    """A ``Clock`` on the wire."""

    sent: _Seconds
    echo: _Seconds | None = None
    heard: _Seconds | None = None


class Beat(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Each second, and when something in it has changed: the sender lives, and how it does."""

    version: _Word
    config: _Word
    programmed: bool
    overrides: _Word = ""
    vips: Annotated[list[Part], msgspec.Meta(max_length=VIPS_MAX)] = []
    clock: Times | None = None
    clocks: Annotated[dict[_Name, Times], msgspec.Meta(max_length=CLOCKS_MAX)] = {}
    """For each director where all read the same beat."""
    trouble: Annotated[list[_Line], msgspec.Meta(max_length=TROUBLE_MAX)] = []
    probers_lacking: _Count = 0
    modules_lacking: Annotated[list[_Word], msgspec.Meta(max_length=64)] = []
    sync_lacking: Annotated[list[_Word], msgspec.Meta(max_length=4)] = []
    table: _Word = ""
    table_lacks: _Line = ""
    turn: Turn | None = None
    """Since when the sender wants a turn, or has one (``core.turns``)."""
    turns: Known | None = None
    """Turns of others that it knows of; None: its version takes none."""


class Services(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Services as the sender sees them now."""

    services: Annotated[list[Service], msgspec.Meta(max_length=SERVICES_EACH)]
    anew: bool = False
    """Forget those that were told before."""


class Overrides(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What the sender knows of some overrides. The receiver keeps what is later than its own."""

    words: Annotated[list[Word], msgspec.Meta(max_length=WORDS_EACH)]


class Key(msgspec.Struct, frozen=True, array_like=True):
    """A key of the configuration, and the digest of what it says."""

    path: Annotated[list[_Name], msgspec.Meta(min_length=1, max_length=8)]
    digest: Annotated[str, msgspec.Meta(max_length=16)]


class Digests(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Keys of the sender's configuration; told while the receiver's is another one."""

    config: _Word
    """Digest of the configuration that they are of."""
    keys: Annotated[list[Key], msgspec.Meta(max_length=KEYS_EACH)]
    anew: bool = False
    """Forget those that were told before."""
    last: bool = False
    """These were all."""


Message = Hello | Beat | Services | Overrides | Digests

_Told = TypeVar("_Told", Service, Key)
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """A message with its length."""
    body = _encode(message)
    if len(body) > MESSAGE_MAX:
        raise AssertionError(f"a message of {len(body)} octets: it is to be sent in pieces")
    return len(body).to_bytes(4) + body


def length(head: bytes) -> int:
    """The length that the first four octets tell. Raises MessageError."""
    octets = int.from_bytes(head)
    if not 0 < octets <= MESSAGE_MAX:
        raise MessageError(f"a message of {octets} octets; at most {MESSAGE_MAX}")
    return octets


def decode(body: bytes) -> Message:
    """A message without its length. Raises MessageError."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MessageError(f"not a message of version {VERSION}: {error}") from None


def beat(
    account: Account,
    overrides: str,
    turns: Turns,
    clock: Clock | None = None,
    clocks: Mapping[str, Clock] | None = None,
) -> Beat:
    """What an account says but for its services and keys; ``overrides``: their fingerprint;
    ``turns``: of this director, and what it knows; ``clocks``: for each director that reads it."""
    return Beat(
        version=account.version,
        config=account.config,
        programmed=account.programmed,
        overrides=overrides,
        vips=[_part(one, n < _WHYS) for n, one in enumerate(account.vips[:VIPS_MAX])],
        clock=None if clock is None else _times(clock),
        clocks={name: _times(one) for name, one in (clocks or {}).items()},
        trouble=[line[:LINE_MAX] for line in account.trouble[:TROUBLE_MAX]],
        probers_lacking=account.probers_lacking,
        modules_lacking=[name[:64] for name in account.modules_lacking[:64]],
        sync_lacking=list(account.sync_lacking),
        table=account.table,
        table_lacks=account.table_lacks[:LINE_MAX],
        turn=peer_turns.turn(turns.own),
        turns=peer_turns.known(turns.known),
    )


def _times(clock: Clock) -> Times:
    return Times(clock.sent, clock.echo, clock.heard)


def _part(one: VipPart, reason: bool) -> Part:
    """The reasons of 200 VIP groups would not fit, whatever is in them."""
    why = one.why[:_WHY_MAX] if reason else ""
    return Part(one.name, one.role, one.ready, one.priority, why)


def account(message: Beat) -> Account:
    """What a beat says."""
    return Account(
        version=message.version,
        config=message.config,
        programmed=message.programmed,
        vips=vips(message),
        trouble=tuple(message.trouble),
        probers_lacking=message.probers_lacking,
        modules_lacking=tuple(message.modules_lacking),
        sync_lacking=tuple(message.sync_lacking),
        table=message.table,
        table_lacks=message.table_lacks,
    )


def services(
    now: Mapping[str, ServiceHealth], before: Mapping[str, ServiceHealth] | None
) -> Iterator[Services]:
    """What to say so that the other one knows ``now``; ``before``: what it was told, if anything.

    Services that are gone are forgotten by telling all of them anew.
    """
    anew = before is None or bool(before.keys() - now.keys())
    known = {} if anew or before is None else before
    news = [
        Service(name, one.healthy, one.unknown, one.total, one.live, list(one.down))
        for name, one in now.items()
        if known.get(name) is not one and known.get(name) != one
    ]
    for piece in _pieces(news, SERVICES_EACH) if news else [[]] if anew else []:
        yield Services(services=piece, anew=anew)
        anew = False


def healths(message: Services) -> dict[str, ServiceHealth]:
    """The services of a message."""
    return {
        one.name: ServiceHealth(one.healthy, one.unknown, one.total, one.live, tuple(one.down))
        for one in message.services
    }


def digests(config: str, keys: Keys) -> Iterator[Digests]:
    """The keys of a configuration, in pieces."""
    told = [Key(list(path), digest) for path, digest in keys.items() if _fits(path)]
    pieces = list(_pieces(told[:KEYS_MAX], KEYS_EACH)) or [[]]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        yield Digests(config=config, keys=piece, anew=number == 0, last=last)


def _fits(path: Path) -> bool:
    """A name that is longer is a key of no table of ours."""
    return all(0 < len(part) <= 63 for part in path)


def _pieces(told: Sequence[_Told], most: int) -> Iterator[list[_Told]]:
    """In pieces that fit into messages."""
    piece: list[_Told] = []
    size = 0
    for one in told:
        octets = len(_encode(one)) + 1
        if piece and (size + octets > PIECE or len(piece) == most):
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += octets
    if piece:
        yield piece


def vips(message: Beat) -> tuple[VipPart, ...]:
    """The VIP groups of a beat."""
    return tuple(
        VipPart(one.name, one.role, one.ready, one.priority, one.why) for one in message.vips
    )


def clock(message: Beat, director: str = "") -> Clock | None:
    """The times of a beat; ``director``: those for this one, if there are any."""
    told = message.clocks.get(director, message.clock)
    return None if told is None else Clock(told.sent, told.echo, told.heard)
