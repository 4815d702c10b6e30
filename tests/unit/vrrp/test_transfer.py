"""The transfer process and what it is told; transfers themselves are played in the lab."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from lvsguard.vrrp.transfer import Closed, Control, Stopped
from lvsguard.vrrp.transfer_message import (
    Again,
    Begin,
    Failed,
    Hello,
    MessageError,
    Prepare,
    Sent,
    Stop,
    Target,
    ToTransfer,
    decode_from_transfer,
    decode_to_transfer,
    encode,
)
from tests.support.transfer_child import transfer_child

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = Target(interface="nosuch0", syncid=51)
LONG_S = 30.0


@contextlib.contextmanager
def control() -> Iterator[tuple[socket.socket, Control]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, Control(theirs)


@pytest.mark.parametrize(
    "message",
    [
        Prepare(),
        Begin(target=TARGET),
        Begin(target=TARGET, addresses=("10.0.0.8", "fd00::8"), marks=(7,)),
        Again(),
        Stop(),
    ],
)
def test_what_is_told_comes_as_it_went(message: ToTransfer) -> None:
    assert decode_to_transfer(encode(message)) == message


@pytest.mark.parametrize("packet", [b"", b"{}", b'{"type":"Dance"}', b"\xff", b"[" * 70000])
def test_what_is_no_message_is_an_error_and_nothing_worse(packet: bytes) -> None:
    for decode in (decode_to_transfer, decode_from_transfer):
        with pytest.raises(MessageError, match="no message of version"):
            decode(packet)


def test_stop_ends_a_pause_and_drops_what_waits() -> None:
    with control() as (ours, theirs):
        for message in (Again(), Stop(), Prepare()):
            ours.send(encode(message))
        with pytest.raises(Stopped):
            theirs.pause(LONG_S)
        assert theirs.next() == Prepare()


def test_what_is_told_in_a_pause_is_done_after_it() -> None:
    with control() as (ours, theirs):
        ours.send(encode(Again()))
        ours.send(encode(Prepare()))
        theirs.pause(0.01)
        assert [theirs.next(), theirs.next()] == [Again(), Prepare()]


def test_a_pause_ends_when_the_other_side_is_gone() -> None:
    with control() as (ours, theirs):
        closing = threading.Timer(0.01, ours.shutdown, (socket.SHUT_RDWR,))
        closing.start()
        with pytest.raises(Closed):
            theirs.pause(LONG_S)
        closing.join()


@pytest.mark.slow
def test_the_process_tells_what_it_cannot_do_and_ends_with_its_socket() -> None:
    with transfer_child() as child:
        assert child.ask(Again()) == Failed(
            "nothing was sent that could be sent again: begin first"
        )
        failed = child.ask(Begin(target=TARGET))
        assert isinstance(failed, Failed)
        assert ": " in failed.reason
        child.send(Stop())
        child.sock.shutdown(socket.SHUT_RDWR)
        assert child.process.wait(10) == 0


@pytest.mark.slow
def test_a_message_of_another_version_ends_the_process_with_the_reason() -> None:
    with transfer_child() as child:
        child.sock.send(b'{"type":"Dance"}')
        failed = child.receive()
        assert isinstance(failed, Failed)
        assert "no message of version 1" in failed.reason
        assert child.process.wait(10) == 2


def test_answers_come_as_they_went() -> None:
    for message in (Hello(1), Sent(entries=1, messages=2, seconds=0.5, whole=True), Failed("no")):
        assert decode_from_transfer(encode(message)) == message
