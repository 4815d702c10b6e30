"""The seed's service under lvsguard: table and answers are those of the one set up by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell
from tests.support.director_observers import tap_netlink
from tests.support.processes import wait_until
from tests.support.topology import VIP

if TYPE_CHECKING:
    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

BY_HAND = f"""\
-A -t {VIP}:80 -s rr
-a -t {VIP}:80 -r 10.0.0.42:80 -g
-a -t {VIP}:80 -r 10.0.0.43:80 -g
"""


def test_the_table_is_the_one_that_ipvsadm_makes(seed: Seed) -> None:
    other = seed.network.director2
    other.run("ipvsadm", "-R", given=BY_HAND)
    assert other.ipvs() == seed.director.host.ipvs() != []


def test_the_client_is_answered_by_both_realservers_in_turn(seed: Seed) -> None:
    answers = [seed.client.get(VIP) for _ in range(6)]
    assert sorted(answers[:2]) == [(200, "rs1"), (200, "rs2")]
    assert answers == answers[:2] * 3


def test_the_vip_is_on_the_directors_interface_and_nobody_elses(seed: Seed) -> None:
    seed.client.get(VIP)
    holders = [host.name for host in seed.network.hosts if f"{VIP}/24" in host.addresses()]
    assert holders == ["director1"]
    assert seed.client.neighbour(VIP) == seed.network.director1.mac


def test_status_json_tells_what_the_kernel_holds(seed: Seed) -> None:
    seed.client.get(VIP)
    status = json.loads(seed.director.run("status", "--json").stdout)
    assert status["director"] == "director1"
    assert [(v["addresses"], v["role"]) for v in status["vips"]] == [([f"{VIP}/24"], "master")]
    (service,) = status["services"]
    described = [service[key] for key in ("name", "address", "protocol", "scheduler", "forwarding")]
    assert described == ["web", f"{VIP}:80", "tcp", "rr", "dr"]
    assert service["quorum"] == {"have": 2, "need": 1}
    assert [(r["address"], r["weight"], r["verdict"]) for r in service["realservers"]] == [
        ("10.0.0.42", 1, "up"),
        ("10.0.0.43", 1, "up"),
    ]
    assert status["foreign"] == []


def test_what_a_realserver_had_goes_on_after_a_death_and_is_not_0_meanwhile(seed: Seed) -> None:
    """The kernel keeps what it removed, so that a 0 would look like a reset to ``rate()``."""
    director, labels = seed.director, {"service": "web", "realserver": "10.0.0.42:80"}

    def total() -> float | None:
        found = director.metrics().get("lvsguard_ipvs_connections_total", {})
        return found.get(frozenset(labels.items()))

    before = total() or 0.0
    for _ in range(6):
        seed.client.get(VIP)
    wait_until(lambda: total() == before + 3, 5, "its connections are counted")
    seed.webs[0].kill()
    director.wait_for_weights(3, rs1=None, rs2=1)
    wait_until(lambda: total() is None, 5, "its total is left out")
    seed.webs[0].start()
    director.wait_for_weights(10, rs1=1, rs2=1)
    wait_until(lambda: total() is not None, 5, "its total is back")
    assert total() == before + 3
    tell("after a death", connections=total())


def test_a_director_at_rest_writes_nothing(seed: Seed) -> None:
    tap, before = tap_netlink(seed.director.host), seed.director.writes()
    passes = seed.director.metric("passes_total")
    seed.director.wait_for_passes(3)
    foreign = ["-A", "-f", "99", "-s", "rr"], ["-D", "-f", "99"]
    for arguments in foreign:  # the tap sees what is written
        seed.director.host.run("ipvsadm", *arguments)
    assert tap.writes() == ["ipvs new-service", "ipvs del-service"]
    assert seed.director.writes() == before
    tell("at rest", passes=seed.director.metric("passes_total") - passes, writes=0)
