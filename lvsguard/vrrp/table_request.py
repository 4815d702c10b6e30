"""How a director that joins asks the master for its connection table: one datagram each way. Pure.

A request is ``LVSG, u8 1, u8 vrid, u8 4 or 6, u8 0, 8 octets of chance``; the answer repeats it
with ``u8 1`` in the place of the 0, and the count of entries that were sent (u32). Both go between
hosts of one link: the receiver wants a TTL of 255, so nobody further away can ask. Where the VIP
group has keys (``auth_hmac``), 16 octets of HMAC-SHA256 over all before follow.

The table itself goes to the kernel's sync group, where every director on the link hears it anyway;
so a forged request costs work, of which the master does little, and a forged answer at most what
the request was for.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from struct import Struct
from typing import Final, Literal

from lvsguard.core.vrrp import HmacAuth

SIZE_MAX: Final = 64
"""Bytes read of a datagram."""
NONCE: Final = 8
_MAGIC: Final = b"LVSG"
_HEAD: Final = Struct(">4sBBBB8sI")
_VERSION: Final = 1
_DIGEST: Final = 16


@dataclass(frozen=True, slots=True)
class Request:
    """A wish for the table of one virtual router."""

    vrid: int
    family: Literal[4, 6]
    nonce: bytes
    """8 octets, another each time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """It was sent."""

    request: Request
    entries: int


def encode(message: Request | Answer, auth: HmacAuth | None) -> bytes:
    """A message as a datagram."""
    answer = isinstance(message, Answer)
    request = message.request if isinstance(message, Answer) else message
    entries = message.entries if isinstance(message, Answer) else 0
    head = _HEAD.pack(
        _MAGIC, _VERSION, request.vrid, request.family, answer, request.nonce, entries
    )
    return head + (b"" if auth is None else _digest(head, auth.keys[auth.send_key]))


def decode(datagram: bytes) -> Request | Answer | None:
    """What a datagram says, whoever sent it; None: nothing of ours."""
    if len(datagram) not in (_HEAD.size, _HEAD.size + _DIGEST):
        return None
    magic, version, vrid, family, answer, nonce, entries = _HEAD.unpack_from(datagram)
    if magic != _MAGIC or version != _VERSION or family not in (4, 6) or answer > 1:
        return None
    request = Request(vrid, family, nonce)
    return Answer(request, entries) if answer else request


def genuine(datagram: bytes, auth: HmacAuth | None) -> bool:
    """Whether the sender has one of the keys, where there are keys."""
    head, digest = datagram[: _HEAD.size], datagram[_HEAD.size :]
    if auth is None:
        return True
    return any(hmac.compare_digest(digest, _digest(head, key)) for key in auth.keys.values())


def _digest(head: bytes, key: bytes) -> bytes:
    return hmac.digest(key, head, "sha256")[:_DIGEST]
