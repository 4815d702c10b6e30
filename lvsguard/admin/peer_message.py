"""The messages between directors: one schema for all of them. Pure.

Each is four octets of length (big endian) and so many of JSON. Either side says hello first, with
the version; another version ends the connection. What is said after that is always the whole truth
on what it names, so a message that comes twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import msgspec

from lvsguard.admin.peer_records import Word
from lvsguard.core.peer import Account, ServiceHealth, VipPart

VERSION: Final = 1
"""Raise it when a director of the version before could not make sense of what is said."""
MESSAGE_MAX: Final = 64 * 1024
"""Octets of a message."""
SERVICES_EACH: Final = 400
"""Services in one message: of the longest names they take half of ``MESSAGE_MAX``."""
SERVICES_MAX: Final = 100_000
WORDS_EACH: Final = 1000
"""Overrides in one message; its size bounds them sooner."""
VIPS_MAX: Final = 200
"""VIP groups that are told of; it is for people to look at."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Word = Annotated[str, msgspec.Meta(max_length=64)]


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


class Service(msgspec.Struct, frozen=True, array_like=True):
    """A service, as its sender sees it."""

    name: _Name
    healthy: _Count
    unknown: _Count
    total: _Count
    live: _Count


class Beat(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Each second, and when something in it has changed: the sender lives, and how it does."""

    version: _Word
    config: _Word
    programmed: bool
    overrides: _Word = ""
    vips: Annotated[list[Part], msgspec.Meta(max_length=VIPS_MAX)] = []


class Services(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Services as the sender sees them now."""

    services: Annotated[list[Service], msgspec.Meta(max_length=SERVICES_EACH)]
    anew: bool = False
    """Forget those that were told before."""


class Overrides(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What the sender knows of some overrides. The receiver keeps what is later than its own."""

    words: Annotated[list[Word], msgspec.Meta(max_length=WORDS_EACH)]


Message = Hello | Beat | Services | Overrides

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


def beat(account: Account, overrides: str) -> Beat:
    """What an account says but for its services; ``overrides``: their fingerprint."""
    return Beat(
        version=account.version,
        config=account.config,
        programmed=account.programmed,
        overrides=overrides,
        vips=[Part(one.name, one.role, one.ready) for one in account.vips[:VIPS_MAX]],
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
        Service(name, one.healthy, one.unknown, one.total, one.live)
        for name, one in now.items()
        if known.get(name) is not one and known.get(name) != one
    ]
    for start in range(0, max(len(news), 1 if anew else 0), SERVICES_EACH):
        piece = news[start : start + SERVICES_EACH]
        yield Services(services=piece, anew=anew and start == 0)


def vips(message: Beat) -> tuple[VipPart, ...]:
    """The VIP groups of a beat."""
    return tuple(VipPart(one.name, one.role, one.ready) for one in message.vips)
