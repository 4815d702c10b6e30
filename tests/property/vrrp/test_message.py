"""Messages between controller and VRRP process come back as they went, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.vrrp import Announcing, Checksum, HmacAuth, HmacMode, Version
from lvsguard.vrrp import message
from lvsguard.vrrp.message import (
    Address,
    Counts,
    Failed,
    Failover,
    Gone,
    Hello,
    Hold,
    Leave,
    Mended,
    MessageError,
    Only,
    Put,
    Resume,
    Standing,
    State,
)

NAMES = st.text(min_size=1, max_size=20)
SECONDS = st.floats(0, 1e6)
OCTETS = st.integers(1, 255)
ADDRESSES = st.builds(Address, st.ip_addresses().map(str), st.integers(0, 32), NAMES)
AUTHS = st.builds(
    HmacAuth,
    st.dictionaries(OCTETS, st.binary(min_size=32, max_size=64), min_size=1, max_size=3),
    OCTETS,
    st.sampled_from(HmacMode),
    st.none() | st.integers(1, 300),
)
PUTS = st.builds(
    Put,
    name=NAMES,
    addresses=st.lists(ADDRESSES, min_size=1, max_size=5).map(tuple),
    vrid=OCTETS,
    priority=OCTETS,
    interval=st.floats(0.01, 255),
    version=st.sampled_from(Version),
    checksum=st.sampled_from(Checksum),
    password=st.none() | st.binary(max_size=8),
    auth=st.none() | AUTHS,
    peers=st.lists(st.ip_addresses().map(str), max_size=3).map(tuple),
    source=st.none() | st.ip_addresses(v=4).map(str),
    source6=st.none() | st.ip_addresses(v=6).map(str),
    unicast_ttl=st.none() | st.integers(0, 255),
    strict=st.booleans(),
    preempt=st.booleans(),
    preempt_delay=SECONDS,
    start_delay=SECONDS,
    heartbeat=st.lists(NAMES, max_size=2).map(tuple),
    virtual_mac=st.booleans(),
    sync_group=st.none() | NAMES,
    unready_drop=st.none() | OCTETS,
    announcing=st.builds(Announcing, st.integers(0, 20), SECONDS, SECONDS),
)
TO_PROCESS = st.one_of(
    st.builds(Hello, st.integers(0, 100), st.integers(0, 2**22)),
    PUTS,
    st.builds(Only, names=st.lists(NAMES).map(tuple), grace=SECONDS),
    st.builds(Standing, name=NAMES, ready=st.booleans(), priority=OCTETS),
    st.builds(Failover, NAMES),
    st.builds(Resume, NAMES),
    st.builds(Hold, NAMES, SECONDS),
    st.builds(Leave, st.booleans()),
)
NUMBERS = st.dictionaries(NAMES, st.integers(0, 2**50), max_size=3)
TO_CONTROLLER = st.one_of(
    st.builds(
        State,
        name=NAMES,
        role=NAMES,
        since=SECONDS,
        priority=OCTETS,
        master=NAMES,
        held=st.lists(ADDRESSES, max_size=3).map(tuple),
        held_back=st.booleans(),
        problem=NAMES,
    ),
    st.builds(Mended, ADDRESSES),
    st.builds(Failed, NAMES),
    st.builds(Gone, st.lists(NAMES).map(tuple)),
    st.builds(
        Counts,
        sent=NUMBERS,
        received=NUMBERS,
        rejected=st.dictionaries(NAMES, NUMBERS, max_size=2),
        discarded=NUMBERS,
        announced=st.integers(0, 2**50),
        conflicts=NUMBERS,
        claims=NUMBERS,
        lateness=st.lists(st.integers(0, 2**50), max_size=10).map(tuple),
        lateness_sum=SECONDS,
        real_time=st.booleans(),
    ),
)


@given(TO_PROCESS)
def test_what_the_controller_says_arrives_as_it_was_said(
    said: message.ToProcess,
) -> None:
    assert message.decode_to_process(message.encode(said)) == said


@given(TO_CONTROLLER)
def test_what_the_process_says_arrives_as_it_was_said(said: message.ToController) -> None:
    assert message.decode_to_controller(message.encode(said)) == said


@given(st.binary(max_size=300))
def test_any_octets_are_refused_and_nothing_worse(octets: bytes) -> None:
    for decode in (message.decode_to_process, message.decode_to_controller):
        with pytest.raises(MessageError):
            decode(octets)


@given(TO_PROCESS, st.data())
def test_a_part_of_a_message_is_none(said: message.ToProcess, data: st.DataObject) -> None:
    whole = message.encode(said)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MessageError):
        message.decode_to_process(part)
