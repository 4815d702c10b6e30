"""A tc filter against what a host says in a VIP's name about flows that it does not know. Pure.

A director that has just taken a VIP over answers packets of connections that it has not heard of
yet with a TCP reset, an ICMP port unreachable or an SCTP abort, and so ends them. The filter is a
classic BPF program (Documentation/networking/filter.rst) on the egress side of a clsact qdisc
(net/sched/sch_ingress.c, cls_bpf.c): every Debian kernel has both, no command is run, a whole list
of VIPs is one message, and what it lets pass goes on to whatever filters come next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from lvsguard.core.bpf import Instruction, wire
from lvsguard.core.model import IPAddress
from lvsguard.kernel.netlink import (
    HEADER,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    Message,
    attribute,
    attributes,
    nested,
    text,
)

PREFERENCE: Final = 8848
"""Of the filter among others of the interface (tc's pref); by it the filter is found again."""
VIPS_MAX: Final = 300
"""VIPs of one filter: a program has 4,096 instructions at most, an IPv6 address takes 9."""

RTM_NEWTFILTER: Final = 44
_RTM_DELTFILTER, _RTM_GETTFILTER = 45, 46
RTM_NEWQDISC: Final = 36
_RTM_DELQDISC, _RTM_GETQDISC = 37, 38
_NLM_F_ECHO, _NLM_F_EXCL, _NLM_F_CREATE = 0x8, 0x200, 0x400

_TCMSG: Final = Struct("=BxxxiIII")
_CLSACT: Final = 0xFFFF_FFF1
_CLSACT_HANDLE: Final = 0xFFFF_0000
_INGRESS, _EGRESS = 0xFFFF_FFF2, 0xFFFF_FFF3
_ETH_P_ALL: Final = 0x0300
"""In network order, as tc's info has it."""
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_OPS_LEN, _TCA_BPF_OPS, _TCA_BPF_FLAGS = 4, 5, 8
_DIRECT_ACTION: Final = 1
_U16: Final = Struct("=H")
_U32: Final = Struct("=I")

_LD_W, _LD_H, _LD_B, _LD_B_X = 0x20, 0x28, 0x30, 0x50
_JA, _JEQ, _JSET, _RET, _AND, _LSH, _TAX = 0x05, 0x15, 0x45, 0x06, 0x54, 0x64, 0x07
_NETWORK: Final = -0x100000
"""SKF_NET_OFF: offsets from here count from the IP header, whatever the link's own header is."""
_PROTOCOL: Final = -0x1000
"""SKF_AD_OFF + SKF_AD_PROTOCOL: the Ethernet type."""
_PASS, _DROP = 0xFFFF_FFFF, 2
"""TC_ACT_UNSPEC: as if this filter were not there. TC_ACT_SHOT."""
_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP, _ICMP, _ICMP6, _SCTP = 6, 1, 58, 132
_RST: Final = 0x04
_UNREACHABLE, _PROTOCOL_CODE, _PORT_CODE = 3, 2, 3
_UNREACHABLE6, _PORT_CODE6 = 1, 4
_ABORT: Final = 6


@dataclass(frozen=True, slots=True)
class _Jump:
    """An instruction that goes to one of two labels; without a label, to the next one."""

    code: int
    value: int
    yes: str = ""
    no: str = ""


_Line = tuple[int, int] | _Jump | str
"""Opcode and value, a jump, or a label."""


def program(vips: Iterable[IPAddress]) -> tuple[Instruction, ...]:
    """The program for these VIPs, at most ``VIPS_MAX``."""
    vips = tuple(vips)
    lines: list[_Line] = [
        (_LD_W, _PROTOCOL),
        _Jump(_JEQ, _IPV4, yes="four"),
        _Jump(_JEQ, _IPV6, yes="to six"),
        (_RET, _PASS),
        "to six",
        _Jump(_JA, 0, yes="six"),
        *_four([vip for vip in vips if vip.version == 4]),
        *_six([vip for vip in vips if vip.version == 6]),
    ]
    return _assemble(lines)


def _four(vips: Sequence[IPAddress]) -> list[_Line]:
    lines: list[_Line] = [
        "four",
        (_LD_H, _NETWORK + 6),
        _Jump(_JSET, 0x1FFF, yes="pass 4"),  # a later fragment has no header of its own
        (_LD_B, _NETWORK),
        (_AND, 0x0F),
        (_LSH, 2),
        (_TAX, 0),
        (_LD_B, _NETWORK + 9),
        _Jump(_JEQ, _TCP, yes="tcp 4"),
        _Jump(_JEQ, _ICMP, yes="icmp 4"),
        _Jump(_JEQ, _SCTP, yes="sctp 4", no="pass 4"),
        "tcp 4",
        (_LD_B_X, _NETWORK + 13),
        _Jump(_JSET, _RST, yes="from 4", no="pass 4"),
        "icmp 4",
        (_LD_B_X, _NETWORK),
        _Jump(_JEQ, _UNREACHABLE, no="pass 4"),
        (_LD_B_X, _NETWORK + 1),
        _Jump(_JEQ, _PORT_CODE, yes="from 4"),
        _Jump(_JEQ, _PROTOCOL_CODE, yes="from 4", no="pass 4"),
        "sctp 4",
        (_LD_B_X, _NETWORK + 12),
        _Jump(_JEQ, _ABORT, yes="from 4"),
        "pass 4",
        (_RET, _PASS),
        "from 4",
        (_LD_W, _NETWORK + 12),
    ]
    for number, vip in enumerate(vips):
        lines += [_Jump(_JEQ, int(vip), no=f"not {number}"), (_RET, _DROP), f"not {number}"]
    return [*lines, (_RET, _PASS)]


def _six(vips: Sequence[IPAddress]) -> list[_Line]:
    lines: list[_Line] = [
        "six",
        # What the kernel itself answers has no extension headers.
        (_LD_B, _NETWORK + 6),
        _Jump(_JEQ, _TCP, yes="tcp 6"),
        _Jump(_JEQ, _ICMP6, yes="icmp 6"),
        _Jump(_JEQ, _SCTP, yes="sctp 6", no="pass 6"),
        "tcp 6",
        (_LD_B, _NETWORK + 40 + 13),
        _Jump(_JSET, _RST, yes="from 6", no="pass 6"),
        "icmp 6",
        (_LD_B, _NETWORK + 40),
        _Jump(_JEQ, _UNREACHABLE6, no="pass 6"),
        (_LD_B, _NETWORK + 40 + 1),
        _Jump(_JEQ, _PORT_CODE6, yes="from 6", no="pass 6"),
        "sctp 6",
        (_LD_B, _NETWORK + 40 + 12),
        _Jump(_JEQ, _ABORT, yes="from 6"),
        "pass 6",
        (_RET, _PASS),
        "from 6",
    ]
    for number, vip in enumerate(vips):
        for word in range(4):
            value = int.from_bytes(vip.packed[4 * word : 4 * word + 4], "big")
            lines += [
                (_LD_W, _NETWORK + 8 + 4 * word),
                _Jump(_JEQ, value, no=f"not six {number}"),
            ]
        lines += [(_RET, _DROP), f"not six {number}"]
    return [*lines, (_RET, _PASS)]


def _assemble(lines: Sequence[_Line]) -> tuple[Instruction, ...]:
    places: dict[str, int] = {}
    count = 0
    for line in lines:
        if isinstance(line, str):
            places[line] = count
        else:
            count += 1
    code = []
    for at, line in enumerate((line for line in lines if not isinstance(line, str)), 1):
        if isinstance(line, _Jump):
            yes, no = (places[label] - at if label else 0 for label in (line.yes, line.no))
            far = line.code == _JA
            code.append(Instruction(line.code, *((0, 0, yes) if far else (yes, no, line.value))))
        else:
            code.append(Instruction(line[0], 0, 0, line[1] & 0xFFFF_FFFF))
    return tuple(code)


def add_qdisc(link: int, sequence: int) -> bytes:
    """A request for a clsact qdisc on an interface; EEXIST when it has one, or an ingress one."""
    flags = NLM_F_ACK | _NLM_F_CREATE | _NLM_F_EXCL
    kind = attribute(_TCA_KIND, b"clsact\0")
    return _message(RTM_NEWQDISC, flags, sequence, (link, _CLSACT_HANDLE, _CLSACT, 0), kind)


def get_qdisc(link: int, sequence: int) -> bytes:
    """A request for the interface's clsact or ingress qdisc; ENOENT when it has neither."""
    # This answer is a notification, of which the asker gets a copy only so (rtnetlink_send).
    flags = NLM_F_ACK | _NLM_F_ECHO
    return _message(_RTM_GETQDISC, flags, sequence, (link, 0, _CLSACT, 0))


def is_clsact(buffer: bytes, message: Message) -> bool:
    """Whether an answer to ``get_qdisc`` is about a clsact qdisc. An ingress one has no egress
    side, and would take a filter for it onto its only one."""
    start = message.start + HEADER.size + _TCMSG.size
    found = attributes(buffer, start, message.end)
    return _TCA_KIND in found and text(buffer, found[_TCA_KIND]) == "clsact"


def delete_qdisc(link: int, sequence: int) -> bytes:
    """A request to take the clsact qdisc and every filter on it away."""
    place = (link, _CLSACT_HANDLE, _CLSACT, 0)
    return _message(_RTM_DELQDISC, NLM_F_ACK, sequence, place)


def set_filter(link: int, number: int, code: Sequence[Instruction], sequence: int) -> bytes:
    """A request for filter ``number`` (from 1) to have this program, be it there yet or not."""
    options = nested(
        _TCA_OPTIONS,
        attribute(_TCA_BPF_OPS_LEN, _U16.pack(len(code))),
        attribute(_TCA_BPF_OPS, wire(code)),
        attribute(_TCA_BPF_FLAGS, _U32.pack(_DIRECT_ACTION)),
    )
    place = (link, number, _EGRESS, PREFERENCE << 16 | _ETH_P_ALL)
    kind = attribute(_TCA_KIND, b"bpf\0")
    return _message(RTM_NEWTFILTER, NLM_F_ACK | _NLM_F_CREATE, sequence, place, kind + options)


def delete_filter(link: int, number: int, sequence: int) -> bytes:
    """A request to take filter ``number`` away."""
    place = (link, number, _EGRESS, PREFERENCE << 16 | _ETH_P_ALL)
    return _message(_RTM_DELTFILTER, NLM_F_ACK, sequence, place, attribute(_TCA_KIND, b"bpf\0"))


def delete_filters(link: int, sequence: int) -> bytes:
    """A request to take all filters of our preference away; ENOENT, EINVAL when there is none."""
    place = (link, 0, _EGRESS, PREFERENCE << 16 | _ETH_P_ALL)
    return _message(_RTM_DELTFILTER, NLM_F_ACK, sequence, place)


def dump_filters(link: int, sequence: int, *, egress: bool) -> bytes:
    """A request for all filters of one side."""
    place = (link, 0, _EGRESS if egress else _INGRESS, 0)
    return _message(_RTM_GETTFILTER, NLM_F_DUMP, sequence, place)


def _message(
    kind: int, flags: int, sequence: int, place: tuple[int, int, int, int], payload: bytes = b""
) -> bytes:
    body = _TCMSG.pack(0, *place) + payload
    length = HEADER.size + len(body)
    return HEADER.pack(length, kind, flags | NLM_F_REQUEST, sequence, 0) + body
