"""How a director that joins asks the master for its connection table: a datagram, and the answers.

``LVSG, u8 1, u8 vrid, u8 4 or 6, u8 kind, 8 octets of chance, u32 entries``. Kind 0 asks; the
answer repeats the octets of chance with kind 2, "it will be sent", and 1, "it was, with so many
entries". Whoever asks says it again until it hears 1: a repeated request is no new one. All of it
goes between hosts of one link: the receiver wants a TTL of 255, so nobody further away can ask.
Where the VIP group has keys (``auth_hmac``), 16 octets of HMAC-SHA256 over all before follow, with
the rules of the adverts: of the sender's modes only ``receive-only`` leaves them out, and of the
receiver's only ``enforce`` insists on them.

The table itself goes to the kernel's sync group, where every director on the link hears it anyway;
so a forged or repeated request costs work, of which the master does little, and a forged answer
needs octets that only the master was told. Pure.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, Literal

from lvsguard.core.bpf import Instruction
from lvsguard.core.vrrp import HmacAuth, HmacMode
from lvsguard.vrrp.filter import Assembler

SIZE_MAX: Final = 64
"""Bytes read of a datagram."""
NONCE: Final = 8
ENTRIES_MAX: Final = 0xFFFF_FFFF
_MAGIC: Final = b"LVSG"
_HEAD: Final = Struct(">4sBBBB8sI")
_VERSION: Final = 1
_DIGEST: Final = 16

Family = Literal[4, 6]


class _Kind(IntEnum):
    REQUEST = 0
    DONE = 1
    COMING = 2


@dataclass(frozen=True, slots=True)
class Request:
    """A wish for the table of the master of one virtual router."""

    vrid: int
    family: Family
    nonce: bytes
    """8 octets, another each time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The master has sent its table, or will."""

    request: Request
    entries: int | None
    """None: it will be sent."""


def encode(message: Request | Answer, auth: HmacAuth | None) -> bytes:
    """A message as a datagram."""
    match message:
        case Answer(request, None):
            kind, entries = _Kind.COMING, 0
        case Answer(request, int(sent)):
            kind, entries = _Kind.DONE, min(sent, ENTRIES_MAX)
        case Request():
            kind, request, entries = _Kind.REQUEST, message, 0
    head = _HEAD.pack(_MAGIC, _VERSION, request.vrid, request.family, kind, request.nonce, entries)
    if auth is None or auth.mode is HmacMode.RECEIVE_ONLY:
        return head
    return head + _digest(head, auth.keys[auth.send_key])


def decode(datagram: bytes) -> Request | Answer | None:
    """What a datagram says, whoever sent it; None: nothing of ours."""
    if len(datagram) not in (_HEAD.size, _HEAD.size + _DIGEST):
        return None
    magic, version, vrid, family, kind, nonce, entries = _HEAD.unpack_from(datagram)
    if magic != _MAGIC or version != _VERSION or family not in (4, 6) or not vrid:
        return None
    request = Request(vrid, family, nonce)
    if kind == _Kind.DONE:
        return Answer(request, entries)
    if kind == _Kind.COMING and not entries:
        return Answer(request, None)
    return request if kind == _Kind.REQUEST and not entries else None


def genuine(datagram: bytes, auth: HmacAuth | None) -> bool:
    """Whether the sender may be believed: it has one of the keys, where there are keys."""
    head, digest = datagram[: _HEAD.size], datagram[_HEAD.size :]
    if auth is None:
        return True
    if not digest:
        return auth.mode is not HmacMode.ENFORCE
    return any(hmac.compare_digest(digest, _digest(head, key)) for key in auth.keys.values())


def _digest(head: bytes, key: bytes) -> bytes:
    return hmac.digest(key, head, "sha256")[:_DIGEST]


TTL: Final = 255
"""Sent, and demanded: a router in between would have made it less (RFC 5082)."""
_UDP: Final = 8
"""Octets of the UDP header, where the data begins that a filter of a UDP socket sees."""
_NET: Final = 0xFFF0_0000
_LD_W, _LD_H, _LD_B, _LD_LEN = 0x20, 0x28, 0x30, 0x80
_JEQ, _RET = 0x15, 0x06
_KEEP: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Rule:
    """What is let through to the sockets; anything else the kernel drops."""

    served: frozenset[tuple[int, Family]] = frozenset()
    """Virtual routers (VRID, family) that this director is master of: who asks for these."""
    awaited: frozenset[bytes] = frozenset()
    """The octets of chance of its own requests: who answers these."""


def program(rule: Rule, family: Family) -> tuple[Instruction, ...]:
    """The filter of a UDP socket of one family for this rule."""
    code = Assembler()
    code.emit(_LD_LEN, 0)
    code.go_if(_JEQ, _UDP + _HEAD.size, "sized")
    code.go_unless(_JEQ, _UDP + _HEAD.size + _DIGEST, "drop")
    code.label("sized")
    code.emit(_LD_B, _NET + (8 if family == 4 else 7))
    code.go_unless(_JEQ, TTL, "drop")
    code.emit(_LD_W, _UDP)
    code.go_unless(_JEQ, int.from_bytes(_MAGIC, "big"), "drop")
    code.emit(_LD_B, _UDP + 4)
    code.go_unless(_JEQ, _VERSION, "drop")
    code.emit(_LD_B, _UDP + 7)
    code.go_if(_JEQ, _Kind.REQUEST, "request")
    code.emit(_LD_W, _UDP + 8)
    _keep(code, (int.from_bytes(nonce[:4], "big") for nonce in rule.awaited))
    code.label("request")
    code.emit(_LD_H, _UDP + 5)
    _keep(code, (vrid << 8 | of for vrid, of in rule.served))
    code.label("drop")
    code.emit(_RET, 0)
    code.label("keep")
    code.emit(_RET, _KEEP)
    return code.program()


def _keep(code: Assembler, wanted: Iterable[int]) -> None:
    for value in sorted(wanted):
        code.go_if(_JEQ, value, "keep")
    code.go("drop")
