"""What a deploy script does, under load: no request fails and no connection breaks.

The load is 300 requests a second where the guest is not slow: one that is four times slower drops
requests of such a load by itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_peer import joined, wait_for_word
from tests.lab.test_vrrp_failover import VRRP, holders, wait_for_role
from tests.support.director_config import Service, Setup
from tests.support.director_seed import Seed, seed_under_lvsguard
from tests.support.pace import slowness
from tests.support.rolling import play
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from tests.support.director import Director
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]


TEN = pytest.mark.parametrize("network", [10], indirect=True)


def everybody(network: Network, weight: int = 1, **more: str) -> Setup:
    """All realservers of the network in one service."""
    addresses = {str(host.address): weight for host in network.realservers}
    return Setup(services=(Service(realservers=addresses, **more),))


def weights(network: Network, weight: int = 1) -> dict[str, int]:
    return {host.name: weight for host in network.realservers}


@TEN
def test_the_daemon_is_killed_in_the_middle(network: Network) -> None:
    with seed_under_lvsguard(network, everybody(network)) as seed:
        seed.director.wait_for_weights(**weights(network))

        def crash() -> None:
            seed.director.kill()
            seed.director.start()

        play(seed, range(10), per_second=300 / slowness(), held=50, meanwhile={5: crash})


@TEN
@pytest.mark.parametrize(
    ("scheduler", "more"),
    [("mh", 'scheduler_flags = ["mh-port"]'), ("wrr", 'persistence = "30s"')],
    ids=["mh", "persistence"],
)
def test_clients_are_bound(network: Network, scheduler: str, more: str) -> None:
    """With persistence each realserver has clients of its own: they come from many addresses."""
    clients = [f"10.0.0.{octet}" for octet in range(200, 240)]
    for client in clients:
        network.client.run("ip", "address", "add", f"{client}/24", "dev", "eth0")
    setup = everybody(network, 4, scheduler=scheduler, more=f'{more}\nslow_start = "1s"')
    with seed_under_lvsguard(network, setup) as seed:
        seed.director.wait_for_weights(**weights(network, 4))
        play(seed, range(10), per_second=300 / slowness(), held=50, sources=clients)


def pair(network: Network) -> tuple[Seed, Director]:
    """The seed under director1, the master, which shares its drains with director2."""
    for realserver in network.realservers:
        realserver.hold_vip()
    webs = [start_web(realserver) for realserver in network.realservers]
    one, two = joined(network, replace(everybody(network), vrrp=VRRP))
    return Seed(network, one, webs), two


@TEN
def test_a_failover_in_the_middle(network: Network) -> None:
    seed, two = pair(network)

    def failover() -> None:
        assert seed.director.run("failover").returncode == 0
        wait_for_role(two, "master")

    play(seed, range(10), per_second=300 / slowness(), held=50, meanwhile={5: failover})
    assert holders(seed.director, two) == ["director2"]
    assert [*two.client.overrides().overrides] == []


@TEN
def test_the_other_director_is_down(network: Network) -> None:
    seed, two = pair(network)
    two.kill()
    wait_for_word(seed.director, heard=False)
    play(seed, range(10), per_second=300 / slowness(), held=50)
    two.start()  # and what it missed it is told
    wait_for_word(two)
    assert [*two.client.overrides().overrides] == []
