"""What directors say to each other: round trips, pieces, and what is refused."""

from __future__ import annotations

import pytest

from lvsguard.admin import peer_turns
from lvsguard.admin.peer_message import (
    MESSAGE_MAX,
    SERVICES_EACH,
    Beat,
    Digests,
    Hello,
    Key,
    Message,
    MessageError,
    Part,
    Service,
    Services,
    Times,
    account,
    beat,
    clock,
    decode,
    digests,
    encode,
    length,
    services,
    vips,
)
from lvsguard.admin.peer_turns import DIRECTORS_MAX
from lvsguard.core.clock import Clock
from lvsguard.core.config_keys import Keys
from lvsguard.core.ledger import Stamp
from lvsguard.core.peer import Account, ServiceHealth, VipPart
from lvsguard.core.turns import Turns
from tests.support.peer_pair import ACCOUNT, seen

MESSAGES = (
    Hello(1, "director1"),
    Beat(version="0.1.0", config="01", programmed=True, vips=[Part("web", "backup", True)]),
    Beat(
        version="0.1.0",
        config="01",
        programmed=False,
        vips=[Part("web", "fault", False, 100, "eth0 is down")],
        clock=Times(1.5, 1.25, 1.0),
        clocks={"director2": Times(1.5, 1.0)},
        trouble=["IPVS refuses web"],
        probers_lacking=1,
        modules_lacking=["ip_vs_mh"],
        sync_lacking=["backup"],
        table="0123456789abcdef",
        table_lacks="no answer",
    ),
    Services(services=[Service("web", 1, 0, 2, 1, ["rs1"])], anew=True),
    Digests(config="01", keys=[Key(["service", "web", "check"], "0" * 12)], anew=True, last=True),
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
        b'{"type":"Beat","version":"","config":"","programmed":true,"clock":[-1]}',
        b'{"type":"Beat","version":"","config":"","programmed":true,"turn":[-1,0]}',
        b'{"type":"Beat","version":"","config":"","programmed":true,"turns":{"d":[1]}}',
        b'{"type":"Beat","version":"","config":"","programmed":true,"clock":[1e99]}',
        b'{"type":"Digests","config":"","keys":[[[],"0"]]}',
        b'{"type":"Digests","config":"","keys":[[["a"],"01234567890123456"]]}',
        b'{"type":"Beat","version":"' + b"x" * 65 + b'","config":"","programmed":true}',
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode(body)


def test_fields_of_a_later_version_are_passed_over() -> None:
    told = b'{"type":"Beat","version":"9","config":"0","programmed":true,"mood":"good"}'
    assert decode(told) == Beat(version="9", config="0", programmed=True)


def test_turns_come_through_and_a_version_that_takes_none_is_known() -> None:
    turns = Turns("director1")
    turns.begin(9.0)
    turns.hear("director2", Stamp(9001, 3, "director2"))
    told = decode(encode(beat(ACCOUNT, "", turns))[4:])
    assert isinstance(told, Beat)
    assert told.turns is not None
    assert peer_turns.stamp(told.turn, "director1") == turns.own
    assert peer_turns.stamps(told.turns) == turns.known
    older = decode(b'{"type":"Beat","version":"9","config":"0","programmed":true}')
    assert isinstance(older, Beat)
    assert (older.turn, older.turns) == (None, None)


def test_times_are_those_for_who_reads_them_if_there_are_any() -> None:
    given = {"director2": Clock(9.0, 8.0, 7.0)}
    told = decode(encode(beat(ACCOUNT, "", Turns("director1"), Clock(9.0), given))[4:])
    assert isinstance(told, Beat)
    assert clock(told, "director2") == Clock(9.0, 8.0, 7.0)
    assert clock(told, "director3") == clock(told) == Clock(9.0)


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
    names = tuple(f"{n:063}" for n in range(16))
    many = {f"{n:063}": ServiceHealth(2**40, 2**40, 2**40, 2**40, names) for n in range(100)}
    pieces = list(services(many, None))
    assert [p.anew for p in pieces] == [True, *[False] * (len(pieces) - 1)]
    assert sum(len(p.services) for p in pieces) == 100
    assert max(len(encode(p)) for p in pieces) < MESSAGE_MAX
    many = {f"{n:063}": ServiceHealth(2**40, 2**40, 2**40, 2**40) for n in range(1000)}
    pieces = list(services(many, None))
    assert [p.anew for p in pieces] == [True, False, False]
    assert max(len(p.services) for p in pieces) <= SERVICES_EACH
    assert sum(len(p.services) for p in pieces) == 1000
    assert max(len(encode(p)) for p in pieces) < MESSAGE_MAX


def test_a_beat_of_many_groups_fits_whatever_is_wrong_with_them() -> None:
    long = "\0" * 1000  # six octets each in JSON
    groups = tuple(VipPart(f"{n:063}", "backup", True, 254, long) for n in range(1000))
    ill = Account(
        "0.1.0", "0" * 12, False, groups, trouble=(long,) * 9, table_lacks=long,
        modules_lacking=tuple(f"ip_vs_{n}" for n in range(99)),
    )  # fmt: skip
    turns = Turns("director1")
    turns.begin(2**43)
    for number in range(DIRECTORS_MAX):
        turns.hear(f"{number:063}", Stamp(2**53, 2**53, f"{number:063}"))
    told = beat(ill, "0" * 16, turns, Clock(1.8e9, 1.8e9, 1.8e9))
    sent = encode(told)
    assert len(sent) < MESSAGE_MAX
    assert decode(sent[4:]) == told
    assert [one.name for one in vips(told)] == [one.name for one in groups[:200]]
    assert clock(told) == Clock(1.8e9, 1.8e9, 1.8e9)


def test_an_account_comes_through_but_for_what_has_messages_of_its_own() -> None:
    part = VipPart("web", "backup", False, 100, "it stands back")
    told = Account(
        "0.1.0", "01", False, (part,), trouble=("x",), probers_lacking=1,
        modules_lacking=("ip_vs_rr",), sync_lacking=("master",), table="0a", table_lacks="y",
    )  # fmt: skip
    assert account(beat(told, "0", Turns("director1"))) == told


def test_keys_are_told_in_pieces_of_which_the_last_says_so() -> None:
    keys: Keys = {("service", f"{n:063}", "realserver", f"{n:063}"): "0" * 12 for n in range(1000)}
    pieces = list(digests("01", keys))
    assert len(pieces) > 2
    assert [p.anew for p in pieces] == [True, *[False] * (len(pieces) - 1)]
    assert [p.last for p in pieces] == [*[False] * (len(pieces) - 1), True]
    assert {tuple(k.path): k.digest for p in pieces for k in p.keys} == keys
    assert max(len(encode(p)) for p in pieces) < MESSAGE_MAX
    (none,) = digests("01", {})
    assert (none.anew, none.last, none.keys) == (True, True, [])


def test_a_key_that_no_table_of_ours_has_is_not_told() -> None:
    (told,) = digests("01", {("ipvs", "x" * 64): "0", ("",): "0", ("ipvs",): "1"})
    assert told.keys == [Key(["ipvs"], "1")]
