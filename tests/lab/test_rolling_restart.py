"""What a deploy script does, under load: `drain --wait && restart && undrain --wait`, one by one.

No request fails and no connection breaks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell
from tests.support.director_config import Service, Setup
from tests.support.director_seed import seed_under_lvsguard
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.support.director_seed import Seed
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(300)]

TARGET = f"{VIP}:80"


def restart(seed: Seed, number: int, *, crash: bool = False) -> str:
    """Restart one realserver's server as a script would; what the drain said. With ``crash`` the
    daemon is killed and started again while the drain is waited for."""
    address = str(seed.network.realservers[number].address)
    options = ("--wait", "--timeout", "60s", "--reason", "deploy")
    if crash:
        socket = ("--socket", str(seed.director.place / "lvsguard.sock"))
        command = ("lvsguard", "drain", address, *options, *socket)
        waiting = seed.director.host.start("drain", *command)
        waiting.wait_for("connection")
        seed.director.kill()
        seed.director.start()
        assert waiting.wait(60) == 0, waiting.text()
        said = waiting.text()
    else:
        said = seed.director.run("drain", address, *options).stdout
    seed.webs[number].kill()
    seed.webs[number].start()
    seed.director.run("undrain", address, "--wait", "--timeout", "60s")
    return said


def play(seed: Seed, numbers: range, *, per_second: float, held: int, crash_at: int = -1) -> None:
    """Restart these, one by one, under load; nothing may fail or break."""
    pings = start_pings(seed.client, TARGET, held, every_s=0.5, last_s=3)
    load = start_load(seed.client, TARGET, per_second, timeout_s=5)
    time.sleep(1)
    begun = time.monotonic()
    for number in numbers:
        restart(seed, number, crash=number == crash_at)
    took_s = time.monotonic() - begun
    requests, connections = load.stop(), pings.stop()
    broken = [one for one in connections if one.broken]
    tell(
        "rolling restart",
        realservers=len(numbers),
        took_s=took_s,
        requests=len(requests),
        per_second=len(requests) / (requests[-1].at - requests[0].at),
        failed=len(failures(requests)),
        connections=len(connections),
        broken=len(broken),
        slowest_s=max(one.took_s for one in requests),
        stall_s=max(one.worst_s for one in connections),
    )
    assert failures(requests) == []
    assert {one.status for one in requests} == {200}
    assert broken == []
    assert sum(one.pings > 0 for one in connections) > 2 * held


@pytest.mark.parametrize("network", [10], indirect=True)
def test_ten_realservers_are_restarted_under_load_and_the_daemon_in_the_middle(
    network: Network,
) -> None:
    addresses = {f"10.0.0.{42 + n}": 1 for n in range(10)}
    setup = Setup(services=(Service(realservers=addresses),))
    with seed_under_lvsguard(network, setup) as seed:
        seed.director.wait_for_weights(**{f"rs{n}": 1 for n in range(1, 11)})
        play(seed, range(10), per_second=300, held=50, crash_at=5)


@pytest.mark.parametrize("network", [3], indirect=True)
@pytest.mark.parametrize(
    "service",
    [
        pytest.param(Service(scheduler="mh", more='scheduler_flags = ["mh-port"]'), id="mh"),
        pytest.param(Service(scheduler="wrr", more='persistence = "30s"'), id="persistence"),
    ],
)
def test_clients_that_are_bound_to_a_realserver_move_and_lose_nothing(
    network: Network, service: Service
) -> None:
    weights = {f"10.0.0.{n}": 4 for n in (42, 43, 44)}
    more = f'{service.more}\nslow_start = "1s"'
    setup = Setup(services=(replace(service, realservers=weights, more=more),))
    with seed_under_lvsguard(network, setup) as seed:
        seed.director.wait_for_weights(rs1=4, rs2=4, rs3=4)
        play(seed, range(2), per_second=150, held=20)
