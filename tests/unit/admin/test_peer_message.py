"""What directors say to each other: round trips, pieces, and what is refused."""

from __future__ import annotations

import pytest

from lvsguard.admin.peer_message import (
    MESSAGE_MAX,
    SERVICES_EACH,
    Beat,
    Hello,
    Message,
    MessageError,
    Part,
    Service,
    Services,
    beat,
    decode,
    encode,
    length,
    services,
    vips,
)
from lvsguard.core.peer import Account, ServiceHealth, VipPart
from tests.support.peer_pair import seen

MESSAGES = (
    Hello(1, "director1"),
    Beat(version="0.1.0", config="01", programmed=True, vips=[Part("web", "backup", True)]),
    Services(services=[Service("web", 1, 0, 2, 1)], anew=True),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_comes_through_as_it_was(message: Message) -> None:
    sent = encode(message)
    assert length(sent[:4]) == len(sent) - 4
    assert decode(sent[4:]) == message


def test_the_form_of_the_first_word_never_changes() -> None:
    assert encode(Hello(1, "d1"))[4:] == b'{"type":"Hello","version":1,"director":"d1"}'


@pytest.mark.parametrize(
    "head", [b"\0\0\0\0", b"\xff\xff\xff\xff", (MESSAGE_MAX + 1).to_bytes(4), b"GET "]
)
def test_a_length_out_of_bounds_is_refused(head: bytes) -> None:
    with pytest.raises(MessageError, match="at most 65536"):
        length(head)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"type":"Order","do":"drain"}',
        b'{"type":"Hello","version":1,"director":""}',
        b'{"type":"Hello","version":"1","director":"d"}',
        b'{"type":"Services","services":[["web",-1,0,2,1]]}',
        b'{"type":"Beat","version":"' + b"x" * 65 + b'","config":"","programmed":true}',
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode(body)


def test_fields_of_a_later_version_are_passed_over() -> None:
    told = b'{"type":"Beat","version":"9","config":"0","programmed":true,"mood":"good"}'
    assert decode(told) == Beat(version="9", config="0", programmed=True)


def test_services_are_told_once_and_then_as_they_change() -> None:
    first = list(services(seen(web=2, mail=1), None))
    assert [(p.anew, [s.name for s in p.services]) for p in first] == [(True, ["web", "mail"])]
    assert list(services(seen(web=2, mail=1), seen(web=2, mail=1))) == []
    (change,) = services(seen(web=1, mail=1), seen(web=2, mail=1))
    assert (change.anew, change.services) == (False, [Service("web", 1, 0, 2, 1)])


def test_services_that_are_gone_are_forgotten() -> None:
    (told,) = services(seen(web=2), seen(web=2, mail=1))
    assert (told.anew, [s.name for s in told.services]) == (True, ["web"])
    (none,) = services({}, seen(web=2))
    assert (none.anew, none.services) == (True, [])


def test_many_services_are_told_in_pieces_that_fit() -> None:
    many = {f"{n:063}": ServiceHealth(2**40, 2**40, 2**40, 2**40) for n in range(1000)}
    pieces = list(services(many, None))
    assert [p.anew for p in pieces] == [True, False, False]
    assert max(len(p.services) for p in pieces) == SERVICES_EACH
    assert sum(len(p.services) for p in pieces) == 1000
    assert max(len(encode(p)) for p in pieces) < MESSAGE_MAX


def test_a_beat_of_many_groups_fits() -> None:
    groups = tuple(VipPart(f"{n:063}", "backup", True) for n in range(1000))
    told = beat(Account("0.1.0", "0" * 12, True, groups), "0" * 16)
    assert len(encode(told)) < MESSAGE_MAX
    assert vips(told) == groups[:200]
