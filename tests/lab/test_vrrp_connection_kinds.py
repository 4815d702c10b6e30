"""Connections of every kind through a planned handover: the successor knows all of them before it
is asked, with the same realservers, and tells them on to the one that comes back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_vrrp_failover import VRRP, wait_for_role
from tests.support import sync_traffic
from tests.support.director import Director, make_director, tell
from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.processes import wait_until
from tests.support.sync_traffic import MARKS, VIP6
from tests.support.topology import VIP

if TYPE_CHECKING:
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

FOUR = {"10.0.0.42": 1, "10.0.0.43": 1}
SIX = {"fd00::42": 1, "fd00::43": 1}
STICKY = 'persistence = "300s"'


def service(name: str, address: str, more: str = "", protocol: str = "tcp") -> Service:
    realservers = SIX if address.startswith("[") else FOUR
    return Service(
        name=name,
        address=address,
        protocol=protocol,
        check=NO_CHECK,
        realservers=realservers,
        more=more,
    )


SETUP = Setup(
    vips=(f"{VIP}/24", f"{VIP6}/64"),
    vrrp=VRRP,
    services=(
        service("tcp4", f"{VIP}:80"),
        service("tcp6", f"[{VIP6}]:80"),
        service("udp4", f"{VIP}:53", protocol="udp"),
        service("udp6", f"[{VIP6}]:53", protocol="udp"),
        service("sctp4", f"{VIP}:3868", protocol="sctp"),
        service("sticky4", f"{VIP}:443", STICKY),
        service("sticky6", f"[{VIP6}]:443", STICKY),
        service("mark4", "fwmark 7"),
        service("stickymark4", "fwmark 9", STICKY),
    ),
)
COUNTS = {
    "tcp4": 12,
    "tcp6": 12,
    "udp4": 8,
    "udp6": 8,
    "sctp4": 4,
    "sticky4": 6,
    "sticky6": 6,
    "mark4": 6,
    "stickymark4": 4,
}
TEMPLATES = 3
"""Of persistence: one client each of sticky4, sticky6, stickymark4."""


def known(host: Host) -> set[tuple[str, ...]]:
    """Protocol, client, virtual service, realserver and state of what a director knows."""
    table = host.run("cat", "/proc/net/ip_vs_conn").stdout.splitlines()[1:]
    return {tuple(line.split()[:8]) for line in table}


def marked(host: Host) -> None:
    for port, mark in MARKS.items():
        match = f"-t mangle -A PREROUTING -d {VIP} -p tcp --dport {port}"
        host.run(*f"iptables -w {match} -j MARK --set-mark {mark}".split())


def started(host: Host) -> Director:
    marked(host)
    director = make_director(host, SETUP)
    director.start()
    return director


def test_every_kind_is_known_to_the_successor_and_to_one_that_comes_back(network: Network) -> None:
    sync_traffic.start_servers(network)
    one, two = started(network.director1), started(network.director2)
    wait_for_role(one, "master")
    wait_for_role(two, "backup")
    sync_traffic.start_clients(network.client, COUNTS)
    every = known(one.host)
    assert len(every) == sum(COUNTS.values()) + TEMPLATES
    two.host.run("ipvsadm", "-C")
    two.wait_for_drift(0)
    one.running.stop()
    wait_for_role(two, "master")
    missing = every - known(two.host)
    tell("planned stop", known=len(every), missing=sorted(missing))
    assert missing == set()
    one.host.run("ipvsadm", "-C")
    one.start()
    wait_for_role(one, "master", 20)
    missing = every - known(one.host)
    tell("returns", known=len(every), missing=sorted(missing))
    assert missing == set()
    sync = one.status().sync
    assert sync is not None
    assert sync.daemons == ["master", "backup"]
    wait_until(lambda: bool(one.events("table-received")), 2, "it says what it received")
    peers = [event.data["peer"] for event in one.events("table-received")]
    assert peers[-1] == str(two.host.address)
    assert sync.transfer is not None, "that one, or what it has sent to who joins since"
    assert re.search(r"^SYNC  eth0 id 51 ", one.run("status").stdout, re.MULTILINE)
