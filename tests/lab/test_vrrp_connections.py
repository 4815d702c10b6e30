"""Long-lived connections through every change of master: none breaks that the kernel could keep."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_vrrp_failover import SERVICE, pair, wait_for_role
from tests.support.director import tell
from tests.support.pace import slowness
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.support.pace import Stillness
    from tests.support.topology import Network
    from tests.support.topology_pings import Connection

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

COUNT = 50
STALL_S = 0.5
"""One TCP retransmission (0.2 s), and what a guest with one CPU adds."""
MASTER_DOWN_S = 3.609


def broken(connections: list[Connection]) -> list[str]:
    return [one.broken for one in connections if one.broken]


def test_a_planned_stop_breaks_no_connection(network: Network, still: Stillness) -> None:
    slow = slowness()
    one, two = pair(network)
    pings = start_pings(network.client, SERVICE, COUNT, every_s=0.1)
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    begun = time.monotonic()
    one.running.stop()
    wait_for_role(two, "master")
    time.sleep(2)
    requests = load.stop()
    connections = pings.stop()
    stall_s = max(c.worst_s for c in connections)
    tell(
        "planned stop",
        failed=len(failures(requests)),
        broken=broken(connections),
        stall_s=stall_s,
        guest_still_s=still.longest_s(begun),
    )
    assert broken(connections) == []
    assert failures(requests) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)


def test_a_director_that_was_away_takes_over_connections_that_it_never_saw(
    network: Network, still: Stillness
) -> None:
    slow = slowness()
    one, two = pair(network)
    one.running.stop()
    wait_for_role(two, "master")
    one.host.run("ipvsadm", "-C")
    pings = start_pings(network.client, SERVICE, COUNT, every_s=2)
    time.sleep(3)
    begun = time.monotonic()
    one.start()
    wait_for_role(one, "master", 20)
    time.sleep(5)
    connections = pings.stop()
    stall_s = max(c.worst_s for c in connections)
    tell(
        "returns",
        broken=broken(connections),
        stall_s=stall_s,
        guest_still_s=still.longest_s(begun),
    )
    assert broken(connections) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)
    received = one.metric("sync_transferred_connections_total", direction="received")
    assert COUNT <= received <= two.metric("sync_transferred_connections_total", direction="sent")
    assert {one.metric("sync_daemon_running", role=role) for role in ("master", "backup")} == {1}


def test_a_crash_breaks_no_connection(network: Network, still: Stillness) -> None:
    slow = slowness()
    _one, two = pair(network)
    pings = start_pings(network.client, SERVICE, COUNT, every_s=0.1)
    time.sleep(2)
    begun = time.monotonic()
    network.unplug(network.director1)
    wait_for_role(two, "master")
    time.sleep(2)
    connections = pings.stop()
    stall_s = max(c.worst_s for c in connections)
    tell("crash", broken=broken(connections), stall_s=stall_s)
    assert broken(connections) == []
    assert stall_s <= MASTER_DOWN_S + 0.1 * slow + still.longest_s(begun)
