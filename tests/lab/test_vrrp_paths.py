"""Two directors with a second path: a cable from one to the other, beside the clients' network.

director1 has the higher address on eth0 and the lower one on eth1, so that a rule that looked
at the addresses of a path would find another master on each.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support import vrrp_director as lab
from tests.support.director import Director, tell, wall
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

INTERVAL = 1.0
SKEW2 = (256 - 100) / 256
"""Of director2: what it waits for after a priority 0."""
DOWN1, DOWN2 = 3 + (256 - 150) / 256, 3 + SKEW2
"""Master-down intervals of director1 and director2."""
SLACK = 1.0
"""Seconds for a guest with one CPU."""
HEARTBEAT = 'heartbeat = ["eth1"]'


class Pair:
    """director1 (priority 150) and director2 (100), with eth1 between them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        network.add_cable(network.director1, network.director2)
        self.one, self.two = (
            lab.launch(host, lab.setup(lab.web(lab.vrrp(priority, more=HEARTBEAT))))
            for host, priority in ((network.director1, 150), (network.director2, 100))
        )

    def settle(self) -> None:
        """Be as at the start, whatever was cut."""
        self.cable("up")
        self.network.plug(self.network.director1)
        self.network.rejoin(self.network.director1, self.network.director2)
        lab.wait_for_role(self.one, "master", 2 * DOWN1 + 10)
        lab.wait_for_role(self.two, "backup", 2 * INTERVAL + SLACK)
        lab.wait_for_holder(self.network, "director1", SLACK)

    def cable(self, state: str) -> None:
        """Pull eth1 between the two or put it back."""
        self.network.director2.run("ip", "link", "set", "eth1", state)


@pytest.fixture(scope="module")
def shared_pair(shared_network: Network) -> Iterator[Pair]:
    pair = Pair(shared_network)
    yield pair
    lab.crash(pair.one)
    lab.crash(pair.two)


@pytest.fixture
def pair(shared_pair: Pair) -> Pair:
    shared_pair.settle()
    return shared_pair


def causes(director: Director, since: float) -> list[str]:
    return [str(event.data["cause"]) for event in director.events("role", since)]


def test_a_master_whose_cable_is_pulled_tells_its_backup_over_the_second_path(pair: Pair) -> None:
    network, since = pair.network, wall()
    network.unplug(network.director1)
    took_s = lab.wait_for_holder(network, "director2", SKEW2 + SLACK)
    tell("master's cable, with a second path", took_s=took_s)
    lab.wait_for_role(pair.two, "master", SLACK)
    wait_until(lambda: causes(pair.two, since) == ["master resigned"], 2, "why is told")
    network.plug(network.director1)
    lab.wait_for_holder(network, "director1", DOWN1 + 10 + SLACK)
    lab.ask_for(network.client)
    lab.wait_for_neighbour(network.client, network.director1, SLACK)


def test_directors_that_hear_each_other_on_the_second_path_alone_change_nothing(
    pair: Pair,
) -> None:
    network, since = pair.network, wall()
    network.part(network.director1, network.director2)
    time.sleep(2 * DOWN2)
    assert lab.holders(network) == ["director1"]
    network.rejoin(network.director1, network.director2)
    time.sleep(DOWN2)
    assert lab.holders(network) == ["director1"]
    assert causes(pair.one, since) == causes(pair.two, since) == []
    assert pair.two.status().vips[0].master == str(network.director1.address)


def test_a_stop_that_only_the_second_path_tells_of_hands_over(pair: Pair) -> None:
    network, since = pair.network, wall()
    network.part(network.director1, network.director2)
    time.sleep(INTERVAL)
    pair.one.running.stop()
    lab.wait_for_holder(network, "director2", SKEW2 + SLACK)
    lab.wait_for_role(pair.two, "master", SLACK)
    wait_until(lambda: causes(pair.two, since) == ["master resigned"], 2, "why is told")
    lab.start(pair.one)


def test_only_the_loss_of_both_paths_makes_a_second_master_and_either_ends_it(pair: Pair) -> None:
    network, since = pair.network, wall()
    network.part(network.director1, network.director2)
    time.sleep(DOWN2)
    assert lab.holders(network) == ["director1"]
    pair.cable("down")
    wait_until(lambda: len(lab.holders(network)) == 2, DOWN2 + SLACK, "both are master")
    lab.wait_for_role(pair.two, "master", SLACK)
    wait_until(lambda: causes(pair.two, since) == ["master silent"], 2, "why is told")
    pair.cable("up")
    healed_s = lab.wait_for_holder(network, "director1", INTERVAL + SLACK)
    tell("second path healed first", healed_s=healed_s)
    assert causes(pair.one, since) == []
