"""What a deploy script does, under load: no request fails and no connection breaks.

The load is 300 requests a second where the guest is not slow: one that is four times slower drops
requests of such a load by itself.
"""

from __future__ import annotations

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


@pytest.mark.parametrize("network", [10], indirect=True)
def test_ten_realservers_are_restarted_under_load_and_the_daemon_in_the_middle(
    network: Network,
) -> None:
    addresses = {f"10.0.0.{42 + n}": 1 for n in range(10)}
    setup = Setup(services=(Service(realservers=addresses),))
    with seed_under_lvsguard(network, setup) as seed:
        seed.director.wait_for_weights(**{f"rs{n}": 1 for n in range(1, 11)})
        rate = 300 / slowness()

        def crash() -> None:
            seed.director.kill()
            seed.director.start()

        play(seed, range(10), per_second=rate, held=50, meanwhile={5: crash})


def pair(network: Network) -> tuple[Seed, Director]:
    """The seed under director1, the master, which shares its drains with director2."""
    for realserver in network.realservers:
        realserver.hold_vip()
    webs = [start_web(realserver) for realserver in network.realservers]
    addresses = {str(host.address): 1 for host in network.realservers}
    one, two = joined(network, Setup(services=(Service(realservers=addresses),), vrrp=VRRP))
    return Seed(network, one, webs), two


@pytest.mark.parametrize("network", [3], indirect=True)
def test_a_failover_in_the_middle(network: Network) -> None:
    seed, two = pair(network)

    def failover() -> None:
        assert seed.director.run("failover").returncode == 0
        wait_for_role(two, "master")

    play(seed, range(3), per_second=100 / slowness(), held=20, meanwhile={1: failover})
    assert holders(seed.director, two) == ["director2"]
    assert [*two.client.overrides().overrides] == []


@pytest.mark.parametrize("network", [3], indirect=True)
def test_the_other_director_is_down(network: Network) -> None:
    seed, two = pair(network)
    two.kill()
    wait_for_word(seed.director, heard=False)
    play(seed, range(3), per_second=100 / slowness(), held=20)
    two.start()  # and what it missed it is told
    wait_for_word(two)
    assert [*two.client.overrides().overrides] == []
