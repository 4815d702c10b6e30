"""Netlink framing: messages and attributes as bytes, bounded in both directions. Pure.

include/uapi/linux/netlink.h. Numbers are in host byte order, everything is padded to 4 bytes.
Whatever does not fit raises ``Malformed``, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBADMSG
from struct import Struct
from typing import Final, NamedTuple

from lvsguard.kernel.port import KernelError

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLMSG_MIN_TYPE: Final = 16
"""Types below it are netlink's own."""
NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP: Final = 0x300
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_CAPPED: Final = 0x100
NLM_F_ACK_TLVS: Final = 0x200
NLA_F_NESTED: Final = 0x8000
NLA_TYPE_MASK: Final = 0x3FFF
NLMSGERR_ATTR_MSG: Final = 1

HEADER: Final = Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
GENL_HEADER: Final = Struct("=BBH")
"""genlmsghdr: command, version, reserved."""
GENL_PAYLOAD: Final = HEADER.size + GENL_HEADER.size
"""Where the attributes of a generic netlink message begin."""
_ATTRIBUTE: Final = Struct("=HH")
_CODE: Final = Struct("=i")


class Malformed(KernelError):
    """Bytes from the kernel that are no message of the kind expected."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the kernel's answer cannot be read: {what}: report it as a bug, with the output of"
            " uname -r",
            EBADMSG,
        )


class Message(NamedTuple):
    """One message inside a buffer: its header, and where it begins and ends."""

    type: int
    flags: int
    sequence: int
    start: int
    end: int


class Ack(NamedTuple):
    """The kernel's answer to one request: errno (0: done) and its own words, if it has some."""

    errno: int
    detail: str = ""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def generic(family: int, flags: int, sequence: int, command: int, payload: bytes = b"") -> bytes:
    """A generic netlink message of version 1."""
    length = GENL_PAYLOAD + len(payload)
    return (
        HEADER.pack(length, family, flags | NLM_F_REQUEST, sequence, 0)
        + GENL_HEADER.pack(command, 1, 0)
        + payload
    )


def messages(buffer: bytes) -> Iterator[Message]:
    """The messages of one datagram."""
    position, size = 0, len(buffer)
    while position < size:
        if size - position < HEADER.size:
            raise Malformed(f"{size - position} bytes where a message header should be")
        length, kind, flags, sequence, _port = HEADER.unpack_from(buffer, position)
        if length < HEADER.size or position + length > size:
            raise Malformed(f"a message of {length} bytes in {size - position}")
        yield Message(kind, flags, sequence, position, position + length)
        position += (length + 3) & ~3


def attributes(buffer: bytes, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Where each attribute's payload begins and ends, by type; of a repeated one the first.

    No kernel repeats one in what it dumps. So what was read once stands, whatever follows: a reader
    that knows the front of an entry by heart need not look for a second opinion behind it.
    """
    found: dict[int, tuple[int, int]] = {}
    end = min(end, len(buffer))
    while start < end:
        if end - start < _ATTRIBUTE.size:
            raise Malformed(f"{end - start} bytes where an attribute header should be")
        length, kind = _ATTRIBUTE.unpack_from(buffer, start)
        if length < _ATTRIBUTE.size or start + length > end:
            raise Malformed(f"attribute {kind & NLA_TYPE_MASK} of {length} bytes in {end - start}")
        found.setdefault(kind & NLA_TYPE_MASK, (start + _ATTRIBUTE.size, start + length))
        start += (length + 3) & ~3
    return found


def number(buffer: bytes, where: tuple[int, int], layout: Struct) -> int:
    """A number of exactly the size that ``layout`` (one field) has."""
    start, end = where
    if end - start != layout.size:
        raise Malformed(f"a number of {end - start} bytes where {layout.size} should be")
    value: int = layout.unpack_from(buffer, start)[0]
    return value


def text(buffer: bytes, where: tuple[int, int]) -> str:
    """A string, up to its NUL."""
    return buffer[where[0] : where[1]].split(b"\0", 1)[0].decode("ascii", "backslashreplace")


def ack(buffer: bytes, message: Message) -> Ack:
    """Read an NLMSG_ERROR or NLMSG_DONE message."""
    position = message.start + HEADER.size
    if message.end - position < _CODE.size:
        if message.type == NLMSG_DONE:
            return Ack(0)
        raise Malformed("an acknowledgement without a code")
    code: int = _CODE.unpack_from(buffer, position)[0]
    position += _CODE.size
    detail = ""
    if message.flags & NLM_F_ACK_TLVS:
        if message.type == NLMSG_ERROR:
            position += _echoed(buffer, message, position)
        found = attributes(buffer, position, message.end)
        if NLMSGERR_ATTR_MSG in found:
            detail = text(buffer, found[NLMSGERR_ATTR_MSG])
    return Ack(abs(code), detail)


def _echoed(buffer: bytes, message: Message, position: int) -> int:
    """Bytes of the request that an error message repeats: its header only, when capped."""
    if message.flags & NLM_F_CAPPED:
        return HEADER.size
    if message.end - position < HEADER.size:
        raise Malformed("an error message without the request's header")
    length: int = HEADER.unpack_from(buffer, position)[0]
    return (length + 3) & ~3
