"""Others that claim a VIP without an election: the left host holds it, the right one claims."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from lvsguard.core.config import VipConfig
from lvsguard.core.event import Event
from lvsguard.core.frame import gratuitous_arp
from lvsguard.core.model import IPAddress, VipAddress
from lvsguard.core.vrrp_event import VipConflict, VipConflictOver
from lvsguard.vrrp.vip_watch import VipWatch
from tests.contract.vrrp_ends import VIP, VIP6
from tests.support.wire_pair import Pair, address, namespaces_problem, pair, second_cable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
BOTH = (VipAddress("eth0", VIP, 24), VipAddress("eth0", VIP6, 64))
AT_ONCE_S = 0.4
"""From the start of a program that claims a VIP; a question a second would find out later."""
VIPS = pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])


class Scene:
    """A watch in the left host."""

    def __init__(self, hosts: Pair) -> None:
        self.hosts = hosts
        self.events: list[Event] = []
        self.watch = VipWatch(self.events.append, lambda: BOTH)

    def play(self, story: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            self.watch.configure([VipConfig("web", BOTH)])
            task = asyncio.create_task(self.watch.run())
            try:
                await story()
                assert self.watch.trouble == ""
            finally:
                task.cancel()
                await asyncio.wait([task])

        with self.hosts.left.entered():
            asyncio.run(run())

    async def until(self, kind: type[Event], within: float = 10.0) -> Event:
        end = time.monotonic() + within
        while time.monotonic() < end:
            for event in self.events:
                if isinstance(event, kind):
                    return event
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {kind.__name__} in {self.events}")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with pair(tmp_path) as hosts:
        address(hosts.left, *BOTH_TEXT)
        yield Scene(hosts)


BOTH_TEXT = (f"{VIP}/24", f"{VIP6}/64")


def text_of(vip: IPAddress) -> str:
    return f"{vip}/24" if vip.version == 4 else f"{vip}/64"


@VIPS
def test_one_that_answers_is_found_and_its_end_is_told(scene: Scene, vip: IPAddress) -> None:
    async def story() -> None:
        await asyncio.sleep(1.2)
        assert scene.events == [], "nobody has it"
        address(scene.hosts.right, text_of(vip))
        found = await scene.until(VipConflict)
        how = "arp" if vip.version == 4 else "nd"
        assert found == VipConflict("web", scene.hosts.right.mac, how, str(vip))
        scene.hosts.right.run("ip", "address", "del", text_of(vip), "dev", "eth0")
        over = await scene.until(VipConflictOver)
        assert isinstance(over, VipConflictOver)
        assert (over.other, over.address) == (scene.hosts.right.mac, str(vip))

    scene.play(story)


@VIPS
def test_an_interface_of_its_own_on_the_same_segment_is_nobody_else(
    scene: Scene, vip: IPAddress
) -> None:
    """Linux answers ARP for any address of the host on any interface."""
    left, right = scene.hosts.left, scene.hosts.right
    second_cable(left, right)
    right.run("ip", "link", "add", "br0", "type", "bridge")
    right.run("ip", "link", "set", "br0", "up")
    for cable in ("eth0", "eth1"):
        right.run("ip", "link", "set", cable, "master", "br0")

    async def story() -> None:
        await asyncio.sleep(2.5)
        assert scene.events == []
        address(right, text_of(vip), link="br0")
        found = await scene.until(VipConflict)
        assert isinstance(found, VipConflict)
        assert found.detail == str(vip)

    scene.play(story)


@pytest.mark.parametrize("vlan", [None, 0, 20])
def test_a_claim_in_a_vlan_that_is_not_the_interfaces_is_none(
    scene: Scene, vlan: int | None
) -> None:
    """A trunk's other VLANs may have the same addresses. 0 is no VLAN, but a priority."""
    mac = bytes.fromhex("020000000163")
    frame = gratuitous_arp(mac, VIP)
    if vlan is not None:
        frame = frame[:12] + bytes((0x81, 0x00, 0x00, vlan)) + frame[12:]

    async def story() -> None:
        await asyncio.sleep(0.3)
        with scene.hosts.right.entered():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with sock:
            sock.bind(("eth0", 0))
            sock.send(frame)
        if vlan:
            await asyncio.sleep(0.5)
            assert scene.events == []
        else:
            await scene.until(VipConflict)

    scene.play(story)


def test_a_gratuitous_claim_is_heard_at_once(scene: Scene) -> None:
    right = scene.hosts.right
    macs = [f"02:00:00:00:01:{number:02x}" for number in range(5)]

    async def story() -> None:
        await asyncio.sleep(0.3)
        for mac in macs:
            claim = f"arping -c 1 -U -I eth0 -s {mac} -S {VIP} {VIP}"
            begun = time.monotonic()
            arping = asyncio.create_task(asyncio.to_thread(right.run, *claim.split(), check=False))
            found = await scene.until(VipConflict)
            took = time.monotonic() - begun
            assert isinstance(found, VipConflict)
            assert (found.other, found.detail) == (mac, str(VIP))
            assert took <= AT_ONCE_S, "it waited for the next question"
            scene.events.clear()
            await arping

    if "-S" not in right.run("arping", "--help", check=False).stdout:
        pytest.skip("no arping that can claim an address it does not have")
    scene.play(story)


def test_questions_over_ipv6_turn_no_neighbour_to_the_one_that_answers(scene: Scene) -> None:
    """A question from nowhere would be answered to all nodes, which would believe the answer."""
    dump = scene.hosts.right.capture("nd", "icmp6 and ip6[40] = 136")

    async def story() -> None:
        address(scene.hosts.right, text_of(VIP6))
        await scene.until(VipConflict)

    scene.play(story)
    answers = [line for line in dump.stop() if f"tgt is {VIP6}" in line]
    assert not [line for line in answers if "> ff02::1" in line], answers
