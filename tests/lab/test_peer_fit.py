"""Whether the standby is fit to take over, as the director that leads tells it and acts on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_peer import CHANNEL, VRRP, cut, pair, peer
from tests.lab.test_vrrp_failover import SERVICE, wait_for_role
from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.processes import wait_until
from tests.support.topology_load import failures, start_load

if TYPE_CHECKING:
    from tests.support.director import Director
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


def reasons(director: Director) -> list[str]:
    return [one.why for one in peer(director).unfit]


def wait_for_fitness(director: Director, *wanted: str) -> float:
    what = f"unfit by {wanted}" if wanted else "the other one is fit"
    return wait_until(lambda: reasons(director) == list(wanted), 15, what, every_s=0.05)


def test_an_unfit_standby_is_named_and_gets_a_vip_by_force_alone(network: Network) -> None:
    one, two = pair(network)
    wait_for_fitness(one)
    wait_for_fitness(two)
    assert "sees the same health, fit to take over" in one.run("status").stdout
    assert one.metric("peer_fit", peer="director2") == 1
    offset = peer(one).clock_offset
    assert offset is not None
    assert abs(offset) < 0.5, "both have the guest's clock"
    since = wall()
    load = start_load(network.client, SERVICE, per_second=20)

    # Its way to a realserver is cut: checks that pass from here fail from there.
    cut(two, network.rs2.address)
    checks = wait_for_fitness(one, "checks")
    told = "web: 1 of 2 healthy there, 2 here (10.0.0.43 down there)"
    assert f"  checks fail from there that pass from here ({told})" in one.run("status").stdout
    refused = one.run("failover", check=False)
    assert refused.returncode == 1
    assert "no other director is fit to take over now" in refused.stderr
    assert f"director2: checks fail from there that pass from here ({told})" in refused.stderr
    assert "lvsguard failover --force" in refused.stderr
    assert one.status().vips[0].role == "master"
    cut(two, network.rs2.address, undo=True)
    wait_for_fitness(one)

    # Somebody has changed one key of its file.
    credential = network.artifacts / "peer.pem"
    weighted = Setup(
        services=(Service(scheduler="wrr"),), vrrp=VRRP, more=CHANNEL.format(credential)
    )
    two.configure(weighted)
    two.run("reload")
    config = wait_for_fitness(one, "config")
    shown = one.run("status").stdout
    assert "NOT FIT to take over" in shown
    assert "  its config differs in service.web.scheduler: make the files the same" in shown
    assert "service.web.scheduler" in peer(one).config_differs
    assert one.metric("peer_fit", peer="director2") == 0
    refused = one.run("failover", "web", check=False)
    assert refused.returncode == 1
    assert "director2: its config differs in service.web.scheduler" in refused.stderr
    wait_until(lambda: len(one.events("peer-unfit", since)) == 2, 10, "both were told")
    assert one.status().vips[0].role == "master"

    begun = time.monotonic()
    forced = one.run("failover", "web", "--force")
    assert ": 10.0.0.40 has taken over;" in forced.stdout
    took = time.monotonic() - begun
    wait_for_role(two, "master")
    (asked,) = one.events("failover", since)
    assert "by force, though director2: its config differs in service.web.scheduler" in asked.text
    time.sleep(1)
    requests = load.stop()
    tell("unfit", checks_s=checks, config_s=config, forced_s=took, requests=len(requests),
         failed=len(failures(requests)))  # fmt: skip
    assert failures(requests) == []
