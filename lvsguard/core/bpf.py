"""Classic BPF programs (linux/filter.h). It knows no protocol. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final

FILTERED_MAX: Final = 2000
"""Words that fit into a filter (4,096 instructions); with more of them all is let through."""

_SOCK_FILTER: Final = Struct("=HBBI")
_LD_W_ABS, _JEQ, _RET = 0x20, 0x15, 0x06


@dataclass(frozen=True, slots=True)
class Instruction:
    """One BPF instruction (struct sock_filter): code, jumps when true and false, operand."""

    code: int
    jt: int
    jf: int
    k: int


def wire(program: Iterable[Instruction]) -> bytes:
    """A program as the kernel's array of struct sock_filter."""
    return b"".join(_SOCK_FILTER.pack(one.code, one.jt, one.jf, one.k) for one in program)


DROP_ALL: Final = (Instruction(_RET, 0, 0, 0),)
"""Lets nothing through: for a socket that is not set up yet."""


ACCEPT_ALL: Final = (Instruction(_RET, 0, 0, 0xFFFF),)


_PACKET_TYPE: Final = 0xFFFF_F004
"""SKF_AD_OFF + SKF_AD_PKTTYPE: what the kernel says of the packet, not the packet itself."""
_OTHERHOST: Final = 3

NOT_FOR_OTHERS: Final = (
    Instruction(_LD_W_ABS, 0, 0, _PACKET_TYPE),
    Instruction(_JEQ, 0, 1, _OTHERHOST),
    Instruction(_RET, 0, 0, 0),
)
"""To stand before a program: lets through neither what is for another host nor what came with the
tag of a VLAN that this host has not, whose tag is off by then (__netif_receive_skb_core() in
net/core/dev.c): an address there is another one."""


def one_of(words: Iterable[int], offset: int) -> tuple[Instruction, ...]:
    """A BPF program that lets a packet through when the 32-bit word at ``offset`` is one of
    these; with too many of them, every packet."""
    listed = tuple(words)
    accept = Instruction(_RET, 0, 0, 0xFFFF)
    if len(listed) > FILTERED_MAX:
        return (accept,)
    tests = (step for word in listed for step in (Instruction(_JEQ, 0, 1, word), accept))
    return (Instruction(_LD_W_ABS, 0, 0, offset), *tests, Instruction(_RET, 0, 0, 0))
