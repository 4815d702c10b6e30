"""Which packets a director keeps to itself while it holds back."""

from __future__ import annotations

import ctypes
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from lvsguard.core.bpf import wire
from lvsguard.core.model import IPAddress
from lvsguard.vrrp.refusal_filter import VIPS_MAX, program
from tests.support.bpf import run

VIP, VIP6 = IPv4Address("10.0.0.8"), IPv6Address("fd00::8")
OWN, OWN6 = IPv4Address("10.0.0.40"), IPv6Address("fd00::40")
CLIENT, CLIENT6 = IPv4Address("10.0.0.100"), IPv6Address("fd00::100")
PROGRAM = program([VIP, ip_address("10.0.0.9"), VIP6, ip_address("fd00::9")])
PASS, DROP = 0xFFFF_FFFF, 2
TCP, UDP, SCTP, ICMP, ICMP6 = 6, 17, 132, 1, 58
ETHERNET = bytes(14)
_SO_ATTACH_FILTER = 26


def tcp(flags: int) -> bytes:
    return bytes(13) + bytes((flags,)) + bytes(6)


RST, RST_ACK, SYN_ACK, FIN = tcp(0x04), tcp(0x14), tcp(0x12), tcp(0x01)


def four(
    protocol: int, payload: bytes, source: IPv4Address = VIP, options: int = 0, offset: int = 0
) -> bytes:
    head = struct.pack(
        "!BxHxxHBBxx4s4s",
        *(0x45 + options, 20 + len(payload), offset, 64, protocol, source.packed, CLIENT.packed),
    )
    return head + bytes(4 * options) + payload


def six(protocol: int, payload: bytes, source: IPv6Address = VIP6) -> bytes:
    head = struct.pack(
        "!IHBB16s16s", 6 << 28, len(payload), protocol, 64, source.packed, CLIENT6.packed
    )
    return head + payload


def verdict(packet: bytes, number: int | None = None) -> int:
    if number is None:
        number = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return run(PROGRAM, ETHERNET + packet, network=packet, protocol=number)


@pytest.mark.parametrize(
    "packet",
    [
        four(TCP, RST),
        four(TCP, RST_ACK),
        four(TCP, RST, IPv4Address("10.0.0.9")),
        four(TCP, RST, options=3),
        four(ICMP, bytes((3, 3)) + bytes(30)),
        four(ICMP, bytes((3, 2)) + bytes(30)),
        four(SCTP, bytes(12) + bytes((6, 0, 0, 4))),
        six(TCP, RST),
        six(TCP, RST_ACK, IPv6Address("fd00::9")),
        six(ICMP6, bytes((1, 4)) + bytes(50)),
        six(SCTP, bytes(12) + bytes((6, 0, 0, 4))),
    ],
)
def test_what_ends_a_flow_in_the_vips_name_is_dropped(packet: bytes) -> None:
    assert verdict(packet) == DROP


@pytest.mark.parametrize(
    "packet",
    [
        four(TCP, SYN_ACK),
        four(TCP, FIN),
        four(TCP, RST, OWN),
        four(TCP, RST, offset=185),  # a later fragment: these bytes are no header
        four(UDP, RST),
        four(ICMP, bytes((3, 4)) + bytes(30)),  # fragmentation needed
        four(ICMP, bytes((0, 3)) + bytes(30)),  # an echo's answer
        four(ICMP, bytes((3, 3)) + bytes(30), OWN),
        four(SCTP, bytes(12) + bytes((3, 0, 0, 4))),
        six(TCP, SYN_ACK),
        six(TCP, RST, OWN6),
        six(UDP, RST),
        six(ICMP6, bytes((2, 0)) + bytes(50)),  # packet too big
        six(ICMP6, bytes((136, 0)) + bytes(30)),  # a neighbour advertisement
        six(SCTP, bytes(12) + bytes((0, 0, 0, 4))),
    ],
)
def test_everything_else_passes(packet: bytes) -> None:
    assert verdict(packet) == PASS


def test_what_is_no_ip_passes() -> None:
    assert verdict(four(TCP, RST), 0x0806) == PASS


def test_an_address_that_differs_in_one_word_is_another() -> None:
    for word in range(4):
        packed = bytearray(VIP6.packed)
        packed[4 * word] ^= 1
        assert verdict(six(TCP, RST, IPv6Address(bytes(packed)))) == PASS


@pytest.mark.parametrize("first", [ip_address("10.0.0.1"), ip_address("fd00::1")])
def test_the_kernel_takes_the_longest_program(first: IPAddress) -> None:
    code = program([first + n for n in range(VIPS_MAX)])
    array = ctypes.create_string_buffer(wire(code))
    asked = struct.pack("HxxxxxxP", len(code), ctypes.addressof(array))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, asked)
