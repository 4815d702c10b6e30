"""lvsguard on director1 and FRR's vrrpd on director2 elect one master, whoever of them it is.

FRR is written after the RFCs alone: it shares neither code nor habits with keepalived, and answers
from the virtual MAC address. Both versions of VRRP, IPv4 and IPv6, each as master and as backup,
stopped and killed: three virtual routers at once, one of each kind. FRR has neither unicast nor
passwords. Bounds are the master-down intervals of RFC 9568 section 6.1, and some time for a guest
with one CPU.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from tests.support import vrrp_director as lab
from tests.support.director import Director, make_director, wall
from tests.support.frr import Frr, Router, make_frr
from tests.support.processes import run, wait_until
from tests.support.topology import SWITCH, Capture, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]

SLACK = 4.0
"""Seconds for a guest that is slow, beyond what the protocol gives."""
ASK = 4.0
"""Seconds for which a director that returns leaves a lower priority alone: an advert's interval,
then it asks for the connections, which FRR cannot send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One VIP group and how the two speak of it."""

    name: str
    vrid: int
    vips: tuple[str, ...]
    version: int = 3

    @property
    def address(self) -> IPv4Address | IPv6Address:
        """The VIP that clients use."""
        return ip_address(self.vips[-1].partition("/")[0])

    def ours(self, priority: int) -> lab.Group:
        vrrp = lab.vrrp(priority, vrid=self.vrid, version=self.version)
        return lab.Group(self.name, self.vips, vrrp)

    def theirs(self, priority: int = 100) -> Router:
        return Router(vrid=self.vrid, priority=priority, version=self.version, vips=self.vips)


MODES = (
    Mode(name="v3", vrid=51, vips=("10.0.0.8/24",)),
    Mode(name="v2", vrid=53, vips=("10.0.0.10/24", "10.0.0.11/24"), version=2),
    Mode(name="v6", vrid=55, vips=("fe80::8/64", "fd00::8/64")),
)
NAMES = [mode.name for mode in MODES]


AGAIN = 6.0
"""Seconds after which a master has announced a second time."""


def skew(priority: int) -> float:
    return (256 - priority) / 256


def down(priority: int) -> float:
    """The master-down interval."""
    return 3 + skew(priority)


@dataclass(slots=True)
class Two:
    """The two directors of one test, and the client that asks where the VIPs are."""

    network: Network
    lvsguard: Director
    frr: Frr
    capture: Capture

    def run_frr(self, priority: int) -> None:
        """FRR with this priority, as a backup at first."""
        if self.frr.process is not None:
            self.frr.stop()
        self.frr.start(*(mode.theirs(priority) for mode in MODES))

    def run_lvsguard(self, priority: int) -> None:
        self.lvsguard.configure(lab.setup(*(mode.ours(priority) for mode in MODES)))
        lab.start(self.lvsguard)

    def ours(self) -> list[str]:
        """VIP groups of which we hold every address."""
        held = lab.addresses(self.network.director1)
        return [mode.name for mode in MODES if held.issuperset(mode.vips)]

    def theirs(self) -> list[str]:
        held = self.frr.held()
        return [mode.name for mode in MODES if mode.theirs().link in held]

    def wait_for(self, ours: list[str], theirs: list[str] | None, within_s: float) -> None:
        """These VIP groups are held by us and by FRR (None: whatever a dead one left), and the
        client sends to whom we name."""

        def so() -> bool:
            return self.ours() == ours and (theirs is None or self.theirs() == theirs)

        try:
            wait_until(so, within_s, f"we hold {ours}, FRR holds {theirs}", every_s=0.2)
        except AssertionError as error:
            found = f"{self.ours()}, {self.theirs()}"
            raise AssertionError(f"{error}: {found}\n{self.lvsguard.text()}") from error
        for mode in MODES:
            self.wait_for_client(mode, ours=mode.name in ours)

    def wait_for_client(self, mode: Mode, *, ours: bool) -> None:
        """The client sends what is for the VIP to us, or to FRR: by announcements alone. Over IPv6
        FRR announces itself once, a second before its first advert; to object would be wrong."""
        client, mac = self.network.client, self.network.director1.mac if ours else mode.theirs().mac
        wait_until(
            lambda: client.neighbour(mode.address) == mac,
            SLACK,
            f"the client sends {mode.name} to {mac}, not to {client.neighbour(mode.address)}",
            every_s=0.1,
        )

    def causes(self, since: float) -> set[str]:
        """Why we changed roles since a wall-clock time."""
        return {str(event.data["cause"]) for event in self.lvsguard.events("role", since)}

    def roles(self) -> set[str]:
        return {vip.role for vip in self.lvsguard.status().vips}


def cut(*, between_directors: bool) -> None:
    """The switch passes nothing between the two directors, and all else: isolated ports see only
    those that are not."""
    for name in ("director1", "director2"):
        state = "on" if between_directors else "off"
        isolated = ("type", "bridge_slave", "isolated", state)
        run(["ip", "-n", SWITCH, "link", "set", name, *isolated])


@pytest.fixture
def two(shared_network: Network) -> Iterator[Two]:
    """Neither runs yet; afterwards neither does, and no VIP is left."""
    network = shared_network
    for host in (network.client, network.director1):
        host.sysctl("net.ipv6.conf.eth0.accept_ra", 0)  # FRR advertises itself as a router, too
    number = sum(1 for one in network.processes.started if ".adverts" in one.name)
    play = Two(
        network,
        make_director(network.director1),
        make_frr(network.director2),
        network.director1.capture(f"adverts{number}", "proto 112 or ip6 proto 112 or arp or icmp6"),
    )
    yield play
    if play.lvsguard.process is not None:
        lab.crash(play.lvsguard)
    play.frr.close()
    play.capture.process.stop()
    cut(between_directors=False)
    for vip in lab.addresses(network.director1).intersection(*(mode.vips for mode in MODES)):
        network.director1.run("ip", "address", "del", vip, "dev", "eth0")
    network.director1.run("ipvsadm", "-C")


def test_the_two_take_turns(two: Two) -> None:
    two.run_frr(100)
    two.run_lvsguard(150)
    wait_until(lambda: two.roles() == {"master"}, ASK + 1 + SLACK, "master of all", every_s=0.2)
    for mode in MODES:
        lab.ask_for(two.network.client, mode.address)
    # Each interface of FRR's host answers for each address; the last word holds until then.
    time.sleep(AGAIN)
    two.wait_for(NAMES, [], 1)

    two.run_frr(200)  # they preempt
    two.wait_for([], NAMES, down(200) + SLACK)
    assert two.roles() == {"backup"}

    since = wall()
    two.frr.crash()
    two.wait_for(NAMES, None, down(150) + SLACK)
    assert two.causes(since) == {"master silent"}

    two.run_frr(200)  # they come back to life
    two.wait_for([], NAMES, down(200) + SLACK)

    since = wall()
    two.frr.stop()
    two.wait_for(NAMES, [], skew(150) + SLACK)
    assert two.causes(since) == {"master resigned"}
    two.run_frr(100)  # they return, and stay behind
    two.wait_for(NAMES, [], 0.5)

    two.lvsguard.stop()
    two.wait_for([], NAMES, skew(100) + SLACK)

    lab.start(two.lvsguard)  # we return
    two.wait_for(NAMES, [], ASK + skew(150) + SLACK)

    lab.crash(two.lvsguard)
    wait_until(lambda: two.theirs() == NAMES, down(100) + SLACK, "FRR holds all", every_s=0.2)
    for mode in MODES:
        two.wait_for_client(mode, ours=False)

    lab.start(two.lvsguard)  # we come back to life
    two.wait_for(NAMES, [], ASK + skew(150) + SLACK)

    said = lab.adverts(two.capture)
    assert lab.complaints(said) == []
    for mode in MODES:
        spoken = [one for one in said if one.vrid == mode.vrid]
        mine = [one for one in spoken if one.source in lab.sources(two.network.director1)]
        other = [one for one in spoken if one not in mine]
        assert {one.version for one in spoken} == {mode.version}, mode.name
        assert {one.priority for one in mine} == {150, 0}, mode.name
        assert {one.priority for one in other} == {100, 200, 0}, mode.name


def test_equal_priorities_are_decided_by_the_greater_address(two: Two) -> None:
    """Of IPv4 10.0.0.41 is ours, 10.0.0.40 FRR's; of IPv6 fe80::ff:fe00:29 ours, fe80::5e:55
    FRR's. So we are to win all; who was first stays as long as they hear each other."""
    two.run_frr(100)
    wait_until(lambda: two.theirs() == NAMES, down(100) + SLACK, "FRR holds all", every_s=0.2)
    two.run_lvsguard(100)
    for mode in MODES:
        lab.ask_for(two.network.client, mode.address)
    time.sleep(down(100) + 0.5)
    two.wait_for([], NAMES, 0.5)
    assert two.roles() == {"backup"}

    cut(between_directors=True)
    two.wait_for(NAMES, NAMES, down(100) + SLACK)
    cut(between_directors=False)  # and now they meet as masters
    two.wait_for(NAMES, [], 1 + SLACK)
    time.sleep(2)
    two.wait_for(NAMES, [], 0.5)
    assert lab.complaints(lab.adverts(two.capture)) == []
