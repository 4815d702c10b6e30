"""Route and neighbour messages: what is asked, and what is read of the answers."""

from __future__ import annotations

from ipaddress import ip_address
from socket import AF_INET, AF_INET6, if_nametoindex
from struct import pack

import pytest

from lvsguard.core.model import IPAddress
from lvsguard.kernel.netlink import Malformed, Message, attribute, messages
from lvsguard.kernel.nexthop import (
    Neighbour,
    NextHop,
    Paths,
    decode_neighbour,
    decode_route,
    get_neighbour,
    get_route,
    use_neighbour,
)
from lvsguard.kernel.port import KernelError

RIP, GATEWAY, OWN = map(ip_address, ("10.0.0.42", "10.0.0.1", "10.0.0.41"))
RIP6 = ip_address("fd00::42")
MAC = bytes.fromhex("020000000042")
UNICAST, LOCAL = 1, 2
REACHABLE, STALE, INCOMPLETE, FAILED, PERMANENT = 0x02, 0x04, 0x01, 0x20, 0x80


def message(kind: int, payload: bytes) -> bytes:
    return pack("=IHHII", 16 + len(payload), kind, 0, 1, 0) + payload


def route(*found: bytes, family: int = AF_INET, kind: int = UNICAST) -> bytes:
    return message(24, pack("=BBBBBBBBI", family, 32, 0, 0, 254, 0, 0, kind, 0) + b"".join(found))


def neighbour(state: int, *found: bytes) -> bytes:
    return message(28, pack("=BxxxiHBB", AF_INET, 2, state, 0, 1) + b"".join(found))


def only(raw: bytes) -> Message:
    (found,) = messages(raw)
    return found


def read_route(raw: bytes, destination: IPAddress = RIP) -> NextHop | None:
    return decode_route(raw, only(raw), destination)


def test_on_the_link_the_destination_itself_is_next() -> None:
    raw = route(attribute(4, pack("=I", 2)), attribute(7, OWN.packed))
    assert read_route(raw) == NextHop(2, RIP, OWN)


def test_behind_a_gateway_the_gateway_is_next() -> None:
    assert read_route(route(attribute(4, pack("=I", 2)), attribute(5, GATEWAY.packed))) == NextHop(
        2, GATEWAY, None
    )


def test_a_gateway_may_be_of_another_family() -> None:
    via = attribute(18, pack("=H", AF_INET6) + RIP6.packed)
    assert read_route(route(attribute(4, pack("=I", 2)), via)) == NextHop(2, RIP6, None)


def test_an_own_address_has_no_next_hop() -> None:
    assert read_route(route(attribute(4, pack("=I", 1)), kind=LOCAL)) is None


@pytest.mark.parametrize(("state", "fresh"), [(REACHABLE, True), (PERMANENT, True), (STALE, False)])
def test_a_mac_address_may_want_to_be_confirmed(state: int, fresh: bool) -> None:
    raw = neighbour(state, attribute(2, MAC))
    assert decode_neighbour(raw, only(raw)) == Neighbour(MAC, fresh)


@pytest.mark.parametrize("state", [INCOMPLETE, FAILED])
def test_a_mac_address_that_is_not_known_is_none(state: int) -> None:
    raw = neighbour(state, attribute(2, MAC))
    assert decode_neighbour(raw, only(raw)) == Neighbour(b"", False)


def test_answers_cut_short_are_malformed() -> None:
    for raw in (message(24, b"\0" * 8), message(28, b"\0" * 8)):
        with pytest.raises(Malformed):
            decode_route(raw, only(raw), RIP)
        with pytest.raises(Malformed):
            decode_neighbour(raw, only(raw))


def test_questions_are_as_rtnetlink_wants_them() -> None:
    assert get_route(RIP, 7).hex() == (
        "240000001a00010007000000000000000220000000000000000000000800010" + "00a00002a"
    )
    assert len(get_neighbour(2, RIP6, 7)) == 48
    assert use_neighbour(2, RIP, 7)[16 + 10] == 1  # NTF_USE


def test_the_kernel_answers_at_once() -> None:
    paths = Paths()
    try:
        assert paths.route(ip_address("127.0.0.1")) is None
        lo = NextHop(if_nametoindex("lo"), ip_address("127.0.0.77"), None)
        assert paths.neighbour(lo) == Neighbour(b"", False)
        with pytest.raises(KernelError):
            paths.neighbour(NextHop(1 << 30, RIP, None))
        assert paths.route(ip_address("127.0.0.1")) is None
    finally:
        paths.close()
