"""Announcements, questions and virtual MAC addresses on a real kernel and its neighbours."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.macvlan import delete_macvlan
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.vrrp import macvlan
from lvsguard.vrrp.frame_socket import FrameSocket
from lvsguard.vrrp.macvlan import VirtualMac
from lvsguard.vrrp.watch import Claim, ClaimWatch
from tests.contract.vrrp_ends import VIP, VIP6, end, group
from tests.support.processes import wait_until
from tests.support.topology import Host
from tests.support.wire_pair import Pair, address, macvlan_problem, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
VIPS = pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
needs_macvlan = pytest.mark.skipif(bool(macvlan_problem()), reason=macvlan_problem())


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.fixture
def frames(hosts: Pair) -> Iterator[FrameSocket]:
    made = opened(hosts.left)
    yield made
    made.close()


def opened(host: Host, interface: str = "eth0", *, router: bool = False) -> FrameSocket:
    with host.entered():
        watch = InterfaceWatch()
        made = FrameSocket(interface)
        made.update(watch.state(interface), router=router)
        watch.close()
    return made


def listening(host: Host) -> ClaimWatch:
    with host.entered():
        watch = InterfaceWatch()
        made = ClaimWatch("eth0", (VIP, VIP6))
        made.update(watch.state("eth0"))
        watch.close()
    return made


def claims(watch: ClaimWatch, within: float = 2.0) -> list[Claim]:
    end = time.monotonic() + within
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([watch], [], [], left)
        if readable and (heard := watch.read()):
            return heard
    return []


def answers(frames: FrameSocket, watch: ClaimWatch, vip: IPAddress) -> list[Claim]:
    """Ask until somebody answers: a new IPv6 address is tentative for a moment even without
    duplicate detection, and silent for so long."""
    for _ in range(10):
        frames.ask(vip)
        if heard := claims(watch, 0.2):
            return heard
    return []


def resolved(host: Host, target: IPAddress) -> str | None:
    """The MAC address that a host finds for an address by asking the network."""
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    with host.entered(), socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"?", (str(target), 9))
    wait_until(lambda: host.neighbour(target) is not None, 5, f"{target} is resolved")
    return host.neighbour(target)


def learn(host: Host, vip: IPAddress, mac: str) -> None:
    host.run("ip", "neigh", "replace", str(vip), "lladdr", mac, "nud", "stale", "dev", "eth0")


@VIPS
def test_an_announcement_moves_the_vip_in_a_neighbours_cache(
    hosts: Pair, frames: FrameSocket, vip: IPAddress
) -> None:
    learn(hosts.right, vip, "02:00:00:00:00:99")
    frames.announce(vip)
    wait_until(lambda: hosts.right.neighbour(vip) == hosts.left.mac, 5, "the cache is mended")


def test_tcpdump_finds_no_fault_with_any_frame(hosts: Pair) -> None:
    router = opened(hosts.left, router=True)
    capture = hosts.right.capture("frames", "arp or icmp6")
    before = capture.file.stat().st_size
    for address_ in (VIP, VIP6):
        router.announce(address_)
        router.ask(address_)
    wait_until(lambda: capture.file.stat().st_size >= before + 300, 5, "all are captured")
    router.close()
    capture.process.stop()
    read = hosts.right.run("tcpdump", "-nn", "-vvv", "-r", str(capture.file)).stdout
    assert "Request who-has 10.0.0.8 (ff:ff:ff:ff:ff:ff) tell 10.0.0.8" in read
    assert "Request who-has 10.0.0.8 tell 0.0.0.0" in read
    assert "Flags [router, override]" in read
    assert "destination link-address option (2), length 8 (1): 02:00:00:00:00:29" in read
    assert "fe80::41 > ff02::1:ff00:8: [icmp6 sum ok] ICMP6, neighbor solicitation" in read
    assert read.count("icmp6 sum ok") == 2


@VIPS
def test_a_question_is_answered_by_whoever_holds_the_vip(
    hosts: Pair, frames: FrameSocket, vip: IPAddress
) -> None:
    watch = listening(hosts.left)
    try:
        frames.ask(vip)
        assert claims(watch, 0.2) == [], "nobody has it"
        address(hosts.right, f"{vip}/{24 if vip.version == 4 else 64}")
        assert answers(frames, watch, vip) == [Claim(vip, hosts.right.mac)]
        assert hosts.right.neighbour(vip) is None, "the question taught nobody anything"
    finally:
        watch.close()


@VIPS
def test_an_announcement_of_somebody_else_is_a_claim_and_our_own_is_none(
    hosts: Pair, frames: FrameSocket, vip: IPAddress
) -> None:
    here, there = listening(hosts.left), listening(hosts.right)
    try:
        frames.announce(vip)
        assert claims(there) == [Claim(vip, hosts.left.mac)]
        assert claims(here, 0.1) == []
        other = IPv4Address("10.0.0.77") if vip.version == 4 else IPv6Address("fd00::77")
        frames.announce(other)
        assert claims(there, 0.1) == []
    finally:
        here.close()
        there.close()


def test_an_interface_that_is_not_there_says_what_to_do() -> None:
    nowhere = FrameSocket("eth9")
    nowhere.update(None, router=False)
    with pytest.raises(KernelError, match=r"announce 10.0.0.8 on eth9: .*look at ip link"):
        nowhere.announce(VIP)


V4, V6 = VirtualMac("vrrp.51", "eth0", 51, 4), VirtualMac("vrrp6.51", "eth0", 51, 6)


@needs_macvlan
def test_a_virtual_mac_is_made_once_with_its_settings_and_leaves_nothing(hosts: Pair) -> None:
    left = hosts.left
    with left.entered():
        sysctl = Sysctl()
        before = asyncio.run(macvlan.create(V4, sysctl))
        shown = left.run("ip", "-d", "link", "show", "vrrp.51").stdout
        assert "00:00:5e:00:01:33" in shown
        assert "macvlan mode bridge" in shown
        assert "state DOWN" in shown
        asyncio.run(macvlan.create(V4, sysctl))
        assert left.run("ip", "-d", "link", "show", "vrrp.51").stdout == shown
        for name, value in (("vrrp.51/arp_ignore", 1), ("vrrp.51/accept_local", 1),
                            ("vrrp.51/rp_filter", 0), ("eth0/arp_ignore", 1),
                            ("eth0/arp_filter", 1)):  # fmt: skip
            assert sysctl.read_int(f"net/ipv4/conf/{name}") == value, name
        assert asyncio.run(macvlan.remove(V4, sysctl, before))
        assert not asyncio.run(macvlan.remove(V4, sysctl, before))
        assert sysctl.read_int("net/ipv4/conf/eth0/arp_ignore") == 0
        assert sysctl.read_int("net/ipv4/conf/eth0/arp_filter") == 0


@needs_macvlan
def test_a_virtual_mac_of_an_earlier_version_becomes_one_that_lets_rivals_be_heard(
    hosts: Pair,
) -> None:
    left = hosts.left
    kind = ("type", "macvlan", "mode", "private")
    left.run("ip", "link", "add", V4.name, "link", "eth0", "address", V4.mac.hex(":"), *kind)
    address(left, f"{VIP}/32", link=V4.name)
    with left.entered():
        asyncio.run(macvlan.create(V4, Sysctl()))
    assert "macvlan mode bridge" in left.run("ip", "-d", "link", "show", V4.name).stdout
    assert str(VIP) in left.run("ip", "address", "show", V4.name).stdout, "nothing was moved"


@needs_macvlan
def test_an_interface_of_another_kind_is_never_touched(hosts: Pair) -> None:
    with hosts.left.entered():
        wrong = VirtualMac("eth0", "lo", 51, 4)
        with pytest.raises(KernelError, match="another interface of that name"):
            asyncio.run(macvlan.create(wrong, Sysctl()))
        with pytest.raises(KernelError, match="is no macvlan interface and is left alone"):
            asyncio.run(delete_macvlan("eth0"))
        gone = VirtualMac("vrrp.51", "eth9", 51, 4)
        with pytest.raises(KernelError, match="there is no interface eth9: create it"):
            asyncio.run(macvlan.create(gone, Sysctl()))


@needs_macvlan
@pytest.mark.parametrize("virtual", [V4, V6], ids=["ipv4", "ipv6"])
def test_neighbours_see_the_vip_at_the_virtual_mac_and_adverts_come_from_the_own_one(
    hosts: Pair, virtual: VirtualMac
) -> None:
    left, right = hosts.left, hosts.right
    vip: IPAddress = VIP if virtual.family == 4 else VIP6
    with left.entered():
        asyncio.run(macvlan.create(virtual, Sysctl()))
        asyncio.run(macvlan.set_up(virtual, up=True))
    address(left, f"{vip}/{32 if vip.version == 4 else 128}", link=virtual.name)
    assert resolved(right, vip) == virtual.mac.hex(":")
    # The own address keeps the interface's own MAC.
    own = left.address if vip.version == 4 else left.address6
    assert resolved(right, own) == left.mac
    capture = right.capture("vmac", "ip proto 112 or ip6 proto 112")
    before = capture.file.stat().st_size
    with end(right) as there, end(left) as here:
        source = here.send(group(virtual.family))
        (heard,) = there.hear()
        assert (
            heard.source
            == source
            == (left.address if vip.version == 4 else IPv6Address("fe80::41"))
        )
        wait_until(lambda: capture.file.stat().st_size > before, 5, "it is captured")
    assert left.mac in capture.stop()[0]
