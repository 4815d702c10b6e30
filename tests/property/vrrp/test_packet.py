"""The VRRP codec: what is said is heard the same, and no octets break the reader."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lvsguard.core.checksum import internet_checksum
from lvsguard.core.dropped import Reason
from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import (
    GROUP_V4,
    GROUP_V6,
    Advert,
    Checksum,
    HmacAuth,
    HmacMode,
    Version,
    Wire,
)
from lvsguard.vrrp.auth import ReplayWindow, next_sequence
from lvsguard.vrrp.packet import decode, encode, open_ipv4, problem
from lvsguard.vrrp.reception import Datagram, Note, Received, Rejected
from lvsguard.vrrp.speaker import introduce
from tests.support.vrrp_messages import ADVERT, ADVERT2, ADVERT6, KEY, kept

V4: SearchStrategy[IPAddress] = st.integers(0, 2**32 - 1).map(IPv4Address)
V6: SearchStrategy[IPAddress] = st.integers(0, 2**128 - 1).map(IPv6Address)
KEYS = st.dictionaries(st.integers(1, 255), st.binary(min_size=32, max_size=64), min_size=1)


@st.composite
def hmacs(draw: DrawFn) -> HmacAuth:
    keys = draw(KEYS)
    chosen = draw(st.sampled_from(sorted(keys)))
    return HmacAuth(keys, chosen, draw(st.sampled_from(HmacMode)), draw(st.none() | st.just(5)))


@st.composite
def adverts(draw: DrawFn) -> Advert:
    version = draw(st.sampled_from(Version))
    family = V4 if version is Version.V2 else draw(st.sampled_from((V4, V6)))
    two = version is Version.V2
    interval = draw(st.integers(1, 255 if two else 4095)) / (1 if two else 100)
    addresses = tuple(draw(st.lists(family, min_size=1, max_size=20)))
    return Advert(
        draw(st.integers(1, 255)), draw(st.integers(0, 255)), interval, addresses, version
    )


@st.composite
def said(draw: DrawFn) -> tuple[Advert, Wire, Datagram, int]:
    """An advert, the wire it went over, how it came in, and its sequence."""
    advert = draw(adverts())
    six = advert.addresses[0].version == 6
    family = V6 if six else V4
    source = draw(family)
    destination = draw(family) if draw(st.booleans()) else GROUP_V6 if six else GROUP_V4
    password = auth = None
    if advert.version is Version.V2 and draw(st.booleans()):
        password = draw(st.binary(min_size=1, max_size=12))
    elif draw(st.booleans()):
        auth = draw(hmacs())
    wire = Wire(
        advert.version,
        draw(st.sampled_from(Checksum)),
        password,
        auth,
        frozenset() if destination.is_multicast else frozenset({source}),
    )
    sequence = draw(st.integers(0, 2**64 - 1))
    payload = encode(advert, wire, source, destination, sequence)
    return advert, wire, Datagram(payload, source, destination, 255), sequence


@given(said(), st.data())
def test_who_is_introduced_on_a_second_path_is_heard_to_speak(
    case: tuple[Advert, Wire, Datagram, int], data: st.DataObject
) -> None:
    advert, wire, datagram, sequence = case
    source, destination = datagram.source, datagram.destination
    own = (V4 if source.version == 4 else V6).filter(
        lambda one: not (one.is_unspecified or one.is_multicast)
    )
    speaker = data.draw(own)
    payload = encode(introduce(advert, speaker), wire, source, destination, sequence)
    heard = decode(replace(datagram, payload=payload), wire, advert, clock=float(sequence >> 32))
    assert isinstance(heard, Received)
    assert (heard.advert, heard.speaker) == (advert, speaker)


@given(said())
def test_what_is_said_is_heard_the_same(
    case: tuple[Advert, Wire, Datagram, int],
) -> None:
    advert, wire, datagram, sequence = case
    answer = decode(datagram, wire, advert, clock=float(sequence >> 32))
    assert isinstance(answer, Received), answer
    assert answer.advert == advert
    assert answer.notes <= {Note.UNSIGNED, Note.LINK_LOCAL}
    choice = advert.version is Version.V3 and datagram.source.version == 4
    assert answer.checksum == (wire.checksum if choice else None)
    signs = wire.auth is not None and wire.auth.mode is not HmacMode.RECEIVE_ONLY
    assert answer.sequence == (sequence if signs else None)


@given(said(), st.data())
def test_one_wrong_octet_is_never_taken_for_another_advert(
    case: tuple[Advert, Wire, Datagram, int], data: st.DataObject
) -> None:
    """A checksum sees each change of one octet, reserved bits too. The price of believing two
    forms: a change by just the sum of the pseudo-header looks like the other form, and is noted."""
    advert, wire, datagram, sequence = case
    payload = bytearray(datagram.payload)
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    answer = decode(
        replace(datagram, payload=bytes(payload)), wire, advert, clock=float(sequence >> 32)
    )
    if isinstance(answer, Received):
        assert answer.notes & {Note.CHECKSUM_FORM, Note.CHECKSUM_OLD_UNICAST}, (at, answer)
        assert answer.sequence is None or answer.advert == advert


WIRES = st.sampled_from(
    (
        (Wire(), ADVERT),
        (Wire(), ADVERT6),
        (Wire(strict=True), ADVERT6),
        (Wire(Version.V2), ADVERT2),
        (Wire(Version.V2, password=b"1111"), ADVERT2),
        (Wire(auth=HmacAuth({1: KEY}, 1, window=5)), ADVERT),
        (Wire(auth=HmacAuth({1: KEY}, 1, HmacMode.PERMISSIVE)), ADVERT6),
        (Wire(peers=frozenset({IPv4Address("192.0.2.1")}), unicast_ttl=64), ADVERT),
    )
)
PAYLOADS = st.one_of(
    st.binary(max_size=64),
    st.binary(max_size=5000),
    # Near misses go deeper: right starts with any rest, and kept messages with anything after.
    st.builds(bytes.__add__, st.sampled_from((b"\x31\x33", b"\x21\x33")), st.binary(max_size=60)),
    st.builds(bytes.__add__, st.sampled_from([m.octets for m in kept()]), st.binary(max_size=32)),
)


@given(
    PAYLOADS,
    WIRES,
    st.booleans(),
    st.sampled_from((0, 64, 255)),
    st.booleans(),
    st.booleans(),
)
@example(b"", (Wire(), ADVERT), False, 255, True, False)
@example(b"\x31\x33" + bytes(6), (Wire(), ADVERT6), True, 255, True, True)
def test_no_octets_break_the_reader(
    payload: bytes, at: tuple[Wire, Advert], six: bool, ttl: int, group: bool, sum_up: bool
) -> None:
    source: IPAddress = IPv6Address("fe80::1") if six else IPv4Address("192.0.2.1")
    alone: IPAddress = IPv6Address("fe80::2") if six else IPv4Address("192.0.2.2")
    destination = (GROUP_V6 if six else GROUP_V4) if group else alone
    if sum_up and len(payload) >= 8:
        bare = payload[:6] + bytes(2) + payload[8:]
        payload = bare[:6] + internet_checksum(bare).to_bytes(2, "big") + bare[8:]
    wire, expected = at
    answer = decode(Datagram(payload, source, destination, ttl), wire, expected)
    if isinstance(answer, Rejected):
        assert answer.reason in Reason
        assert len(str(answer)) < 400
    else:
        # What is believed could have been said.
        assert problem(answer.advert, Wire(answer.advert.version)) is None


@given(st.binary(max_size=80))
@example(bytes.fromhex("4f00003c"))
def test_no_octets_break_the_ip_header_reader(raw: bytes) -> None:
    answer = open_ipv4(raw)
    if isinstance(answer, Datagram):
        assert len(answer.payload) <= len(raw) - 20
    else:
        assert answer.reason is Reason.LENGTH


def test_the_longest_payload_takes_bounded_time() -> None:
    """65,515 octets, the most that IPv4 carries: dropped by its length alone."""
    worst = Datagram(
        b"\x31\x33" + b"\xff" * 65_513, IPv4Address("192.0.2.1"), IPv4Address("224.0.0.18"), 255
    )
    begun = time.perf_counter()
    for _ in range(100):
        assert isinstance(decode(worst, Wire(), ADVERT), Rejected)
    assert time.perf_counter() - begun < 1


@given(st.integers(0, 2**32), st.lists(st.floats(0, 2**31 - 2), min_size=2, max_size=20))
def test_a_sender_without_window_is_always_believed_in_order(
    start: int, clocks: list[float]
) -> None:
    """Whatever its clock does within half of the sequence's range; each sequence once."""
    source, replay, last = IPv4Address("192.0.2.1"), ReplayWindow(), None
    for clock in (start + passed for passed in clocks):
        last = next_sequence(last, clock, None)
        assert replay.admits(source, last, clock, None)
        replay = replay.after(source, last)
        assert not replay.admits(source, last, clock, None)


@given(st.lists(st.integers(-400, 400), min_size=1, max_size=20), st.integers(1, 300))
def test_a_sender_whose_clock_jumps_is_believed_if_its_clock_is_right(
    jumps: list[int], window: int
) -> None:
    """Time mode: whatever the sender's clock did before, once it is right it is heard."""
    source, replay, last, now = IPv4Address("192.0.2.1"), ReplayWindow(), None, 1_790_000_000.0
    for jump in jumps:
        now += 1
        last = next_sequence(last, now + jump, window)
        seconds = last >> 32
        if abs(now - seconds) <= window and replay.admits(source, last, now, window):
            replay = replay.after(source, last)
    now += window + 1
    sequence = next_sequence(last, now, window)
    assert abs(int(now) - (sequence >> 32)) <= window
    assert replay.admits(source, sequence, now, window)
