"""Netlink framing: what is broken is told as such, whatever it is."""

from __future__ import annotations

from errno import EBADMSG, EINVAL
from struct import Struct, pack

import pytest

from lvsguard.kernel.netlink import (
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    Ack,
    Malformed,
    ack,
    attribute,
    attributes,
    generic,
    messages,
    nested,
    number,
    text,
)

U32 = Struct("=I")


def test_an_attribute_is_padded_to_four_bytes_and_its_length_is_not() -> None:
    assert attribute(6, b"rr\0") == bytes.fromhex("0700 0600 7272 0000")


def test_a_nest_carries_the_nested_flag() -> None:
    assert nested(1, attribute(5, U32.pack(7))) == bytes.fromhex("0c00 0180 0800 0500 0700 0000")


def test_a_generic_message_counts_both_headers() -> None:
    message = generic(28, 4, 9, 5, attribute(1, b""))
    assert message == bytes.fromhex("18000000 1c00 0500 09000000 00000000 05 01 0000 0400 0100")


def test_messages_are_told_apart() -> None:
    raw = generic(28, 0, 1, 4, b"abcd") + generic(28, 0, 2, 4)
    assert [(m.sequence, m.start, m.end) for m in messages(raw)] == [(1, 0, 24), (2, 24, 44)]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\0" * 8, "8 bytes where a message header should be"),
        (pack("=IHHII", 15, 28, 0, 1, 0), "a message of 15 bytes in 16"),
        (pack("=IHHII", 17, 28, 0, 1, 0), "a message of 17 bytes in 16"),
        (pack("=IHHII", 0, 28, 0, 1, 0), "a message of 0 bytes in 16"),
    ],
)
def test_a_broken_message_is_malformed(raw: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why) as caught:
        list(messages(raw))
    assert caught.value.errno == EBADMSG
    assert "uname -r" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\4\0", "2 bytes where an attribute header should be"),
        (pack("=HH", 3, 1), "attribute 1 of 3 bytes in 4"),
        (pack("=HH", 8, 0x8001), "attribute 1 of 8 bytes in 4"),
        (pack("=HH", 0, 0), "attribute 0 of 0 bytes in 4"),
    ],
)
def test_a_broken_attribute_is_malformed(raw: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        attributes(raw, 0, len(raw))


def test_an_attribute_that_comes_twice_counts_once() -> None:
    raw = attribute(1, b"once") + attribute(2, b"else") + attribute(1, b"more")
    assert attributes(raw, 0, len(raw)) == {1: (4, 8), 2: (12, 16)}


def test_attributes_end_where_the_buffer_does() -> None:
    with pytest.raises(Malformed):
        attributes(attribute(1, bytes(8))[:8], 0, 1000)


def test_a_last_attribute_may_lack_its_padding() -> None:
    assert attributes(attribute(6, b"rr\0")[:7], 0, 7) == {6: (4, 7)}


def test_a_number_has_exactly_its_size() -> None:
    raw = attribute(1, bytes(8))
    assert number(attribute(1, U32.pack(7)), (4, 8), U32) == 7
    with pytest.raises(Malformed, match="a number of 8 bytes where 4 should be"):
        number(raw, (4, 12), U32)


def test_a_text_ends_at_its_nul_and_is_never_an_error() -> None:
    assert text(b"rr\0x", (0, 4)) == "rr"
    assert text(b"\xff\xfe", (0, 2)) == "\\xff\\xfe"
    assert text(b"", (0, 0)) == ""


def test_an_acknowledgement_tells_errno_and_the_kernels_words() -> None:
    words = attribute(1, b"Attribute failed policy validation\0") + attribute(2, bytes(4))
    header = pack("=IHHII", 36 + len(words), 2, NLM_F_ACK_TLVS | NLM_F_CAPPED, 9, 0)
    raw = header + pack("=i", -EINVAL) + pack("=IHHII", 999, 28, 5, 9, 0) + words
    (message,) = messages(raw)
    assert ack(raw, message) == Ack(EINVAL, "Attribute failed policy validation")


def test_an_acknowledgement_that_repeats_the_whole_request_is_read_past_it() -> None:
    request = generic(28, 5, 9, 1, bytes(8))
    words = attribute(1, b"why\0")
    length = 20 + len(request) + len(words)
    raw = pack("=IHHII", length, 2, NLM_F_ACK_TLVS, 9, 0) + pack("=i", -22) + request + words
    (message,) = messages(raw)
    assert ack(raw, message) == Ack(EINVAL, "why")


def test_zero_is_done() -> None:
    raw = pack("=IHHIIi", 20, 3, 2, 9, 0, 0)
    (message,) = messages(raw)
    assert ack(raw, message) == Ack(0)


def test_an_error_without_a_code_is_malformed() -> None:
    raw = pack("=IHHII", 16, 2, 0, 9, 0)
    (message,) = messages(raw)
    with pytest.raises(Malformed, match="without a code"):
        ack(raw, message)
