"""The authentication trailer: what is believed in which mode, and what a replay is."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lvsguard.core.dropped import Reason
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, HmacAuth, HmacMode, Version, Wire
from lvsguard.vrrp.auth import (
    SENDERS_MAX,
    ReplayWindow,
    default_window,
    next_sequence,
    problem,
)
from lvsguard.vrrp.packet import decode, encode
from lvsguard.vrrp.reception import Datagram, Note, Received, Rejected
from tests.support.vrrp_messages import ADVERT, ADVERT2, ADVERT6, KEY, PEER, SOURCE, SOURCE6, heard

NOW = 1_790_000_000.25
KEYS = HmacAuth({1: KEY, 2: KEY[::-1]}, 1)
WIRE = Wire(auth=KEYS)
TIMED = Wire(auth=replace(KEYS, window=5))


def signed(wire: Wire = WIRE, clock: float = NOW) -> bytes:
    return encode(ADVERT, wire, SOURCE, GROUP_V4, next_sequence(None, clock, None))


def answer(
    payload: bytes,
    wire: Wire = WIRE,
    replay: ReplayWindow | None = None,
    clock: float = NOW,
) -> Reason | frozenset[Note]:
    seen = decode(heard(payload), wire, ADVERT, replay, clock)
    return seen.reason if isinstance(seen, Rejected) else seen.notes


def mode(wanted: HmacMode) -> Wire:
    return Wire(auth=replace(KEYS, mode=wanted))


# The three modes.


@pytest.mark.parametrize("wanted", HmacMode)
def test_only_receive_only_does_not_sign(wanted: HmacMode) -> None:
    plain = encode(ADVERT, Wire(), SOURCE, GROUP_V4)
    receive_only = wanted is HmacMode.RECEIVE_ONLY
    assert len(signed(mode(wanted))) == len(plain) + (0 if receive_only else 28)


@pytest.mark.parametrize("wanted", HmacMode)
def test_an_unsigned_advert_is_dropped_by_enforce_alone(wanted: HmacMode) -> None:
    plain = encode(ADVERT, Wire(), SOURCE, GROUP_V4)
    enforced = wanted is HmacMode.ENFORCE
    expected = Reason.HMAC_MISSING if enforced else frozenset({Note.UNSIGNED})
    assert answer(plain, mode(wanted)) == expected


@pytest.mark.parametrize("wanted", HmacMode)
def test_a_wrong_signature_is_dropped_in_every_mode(wanted: HmacMode) -> None:
    broken = signed()[:-1] + b"\0"
    assert answer(broken, mode(wanted)) is Reason.HMAC_WRONG
    assert answer(signed(), mode(wanted)) == frozenset()


@pytest.mark.parametrize(
    ("sender", "receiver"),
    [
        (HmacMode.RECEIVE_ONLY, HmacMode.PERMISSIVE),
        (HmacMode.PERMISSIVE, HmacMode.RECEIVE_ONLY),
        (HmacMode.PERMISSIVE, HmacMode.ENFORCE),
        (HmacMode.ENFORCE, HmacMode.PERMISSIVE),
    ],
)
def test_each_step_of_bringing_it_in_is_heard_by_the_neighbours(
    sender: HmacMode, receiver: HmacMode
) -> None:
    assert isinstance(answer(signed(mode(sender)), mode(receiver)), frozenset)


# What is signed.


@pytest.mark.parametrize("at", [2, 5, 11])
def test_priority_interval_and_addresses_are_covered(at: int) -> None:
    payload = bytearray(signed())
    payload[at] ^= 1
    assert answer(bytes(payload)) is Reason.HMAC_WRONG


def test_the_checksum_is_not_covered_and_is_looked_at_for_itself() -> None:
    payload = bytearray(signed())
    payload[7] ^= 1
    assert answer(bytes(payload)) is Reason.CHECKSUM


def test_the_sender_is_covered() -> None:
    stolen = Datagram(signed(), PEER, GROUP_V4, 255)
    rejected = decode(stolen, WIRE, ADVERT, clock=NOW)
    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.HMAC_WRONG


def test_the_destination_is_not_covered_so_one_signature_serves_all_peers() -> None:
    wire = replace(WIRE, peers=frozenset({SOURCE}))
    others = [encode(ADVERT, wire, SOURCE, PEER + n, 7)[12:] for n in range(3)]
    assert len(set(others)) == 1


def test_a_trailer_of_another_kind_is_dropped() -> None:
    payload = signed()
    assert answer(payload[:12] + b"\x02" + payload[13:]) is Reason.HMAC_MALFORMED
    assert answer(payload[:15] + b"\x01" + payload[16:]) is Reason.HMAC_MALFORMED


def test_any_of_our_keys_is_believed_and_no_other() -> None:
    rotated = Wire(auth=replace(KEYS, send_key=2))
    assert answer(signed(rotated)) == frozenset()
    assert answer(signed(rotated), Wire(auth=HmacAuth({1: KEY}, 1))) is Reason.HMAC_KEY


def test_a_stranger_is_dropped_before_his_signature_is_looked_at() -> None:
    wire = replace(WIRE, peers=frozenset({PEER}))
    payload = encode(ADVERT, wire, SOURCE, PEER, 1)
    rejected = decode(Datagram(payload, SOURCE, PEER, 255), wire, ADVERT)
    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.PEER


def test_version_2_and_ipv6_are_signed_as_well() -> None:
    two = Wire(Version.V2, auth=KEYS)
    payload = encode(ADVERT2, two, SOURCE, GROUP_V4, 7)
    assert isinstance(decode(heard(payload), two, ADVERT2), Received)
    payload = encode(ADVERT6, WIRE, SOURCE6, GROUP_V6, 7)
    assert isinstance(decode(heard(payload, SOURCE6), WIRE, ADVERT6), Received)


# Time and order.


@pytest.mark.parametrize("off", [-6, 6, 3600, -3600])
def test_a_clock_outside_the_window_is_dropped_if_there_is_one(off: int) -> None:
    assert answer(signed(TIMED, NOW + off), TIMED) is Reason.HMAC_STALE
    assert answer(signed(WIRE, NOW + off), WIRE) == frozenset()


@pytest.mark.parametrize(("off", "noted"), [(2, False), (-2, False), (3, True), (-3, True)])
def test_a_clock_beyond_half_of_the_window_is_noted(off: int, noted: bool) -> None:
    expected = frozenset({Note.CLOCK}) if noted else frozenset()
    assert answer(signed(TIMED, NOW + off), TIMED) == expected


def test_an_advert_is_believed_once() -> None:
    first = decode(heard(signed()), WIRE, ADVERT, ReplayWindow(), NOW)
    assert isinstance(first, Received)
    assert first.sequence is not None
    replay = ReplayWindow().after(SOURCE, first.sequence)
    assert answer(signed(), WIRE, replay) is Reason.HMAC_REPLAY
    assert answer(signed(clock=NOW - 1), WIRE, replay) is Reason.HMAC_REPLAY
    assert answer(signed(clock=NOW + 1), WIRE, replay) == frozenset()


def test_each_sender_has_a_mark_of_its_own() -> None:
    replay = ReplayWindow().after(PEER, next_sequence(None, NOW + 60, None))
    assert answer(signed(), WIRE, replay) == frozenset()


def test_order_survives_the_wrap_of_the_sequence() -> None:
    replay = ReplayWindow().after(SOURCE, (1 << 64) - 1)
    assert replay.admits(SOURCE, 0, 0.0, None)
    assert not replay.admits(SOURCE, (1 << 64) - 2, 0.0, None)


def test_a_sender_whose_clock_was_set_back_is_heard_again() -> None:
    """Its mark lies in a time that the window itself stops."""
    replay = ReplayWindow().after(SOURCE, next_sequence(None, NOW + 3600, None))
    assert answer(signed(TIMED), TIMED, replay) == frozenset()
    assert answer(signed(WIRE), WIRE, replay) is Reason.HMAC_REPLAY


def test_marks_are_bounded_and_the_longest_silent_sender_is_forgotten() -> None:
    replay = ReplayWindow()
    for number in range(SENDERS_MAX + 3):
        replay = replay.after(IPv4Address(number), number)
        replay = replay.after(IPv4Address(0), number)
    assert len(replay.marks) == SENDERS_MAX
    assert IPv4Address(0) in replay.marks
    assert IPv4Address(1) not in replay.marks


# The own sequence.


def test_a_sequence_is_seconds_fraction_and_counter() -> None:
    assert next_sequence(None, 0x68000000 + 0.5, None) == 0x68000000_8000_0000


def test_a_sequence_grows_even_if_the_clock_does_not() -> None:
    first = next_sequence(None, NOW, None)
    assert next_sequence(first, NOW, None) == first + 1
    assert next_sequence(first, NOW - 3600, None) == first + 1
    assert next_sequence(first + 0xFFFF, NOW, None) == first + 0x10000


def test_a_clock_set_back_beyond_the_window_starts_anew() -> None:
    first = next_sequence(None, NOW, 5)
    assert next_sequence(first, NOW - 5, 5) == first + 1
    assert next_sequence(first, NOW - 6, 5) == next_sequence(None, NOW - 6, 5)


# Settings.


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        (HmacAuth({}, 1), "no key 1"),
        (HmacAuth({0: KEY}, 0), "key id 0"),
        (HmacAuth({256: KEY}, 256), "key id 256"),
        (HmacAuth({1: KEY[:31]}, 1), "31 octets"),
        (HmacAuth({1: KEY * 3}, 1), "96 octets"),
        (HmacAuth({1: KEY}, 1, window=0), "0 s is not 1 to 300"),
        (HmacAuth({1: KEY}, 1, window=301), "301 s is not 1 to 300"),
    ],
)
def test_settings_that_keepalived_would_refuse_are_told(auth: HmacAuth, says: str) -> None:
    told = problem(auth)
    assert told is not None
    assert says in told


def test_keys_are_never_printed() -> None:
    assert "\\x" not in repr(Wire(Version.V2, password=b"\x01secret", auth=KEYS))
    assert "secret" not in repr(Wire(Version.V2, password=b"\x01secret", auth=KEYS))


@pytest.mark.parametrize(("interval", "window"), [(0.1, 5), (1.0, 5), (2.0, 6), (255.0, 300)])
def test_the_default_window_is_three_adverts_and_at_least_5_s(interval: float, window: int) -> None:
    assert default_window(interval) == window
