"""What trouble between two directors does: loss, delay, disorder, cuts in one way and in both.

Trouble is netem or a drop on the path between director1 and director2 alone: their way to clients
and realservers stays whole, which is the worst case, since both can serve.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support import vrrp_director as lab
from tests.support.director import Director, tell, wall
from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.processes import run, wait_until
from tests.support.topology import VIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsguard.admin.protocol import EventReply
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

INTERVAL = 1.0
DOWN1, DOWN2 = 3 + (256 - 150) / 256, 3 + (256 - 100) / 256
"""Master-down intervals of director1 and director2."""
SLACK = 1.0
"""Seconds for a guest with one CPU."""
TROUBLE = "loss 5% delay 50ms 50ms reorder 25% duplicate 5%"
"""Up to 100 ms late, and a quarter overtakes the others."""
BAD_S = float(os.environ.get("LVSGUARD_BAD_NETWORK_S", "30"))
"""How long the network is bad: a minute and more by `LVSGUARD_BAD_NETWORK_S=60 make test-lab`."""


VIPS = {4: (f"{VIP}/24",), 6: ("fe80::8/64", "fd00::8/64")}
"""By family; the last one is what clients use."""


class Pair:
    """director1 (priority 150) and director2 (100), both lvsguard, and the path between them."""

    def __init__(self, network: Network, family: int) -> None:
        self.network = network
        self.vips = VIPS[family]
        self.address = ip_address(self.vips[-1].partition("/")[0])
        self.how = "arp" if family == 4 else "nd"
        """How somebody else's claim of the VIP is met."""
        self.one, self.two = (
            lab.launch(host, self._setup(priority))
            for host, priority in ((network.director1, 150), (network.director2, 100))
        )
        lab.wait_for_role(self.one, "master", DOWN1 + 4 + SLACK)
        lab.wait_for_role(self.two, "backup", SLACK)
        lab.ask_for(network.client, self.address)

    def _setup(self, priority: int) -> Setup:
        setup = lab.setup(lab.Group("web", self.vips, lab.vrrp(priority)))
        if self.how == "arp":
            return setup
        return replace(setup, services=(Service(address="fwmark 7", check=NO_CHECK),))

    def settle(self) -> None:
        """Be as at the start again."""
        self.heal()
        self.alone(2 * DOWN1 + 4)
        self.neighbour(7)

    def holders(self) -> list[str]:
        """The directors that hold the VIPs."""
        hosts = (self.network.director1, self.network.director2)
        return [host.name for host in hosts if lab.addresses(host).issuperset(self.vips)]

    def alone(self, within_s: float) -> float:
        """Wait until director1 alone holds the VIPs."""
        what = "director1 alone holds the VIPs"
        return wait_until(lambda: self.holders() == ["director1"], within_s, what, every_s=0.03)

    def neighbour(self, within_s: float) -> None:
        """Wait until the client sends to director1."""
        network = self.network
        lab.wait_for_neighbour(network.client, network.director1, within_s, self.address)

    def source(self, host: Host) -> str:
        """What a host's adverts come from."""
        return lab.sources(host)[self.address.version == 6]

    def trouble(self, host: Host, netem: str) -> None:
        """Let what comes to this host from the other director pass through netem."""
        other = self._other(host)
        lines = [
            f"qdisc replace dev {host.name} root handle 1: prio bands 4",
            f"qdisc replace dev {host.name} parent 1:4 handle 40: netem limit 1000 {netem}",
        ]
        run(["tc", "-n", "switch", "-batch", "-"], given="\n".join(lines))
        match = [
            "u32",
            "match",
            "u16",
            f"0x{other.mac[-5:].replace(':', '')}",
            "0xffff",
            "at",
            "-4",
        ]
        flow = ["protocol", "all", "parent", "1:", *match, "flowid", "1:4"]
        run(["tc", "-n", "switch", "filter", "replace", "dev", host.name, *flow])

    def cut(self, *hosts: Host) -> None:
        """Let nothing of the other director reach these."""
        for host in hosts:
            self.trouble(host, "loss 100%")

    def heal(self) -> None:
        for host in (self.network.director1, self.network.director2):
            run(["tc", "-n", "switch", "qdisc", "del", "dev", host.name, "root"], check=False)

    def _other(self, host: Host) -> Host:
        first, second = self.network.director1, self.network.director2
        return second if host == first else first


@pytest.fixture(scope="module", params=[4, 6], ids=["ipv4", "ipv6"])
def shared_pair(shared_network: Network, request: pytest.FixtureRequest) -> Iterator[Pair]:
    pair = Pair(shared_network, request.param)
    yield pair
    lab.crash(pair.one)
    lab.crash(pair.two)


@pytest.fixture
def pair(shared_pair: Pair) -> Pair:
    shared_pair.settle()
    return shared_pair


def changes(director: Director, since: float) -> list[str]:
    return [str(event.text) for event in director.events("role", since)]


def conflicts(pair: Pair, since: float) -> list[EventReply]:
    return pair.one.events("conflict", since)


once = pytest.mark.parametrize("shared_pair", [4], indirect=True, ids=["ipv4"])
"""Adverts of IPv6 go the same way; what differs is how neighbours learn where the VIP is."""


@once
def test_a_bad_network_is_no_reason_to_change_roles(pair: Pair) -> None:
    network, since = pair.network, wall()
    hosts = (network.director1, network.director2)
    for host in hosts:
        pair.trouble(host, TROUBLE)
    capture = network.director2.capture("bad", "proto 112")
    time.sleep(BAD_S)
    heard = [one.at for one in lab.adverts(capture, network.director1.address)]
    gaps = [after - before for before, after in pairwise(heard)]
    tell("bad network", heard=len(heard), longest_gap_s=max(gaps))
    assert 0.7 * BAD_S < len(heard) < 1.3 * BAD_S  # nothing was answered by more
    assert min(gaps) < INTERVAL - 0.03 < INTERVAL + 0.03 < max(gaps)  # it was bad indeed
    if max(gaps) < DOWN2:  # three lost in a row (of 10,000 adverts one) are a reason
        assert changes(pair.one, since) == []
        assert changes(pair.two, since) == []
        assert conflicts(pair, since) == []
        assert pair.holders() == ["director1"]


def test_a_backup_that_hears_nothing_gives_way_as_soon_as_it_hears(pair: Pair) -> None:
    """One-way cut: director2 does not hear the master, which hears director2."""
    network, since = pair.network, wall()
    pair.cut(network.director2)
    wait_until(lambda: len(pair.holders()) == 2, DOWN2 + SLACK, "both are master", every_s=0.03)
    wait_until(
        lambda: {pair.how, "advert"} <= {event.data["how"] for event in conflicts(pair, since)},
        SLACK,
        "both of its claims are told",
    )
    assert "BOTH ARE MASTER: " in pair.one.why(str(pair.address))
    assert "says so in its adverts (priority 100" in pair.one.why(str(pair.address))
    assert {event.data["other"] for event in conflicts(pair, since)} == {
        pair.source(network.director2),
        network.director2.mac,
    }
    # The one with the higher priority announces again: clients are to go to one place.
    pair.neighbour(5 + SLACK)
    pair.heal()
    healed_s = pair.alone(INTERVAL + SLACK)
    pair.neighbour(SLACK)
    tell("one-way cut", healed_s=healed_s)
    assert changes(pair.one, since) == []
    wait_until(lambda: bool(pair.one.events("conflict-over", since)), 3 + SLACK, "the end is told")


@once
def test_a_master_that_does_not_hear_its_backup_changes_nothing(pair: Pair) -> None:
    network, since = pair.network, wall()
    pair.cut(network.director1)
    time.sleep(DOWN2 + INTERVAL)
    assert pair.holders() == ["director1"]
    assert changes(pair.one, since) == changes(pair.two, since) == []


def test_two_masters_of_a_full_cut_become_one_when_it_heals(pair: Pair) -> None:
    network, since = pair.network, wall()
    pair.cut(network.director1, network.director2)
    began = time.monotonic()
    wait_until(lambda: len(pair.holders()) == 2, DOWN2 + SLACK, "both", every_s=0.03)
    time.sleep(max(0.0, 10 - (time.monotonic() - began)))
    assert len(pair.holders()) == 2
    healed = wall()
    pair.heal()
    healed_s = pair.alone(INTERVAL + SLACK)
    pair.neighbour(SLACK)
    tell("full cut of 10 s", healed_s=healed_s)
    time.sleep(DOWN1)
    assert pair.holders() == ["director1"]
    assert changes(pair.one, since) == []
    assert len(changes(pair.two, healed)) == 1
    assert conflicts(pair, since)
