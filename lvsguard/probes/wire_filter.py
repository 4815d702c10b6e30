"""Which packets the kernel hands to a wire: what one VIP says to one own address. Pure.

The packets of all clients pass the same interface; each costs this filter and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lvsguard.core.bpf import Instruction
from lvsguard.core.model import IPAddress
from lvsguard.probes.segment import ICMP, ICMP6, TCP

PACKET_MAX: Final = 65535
"""Bytes; the kernel puts segments together as they come (GRO)."""

_LD_W, _LD_B, _LD_IND_B, _LDX_HEAD = 0x20, 0x30, 0x50, 0xB1
_JEQ, _RET = 0x15, 0x06
_DROP: Final = -1
"""A jump to the end, where packets are dropped."""
_KEEP: Final = Instruction(_RET, 0, 0, PACKET_MAX)


def answers(own: IPAddress, vip: IPAddress) -> tuple[Instruction, ...]:
    """The filter, for packets that begin with their IP header: TCP from the VIP to the own
    address, and what ICMP says to it of destinations that cannot be reached."""
    if vip.version == 4:
        source, destination, protocol, icmp, unreachable = 12, 16, 9, ICMP, 3
        kind = [Instruction(_LDX_HEAD, 0, 0, 0), Instruction(_LD_IND_B, 0, 0, 0)]
    else:
        source, destination, protocol, icmp, unreachable = 8, 24, 6, ICMP6, 1
        kind = [Instruction(_LD_B, 0, 0, 40)]
    tcp = [Instruction(_JEQ, 0, _DROP, TCP), *_is(vip, source), _KEEP]
    program = [
        *_is(own, destination),
        Instruction(_LD_B, 0, 0, protocol),
        Instruction(_JEQ, len(tcp), 0, icmp),
        *tcp,
        *kind,
        Instruction(_JEQ, 0, _DROP, unreachable),
        _KEEP,
        Instruction(_RET, 0, 0, 0),
    ]
    last = len(program) - 1
    return tuple(
        Instruction(one.code, one.jt, last - here - 1, one.k) if one.jf == _DROP else one
        for here, one in enumerate(program)
    )


def _is(address: IPAddress, offset: int) -> Iterator[Instruction]:
    for start in range(0, len(address.packed), 4):
        word = int.from_bytes(address.packed[start : start + 4], "big")
        yield Instruction(_LD_W, 0, 0, offset + start)
        yield Instruction(_JEQ, 0, _DROP, word)
