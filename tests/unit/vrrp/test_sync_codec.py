"""The sync protocol: what a real kernel sent, what is refused, and how messages fill up."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.vrrp.sync_codec import ENTRIES_MAX, Message, Packer, Reason, Rejected, decode, encode
from lvsguard.vrrp.sync_entry import IPPROTO_TCP, IPPROTO_UDP, Delta, Engine, Entry, Flags
from tests.support.golden import GOLDEN, Golden

SYNCID = 51
CAPTURED = [
    bytes.fromhex(line) for line in (GOLDEN / "sync/linux-6.1.hex").read_text().splitlines()
]
WEB = Entry(
    *(IPPROTO_TCP, b"\x0a\0\0\x64", 40000, b"\x0a\0\0\x08", 80, b"\x0a\0\0\x2a", 80),
    *(1, int(Flags.DROUTE | Flags.NOOUTPUT), 0, 900),
)
WEB6 = WEB._replace(client=bytes(15) + b"d", virtual=bytes(15) + b"\x08", realserver=bytes(16))
SIP = WEB._replace(
    protocol=IPPROTO_UDP,
    client_port=0,
    state=0,
    flags=int(Flags.TEMPLATE),
    engine=Engine(b"sip", b"call-1@example.org"),
)
NAT = WEB._replace(
    flags=int(Flags.IN_SEQ | Flags.OUT_SEQ), deltas=(Delta(1, 2, 3), Delta(2**32 - 1, 5, 6))
)


def one(entry: Entry, size_max: int = 1472) -> bytes:
    (data,) = encode([entry], SYNCID, size_max)
    return data


def described(entry: Entry) -> str:
    ends = [
        f"{ip_address(address)} {port}"
        for address, port in (
            (entry.client, entry.client_port),
            (entry.virtual, entry.virtual_port),
            (entry.realserver, entry.realserver_port),
        )
    ]
    rest = f"state={entry.state} flags={entry.flags:#x} mark={entry.fwmark} for={entry.timeout}"
    return f"{entry.protocol} {' > '.join(ends)} {rest} {entry.deltas} {entry.engine}"


def test_a_real_kernels_messages_mean_what_was_open(golden: Golden) -> None:
    lines = []
    for data in CAPTURED:
        message = decode(data, SYNCID)
        assert isinstance(message, Message)
        lines += [described(entry) for entry in message.entries]
    golden.check("sync/linux-6.1.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("data", CAPTURED, ids=range(len(CAPTURED)))
def test_a_real_kernels_message_is_written_alike(data: bytes) -> None:
    message = decode(data)
    assert isinstance(message, Message)
    assert list(encode(message.entries, message.syncid, 1472)) == [data]


@pytest.mark.parametrize("entry", [WEB, WEB6, SIP, NAT], ids=["web", "web6", "sip", "nat"])
def test_an_entry_comes_back_as_it_went(entry: Entry) -> None:
    assert decode(one(entry), SYNCID) == Message(SYNCID, (entry,))


def test_entries_are_padded_to_four_bytes_and_the_last_is_not() -> None:
    (data,) = encode([SIP, WEB], SYNCID, 1472)
    sip = 36 + 2 + 18 + 2 + 3
    assert len(data) == 8 + (sip + 3) // 4 * 4 + 36
    assert len(one(SIP)) == 8 + sip
    assert decode(data) == Message(SYNCID, (SIP, WEB))


def test_a_message_is_never_longer_than_it_may_be_and_as_long_as_it_can_be() -> None:
    sizes = [len(data) for data in encode([WEB] * 100, SYNCID, 1472)]
    assert sizes == [8 + 40 * 36, 8 + 40 * 36, 8 + 20 * 36]


def test_a_message_has_as_many_entries_as_its_count_can_say() -> None:
    first, second = encode([WEB] * (ENTRIES_MAX + 1), SYNCID, 60000)
    assert (first[4], second[4]) == (ENTRIES_MAX, 1)


def test_nothing_to_send_is_no_message() -> None:
    assert list(encode([], SYNCID, 1472)) == []


@pytest.mark.parametrize(("syncid", "size"), [(256, 1472), (-1, 1472), (1, 79), (1, 65536)])
def test_a_sync_id_or_size_that_cannot_be_is_refused(syncid: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"a sync id|a message"):
        Packer(syncid, size)


@pytest.mark.parametrize(
    "entry",
    [
        WEB._replace(client=bytes(16)),
        WEB._replace(client=b"", virtual=b"", realserver=b""),
        SIP._replace(engine=Engine(b"", b"x")),
        SIP._replace(engine=Engine(b"sip", bytes(256))),
    ],
)
def test_an_entry_that_cannot_be_is_refused(entry: Entry) -> None:
    with pytest.raises(ValueError, match=r"of one family|persistence engine"):
        one(entry)


def changed(data: bytes, at: int, to: int, *more: int) -> bytes:
    replaced = bytes((to, *more))
    return data[:at] + replaced + data[at + len(replaced) :]


def resized(data: bytes) -> bytes:
    """Make the size field right again."""
    return changed(data, 2, *len(data).to_bytes(2, "big"))


def optioned(*options: int) -> bytes:
    """A message with one entry that has these options."""
    data = one(WEB) + bytes(options)
    return changed(resized(data), 10, 0, 36 + len(options))


SEQUENCES = (1, 24, *range(24))
REFUSED = {
    "empty": (b"", Reason.LENGTH),
    "header cut": (one(WEB)[:7], Reason.LENGTH),
    "cut": (one(WEB)[:-1], Reason.LENGTH),
    "more than it says": (one(WEB) + b"\0", Reason.LENGTH),
    "bytes behind the last entry": (resized(one(WEB) + bytes(4)), Reason.LENGTH),
    "version 0": (changed(one(WEB), 0, 1), Reason.VERSION),
    "version 2": (changed(one(WEB), 5, 2), Reason.VERSION),
    "spare bytes in use": (changed(one(WEB), 7, 1), Reason.VERSION),
    "another sync id": (changed(one(WEB), 1, SYNCID + 1), Reason.SYNCID),
    "an entry of another type": (changed(one(WEB), 8, 2), Reason.TYPE),
    "an entry of another version": (changed(one(WEB), 10, 0x10), Reason.VERSION),
    "one entry more than there is": (changed(one(WEB), 4, 2), Reason.ENTRY),
    "an entry beyond the end": (changed(one(WEB), 11, 40), Reason.ENTRY),
    "an entry of no size": (changed(one(WEB), 11, 0), Reason.ENTRY),
    "IPv4 said to be IPv6": (changed(one(WEB), 8, 1), Reason.ENTRY),
    "a state that TCP lacks": (changed(one(WEB), 17, 11), Reason.STATE),
    "a state that UDP lacks": (changed(one(WEB), 9, IPPROTO_UDP), Reason.STATE),
    "a protocol that IPVS lacks": (changed(one(WEB), 9, 1), Reason.PROTOCOL),
    "half an option": (optioned(1), Reason.OPTION),
    "an empty option": (optioned(2, 0), Reason.OPTION),
    "an option beyond the end": (optioned(2, 3, 1, 1), Reason.OPTION),
    "an option that must be known": (optioned(9, 1, 0), Reason.OPTION),
    "sequence numbers cut": (optioned(1, 23, *range(23)), Reason.OPTION),
    "sequence numbers twice": (optioned(*SEQUENCES, *SEQUENCES), Reason.OPTION),
    "an engine's name that is too long": (optioned(2, 1, 0, 3, 17, *range(17)), Reason.OPTION),
    "an engine's data without its name": (optioned(2, 1, 0), Reason.OPTION),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_message_is_refused_with_the_reason(data: bytes, reason: Reason) -> None:
    assert decode(data, SYNCID) == Rejected(reason)


def test_an_option_that_need_not_be_known_is_passed_over() -> None:
    message = decode(optioned(0x40 | 9, 2, 7, 7, *SEQUENCES))
    assert isinstance(message, Message)
    assert message.entries[0].deltas is not None


def test_any_sync_id_is_taken_where_none_is_asked_for() -> None:
    assert isinstance(decode(changed(one(WEB), 1, 7)), Message)


def test_a_template_may_have_any_state_and_protocol() -> None:
    template = WEB._replace(protocol=0, state=7, flags=int(Flags.TEMPLATE))
    assert decode(one(template)) == Message(SYNCID, (template,))
