"""The message codec: what goes in comes out, and nothing else ever raises but MessageError."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, TcpSpec, TlsSpec
from lvsguard.core.health import FailureClass, Health, Result, Timing, Verdict
from lvsguard.probes import message
from lvsguard.probes.message import (
    Configure,
    MessageError,
    Verdicts,
    decode_to_controller,
    decode_to_prober,
    encode,
    take_frames,
)

text = st.text(max_size=20)
seconds = st.floats(0, 1e9)
addresses = st.ip_addresses()
http = st.builds(
    HttpSpec,
    method=text,
    path=text,
    host=st.none() | text,
    headers=st.lists(st.tuples(text, text), max_size=3).map(tuple),
    body=text,
    expect_status=st.frozensets(st.integers(100, 599), max_size=5),
    expect_body=st.none() | text,
    expect_regex=st.none() | text,
    max_body=st.integers(0, 1 << 20),
)
tls = st.builds(TlsSpec, st.booleans(), st.none() | text, st.none() | text)
tcp = st.builds(TcpSpec, st.binary(max_size=50), st.binary(max_size=50))
timings = st.builds(
    Timing, seconds, seconds, seconds, seconds, st.integers(1, 10), st.integers(1, 10)
)
specs = st.builds(
    CheckSpec,
    st.sampled_from(CheckKind),
    timings,
    st.none() | st.integers(1, 65535),
    st.none() | addresses,
    st.none() | addresses,
    st.none() | http,
    st.none() | tls,
    st.none() | tcp,
)
checks = st.builds(Check, addresses, st.integers(1, 65535), specs)
results = st.builds(
    Result, st.booleans(), text, text, seconds, st.none() | st.sampled_from(FailureClass)
)
healths = st.builds(
    Health,
    st.sampled_from(Verdict),
    seconds,
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    st.none() | results,
    st.none() | results,
)


@given(st.lists(st.tuples(st.integers(0, 1 << 40), checks, st.none() | healths), max_size=5))
def test_checks_come_out_as_they_went_in(sent: list[tuple[int, Check, Health | None]]) -> None:
    received = []
    for part in message.configure(sent, []):
        (frame,) = take_frames(bytearray(encode(part)))
        decoded = decode_to_prober(frame)
        assert isinstance(decoded, Configure)
        received += list(message.checks(decoded))
    assert received == sent


@given(st.lists(st.tuples(st.integers(0, 1 << 40), healths), max_size=5))
def test_healths_come_out_as_they_went_in(sent: list[tuple[int, Health]]) -> None:
    (frame,) = take_frames(bytearray(encode(Verdicts(sent))))
    assert decode_to_controller(frame) == Verdicts(sent)


@given(st.binary(max_size=300))
def test_garbage_is_a_message_error_and_nothing_else(garbage: bytes) -> None:
    for decode in (decode_to_prober, decode_to_controller):
        with suppress(MessageError):
            received = decode(garbage)
            if isinstance(received, Configure):
                list(message.checks(received))
    with suppress(MessageError):
        list(take_frames(bytearray(garbage)))


@given(st.lists(st.tuples(st.integers(0, 9), checks, st.none() | healths), max_size=2), st.data())
def test_a_message_with_a_broken_byte_is_read_or_is_a_message_error(
    sent: list[tuple[int, Check, Health | None]], data: st.DataObject
) -> None:
    for part in message.configure(sent, [1, 2]):
        (frame,) = take_frames(bytearray(encode(part)))
        broken = bytearray(frame)
        broken[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        with suppress(MessageError):
            received = decode_to_prober(bytes(broken))
            if isinstance(received, Configure):
                list(message.checks(received))
