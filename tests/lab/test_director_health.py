"""What becomes of a realserver that fails, at interval 1 s, fall 2 and rise 2: as the director
comes, and with nothing but probes at their times, 0.2 s apart while in doubt.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import HTTP_CHECK, Service, Setup
from tests.support.topology import VIP
from tests.support.topology_load import answered_by, failures, outage_s, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SERVICE = f"{VIP}:80"
OUT_S = 1.5
UNWELL_S = {"events": 1.2, "polls": 1.4}
"""An interval, the second look at a wrong answer, and a slow guest's slack."""
BACK_S = 1.7
"""A probe each second while down, then two successes; and a slow guest's slack."""


POLLS = HTTP_CHECK.removesuffix(" }") + ', fast_interval = "200ms", canary = false, arp = false }'


@pytest.fixture(params=["events", "polls"])
def seed(request: pytest.FixtureRequest, seed: Seed) -> Seed:
    """The seed's service; without the detectors that hint at a death before its next probe."""
    if request.param == "polls":
        seed.director.configure(Setup(services=(replace(Service(), check=POLLS),)))
        seed.director.client.reload()
        seed.director.wait_for_verdicts(rs1="up", rs2="up")
    return seed


def test_a_killed_realserver_is_out_within_1_5_s_and_back_after_rise(
    seed: Seed, request: pytest.FixtureRequest
) -> None:
    director, since = seed.director, wall()
    load = start_load(seed.client, SERVICE, per_second=50)
    killed_at = time.monotonic()
    seed.webs[0].kill()
    out_s = director.wait_for_weights(OUT_S, rs1=None, rs2=1) + 0.01
    out_at = time.monotonic()
    time.sleep(0.3)  # some requests go to the one that is left
    seed.webs[0].start()
    back_s = director.wait_for_weights(BACK_S, rs1=1, rs2=1)
    time.sleep(0.2)  # some requests go to both
    requests = load.stop()
    failed = failures(requests)
    assert all(killed_at - 1 < request.at < out_at for request in failed)
    assert set(answered_by(r for r in requests if out_at < r.at < out_at + 0.3)) == {"rs2"}
    assert set(answered_by(requests[-5:])) == {"rs1", "rs2"}
    health = director.events("health", since)
    assert [(e.data["realserver"], e.data["after"]) for e in health] == [
        ("10.0.0.42:80", "down"),
        ("10.0.0.42:80", "up"),
    ]
    assert "refused" in health[0].text
    detector = "canary" if "events" in request.node.name else "check"
    assert health[0].data["detector"] == detector
    tell(
        f"killed, found by {detector}",
        out_s=out_s,
        failed=len(failed),
        outage_s=outage_s(requests),
        back_s=back_s,
    )


def test_a_503_takes_the_weight_and_leaves_the_connections(
    seed: Seed, request: pytest.FixtureRequest
) -> None:
    director = seed.director
    pings = start_pings(seed.client, SERVICE, 10)
    load = start_load(seed.client, SERVICE, per_second=50)
    seed.webs[0].set_health(well=False)
    unwell_at = time.monotonic()
    director.wait_for_weights(UNWELL_S[request.node.callspec.params["seed"]], rs1=0, rs2=1)
    out_at = time.monotonic()
    time.sleep(0.5)  # each connection is used five more times
    told = director.realserver("10.0.0.42")
    seed.webs[0].set_health(well=True)
    back_s = director.wait_for_weights(BACK_S, rs1=1, rs2=1)
    requests, connections = load.stop(), pings.stop()
    assert failures(requests) == []
    last_s = max(r.at for r in requests if r.body == "rs1" and r.at < out_at) - unwell_at
    assert {r.body for r in requests if out_at + 0.01 < r.at < out_at + 0.4} == {"rs2"}
    assert [c.broken for c in connections] == [""] * 10
    assert sorted({c.realserver for c in connections}) == ["rs1", "rs2"]
    assert (told.verdict, told.weight, told.connections.active) == ("down", 0, 5)
    assert "503" in told.reason
    stall_s = max(c.worst_s for c in connections)
    tell("503", last_request_s=last_s, back_s=back_s, kept=len(connections), stall_s=stall_s)


def test_when_all_are_unwell_their_connections_go_on_and_it_is_told(seed: Seed) -> None:
    director = seed.director
    pings = start_pings(seed.client, SERVICE, 10)
    for web in seed.webs:
        web.set_health(well=False)
    director.wait_for_weights(OUT_S, rs1=0, rs2=0)
    time.sleep(0.5)  # each connection is used five more times
    ready, reasons = director.readiness()
    for web in seed.webs:
        web.set_health(well=True)
    director.wait_for_weights(BACK_S, rs1=1, rs2=1)
    assert [c.broken for c in pings.stop()] == [""] * 10
    assert (ready, reasons) == (False, ["service web: live weight 0, needs 1"])
    assert director.readiness() == (True, [])


def test_when_all_are_dead_the_service_stays_and_serves_again_with_the_first_one(
    seed: Seed,
) -> None:
    director, since = seed.director, wall()
    for web in seed.webs:
        web.kill()
    director.wait_for_weights(OUT_S, rs1=None, rs2=None)
    assert director.host.ipvs() == [f"-A -t {SERVICE} -s rr"]
    assert f"{VIP}/24" in director.host.addresses()
    refused = seed.client.run("curl", "--silent", "--max-time", "2", f"http://{VIP}/", check=False)
    assert refused.returncode == 7  # the director refuses by ICMP, so clients need not wait
    assert director.readiness() == (False, ["service web: live weight 0, needs 1"])
    seed.webs[1].start()
    back_s = director.wait_for_weights(BACK_S, rs2=1)
    assert [seed.client.get(VIP) for _ in range(2)] == [(200, "rs2")] * 2
    assert [e.data["after"] for e in director.events("health", since)] == ["down", "down", "up"]
    tell("all dead", back_s=back_s)
