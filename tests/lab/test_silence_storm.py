"""Hosts that fall silent in one moment though the director's cable is well: a switch port flaps.

Three hundred realservers on the director's own link, each with an address of its own, all on one
host and in one nginx; checks each 5 s, so that what is seen within a second is the link's silence.
Nobody refuses anything: a probe there ends only when the patience does, and what a host-dead
realserver would cost is the connections of its clients.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.director import make_director, tell, wall
from tests.support.director_config import Service, Setup
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_pings import start_pings
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director import Director
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]

COUNT = 300
OWN = "10.2.0.1"
"""The director's address in the network of the farm."""
ADDRESSES = [f"10.2.{1 + number // 200}.{1 + number % 200}" for number in range(COUNT)]
CHECK = '{ kind = "http", path = "/health", interval = "5s", timeout = "2s" }'
SILENT_S = 1.5
"""Longer than it takes to count as dead."""
SLOW = 1.5
"""From so much slower a guest on (``pace.slowness``) the verdicts may be more than one plan."""
SETUP = Setup(
    services=(
        Service(check=CHECK, realservers=dict.fromkeys(ADDRESSES, 1), more="panic_below = 0.5"),
    )
)


@dataclass(frozen=True, slots=True)
class Farm:
    """The realservers, all on rs1, and the director."""

    network: Network
    director: Director

    def serving(self) -> int:
        """Realservers that have their weight in the kernel's table."""
        return sum(line.split()[2:] == ["Route", "1"] for line in self.director.table())

    def verdicts(self, verdict: str) -> int:
        (service,) = self.director.status().services
        return sum(realserver.verdict == verdict for realserver in service.realservers)


@pytest.fixture
def farm(shared_network: Network) -> Iterator[Farm]:
    network, host = shared_network, shared_network.rs1
    host.hold_vip()
    lines = [f"address add {address}/32 dev eth0" for address in ADDRESSES]
    host.run("ip", "-batch", "-", given="\n".join([*lines, f"route add {OWN} dev eth0"]))
    network.director1.run("ip", "address", "add", f"{OWN}/16", "dev", "eth0")
    start_web(host)
    director = make_director(network.director1, SETUP)
    director.start()
    farm = Farm(network, director)
    wait_until(lambda: farm.verdicts("up") == COUNT, 60, "all are up", every_s=0.5)
    wait_until(lambda: farm.serving() == COUNT, 10, "all are in", every_s=0.1)
    time.sleep(2)  # all have answered on the link
    yield farm
    director.kill()


def test_a_storm_of_silence_is_one_plan_and_panic_keeps_all_in(farm: Farm) -> None:
    slow, since, director = slowness(), wall(), farm.director
    pings = start_pings(farm.network.client, f"{VIP}:80", 50)
    writes = director.writes()
    farm.network.unplug(farm.network.rs1)
    fewest, end = COUNT, time.monotonic() + SILENT_S
    while time.monotonic() < end:
        fewest = min(fewest, farm.serving())
        time.sleep(0.02)
    wait_until(lambda: farm.verdicts("down") == COUNT, 5, "all are down", every_s=0.1)
    fewest = min(fewest, farm.serving())
    written = director.writes() - writes
    panics = director.events("panic", since)
    # What becomes of them when the hosts are back is another matter: the rule ends at half of them.
    connections = pings.stop()
    farm.network.plug(farm.network.rs1)
    wait_until(lambda: farm.verdicts("up") == COUNT, 30, "all are up again", every_s=0.2)
    tell("silence", fewest_in=fewest, writes=written, panics=len(panics), slowness=slow)
    assert len(panics) == 1
    assert fewest == COUNT or slow >= SLOW
    assert written == 0 or slow >= SLOW
    assert [c.broken for c in connections] == [""] * 50 or slow >= SLOW
