"""The director's own link or address goes and comes back: that is no fault of the realservers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.director_seed import seed_under_lvsguard
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_pings import start_pings
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director_seed import Seed
    from tests.support.golden import Golden
    from tests.support.topology import Network
    from tests.support.topology_pings import Pings

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

VIP6 = "fd00::8"
SETUP = Setup(
    vips=(f"{VIP}/24", f"{VIP6}/64"),
    services=(
        Service(),
        Service(name="web6", address=f"[{VIP6}]:80", realservers={"fd00::42": 1, "fd00::43": 1}),
    ),
)


@pytest.fixture(scope="module")
def both(shared_network: Network) -> Iterator[Seed]:
    """The seed's service, and the same one over IPv6."""
    for host in shared_network.realservers:
        host.run("ip", "link", "add", "ipvs0", "type", "dummy")
        host.run("ip", "link", "set", "ipvs0", "up")
        host.run("ip", "address", "add", f"{VIP6}/128", "dev", "ipvs0", "nodad")
    with seed_under_lvsguard(shared_network, SETUP) as seed:
        wait_until(lambda: seed.director.readiness()[0], 10, "all are in")
        yield seed


@pytest.fixture
def seed(both: Seed) -> Seed:
    wait_until(lambda: len(serving(both)) == 4, 10, "all are in")
    return both


def serving(seed: Seed) -> list[str]:
    """Realservers that take new connections, in both services."""
    return [line for line in seed.director.table() if line.endswith(" 1")]


def start_both(seed: Seed) -> tuple[Pings, Pings]:
    return (
        start_pings(seed.client, f"{VIP}:80", 10),
        start_pings(seed.client, f"[{VIP6}]:80", 10),
    )


def holds_both(seed: Seed) -> bool:
    host = seed.director.host
    shown = host.run("ip", "-brief", "address", "show", "dev", "eth0").stdout.split()
    return {f"{VIP}/24", f"{VIP6}/64"} <= set(shown)


@pytest.mark.parametrize("seconds", [1.0, 6.0])
def test_a_pulled_cable_cuts_no_connection(seed: Seed, seconds: float, golden: Golden) -> None:
    director, since = seed.director, wall()
    old = start_both(seed)
    seed.network.unplug(director.host)
    end = time.monotonic() + seconds
    wait_until(lambda: bool(director.events("link", since)), 1, "it is told")
    if seconds > 3:
        check_why(golden, director, "link-of-a-lone-director-down", "10.0.0.42", since)
    time.sleep(max(end - time.monotonic(), 0))
    (trouble,) = director.health().trouble
    assert "eth0 is down" in trouble
    assert "ip link show eth0" in trouble
    assert f"This director has trouble: {trouble}." in director.why("10.0.0.42")
    assert "interface eth0 is down" in director.timeline("10.0.0.42")
    assert holds_both(seed)
    seed.network.plug(director.host)
    plugged_at = time.monotonic()
    wait_until(lambda: len(serving(seed)) == 4, 5, "all take new connections")
    serving_s = time.monotonic() - plugged_at
    wait_until(lambda: director.health().trouble == [], 5, "all is well")
    time.sleep(1)  # TCP sends again what was lost
    connections = [c for pings in old for c in pings.stop()]
    assert [c.broken for c in connections] == [""] * 20
    assert seed.client.get(VIP)[0] == 200
    assert [e.data["up"] for e in director.events("link", since)] == [False, True]
    tell(f"no cable for {seconds:g} s", kept=len(connections), serving_s=serving_s)


def test_a_realserver_that_is_gone_is_out_soon_after_the_cable_is_back(seed: Seed) -> None:
    seed.network.unplug(seed.director.host)
    seed.network.unplug(seed.network.rs1)
    time.sleep(3.5)  # longer than it takes to count as down
    assert len(serving(seed)) == 4
    seed.network.plug(seed.director.host)
    plugged_at = time.monotonic()
    wait_until(lambda: len(serving(seed)) == 2, 5, "only rs2 takes new connections")
    out_s = time.monotonic() - plugged_at
    seed.network.plug(seed.network.rs1)
    tell("a realserver lost while the cable was out", out_s=out_s)


def test_realservers_are_back_by_themselves_when_a_vip_has_become_the_first_address(
    seed: Seed,
) -> None:
    """The director's own address is taken off and put back, as ifup and DHCP clients do. Linux
    drops the VIP with it, which is put back first, and then sends from the VIP by default: what
    the realservers answer to that never leaves them. ARP asks in the VIP's name too until a probe
    asks in the director's, so some seconds may be lost; for good it must not be."""
    host, own = seed.director.host, "10.0.0.41/24"
    host.run("ip", "address", "del", own, "dev", "eth0")
    host.run("ip", "address", "add", own, "dev", "eth0")
    assert f"src {VIP} " in host.run("ip", "route", "get", "10.0.0.42").stdout
    time.sleep(4)  # longer than it takes to count as down
    wait_until(lambda: len(serving(seed)) == 4, 6, "all take new connections")
    time.sleep(3)
    assert len(serving(seed)) == 4
    assert seed.client.get(VIP)[0] == 200
    host.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")  # the own one is the first again
    host.run("ip", "address", "replace", own, "dev", "eth0")


def test_an_interface_set_down_and_up_again_has_its_vips(seed: Seed) -> None:
    director, since = seed.director, wall()
    host = director.host
    old = start_both(seed)
    host.run("ip", "link", "set", "eth0", "down")  # the kernel forgets the IPv6 addresses
    wait_until(lambda: bool(director.events("link", since)), 1, "it is told")
    time.sleep(1)
    host.run("ip", "link", "set", "eth0", "up")
    host.run("ip", "address", "replace", f"{host.address6}/64", "dev", "eth0", "nodad")
    up_at = time.monotonic()
    wait_until(lambda: holds_both(seed), 1.5, "both VIPs are there")
    held_s = time.monotonic() - up_at
    wait_until(lambda: len(serving(seed)) == 4, 5, "all take new connections")
    time.sleep(1)  # TCP sends again what was lost
    connections = [c for pings in old for c in pings.stop()]
    assert [c.broken for c in connections] == [""] * 20
    tell("set down and up", kept=len(connections), held_s=held_s)


def test_realservers_are_asked_at_once_when_the_cable_is_back(seed: Seed) -> None:
    """rs1 was unplugged, too, so that its verdict is down; the link's return makes the probes."""
    director = seed.director
    slow = (
        '{ kind = "tcp", interval = "600s", down_interval = "600s", timeout = "1s", arp = false }'
    )
    director.configure(replace(SETUP, services=(Service(check=slow), SETUP.services[1])))
    director.client.reload()
    wait_until(lambda: len(serving(seed)) == 4, 10, "all are in")
    since = wall()
    seed.network.unplug(seed.network.rs1)
    # Its address is asked from: that it comes and goes makes probes, too.
    host = director.host
    host.run("ip", "address", "del", "10.0.0.41/24", "dev", "eth0")
    host.run("ip", "address", "add", "10.0.0.41/24", "dev", "eth0")
    wait_until(lambda: len(serving(seed)) < 4, 20, "rs1 is out, long before its next probe")
    seed.network.plug(seed.network.rs1)
    seed.network.unplug(host)
    wait_until(lambda: bool(director.events("link", since)), 5, "it is told")
    seed.network.plug(host)
    wait_until(lambda: len(serving(seed)) == 4, 20, "rs1 is in, long before its next probe")
    host.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")  # the own one is the first again
    host.run("ip", "address", "replace", "10.0.0.41/24", "dev", "eth0")
    director.configure(SETUP)
    director.client.reload()


def test_a_pulled_cable_of_a_leg_without_a_vip_cuts_no_connection(seed: Seed) -> None:
    """rs1 is asked, and gets its packets, over a cable of its own, and answers by the switch."""
    director, rs1 = seed.director, seed.network.rs1
    seed.network.add_cable(director.host, rs1)
    for link in ("all", "eth1"):
        rs1.sysctl(f"net.ipv4.conf.{link}.rp_filter", 0)
    behind = Service(realservers={"192.168.7.2": 1})
    director.configure(replace(SETUP, services=(behind, SETUP.services[1])))
    director.client.reload()
    wait_until(lambda: len(serving(seed)) == 3, 10, "all are in")
    time.sleep(1)  # it has answered by ARP
    since, old = wall(), start_pings(seed.client, f"{VIP}:80", 10)
    rs1.run("ip", "link", "set", "eth1", "down")
    wait_until(lambda: bool(director.events("link", since)), 1, "it is told")
    time.sleep(3)  # longer than it takes to be dead
    assert len(serving(seed)) == 3
    (trouble,) = director.health().trouble
    assert "eth1 is down" in trouble
    rs1.run("ip", "link", "set", "eth1", "up")
    wait_until(lambda: director.health().trouble == [], 5, "all is well")
    time.sleep(3)  # TCP sends again what was lost
    assert [connection.broken for connection in old.stop()] == [""] * 10
    assert director.events("health", since) == []
    assert [e.data["interface"] for e in director.events("link", since)] == ["eth1", "eth1"]
    director.configure(SETUP)
    director.client.reload()
    rs1.run("ip", "link", "del", "eth1")


def test_own_addresses_that_come_after_the_start_are_asked_from(seed: Seed) -> None:
    """The link is bare for longer than a start waits, so the VIP is its first address, and what
    realservers answer to that never leaves them."""
    director, host = seed.director, seed.director.host
    assert director.stop() == 0
    host.run("ip", "address", "flush", "dev", "eth0", "scope", "global")
    since = wall()
    director.launch()
    time.sleep(12)
    wait_until(lambda: holds_both(seed), 10, "both VIPs are there")
    host.run("ip", "address", "add", "10.0.0.41/24", "dev", "eth0")
    host.run("ip", "address", "add", f"{host.address6}/64", "dev", "eth0", "nodad")
    assert f"src {VIP} " in host.run("ip", "route", "get", "10.0.0.42").stdout
    came_at = time.monotonic()
    wait_until(lambda: len(serving(seed)) == 4, 10, "all take new connections")
    tell("own addresses that come late", serving_s=time.monotonic() - came_at)
    assert seed.client.get(VIP)[0] == 200
    actors = [event.data["actor"] for event in director.events("reloaded", since)]
    assert actors
    assert all(" came to eth0)" in str(actor) for actor in actors)
    host.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")  # the own one is the first again
    host.run("ip", "address", "replace", "10.0.0.41/24", "dev", "eth0")
