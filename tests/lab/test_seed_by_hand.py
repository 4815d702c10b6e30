"""The lab itself: the seed network set up by hand behaves as LVS-DR does.

If one of these fails, the lab is broken, and no other lab test says anything about lvsguard.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import answered_by, failures, outage_s, start_load
from tests.support.topology_pings import start_pings
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from tests.support.topology import Network
    from tests.support.topology_web import Web

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SERVICE = f"{VIP}:80"


@pytest.fixture
def webs(network: Network) -> list[Web]:
    """nginx on every realserver, and the seed's service on director1, all by hand."""
    for realserver in network.realservers:
        realserver.hold_vip()
    network.director1.forward(SERVICE, "10.0.0.42:80", "10.0.0.43:80")
    return [start_web(realserver) for realserver in network.realservers]


@pytest.mark.usefixtures("webs")
def test_the_client_is_answered_by_both_realservers_in_turn(network: Network) -> None:
    answers = [network.client.get(VIP) for _ in range(4)]
    assert sorted(answers[:2]) == [(200, "rs1"), (200, "rs2")]
    assert answers[2:] == answers[:2]
    assert network.director1.ipvs() == [
        f"-A -t {SERVICE} -s rr",
        f"-a -t {SERVICE} -r 10.0.0.42:80 -g -w 1",
        f"-a -t {SERVICE} -r 10.0.0.43:80 -g -w 1",
    ]


@pytest.mark.usefixtures("webs")
def test_the_vip_is_at_the_director_and_answers_come_from_the_realserver(network: Network) -> None:
    capture = network.client.capture(expression="arp or tcp port 80")
    network.client.get(VIP)
    packets = capture.stop("tcp")
    assert network.client.neighbour(VIP) == network.director1.mac
    assert network.director1.addresses() == ["10.0.0.41/24", "10.0.0.8/24"]
    answers = {line.split()[1] for line in packets if f" {VIP}.80 > " in line}
    assert answers < {network.rs1.mac, network.rs2.mac}


@pytest.mark.usefixtures("webs")
def test_a_host_without_its_cable_is_silent_until_it_is_back(network: Network) -> None:
    network.unplug(network.rs1)
    assert not answers(network)
    network.plug(network.rs1)
    wait_until(lambda: answers(network), 5, "rs1 answers again")


def answers(network: Network) -> bool:
    try:
        return network.client.get(network.rs1.address) == (200, "rs1")
    except OSError:
        return False


def test_the_load_client_sees_a_killed_realserver_and_the_other_one(
    network: Network, webs: list[Web]
) -> None:
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(0.5)
    killed_at = time.monotonic()  # the client's clock too: one kernel, one clock
    webs[0].kill()
    time.sleep(1)
    requests = load.stop()
    assert all(request.at + request.took_s > killed_at for request in failures(requests))
    assert "refused" in {request.error for request in failures(requests)} <= {"refused", "reset"}
    assert answered_by(requests[-10:]) == {"rs2": 5}
    assert 0.5 < outage_s(requests) < 5


def test_long_lived_connections_tell_what_broke_them(network: Network, webs: list[Web]) -> None:
    pings = start_pings(network.client, SERVICE, 10)
    webs[0].process.freeze()
    time.sleep(0.5)  # the stall that is to be seen
    webs[0].process.thaw()
    webs[1].kill()
    time.sleep(0.5)  # each connection sends once more
    connections = pings.stop()
    shares = [c.realserver for c in connections]
    assert shares in (["rs1", "rs2"] * 5, ["rs2", "rs1"] * 5), f"{shares}: {connections}"
    assert all(0.4 < c.worst_s < 5 for c in connections if c.realserver == "rs1")
    assert all(bool(c.broken) is (c.realserver == "rs2") for c in connections)


def test_health_is_the_tests_to_switch(network: Network, webs: list[Web]) -> None:
    assert network.director1.get(network.rs1.address, "/health") == (200, "rs1 is well")
    webs[0].set_health(well=False)
    assert network.director1.get(network.rs1.address, "/health") == (503, "rs1 is unwell")
    assert network.director1.get(network.rs1.address6, "/") == (200, "rs1")


def test_ipvs_of_one_host_is_not_that_of_another(network: Network) -> None:
    network.director1.forward(SERVICE, "10.0.0.42:80")
    assert network.director2.ipvs() == []
    assert network.director2.addresses() == ["10.0.0.40/24"]
    assert not Path("/run/netns/rs3").exists()
