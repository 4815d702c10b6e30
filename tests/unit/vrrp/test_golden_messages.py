"""Messages of others: ours are the same octet by octet, and theirs are believed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.vrrp.advert import Checksum, Version
from lvsguard.vrrp.packet import decode, encode, open_ipv4
from lvsguard.vrrp.reception import Datagram, Note, Received
from tests.support.vrrp_messages import Kept, kept

MESSAGES = [pytest.param(message, id=message.name) for message in kept()]
CAPTURED = bytes.fromhex(
    "45c0002000010000ff701899c0000201e0000012"  # IPv4 header of keepalived 2.2.7
    "3135fe0100326b9ec0000267"
)


@pytest.mark.parametrize("message", MESSAGES)
def test_what_we_send_is_the_same(message: Kept) -> None:
    sent = encode(
        message.advert, message.wire, message.source, message.destination, message.sequence
    )
    assert sent.hex() == message.octets.hex()


@pytest.mark.parametrize("message", MESSAGES)
def test_what_they_send_is_believed_without_a_note(message: Kept) -> None:
    choice = message.advert.version is Version.V3 and message.source.version == 4
    form = message.wire.checksum if choice else None
    answer = decode(message.datagram, message.wire, message.advert, clock=0x68000000)
    assert answer == Received(message.advert, form, frozenset(), message.sequence)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_other_form_of_checksum_is_believed_and_noted(message: Kept) -> None:
    other = next(form for form in Checksum if form is not message.wire.checksum)
    wire = replace(message.wire, checksum=other)
    answer = decode(message.datagram, wire, message.advert, clock=0x68000000)
    assert isinstance(answer, Received)
    if answer.checksum is None:
        assert not answer.notes
    else:
        assert answer.checksum is message.wire.checksum
        assert answer.notes == {Note.CHECKSUM_FORM}


def test_the_ip_header_of_keepalived_is_taken_off_and_padding_with_it() -> None:
    for raw in (CAPTURED, CAPTURED + bytes(14)):
        opened = open_ipv4(raw)
        assert isinstance(opened, Datagram)
        assert opened.payload == CAPTURED[20:]
        assert (str(opened.source), str(opened.destination), opened.ttl) == (
            "192.0.2.1",
            "224.0.0.18",
            255,
        )
