"""Which packets the kernel hands to a VRRP socket: a classic BPF program, and its rule in words.

Everybody on the network may send protocol 112 as fast as the wire takes it. A packet that cannot
concern this director is dropped by the kernel, before it costs a system call. So that it can still
be counted and named, a random one in ``SAMPLE`` of them is let through; ``judge`` is the same rule
in Python, tells what such a packet is, and ``tests`` hold the two against each other. Pure.

include/uapi/linux/filter.h, Documentation/networking/filter.rst.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from lvsguard.core.bpf import Instruction
from lvsguard.core.dropped import Discard
from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, TTL

SAMPLE: Final = 256
"""One of so many packets that the filter throws away is let through, to be counted."""
PRESSED_SAMPLE: Final = 64
"""Under pressure, one of so many packets that are not a known voice is let through."""
HEADER_MIN: Final = 8
"""Octets of a VRRP message without addresses."""
ADVERTISEMENTS: Final = frozenset({0x21, 0x31})
"""First octet of a message: version 2 or 3, type 1 (the only one there is)."""
KEEP: Final = 0xFFFF
TRUSTED_MAX: Final = 128
"""Known voices that a filter holds at most."""
PROGRAM_MAX: Final = 4096
"""BPF_MAXINSNS."""


class Voice(NamedTuple):
    """How a master sounds: its address, and the first eight octets of its adverts, which are the
    same each time (version, vrid, priority, count, interval, checksum). Who forges them forges
    just the advert that was believed already."""

    source: IPAddress
    header: bytes


@dataclass(frozen=True, slots=True)
class Rule:
    """What is let through to one family's socket.

    ``pressed``: a flood of packets that look right is on; ``trusted`` voices are let through, of
    the others a sample.
    """

    family: Literal[4, 6]
    vrids: frozenset[int]
    trusted: frozenset[Voice] = field(default=frozenset())
    pressed: bool = False


def judge(
    vrids: Set[int], destination: IPAddress, ttl: int, first: int, vrid: int, length: int
) -> Discard | None:
    """Why a message is thrown away, None when it is let through; the filter's rule in Python.

    ``first``, ``vrid``: its first two octets; ``length``: its octets.
    """
    if length < HEADER_MIN:
        return Discard.SHORT
    if first not in ADVERTISEMENTS:
        return Discard.VERSION
    if ttl != TTL and destination in (GROUP_V4, GROUP_V6):
        return Discard.TTL
    if vrid not in vrids:
        return Discard.VRID
    return None


_LD_W_ABS, _LD_B_ABS, _LD_LEN = 0x20, 0x30, 0x80
_LDX_B_MSH, _LD_B_IND, _LD_W_IND = 0xB1, 0x50, 0x40
_SUB_X, _JA, _JEQ, _JGE, _JSET, _RET = 0x1C, 0x05, 0x15, 0x35, 0x45, 0x06
_NET: Final = 0xFFF0_0000
"""SKF_NET_OFF: offsets from the network header, where the data begins behind it."""
_RANDOM: Final = 0xFFFF_F000 + 56
"""SKF_AD_OFF + SKF_AD_RANDOM: a random number."""


def program(rule: Rule) -> tuple[Instruction, ...]:
    """The BPF program of a rule. A raw IPv4 socket's data begin with the IP header, a raw IPv6
    socket's with the message."""
    code = Assembler()
    if rule.family == 4:
        _begin_v4(code)
    else:
        _begin_v6(code)
    for vrid in sorted(rule.vrids):
        code.go_if(_JEQ, vrid, "ours")
    code.go("sample")
    code.label("ours")
    if rule.pressed:
        known = sorted(rule.trusted, key=lambda one: (one.source.packed, one.header))
        for voice in known[:TRUSTED_MAX]:
            if voice.source.version == rule.family:
                _if_voice(code, voice, "keep")
        code.emit(_LD_W_ABS, _RANDOM)
        code.go_if(_JSET, PRESSED_SAMPLE - 1, "drop")
    code.label("keep")
    code.emit(_RET, KEEP)
    code.label("sample")
    code.emit(_LD_W_ABS, _RANDOM)
    code.go_if(_JSET, SAMPLE - 1, "drop")
    code.emit(_RET, KEEP)
    code.label("drop")
    code.emit(_RET, 0)
    return code.program()


def _begin_v4(code: Assembler) -> None:
    """Test length, version and TTL of a packet; leaves its VRID in the accumulator."""
    code.emit(_LDX_B_MSH, 0)
    code.emit(_LD_LEN, 0)
    code.emit(_SUB_X, 0)
    # Unsigned: a header longer than the packet is a large number, and the load after it drops.
    code.go_unless(_JGE, HEADER_MIN, "sample")
    code.emit(_LD_B_IND, 0)
    _if_advertisement(code)
    code.emit(_LD_W_ABS, 16)
    code.go_unless(_JEQ, int(GROUP_V4), "near")
    code.emit(_LD_B_ABS, 8)
    code.go_unless(_JEQ, TTL, "sample")
    code.label("near")
    code.emit(_LD_B_IND, 1)


def _begin_v6(code: Assembler) -> None:
    code.emit(_LD_LEN, 0)
    code.go_unless(_JGE, HEADER_MIN, "sample")
    code.emit(_LD_B_ABS, 0)
    _if_advertisement(code)
    for number, word in enumerate(_words(GROUP_V6.packed)):
        code.emit(_LD_W_ABS, _NET + 24 + 4 * number)
        code.go_unless(_JEQ, word, "near")
    code.emit(_LD_B_ABS, _NET + 7)
    code.go_unless(_JEQ, TTL, "sample")
    code.label("near")
    code.emit(_LD_B_ABS, 1)


def _if_advertisement(code: Assembler) -> None:
    for first in sorted(ADVERTISEMENTS):
        code.go_if(_JEQ, first, "advertisement")
    code.go("sample")
    code.label("advertisement")


def _if_voice(code: Assembler, voice: Voice, label: str) -> None:
    """Go to a label when the packet sounds like this one."""
    source, header = _words(voice.source.packed), _words(voice.header)
    v4 = voice.source.version == 4
    at = 12 if v4 else _NET + 8
    other = f"not {voice}"
    # The checksum first: it differs soonest.
    for number, word in reversed(tuple(enumerate(header))):
        code.emit(_LD_W_IND if v4 else _LD_W_ABS, 4 * number)
        code.go_unless(_JEQ, word, other)
    for number, word in enumerate(source):
        code.emit(_LD_W_ABS, at + 4 * number)
        code.go_unless(_JEQ, word, other)
    code.go(label)
    code.label(other)


def _words(packed: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(packed[at : at + 4], "big") for at in range(0, len(packed), 4))


class Assembler:
    """Instructions with jumps to labels further down. A conditional jump reaches 255 instructions,
    too few for a long list of VRIDs, so every one steps over or onto an unconditional jump."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int | str]] = []
        self._labels: dict[str, int] = {}

    def emit(self, code: int, k: int) -> None:
        """Add an instruction."""
        self._code.append((code, 0, 0, k))

    def go(self, label: str) -> None:
        """Jump."""
        self._code.append((_JA, 0, 0, label))

    def go_if(self, code: int, k: int, label: str) -> None:
        """Jump when a comparison holds."""
        self._code.append((code, 0, 1, k))
        self.go(label)

    def go_unless(self, code: int, k: int, label: str) -> None:
        """Jump when it does not."""
        self._code.append((code, 1, 0, k))
        self.go(label)

    def label(self, name: str) -> None:
        """The place of the next instruction."""
        self._labels[name] = len(self._code)

    def program(self) -> tuple[Instruction, ...]:
        """All of it, with the jumps' distances."""
        if len(self._code) > PROGRAM_MAX:
            raise ValueError(f"a BPF program of {len(self._code)} instructions")
        return tuple(
            Instruction(code, jt, jf, k if isinstance(k, int) else self._labels[k] - at - 1)
            for at, (code, jt, jf, k) in enumerate(self._code)
        )
