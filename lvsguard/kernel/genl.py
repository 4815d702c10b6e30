"""Generic netlink: one family of messages on one netlink socket.

pyroute2 finds the family. Its async sockets do not carry the messages themselves: one overflow
(ENOBUFS) hangs them for good, and a dump costs them ten times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import ENOENT
from typing import Final

from pyroute2.netlink import CTRL_CMD_GETFAMILY, GENL_ID_CTRL, ctrlmsg

from lvsguard.kernel.netlink import (
    GENL_PAYLOAD,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    Ack,
    Malformed,
    generic,
)
from lvsguard.kernel.netlink_socket import RECEIVE_BUFFER, TIMEOUT, NetlinkSocket, Refused
from lvsguard.kernel.port import KernelError

_NETLINK_GENERIC: Final = 16


class FamilyMissing(KernelError):
    """The kernel has no such generic netlink family: a module is not loaded."""


class GenericNetlink:
    """A socket for the messages of one family. One request at a time; the caller takes turns."""

    def __init__(self, connection: NetlinkSocket, family: int) -> None:
        self._connection = connection
        self._family = family

    @classmethod
    async def open(cls, name: str, receive_buffer: int = RECEIVE_BUFFER) -> GenericNetlink:
        """Open a socket and look the family up. Raises FamilyMissing, or another KernelError."""
        connection = NetlinkSocket(_NETLINK_GENERIC, receive_buffer=receive_buffer)
        try:
            return cls(connection, await _look_up(connection, name))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Give the socket back."""
        self._connection.close()

    async def dump(self, command: int, payload: bytes, sequence: int) -> list[bytes]:
        """Ask for a dump; its datagrams. ``sequence``: the caller's, below FIRST_SEQUENCE."""
        request = generic(self._family, NLM_F_DUMP, sequence, command, payload)
        return await self._connection.dump(request, sequence)

    async def ask(
        self, command: int, payload: bytes = b"", patience: float = TIMEOUT
    ) -> list[tuple[bytes, int, int]]:
        """Send one request and wait until it is done. Returns what came before that: for each
        message its bytes, and where its attributes begin and end."""
        sequence = self._connection.next_sequence()
        request = generic(self._family, NLM_F_ACK, sequence, command, payload)
        return [
            (raw, message.start + GENL_PAYLOAD, message.end)
            for raw, message in await self._connection.ask(request, sequence, patience)
        ]

    async def batch(self, requests: Sequence[tuple[int, bytes]]) -> list[Ack]:
        """Send requests (command, attributes) at once; the answer to each, in their order.

        Raises AnswersLost with what is known; whatever has no answer may have been done or not.
        """
        sequences = [self._connection.next_sequence() for _ in requests]
        data = b"".join(
            generic(self._family, NLM_F_ACK, sequence, command, payload)
            for sequence, (command, payload) in zip(sequences, requests, strict=True)
        )
        return await self._connection.batch(data, sequences)


async def _look_up(connection: NetlinkSocket, name: str) -> int:
    """The number of a family (nlctrl). The kernel loads the family's module when it can."""
    sequence = connection.next_sequence()
    request = ctrlmsg()  # type: ignore[no-untyped-call]
    request["cmd"] = CTRL_CMD_GETFAMILY
    request["version"] = 1
    request["attrs"].append(["CTRL_ATTR_FAMILY_NAME", name])
    request["header"]["type"] = GENL_ID_CTRL
    request["header"]["flags"] = NLM_F_REQUEST | NLM_F_ACK
    request["header"]["sequence_number"] = sequence
    request.encode()  # type: ignore[no-untyped-call]
    try:
        answers = await connection.ask(bytes(request.data), sequence)
    except Refused as error:
        if error.errno != ENOENT:
            raise
        raise FamilyMissing(f"the kernel has no netlink family {name}", ENOENT) from error
    for raw, message in answers:
        reply = ctrlmsg(raw[message.start : message.end])  # type: ignore[no-untyped-call]
        reply.decode()  # type: ignore[no-untyped-call]
        number = reply.get_attr("CTRL_ATTR_FAMILY_ID")  # type: ignore[no-untyped-call]
        if isinstance(number, int):
            return number
    raise Malformed(f"no number for the netlink family {name}")
