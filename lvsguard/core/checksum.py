"""The Internet checksum (RFC 1071). Pure."""

from __future__ import annotations


def internet_checksum(octets: bytes) -> int:
    """The complement of the ones' complement sum of 16-bit words; odd ends are padded with 0.

    Over a message that carries its right checksum it is 0.
    """
    if len(octets) % 2:
        octets += b"\0"
    number = int.from_bytes(octets, "big")
    # 2**16 is 1 modulo 65535, so the remainder is the folded sum; it knows no difference between
    # the two zeros of ones' complement, and only a sum of nothing is the positive one.
    total = number % 0xFFFF or (0xFFFF if number else 0)
    return 0xFFFF ^ total
