"""The netlink socket on this host's kernel: whatever goes wrong has an end and a reason.

Generic netlink's own family (nlctrl) is on every Linux and needs no capability.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from errno import ENOBUFS, ENOENT, EOPNOTSUPP

import pytest

from lvsguard.kernel.genl import FamilyMissing, GenericNetlink
from lvsguard.kernel.mailbox import Mailbox
from lvsguard.kernel.netlink import (
    GENL_PAYLOAD,
    NLM_F_ACK,
    attribute,
    attributes,
    generic,
    messages,
)
from lvsguard.kernel.netlink import text as text_of
from lvsguard.kernel.netlink_socket import AnswersLost, NetlinkSocket, Refused
from lvsguard.kernel.port import KernelError

GENERIC = 16
NLCTRL = 16
GET_FAMILY = 3
FAMILY_NAME = 2


@pytest.fixture
def connection() -> Iterator[NetlinkSocket]:
    opened = NetlinkSocket(GENERIC)
    yield opened
    opened.close()


def name_is(family: str) -> bytes:
    return attribute(FAMILY_NAME, family.encode() + b"\0")


async def test_a_dump_ends_and_has_no_end_in_it(connection: NetlinkSocket) -> None:
    for sequence in (7, 7, 8):
        request = generic(NLCTRL, 0x300, sequence, GET_FAMILY)
        families = {
            text_of(raw, attributes(raw, message.start + GENL_PAYLOAD, message.end)[FAMILY_NAME])
            for raw in await connection.dump(request, sequence)
            for message in messages(raw)
        }
        assert "nlctrl" in families


async def test_several_datagrams_come_at_once_and_in_order(connection: NetlinkSocket) -> None:
    connection.send(
        b"".join(
            generic(NLCTRL, NLM_F_ACK, sequence, GET_FAMILY, name_is("lvsguard-none"))
            for sequence in range(40)
        )
    )
    mailbox = Mailbox.make()
    if mailbox is None:
        pytest.skip("this C library has no recvmmsg")
    sizes: list[int] = []
    sequences: list[int] = []
    while len(sequences) < 40:
        datagrams = mailbox.receive(connection.fileno())
        sizes.append(len(datagrams))
        sequences += [m.sequence for raw in datagrams for m in messages(raw)]
    assert sequences == list(range(40))
    assert sizes == [16, 16, 8]
    with pytest.raises(BlockingIOError):
        mailbox.receive(connection.fileno())


async def test_a_request_is_answered_before_its_acknowledgement() -> None:
    netlink = await GenericNetlink.open("nlctrl")
    ((raw, start, end),) = await netlink.ask(GET_FAMILY, name_is("nlctrl"))
    assert text_of(raw, attributes(raw, start, end)[FAMILY_NAME]) == "nlctrl"
    netlink.close()


async def test_a_refusal_has_the_kernels_errno() -> None:
    netlink = await GenericNetlink.open("nlctrl")
    with pytest.raises(Refused) as caught:
        await netlink.ask(GET_FAMILY, name_is("lvsguard-none"))
    assert caught.value.errno == ENOENT
    with pytest.raises(Refused) as caught:
        await netlink.ask(200)
    assert caught.value.errno == EOPNOTSUPP
    netlink.close()


async def test_a_family_that_is_missing_is_named() -> None:
    with pytest.raises(FamilyMissing, match="no netlink family lvsguard-none"):
        await GenericNetlink.open("lvsguard-none")


async def test_a_batch_has_a_result_for_each_message_in_order() -> None:
    netlink = await GenericNetlink.open("nlctrl")
    names = ["nlctrl" if n % 3 else "lvsguard-none" for n in range(100)]
    answers = await netlink.batch([(GET_FAMILY, name_is(name)) for name in names])
    assert [answer.errno for answer in answers] == [0 if n % 3 else ENOENT for n in range(100)]
    netlink.close()


async def test_a_batch_of_nothing_asks_nothing() -> None:
    netlink = await GenericNetlink.open("nlctrl")
    assert await netlink.batch([]) == []
    netlink.close()


async def test_an_overflow_is_an_error_with_what_is_known_and_no_hang(
    connection: NetlinkSocket,
) -> None:
    """ENOBUFS: the answers do not fit the receive buffer."""
    small = NetlinkSocket(GENERIC, receive_buffer=1)
    sequences = [small.next_sequence() for _ in range(200)]
    requests = b"".join(
        generic(NLCTRL, NLM_F_ACK, sequence, GET_FAMILY, name_is("lvsguard-none"))
        for sequence in sequences
    )
    async with asyncio.timeout(2):
        with pytest.raises(AnswersLost) as caught:
            await small.batch(requests, sequences)
    small.close()
    assert caught.value.errno == ENOBUFS
    assert "net.core.rmem_max" in str(caught.value)
    assert 0 < len(caught.value.answers) < 200
    assert {answer.errno for answer in caught.value.answers.values()} == {ENOENT}
    assert sorted(caught.value.answers) == list(range(len(caught.value.answers)))


async def test_a_closed_socket_is_an_error(connection: NetlinkSocket) -> None:
    connection.close()
    with pytest.raises(KernelError, match="the netlink socket failed"):
        await connection.dump(generic(NLCTRL, 0x300, 1, GET_FAMILY), 1)
    with pytest.raises(KernelError, match="the netlink socket failed"):
        connection.receive_now()


async def test_a_protocol_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KernelError, match="AF_NETLINK"):
        NetlinkSocket(99)


async def test_sequence_numbers_stay_above_the_callers_own(connection: NetlinkSocket) -> None:
    assert all(connection.next_sequence() >= 0x8000_0000 for _ in range(3))
