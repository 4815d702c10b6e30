"""Every kind of service beside the seed's: its table is ipvsadm's, and a client is answered."""

from __future__ import annotations

import contextlib
import select
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import pytest

from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.director_seed import seed_under_lvsguard
from tests.support.processes import wait_until
from tests.support.topology import VIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director_seed import Seed
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

VIP6 = IPv6Address("fd00::8")
NAT_VIP, MARKED_VIP = IPv4Address("10.0.0.9"), IPv4Address("10.0.0.10")
FAR_CLIENT = IPv4Address("10.1.0.100")
SETUP = Setup(
    vips=(f"{VIP}/24", f"{NAT_VIP}/32", f"{MARKED_VIP}/32", f"{VIP6}/64"),
    services=(
        Service(name="dns", address=f"{VIP}:53", protocol="udp", check=NO_CHECK),
        Service(name="six", address=f"[{VIP6}]:80", realservers={"fd00::42": 1, "fd00::43": 3}),
        Service(name="marked", address="fwmark 7", check='{ kind = "tcp", port = 80 }'),
        Service(
            name="nat",
            address=f"{NAT_VIP}:8080",
            forwarding="nat",
            scheduler="wrr",
            realservers={"10.0.0.42:80": 2},
        ),
        Service(
            name="tun",
            address=f"{VIP}:443",
            forwarding="tun",
            scheduler="sh",
            check=NO_CHECK,
            more='persistence = "1m"',
        ),
    ),
)
BY_HAND = f"""\
-A -u {VIP}:53 -s rr
-a -u {VIP}:53 -r 10.0.0.42:53 -g -w 1
-a -u {VIP}:53 -r 10.0.0.43:53 -g -w 1
-A -t [{VIP6}]:80 -s rr
-a -t [{VIP6}]:80 -r [fd00::42]:80 -g -w 1
-a -t [{VIP6}]:80 -r [fd00::43]:80 -g -w 3
-A -f 7 -s rr
-a -f 7 -r 10.0.0.42 -g -w 1
-a -f 7 -r 10.0.0.43 -g -w 1
-A -t {NAT_VIP}:8080 -s wrr
-a -t {NAT_VIP}:8080 -r 10.0.0.42:80 -m -w 2
-A -t {VIP}:443 -s sh -p 60 -b sh-fallback
-a -t {VIP}:443 -r 10.0.0.42:443 -i -w 1
-a -t {VIP}:443 -r 10.0.0.43:443 -i -w 1
"""


@pytest.fixture(scope="module")
def kinds(shared_network: Network) -> Iterator[Seed]:
    with seed_under_lvsguard(shared_network, SETUP) as seed:
        wait_until(lambda: seed.director.readiness()[0], 10, "all services serve")
        yield seed


def test_the_table_of_every_kind_is_the_one_that_ipvsadm_makes(kinds: Seed) -> None:
    other = kinds.network.director2
    other.run("ipvsadm", "-R", given=BY_HAND)
    assert sorted(kinds.director.host.ipvs()) == sorted(other.ipvs())
    assert kinds.director.health().trouble == []


def test_udp_is_answered_by_both_in_turn(kinds: Seed) -> None:
    with contextlib.ExitStack() as stack:
        servers = {}
        for realserver in kinds.network.realservers:
            with realserver.entered():
                server = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                server.bind((str(VIP), 53))  # as a realserver answers with direct routing
                servers[server] = realserver.name
        answers = []
        for _ in range(4):  # each from a new port: of one client IPVS keeps a flow in one place
            with kinds.client.entered():
                client = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            client.settimeout(2)
            client.sendto(b"who?", (str(VIP), 53))
            (asked,), _, _ = select.select(list(servers), [], [], 2)
            _, address = asked.recvfrom(512)
            asked.sendto(servers[asked].encode(), address)
            answers.append(client.recv(512).decode())
    assert sorted(answers[:2]) == ["rs1", "rs2"]
    assert answers[2:] == answers[:2]


def test_an_ipv6_vip_is_answered_by_both_and_is_the_directors(kinds: Seed) -> None:
    for realserver in kinds.network.realservers:
        realserver.run("ip", "address", "add", f"{VIP6}/128", "dev", "ipvs0", "nodad")
    answers = {kinds.client.get(VIP6) for _ in range(2)}
    assert answers == {(200, "rs1"), (200, "rs2")}
    assert kinds.client.neighbour(VIP6) == kinds.network.director1.mac


def test_a_firewall_mark_is_answered_by_both_in_turn(kinds: Seed) -> None:
    for realserver in kinds.network.realservers:
        realserver.hold_vip(MARKED_VIP)
    rule = f"-t mangle -A PREROUTING -d {MARKED_VIP} -j MARK --set-mark 7"
    kinds.director.host.run("iptables", *rule.split())
    answers = [kinds.client.get(MARKED_VIP) for _ in range(4)]
    assert sorted(answers[:2]) == [(200, "rs1"), (200, "rs2")]
    assert answers[2:] == answers[:2]


def test_nat_is_answered_through_the_director(kinds: Seed) -> None:
    """The client is of another network, so that the realserver answers by the director."""
    director = kinds.director
    director.host.sysctl("net.ipv4.ip_forward", 1)
    director.host.sysctl("net.ipv4.conf.eth0.send_redirects", 0)
    director.host.run("ip", "route", "add", f"{FAR_CLIENT}/32", "dev", "eth0")
    kinds.network.rs1.run("ip", "route", "add", f"{FAR_CLIENT}/32", "via", "10.0.0.41")
    kinds.client.run("ip", "address", "add", f"{FAR_CLIENT}/32", "dev", "eth0")
    asked = ("curl", "--silent", "--show-error", "--max-time", "3")
    answer = kinds.client.run(*asked, "--interface", str(FAR_CLIENT), f"http://{NAT_VIP}:8080/")
    assert answer.stdout == "rs1\n"
    labels = {"service": "nat", "realserver": "10.0.0.42:80", "direction": "out"}
    # The kernel adds its counters up each two seconds, and a pass reads them each second.
    wait_until(lambda: director.metric("ipvs_bytes_total", **labels) > 100, 5, "it is counted")
