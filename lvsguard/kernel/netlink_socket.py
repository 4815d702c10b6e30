"""A netlink socket: dumps, single requests, and batches with a result per message.

The kernel answers inside the send, so an answer is normally there at once; the event loop is only
asked when it is not, and every wait has an end. After any error a socket is of no use: its owner
closes it and makes another.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from errno import EINTR, ENOBUFS, ETIMEDOUT
from itertools import count
from os import strerror
from typing import Final, NoReturn

from lvsguard.kernel.mailbox import Mailbox
from lvsguard.kernel.netlink import (
    HEADER,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_MIN_TYPE,
    Ack,
    Malformed,
    Message,
    ack,
    messages,
)
from lvsguard.kernel.port import KernelError

RECEIVE_BUFFER: Final = 4 << 20
"""Bytes; the answers to one batch must fit."""
DATAGRAM_MAX: Final = 65536
"""The kernel's dumps come in pieces of 32 KiB at most, its answers to requests are far smaller."""
TIMEOUT: Final = 5.0
"""Seconds until a request counts as lost."""
DUMP_PIECES_MAX: Final = 100_000
"""Datagrams of one dump: an end, should the kernel never give one."""
FIRST_SEQUENCE: Final = 0x8000_0000
"""Sequence numbers below it belong to the callers of ``dump``."""

_SO_RCVBUFFORCE: Final = 33
_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11


class AnswersLost(KernelError):
    """The socket overflowed, or nothing came in time. ``answers``: those that did come, by their
    place in the batch."""

    def __init__(self, errno: int, answers: dict[int, Ack] | None = None) -> None:
        super().__init__(
            f"the kernel's answer was lost: {strerror(errno)}: it is asked again; if this goes on,"
            " raise net.core.rmem_max or lower the load",
            errno,
        )
        self.answers = answers or {}


class Refused(KernelError):
    """The kernel refused a request that is not a step."""

    def __init__(self, errno: int, detail: str = "") -> None:
        said = f" (kernel: {detail})" if detail else ""
        super().__init__(f"{strerror(errno)}{said}", errno)


class NetlinkSocket:
    """One socket of one netlink protocol. One request at a time; the caller takes turns."""

    def __init__(
        self, protocol: int, groups: int = 0, receive_buffer: int = RECEIVE_BUFFER
    ) -> None:
        """Open it; ``groups``: a mask of the multicast groups to hear. Raises KernelError."""
        self._sequences = count(FIRST_SEQUENCE)
        self._mailbox = Mailbox.make()
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK,
                socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
                protocol,
            )
        except OSError as error:
            raise KernelError(
                f"cannot open a netlink socket: {error.strerror}: allow AF_NETLINK in the systemd"
                " unit (RestrictAddressFamilies), or raise its LimitNOFILE",
                error.errno or 0,
            ) from error
        try:
            self._set_up(groups, receive_buffer)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, for an event loop; -1 when closed."""
        return self._socket.fileno()

    def next_sequence(self) -> int:
        """A sequence number for ``ask`` and ``batch``."""
        return next(self._sequences) & 0xFFFF_FFFF | FIRST_SEQUENCE

    def send(self, data: bytes) -> None:
        """Send messages. Raises KernelError."""
        try:
            self._socket.send(data)
        except OSError as error:
            _lost(error)

    def receive_now(self) -> bytes | None:
        """A datagram that is there, or None. Raises AnswersLost (ENOBUFS), KernelError."""
        try:
            return self._socket.recv(DATAGRAM_MAX)
        except BlockingIOError:
            return None
        except OSError as error:
            _lost(error)

    async def receive(self, patience: float = TIMEOUT) -> bytes:
        """The next datagram. Raises AnswersLost when none comes within ``patience`` seconds."""
        raw = self.receive_now()
        if raw is not None:
            return raw
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience):
                return await loop.sock_recv(self._socket, DATAGRAM_MAX)
        except TimeoutError as error:
            raise AnswersLost(ETIMEDOUT) from error
        except OSError as error:
            _lost(error)

    async def dump(self, request: bytes, sequence: int) -> list[bytes]:
        """Send a request for a dump; its datagrams, whole messages without NLMSG_DONE."""
        self.send(request)
        datagrams: list[bytes] = []
        while len(datagrams) < DUMP_PIECES_MAX:
            for raw in self._receive_several() or (await self.receive(),):
                kind, flags, come = _first(raw)
                if come != sequence:
                    continue
                if kind < NLMSG_MIN_TYPE:
                    answer = ack(raw, _last(raw))
                    if answer.errno:
                        raise Refused(*answer)
                    return datagrams
                if flags & NLM_F_DUMP_INTR:
                    raise Refused(EINTR, "somebody changed what was being dumped")
                entries, done = _without_end(raw)
                datagrams.append(entries)
                if done:
                    return datagrams
        raise Malformed(f"a dump of more than {DUMP_PIECES_MAX} pieces")

    async def ask(
        self, request: bytes, sequence: int, patience: float = TIMEOUT
    ) -> list[tuple[bytes, Message]]:
        """Send one request (NLM_F_ACK) and wait until it is done; the messages before that."""
        self.send(request)
        answers = []
        while True:
            raw = await self.receive(patience)
            for message in messages(raw):
                if message.sequence != sequence:
                    continue
                if message.type >= NLMSG_MIN_TYPE:
                    answers.append((raw, message))
                    continue
                answer = ack(raw, message)
                if answer.errno:
                    raise Refused(*answer)
                return answers

    async def batch(self, requests: bytes, sequences: Sequence[int]) -> list[Ack]:
        """Send requests (NLM_F_ACK) at once; the answer to each, in the order of ``sequences``.

        Raises AnswersLost with what is known; whatever has no answer may have been done or not.
        """
        if not sequences:
            return []
        self.send(requests)
        position = {sequence: number for number, sequence in enumerate(sequences)}
        answers: dict[int, Ack] = {}
        lost: AnswersLost | None = None
        while len(answers) < len(sequences):
            try:
                # An overflow is told first; the answers that did fit come after it.
                raw = self.receive_now() if lost else self.receive_now() or await self.receive()
            except AnswersLost as error:
                if error.errno != ENOBUFS:
                    raise AnswersLost(error.errno, answers) from error
                lost = error
                continue
            if raw is None:
                break
            for message in messages(raw):
                number = position.get(message.sequence)
                if number is not None and message.type in (NLMSG_ERROR, NLMSG_DONE):
                    answers[number] = ack(raw, message)
        if lost is not None and len(answers) < len(sequences):
            raise AnswersLost(lost.errno, answers) from lost
        return [answers[number] for number in range(len(sequences))]

    def _receive_several(self) -> list[bytes] | None:
        if self._mailbox is None:
            raw = self.receive_now()
            return None if raw is None else [raw]
        try:
            return self._mailbox.receive(self._socket.fileno())
        except BlockingIOError:
            return None
        except OSError as error:
            _lost(error)

    def _set_up(self, groups: int, receive_buffer: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
            # Linux 4.3 and 4.12: they only make answers shorter and refusals clearer.
            with suppress(OSError):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
        # Connected to the kernel (port 0), the socket takes nothing from other processes.
        self._socket.bind((0, groups))
        self._socket.connect((0, 0))


def _lost(error: OSError) -> NoReturn:
    if error.errno == ENOBUFS:
        raise AnswersLost(ENOBUFS) from error
    raise KernelError(
        f"the netlink socket failed: {error.strerror}: it is opened again", error.errno or 0
    ) from error


def _first(raw: bytes) -> tuple[int, int, int]:
    """Type, flags and sequence number of the first message."""
    if len(raw) < HEADER.size:
        raise Malformed(f"a datagram of {len(raw)} bytes")
    _length, kind, flags, sequence, _port = HEADER.unpack_from(raw)
    return kind, flags, sequence


def _without_end(raw: bytes) -> tuple[bytes, bool]:
    """A piece of a dump without NLMSG_DONE, which a kernel may put into the last one; and whether
    it was there. Entries of one length, the common case, are not walked."""
    if len(raw) % (HEADER.unpack_from(raw)[0] or 1) == 0:
        return raw, False
    last = _last(raw)
    return (raw[: last.start], True) if last.type == NLMSG_DONE else (raw, False)


def _last(raw: bytes) -> Message:
    last = None
    for message in messages(raw):
        last = message
    if last is None:
        raise Malformed("an empty datagram")
    return last
