"""IPVS messages, byte for byte: what is sent, and what a real kernel's dump means."""

from __future__ import annotations

from ipaddress import ip_address
from struct import pack

import pytest

from lvsguard.core.model import (
    Counters,
    Family,
    Forwarding,
    Persistence,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    Tunnel,
    TunnelChecksum,
    TunnelKind,
    VirtualService,
)
from lvsguard.core.step import (
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    IpvsStep,
)
from lvsguard.kernel.ipvs_codec import (
    CMD_DEST,
    CMD_SERVICE,
    DEST_FWD_METHOD,
    DEST_WEIGHT,
    SVC_PROTOCOL,
    decode_counters,
    decode_realserver,
    decode_service,
    encode,
    realserver_settings,
    service_settings,
)
from lvsguard.kernel.netlink import Malformed, attribute, attributes, nested
from tests.support.golden import Golden

WEB = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 80)
DNS6 = ServiceKey.at(Protocol.UDP, ip_address("2001:db8::8"), 53)
MARK = ServiceKey.marked(7)
ONE = RealserverKey(ip_address("10.0.0.42"), 80)
ONE6 = RealserverKey(ip_address("2001:db8::42"), 8053)
RR = VirtualService("rr")
FANCY = VirtualService(
    "sh", frozenset({"sh-fallback", "sh-port"}), Persistence(600, 24, "sip"), one_packet=True
)
STEPS: tuple[IpvsStep, ...] = (
    AddService(WEB, RR),
    AddService(DNS6, VirtualService("mh", frozenset({"mh-port"}), Persistence(50, 64))),
    AddService(MARK, VirtualService("wlc", frozenset({"flag-3"}))),
    EditService(WEB, FANCY, RR),
    DeleteService(ServiceKey.marked(4294967295, Family.INET6)),
    AddRealserver(WEB, ONE, Realserver(1)),
    AddRealserver(DNS6, ONE6, Realserver(65535, Forwarding.NAT, None, 4294967295, 3)),
    AddRealserver(
        MARK, ONE6, Realserver(0, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080, TunnelChecksum.FULL))
    ),
    EditRealserver(WEB, ONE, Realserver(0, Forwarding.TUN, Tunnel()), Realserver(1)),
    DeleteRealserver(WEB, ONE),
)


def test_the_bytes_of_every_kind_of_step(golden: Golden) -> None:
    lines = []
    for step in STEPS:
        command, payload = encode(step)
        lines.append(f"{step}\n  {command.name} {payload.hex()}\n")
    golden.check("netlink/ipvs-steps.txt", "".join(lines))


@pytest.mark.parametrize("step", [s for s in STEPS if isinstance(s, AddService | EditService)])
def test_a_service_is_sent_with_every_attribute(step: AddService | EditService) -> None:
    _command, payload = encode(step)
    sent = set(attributes(payload, 4, len(payload)))
    name = {5} if step.service.address is None else {2, 3, 4}
    assert sent == {1, *name, 6, 7, 8, 9, 11}


def test_a_realserver_is_sent_with_every_attribute() -> None:
    payload = realserver_settings(ONE, Realserver(1))
    assert set(attributes(payload, 4, len(payload))) == {1, 2, 3, 4, 5, 6, 11, 13, 14, 15}


def test_both_spellings_of_a_flag_are_the_same_bit() -> None:
    generic = service_settings(WEB, VirtualService("sh", frozenset({"flag-1"})))
    assert generic == service_settings(WEB, VirtualService("sh", frozenset({"sh-fallback"})))


def test_the_gue_port_goes_out_in_network_order() -> None:
    payload = realserver_settings(ONE, Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080)))
    start, end = attributes(payload, 4, len(payload))[14]
    assert payload[start:end] == bytes.fromhex("17c0")


def test_an_unknown_attribute_is_ignored() -> None:
    payload = service_settings(WEB, RR)
    more = nested(CMD_SERVICE, payload[4:], attribute(99, b"later"))
    entry = decode_service(more, 0, len(more))
    assert entry is not None
    assert entry.key == WEB
    assert entry.settings == RR


@pytest.mark.parametrize("missing", [1, 2, 3, 4, 7])
def test_a_service_without_a_needed_attribute_is_malformed(missing: int) -> None:
    payload = _without(service_settings(WEB, RR), CMD_SERVICE, missing)
    with pytest.raises(Malformed, match=rf"attribute {missing}\) is missing"):
        decode_service(payload, 0, len(payload))


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_realserver_without_a_needed_attribute_is_malformed(missing: int) -> None:
    payload = _without(realserver_settings(ONE, Realserver(1)), CMD_DEST, missing)
    with pytest.raises(Malformed, match=rf"attribute {missing}\) is missing"):
        decode_realserver(payload, 0, len(payload), Family.INET)


def test_a_protocol_of_a_later_kernel_is_no_service_of_ours() -> None:
    payload = _with(service_settings(WEB, RR), CMD_SERVICE, SVC_PROTOCOL, pack("=H", 33))
    assert decode_service(payload, 0, len(payload)) is None


def test_a_tunnel_of_a_later_kernel_is_no_realserver_of_ours() -> None:
    entry = Realserver(1, Forwarding.TUN, Tunnel())
    payload = _with(realserver_settings(ONE, entry), CMD_DEST, 13, b"\x09")
    assert decode_realserver(payload, 0, len(payload), Family.INET) is None


@pytest.mark.parametrize(
    ("method", "forwarding"), [(1, Forwarding.LOCAL), (4, Forwarding.BYPASS), (0x103, None)]
)
def test_what_only_the_kernel_sets_is_read(method: int, forwarding: Forwarding | None) -> None:
    payload = _with(
        realserver_settings(ONE, Realserver(1)), CMD_DEST, DEST_FWD_METHOD, pack("=I", method)
    )
    entry = decode_realserver(payload, 0, len(payload), Family.INET)
    assert entry is not None
    assert entry.settings.forwarding is (forwarding or Forwarding.DR)


def test_a_weight_beyond_ours_is_read_as_it_is() -> None:
    payload = _with(
        realserver_settings(ONE, Realserver(1)), CMD_DEST, DEST_WEIGHT, pack("=i", 2**31 - 1)
    )
    entry = decode_realserver(payload, 0, len(payload), Family.INET)
    assert entry is not None
    assert entry.settings.weight == 2147483647


def test_a_kernel_that_names_no_address_family_means_the_services() -> None:
    payload = _without(realserver_settings(ONE6, Realserver(1)), CMD_DEST, 11)
    entry = decode_realserver(payload, 0, len(payload), Family.INET6)
    assert entry is not None
    assert entry.key == ONE6


def test_old_kernels_counters_are_read_from_32_bits() -> None:
    packets = [attribute(kind, pack("=I", kind)) for kind in (1, 2, 3)]
    octets = [attribute(kind, pack("=Q", 2**40 + kind)) for kind in (4, 5)]
    stats = attribute(10, b"".join((*packets, *octets)))
    payload = nested(CMD_DEST, stats, attribute(7, pack("=I", 9)))
    assert decode_counters(payload, 0, len(payload), CMD_DEST) == Counters(
        1, 2, 3, 2**40 + 4, 2**40 + 5, active=9
    )


def _with(payload: bytes, nest: int, kind: int, value: bytes) -> bytes:
    found = attributes(payload, 4, len(payload))
    return nested(
        nest,
        *(attribute(k, value if k == kind else payload[s:e]) for k, (s, e) in found.items()),
    )


def _without(payload: bytes, nest: int, kind: int) -> bytes:
    found = attributes(payload, 4, len(payload))
    return nested(nest, *(attribute(k, payload[s:e]) for k, (s, e) in found.items() if k != kind))
