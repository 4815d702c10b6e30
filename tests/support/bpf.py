"""A classic BPF machine, as in Documentation/networking/filter.rst: runs a filter on a packet.

What the kernel does, in the plainest form, so that a filter can be tested without a socket. It
knows the instructions that the project's filters use, and fails on any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lvsguard.core.bpf import Instruction

_WORD = 0xFFFF_FFFF
_NET = 0xFFF0_0000
_PROTOCOL = 0xFFFF_F000
_RANDOM = 0xFFFF_F000 + 56
_SIZES = {0x20: 4, 0x28: 2, 0x30: 1, 0x40: 4, 0x50: 1}


def run(
    program: Sequence[Instruction],
    data: bytes,
    *,
    network: bytes = b"",
    random: int = 0,
    protocol: int = 0,
) -> int:
    """The octets that the filter keeps, 0 when it drops. ``network``: the packet from its network
    header on, where ``data`` begins elsewhere; ``protocol``: its Ethernet type."""
    a = x = at = 0
    for _ in range(len(program)):
        one = program[at]
        at += 1
        match one.code:
            case 0x06:
                return one.k
            case 0x05:
                at += one.k
            case 0x15 | 0x35 | 0x45:
                true = {0x15: a == one.k, 0x35: a >= one.k, 0x45: bool(a & one.k)}[one.code]
                at += one.jt if true else one.jf
            case 0x80:
                a = len(data)
            case 0x1C:
                a = (a - x) & _WORD
            case 0xB1:
                if not data:
                    return 0
                x = (data[one.k] & 0xF) * 4
            case 0x54:
                a &= one.k
            case 0x64:
                a = a << one.k & _WORD
            case 0x07:
                x = a
            case 0x20 | 0x28 | 0x30 | 0x40 | 0x50:
                if one.k in (_RANDOM, _PROTOCOL):
                    a = random if one.k == _RANDOM else protocol
                    continue
                size = _SIZES[one.code]
                loaded = _load(data, network, one.k + (x if one.code in (0x40, 0x50) else 0), size)
                if loaded is None:
                    return 0
                a = loaded
            case _:
                raise AssertionError(f"unknown instruction {one}")
    raise AssertionError("the filter ran over its end")


def ever_keeps(program: Sequence[Instruction], data: bytes, randoms: Iterable[int]) -> bool:
    """Whether one of these random numbers lets the packet through."""
    return any(run(program, data, random=number) for number in randoms)


def _load(data: bytes, network: bytes, offset: int, size: int) -> int | None:
    where = network if offset >= _NET else data
    start = offset - _NET if offset >= _NET else offset
    chunk = where[start : start + size]
    return int.from_bytes(chunk, "big") if len(chunk) == size else None
