"""lvsguard on director1 and keepalived on director2 elect one master, whoever of them it is.

Both versions of VRRP, IPv4 and IPv6, multicast and unicast, each as master and as backup, stopped
and killed: eight instances at once, one of each kind. Bounds are the master-down intervals of RFC
9568 section 6.1, and some time for a guest with one CPU.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support import vrrp_director as lab
from tests.support.director import Director, make_director, tell
from tests.support.director_config import Setup
from tests.support.keepalived import Instance, Keepalived, make_keepalived
from tests.support.processes import wait_until
from tests.support.topology import Capture, Host, Network

if TYPE_CHECKING:
    from tests.support.stillness import Stillness

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SLACK = 1.5
"""Seconds for a guest that is slow, beyond what the protocol gives; the wire's own times are held
more strictly at the end."""
JITTER = 0.05
"""Seconds by which an advert of ours may be late on the wire, beside what the guest stood still."""
ASK = 4.0
"""Seconds for which a director that returns leaves a lower priority alone: an advert's interval,
then it asks for the connections, which keepalived cannot send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One VIP group and how the two speak of it."""

    name: str
    vrid: int
    vips: tuple[str, ...]
    version: int = 3
    unicast: bool = False
    password: str = ""

    @property
    def address(self) -> IPv4Address | IPv6Address:
        """The VIP that clients use."""
        return ip_address(self.vips[-1].partition("/")[0])

    def peers(self, last: int) -> tuple[str, ...]:
        """The host whose address ends so."""
        if not self.unicast:
            return ()
        return (f"fd00::{last}" if self.address.version == 6 else f"10.0.0.{last}",)

    def ours(self, priority: int) -> lab.Group:
        # Over IPv6 it speaks from its link-local address, unless it is told another.
        more = f'source = "{self.peers(41)[0]}"' if self.peers(41) else ""
        vrrp = lab.vrrp(
            priority,
            vrid=self.vrid,
            version=self.version,
            peers=self.peers(40),
            password=self.password,
            more=more,
        )
        return lab.Group(self.name, self.vips, vrrp)

    def theirs(self, priority: int) -> Instance:
        return Instance(
            vrid=self.vrid,
            priority=priority,
            version=self.version,
            vips=self.vips,
            source=next(iter(self.peers(40)), ""),
            peers=self.peers(41),
            password=self.password,
        )


MODES = (
    Mode(name="v3", vrid=51, vips=("10.0.0.8/24",)),
    Mode(name="v3-unicast", vrid=52, vips=("10.0.0.9/24",), unicast=True),
    Mode(name="v2-pass", vrid=53, vips=("10.0.0.10/24", "10.0.0.11/24"), version=2, password="sea"),
    Mode(name="v2-unicast", vrid=54, vips=("10.0.0.12/32",), version=2, unicast=True),
    Mode(name="v6", vrid=55, vips=("fe80::8/64", "fd00::8/64")),
    Mode(name="v2", vrid=56, vips=("10.0.0.13/24",), version=2),
    Mode(
        name="v2-unicast-pass",
        vrid=57,
        vips=("10.0.0.14/24",),
        version=2,
        unicast=True,
        password="saw",
    ),
    Mode(name="v6-unicast", vrid=58, vips=("fe80::9/64", "fd00::9/64"), unicast=True),
)


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
    keepalived: Keepalived
    capture: Capture
    modes: tuple[Mode, ...] = ()
    took: dict[str, float] = field(default_factory=dict)

    def setup(self, *modes: Mode, priority: int) -> Setup:
        self.modes = modes
        return lab.setup(*(mode.ours(priority) for mode in modes))

    def holders(self) -> dict[str, list[str]]:
        """By mode, the directors that hold all of its addresses."""
        hosts = (self.network.director1, self.network.director2)
        there = {host.name: lab.addresses(host) for host in hosts}
        return {
            mode.name: [name for name, found in there.items() if found.issuperset(mode.vips)]
            for mode in self.modes
        }

    def alone(self, host: Host, within_s: float, what: str) -> None:
        """One director becomes the only holder of everything; the client follows."""
        self.held_by(host, within_s, what)
        for mode in self.modes:
            lab.wait_for_neighbour(self.network.client, host, 1, mode.address)

    def held_by(self, host: Host, within_s: float, what: str) -> None:
        """One director becomes the only holder of everything."""
        wanted = {mode.name: [host.name] for mode in self.modes}
        self._wait(lambda: self.holders() == wanted, within_s, what)

    def taken(self, host: Host, within_s: float, what: str) -> None:
        """One director becomes a holder of everything, the other one being dead."""
        self._wait(lambda: all(host.name in who for who in self.holders().values()), within_s, what)
        for mode in self.modes:
            lab.wait_for_neighbour(self.network.client, host, 1, mode.address)

    def _wait(self, holds: object, within_s: float, what: str) -> None:
        begun = time.monotonic()
        assert callable(holds)
        try:
            wait_until(holds, within_s, what, every_s=0.03)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.holders()}\n{self.lvsguard.text()}") from error
        self.took[what] = time.monotonic() - begun

    def roles(self) -> set[str]:
        return {vip.role for vip in self.lvsguard.status().vips}


@pytest.fixture
def two(shared_network: Network) -> Iterator[Two]:
    """Neither runs yet; afterwards neither does, and no VIP is left."""
    network = shared_network
    number = sum(1 for one in network.processes.started if ".adverts" in one.name)
    play = Two(
        network,
        make_director(network.director1),
        make_keepalived(network.director2),
        network.director2.capture(f"adverts{number}", "proto 112 or ip6 proto 112 or arp or icmp6"),
    )
    yield play
    tell("seconds", **play.took)
    if play.lvsguard.process is not None:
        lab.crash(play.lvsguard)
    if play.keepalived.process is not None:
        play.keepalived.crash()
    play.capture.process.stop()
    network.plug(network.director2)
    for host in (network.director1, network.director2):
        for vip in lab.addresses(host).intersection(*(mode.vips for mode in MODES)):
            host.run("ip", "address", "del", vip, "dev", "eth0")
        host.run("ipvsadm", "-C")


def late(mine: list[lab.Heard], still: Stillness) -> list[float]:
    """Gaps between adverts of ours that are longer than an interval. Those of two intervals and
    more are times of the other one's; shorter ones are answers to a lower priority."""
    gaps = (after.at - before.at for before, after in pairwise(mine))
    return [gap for gap in gaps if 1 + JITTER + still.longest_s() < gap < 2]


@pytest.mark.timeout(600)
def test_the_two_take_turns(two: Two, still: Stillness) -> None:
    network, keepalived, lvsguard = two.network, two.keepalived, two.lvsguard
    ours, theirs = network.director1, network.director2

    def run_keepalived(priority: int) -> None:
        if keepalived.process is not None:
            keepalived.stop()
        keepalived.start(*(mode.theirs(priority) for mode in MODES))

    run_keepalived(100)
    lvsguard.configure(two.setup(*MODES, priority=150))
    lab.start(lvsguard)
    wait_until(lambda: two.roles() == {"master"}, ASK + 1 + SLACK, "master of all", every_s=0.05)
    two.held_by(ours, 1, "we start")  # asked before, both would answer
    for mode in MODES:
        lab.ask_for(network.client, mode.address)
    two.alone(ours, 1, "the client asks")

    run_keepalived(200)
    two.alone(theirs, down(200) + SLACK, "they preempt")
    assert two.roles() == {"backup"}

    keepalived.stop()
    two.alone(ours, skew(150) + SLACK, "they stop")

    run_keepalived(200)
    two.alone(theirs, down(200) + SLACK, "they return")

    keepalived.crash()
    two.taken(ours, down(150) + SLACK, "they are killed")
    assert two.roles() == {"master"}

    run_keepalived(200)
    two.alone(theirs, down(200) + SLACK, "they are started again")

    network.unplug(theirs)
    two.taken(ours, down(150) + SLACK, "they die")
    network.plug(theirs)
    two.alone(theirs, down(200) + SLACK, "they come back to life")

    run_keepalived(100)
    two.alone(ours, skew(150) + SLACK, "they stop again")

    lvsguard.stop()
    two.alone(theirs, skew(100) + SLACK, "we stop")

    lab.start(lvsguard)
    two.alone(ours, ASK + skew(150) + SLACK, "we return")

    lab.crash(lvsguard)
    two.taken(theirs, down(100) + SLACK, "we die")

    lab.start(lvsguard)
    two.alone(ours, ASK + skew(150) + SLACK, "we come back to life")

    said = lab.adverts(two.capture)
    assert lab.complaints(said) == []
    for mode in MODES:
        spoken = [one for one in said if one.vrid == mode.vrid]
        mine = [one for one in spoken if one.source in lab.sources(ours)]
        other = [one for one in spoken if one.source in lab.sources(theirs)]
        assert {one.version for one in spoken} == {mode.version}, mode.name
        assert {one.priority for one in mine} == {150, 0}, mode.name
        assert late(mine, still) == [], mode.name
        assert {one.priority for one in other} == {100, 200, 0}, mode.name


FAST = 0.2
"""Seconds between adverts where the play does not need whole ones."""


def fast(priority: int, *vips: str) -> Setup:
    group = lab.Group("fast", vips, lab.vrrp(priority, interval="200ms"))
    return lab.setup(group)


def fast_keepalived(priority: int, *vips: str) -> Instance:
    return Instance(priority=priority, interval=f"{FAST:g}", vips=vips)


def test_equal_priorities_are_decided_by_the_greater_address(two: Two) -> None:
    network, vip = two.network, "10.0.0.8/24"
    two.keepalived.start(fast_keepalived(100, vip))
    two.keepalived.wait_for_role("master", 4 * FAST + SLACK)
    two.lvsguard.configure(fast(100, vip))
    lab.start(two.lvsguard)
    time.sleep(5 * FAST)
    assert lab.holders(network) == ["director2"]  # who was first stays
    assert two.roles() == {"backup"}
    network.unplug(network.director2)
    lab.wait_for_role(two.lvsguard, "master", 4 * FAST + SLACK)
    network.plug(network.director2)  # and now they meet as masters: 10.0.0.41 against 10.0.0.40
    lab.wait_for_holder(network, "director1", 4 * FAST + SLACK)
    time.sleep(5 * FAST)
    assert lab.holders(network) == ["director1"]
    assert two.keepalived.role == "backup"


def test_a_director_with_other_vips_is_no_second_master_because_of_us(two: Two) -> None:
    network, ours, theirs = two.network, ("10.0.0.8/24", "10.0.0.9/24"), "10.0.0.8/24"
    two.lvsguard.configure(fast(150, *ours))
    two.keepalived.start(fast_keepalived(200, theirs))
    lab.start(two.lvsguard)
    two.keepalived.wait_for_role("master", 4 * FAST + SLACK)
    time.sleep(5 * FAST)
    assert two.roles() == {"backup"}  # it believes the advert, though it names fewer addresses
    assert lab.holders(network) == ["director2"]
    two.keepalived.stop()
    lab.wait_for_role(two.lvsguard, "master", FAST + SLACK)
    lab.ask_for(network.client)
    # The other way round keepalived 2.2.7 drops what names other addresses than its own: it is a
    # second master, whatever we do. We say so, and have the clients come to us.
    two.keepalived.start(fast_keepalived(100, theirs))
    two.keepalived.wait_for_role("master", 4 * FAST + SLACK)
    wait_until(lambda: bool(two.lvsguard.events("conflict")), SLACK, "the conflict is told")
    assert two.roles() == {"master"}
    lab.wait_for_neighbour(network.client, network.director1, 5 + SLACK)
