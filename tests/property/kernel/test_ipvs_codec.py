"""The IPVS codec: whatever is sent reads back the same, and no bytes break the reader."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lvsguard.core.model import (
    Family,
    Persistence,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.core.step import AddRealserver, AddService
from lvsguard.kernel.ipvs_codec import (
    CMD_DEST,
    CMD_SERVICE,
    decode_counters,
    decode_realserver,
    decode_service,
    realserver_settings,
    service_settings,
)
from lvsguard.kernel.ipvs_settings import (
    decode_info,
    decode_sync,
    decode_timeouts,
    encode_sync,
    encode_timeouts,
)
from lvsguard.kernel.netlink import Malformed, ack, attribute, messages, nested
from lvsguard.kernel.port import SyncDaemon, SyncRole, Timeouts
from lvsguard.kernel.refusal import TIMEOUT_MAX, refusal
from lvsguard.kernel.rtnetlink import decode_address, decode_link
from tests.support.ipvs_wire import Writer
from tests.support.strategies import (
    any_addresses,
    any_realservers,
    any_service_keys,
    any_virtual_services,
)

WEB = ServiceKey.at(Protocol.TCP, IPv4Address("10.0.0.8"), 80)
ONE = RealserverKey(IPv4Address("10.0.0.42"), 80)
SERVICE = service_settings(WEB, VirtualService("sh", persistence=Persistence(50, 24, "sip")))
REALSERVER = realserver_settings(ONE, Realserver(1))
DAEMON = encode_sync(SyncDaemon(SyncRole.MASTER, "eth0", 1, 1400, "224.0.0.81", 8848, 1))
TIMEOUTS = encode_timeouts(Timeouts(900, 120, 300))
(WHOLE,) = Writer(padded=True).realservers(
    WEB, VirtualService("rr", realservers={ONE: Realserver(1)})
)

Decoder = Callable[[bytes], object]
DECODERS: dict[str, tuple[bytes, Decoder]] = {
    "service": (SERVICE, lambda raw: decode_service(raw, 0, len(raw))),
    "realserver": (REALSERVER, lambda raw: decode_realserver(raw, 0, len(raw), Family.INET)),
    "counters": (WHOLE[20:], lambda raw: decode_counters(raw, 0, len(raw), CMD_DEST)),
    "sync daemon": (DAEMON, lambda raw: decode_sync(raw, 0, len(raw))),
    "timeouts": (TIMEOUTS, lambda raw: decode_timeouts(raw, 0, len(raw))),
    "info": (
        bytes.fromhex("08000100010201000800020000100000"),
        lambda raw: decode_info(raw, 0, len(raw)),
    ),
    "acknowledgement": (
        bytes.fromhex(
            "2400000002000000 01000000 00000000 eaffffff 1000000022000500 0100000000000000"
        ),
        lambda raw: [ack(raw, message) for message in messages(raw)],
    ),
    "address": (
        bytes.fromhex(
            "2800000014000200 01000000 00000000 02180080 02000000 08000100 0a000008"
            " 08000200 0a000008"
        ),
        lambda raw: [decode_address(raw, message) for message in messages(raw)],
    ),
    "link": (
        bytes.fromhex(
            "2c00000010000200 01000000 00000000 00000100 02000000 43100100 00000000"
            " 09000300 6574683000 000000"
        ),
        lambda raw: [decode_link(raw, message) for message in messages(raw)],
    ),
}
each_decoder = pytest.mark.parametrize("name", DECODERS)


@st.composite
def services(draw: st.DrawFn) -> tuple[ServiceKey, VirtualService]:
    key = draw(any_service_keys())
    return key, draw(any_virtual_services(key))


@given(services())
def test_a_service_reads_back_as_it_was_sent(pair: tuple[ServiceKey, VirtualService]) -> None:
    key, service = pair
    raw = service_settings(key, service)
    assert refusal(AddService(key, service)) is None
    assert decode_service(raw, 0, len(raw)) == (key, replace(service, realservers={}))


@given(
    st.sampled_from(Family).flatmap(any_addresses),
    st.integers(0, 65535),
    any_realservers(),
    any_service_keys(),
)
def test_a_realserver_reads_back_as_it_was_sent(
    address: IPv4Address, port: int, entry: Realserver, service: ServiceKey
) -> None:
    key = RealserverKey(address, port)
    assume(refusal(AddRealserver(service, key, entry)) is None)
    raw = realserver_settings(key, entry)
    assert decode_realserver(raw, 0, len(raw), service.family) == (key, entry)


@given(st.builds(Timeouts, *[st.integers(0, TIMEOUT_MAX)] * 3))
def test_timeouts_read_back_as_they_were_sent(timeouts: Timeouts) -> None:
    raw = encode_timeouts(timeouts)
    assert decode_timeouts(raw, 0, len(raw)) == timeouts


@given(
    st.sampled_from(SyncRole),
    st.text("abc0.", min_size=1, max_size=15),
    st.integers(0, 255),
    st.integers(0, 65535),
    st.sampled_from(("", "224.0.0.81", "ff02::1")),
    st.integers(0, 65535),
    st.integers(0, 255),
)
def test_a_sync_daemon_reads_back_as_it_was_sent(
    role: SyncRole, interface: str, sync_id: int, length: int, group: str, port: int, ttl: int
) -> None:
    daemon = SyncDaemon(role, interface, sync_id, length, group, port, ttl)
    raw = encode_sync(daemon)
    assert decode_sync(raw, 0, len(raw)) == daemon


@each_decoder
def test_the_good_example_is_good(name: str) -> None:
    """Or what follows would only ever test that nothing can be read."""
    raw, decode = DECODERS[name]
    assert decode(raw)


@each_decoder
@given(raw=st.binary(max_size=200))
def test_no_bytes_break_a_reader(name: str, raw: bytes) -> None:
    with suppress(Malformed):
        DECODERS[name][1](raw)


@each_decoder
@given(data=st.data())
def test_no_cut_and_no_flipped_byte_breaks_a_reader(name: str, data: st.DataObject) -> None:
    good, decode = DECODERS[name]
    raw = bytearray(good)
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=3)
    ):
        raw[at] = value
    with suppress(Malformed):
        decode(bytes(raw[: data.draw(st.integers(0, len(good)))]))


@given(st.lists(st.tuples(st.integers(16, 0x3FFF), st.binary(max_size=40)), max_size=8))
@example([(0x3FFF, b"")])
def test_unknown_attributes_change_nothing(more: list[tuple[int, bytes]]) -> None:
    extra = [attribute(kind, payload) for kind, payload in more]
    service = nested(CMD_SERVICE, *extra, SERVICE[4:], *extra)
    realserver = nested(CMD_DEST, *extra, REALSERVER[4:], *extra)
    assert decode_service(service, 0, len(service)) == decode_service(SERVICE, 0, len(SERVICE))
    assert decode_realserver(realserver, 0, len(realserver), Family.INET) == decode_realserver(
        REALSERVER, 0, len(REALSERVER), Family.INET
    )
