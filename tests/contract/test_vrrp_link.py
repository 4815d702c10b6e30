"""The sockets of VRRP on a real kernel, with tcpdump and ip(8) as second readers."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.core.dropped import Discard
from lvsguard.kernel.port import KernelError
from tests.bench.vrrp_flood import flood
from tests.contract.vrrp_ends import ADVERT, End, end, group
from tests.support.processes import wait_until
from tests.support.wire_pair import Pair, address, connect, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.fixture
def left(hosts: Pair) -> Iterator[End]:
    with end(hosts.left) as made:
        yield made


@pytest.fixture
def right(hosts: Pair) -> Iterator[End]:
    with end(hosts.right) as made:
        yield made


@BOTH
def test_multicast_arrives_with_everything_that_is_known_of_it(
    left: End, right: End, family: int
) -> None:
    source = left.send(group(family))
    (heard,) = right.hear()
    assert source == ip_address("10.0.0.41" if family == 4 else "fe80::41")
    assert (heard.interface, heard.source, heard.destination) == ("eth0", source, group(family))
    assert (heard.ttl, heard.payload) == (255, ADVERT)
    assert left.hear(0.05) == [], "it heard itself"


@BOTH
def test_unicast_arrives(left: End, right: End, family: int) -> None:
    peer = right.host.address if family == 4 else right.host.address6
    source = left.send(peer)
    (heard,) = right.hear()
    assert source == (left.host.address if family == 4 else left.host.address6)
    assert (heard.source, heard.destination, heard.ttl) == (source, peer, 255)


def test_on_the_wire_it_is_vrrp_as_others_send_it(hosts: Pair, left: End) -> None:
    capture = hosts.right.capture("vrrp", "ip proto 112 or ip6 proto 112")
    before = capture.file.stat().st_size
    left.send(group(4))
    wait_until(lambda: capture.file.stat().st_size > before, 5, "it is captured")
    left.send(group(6))
    wait_until(lambda: capture.file.stat().st_size > before + 100, 5, "both are captured")
    frames = capture.stop()
    assert [
        f"> {mac}" in text
        for mac, text in zip(("01:00:5e:00:00:12", "33:33:00:00:00:12"), frames, strict=True)
    ] == [True, True]
    raw = capture.file.read_bytes()[24:]
    first = raw[16:][14:]
    assert first[1] == 0xC0, "type of service"
    assert first[8] == 255, "TTL"
    length = int.from_bytes(raw[8:12], "little")
    second = raw[16 + length + 16 :][14:]
    assert int.from_bytes(second[:4], "big") >> 20 == 0x6C0, "traffic class"
    assert second[7] == 255, "hop limit"


@BOTH
def test_what_concerns_nobody_here_is_thrown_away_and_counted(
    left: End, right: End, family: int
) -> None:
    for _ in range(2000):
        left.send(group(family), b"\x31\x34" + ADVERT[2:])
    left.send(group(family))
    heard = right.hear()
    while not heard:
        heard = right.hear()
    assert [one.payload for one in heard] == [ADVERT]
    # One in 256 is let through to be counted: 2,000 of them are 7.8 on average.
    assert 256 <= right.link.discarded[Discard.VRID] <= 256 * 25
    assert set(right.link.discarded) <= {Discard.VRID, Discard.PRESSURE, Discard.SHORT}


def test_multicast_from_behind_a_router_is_thrown_away(left: End, right: End) -> None:
    with left.host.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, 112) as forged:
        forged.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 254)
        out_of = socket.inet_aton("10.0.0.41")
        forged.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, out_of)
        for _ in range(1000):
            forged.sendto(ADVERT, ("224.0.0.18", 0))
    left.send(group(4))
    assert len(right.hear()) == 1
    assert right.link.discarded[Discard.VRID] == 0
    assert right.link.discarded[Discard.TTL] % 256 == 0


def test_a_source_that_is_lost_is_told_and_its_return_too(left: End, right: End) -> None:
    host = left.host
    host.run("ip", "address", "del", "10.0.0.41/24", "dev", "eth0")
    left.until(lambda: bool(left.link.problem(4)))
    assert "10.0.0" not in left.link.problem(4)
    assert "has no IPv4 address of its own" in left.link.problem(4)
    assert left.link.source_for(group(4)) is None
    assert left.link.problem(6) == ""
    address(host, "10.0.0.8/24")  # the VIP is no source
    left.until(lambda: bool(left.link.problem(4)))
    address(host, "10.0.0.41/24")
    left.until(lambda: not left.link.problem(4))
    assert left.send(group(4)) == ip_address("10.0.0.41")
    assert right.hear()


def test_a_send_from_an_address_that_has_gone_says_what_to_do(left: End) -> None:
    address(left.host, "192.0.2.1/24")
    left.host.run("ip", "address", "del", "10.0.0.41/24", "dev", "eth0")
    with pytest.raises(
        KernelError, match=r"from 10.0.0.41 to 224.0.0.18 on eth0.*put the address back"
    ):
        left.link.send(ADVERT, ip_address("10.0.0.41"), group(4))


def test_a_message_that_is_too_long_says_what_to_do(left: End) -> None:
    with pytest.raises(KernelError, match=r"MTU of 1500: put fewer addresses"):
        left.send(group(6), ADVERT[:8] + bytes(16 * 100))
    left.host.run("ip", "link", "set", "eth0", "mtu", "1400")
    left.look()
    with pytest.raises(KernelError, match=r"MTU of 1400"):
        left.send(group(6), ADVERT[:8] + bytes(16 * 85))


def test_a_pulled_cable_is_told_and_after_it_all_goes_on(
    hosts: Pair, left: End, right: End
) -> None:
    hosts.unplug()
    left.until(lambda: "no carrier" in left.link.problem(4))
    hosts.plug()
    left.until(lambda: not left.link.problem(4))
    address(hosts.right, "fe80::40/64", "fd00::40/64")
    right.until(lambda: not right.link.problem(4) and not right.link.problem(6))
    for family in (4, 6):
        left.send(group(family))
        assert right.hear(), family


def test_an_interface_that_was_deleted_and_made_again_is_used_again(
    hosts: Pair, left: End, right: End
) -> None:
    descriptor = left.link.fileno()
    hosts.left.run("ip", "link", "del", "eth0")
    left.until(lambda: "there is no interface eth0" in left.link.problem(4))
    with pytest.raises(KernelError, match=r"there is no interface eth0: create it"):
        left.link.send(ADVERT, ip_address("10.0.0.41"), group(4))
    right.until(lambda: bool(right.link.problem(4)))
    connect(hosts.left, hosts.right)
    for one in (left, right):
        one.until(lambda one=one: not one.link.problem(4) and not one.link.problem(6))  # type: ignore[misc]
    for family in (4, 6):
        left.send(group(family))
        assert right.hear(), family
        right.send(group(family))
        assert left.hear(), family
    assert left.link.fileno() == descriptor


def test_two_interfaces_of_one_host_hear_each_for_itself(hosts: Pair, left: End) -> None:
    hosts.left.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1",
                   "netns", hosts.right.name)  # fmt: skip
    for host in (hosts.left, hosts.right):
        host.run("ip", "link", "set", "eth1", "addrgenmode", "none", "up")
        address(host, f"10.1.0.{host.octet}/24", f"fe80::1:{host.octet}/64", link="eth1")
    with end(hosts.left, "eth1") as left1, end(hosts.right, "eth1") as right1:
        left1.send(group(4))
        (heard,) = right1.hear()
        assert (heard.interface, str(heard.source)) == ("eth1", "10.1.0.41")
        right1.send(group(4))
        assert left1.hear()
        assert left.hear(0.05) == []


def test_packets_from_the_own_address_are_counted_not_heard(left: End, right: End) -> None:
    right.host.sysctl("net.ipv4.conf.eth0.accept_local", 1)
    address(right.host, "10.0.0.41/32")
    right.until(lambda: not right.link.problem(4))
    left.send(group(4))
    wait_until(lambda: bool(select.select([right.link], [], [], 0)[0]), 5, "it arrives")
    assert right.link.read(time.monotonic()) == []
    assert right.link.discarded[Discard.OWN] == 1


@pytest.mark.parametrize("kind", ["vrid", "noise", "forged", "spoofed"])
def test_in_a_flood_the_master_is_heard_and_little_is_looked_at(
    hosts: Pair, left: End, right: End, kind: str
) -> None:
    result = flood(hosts, right, left, kind, 1.5)
    assert result.sent > 20_000
    assert result.heard >= result.adverts - 2
    assert result.cpu < 0.3 * result.seconds
    counted = sum(left.link.discarded.values())
    assert 0.5 < counted / result.sent < 1.5, left.link.discarded


def test_a_flood_of_the_masters_own_advert_costs_a_bounded_part_of_a_cpu(
    hosts: Pair, left: End, right: End
) -> None:
    result = flood(hosts, right, left, "replayed", 1.5)
    assert result.cpu < 0.3 * result.seconds
    # What is read is bounded by the budget; the buffer takes no more than it holds.
    assert result.heard < 20_000
    left.link.count_overflow()
    assert left.link.discarded[Discard.OVERFLOW] + result.heard > 0.5 * result.sent


def test_before_a_takeover_all_that_waits_is_read_whatever_the_budget(
    hosts: Pair, left: End, right: End
) -> None:
    flood(hosts, right, left, "replayed", 0.5)
    for _ in range(100):
        right.send(group(4))
    assert len(left.link.read(time.monotonic(), urgent=True)) >= 100


def test_what_waited_before_a_flood_was_noticed_is_counted_once(left: End, right: End) -> None:
    """The filter that lets only a sample through has seen none of it."""
    for _ in range(600):
        right.send(group(4))
    wait_until(lambda: bool(select.select([left.link], [], [], 0)[0]), 5, "it arrives")
    now, heard = time.monotonic(), 0
    while some := left.link.read(now):
        heard += len(some)
    assert left.link.pressed
    assert heard == 600
    assert left.link.discarded[Discard.PRESSURE] == 0
