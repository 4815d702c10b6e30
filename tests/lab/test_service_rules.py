"""Quorum, sorry server, panic and slow start on a real kernel, told by ipvsadm and by a client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import answered_by, failures, start_load
from tests.support.topology_pings import start_pings
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from tests.support.director_seed import Seed
    from tests.support.golden import Golden

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.lab,
    pytest.mark.parametrize("shared_network", [3], indirect=True, scope="module"),
]

SERVICE = f"{VIP}:80"
TWO = {"10.0.0.42": 20, "10.0.0.43": 20}
OUT_S, BACK_S = 2.0, 2.5
"""Two probes that fail or succeed, soon one after the other; and a slow guest's slack."""


def under(seed: Seed, rules: str) -> None:
    """Have the service go by these rules, with rs1 and rs2 in."""
    seed.director.configure(Setup(services=(Service(realservers=TWO, more=rules),)))
    seed.director.client.reload()
    seed.director.wait_for_weights(rs1=20, rs2=20, rs3=None)
    seed.director.wait_for_verdicts(rs1="up", rs2="up")


def told(seed: Seed, since: float) -> list[str]:
    """Kinds of the events about the service as a whole."""
    kinds = ("quorum-lost", "quorum-back", "sorry-server-in", "sorry-server-out")
    return [e.kind for e in seed.director.events("", since) if e.kind in (*kinds, "panic")]


def test_a_lost_quorum_brings_the_sorry_server_in_and_its_return_takes_it_out(seed: Seed) -> None:
    """rs3 is the sorry server. One of two is too little: its connections stay, new ones move."""
    under(seed, 'quorum = 25\nquorum_hysteresis = 4\nsorry_server = "10.0.0.44"')
    director, since = seed.director, wall()
    pings = start_pings(seed.client, SERVICE, 4)
    load = start_load(seed.client, SERVICE, per_second=50)
    seed.webs[0].set_health(well=False)
    out_s = director.wait_for_weights(OUT_S, rs1=0, rs2=0, rs3=1)
    assert [seed.client.get(VIP) for _ in range(3)] == [(200, "rs3")] * 3
    service = director.status().services[0]
    assert service.sorry_server is not None
    assert (service.sorry_server.address, service.sorry_server.active) == ("10.0.0.44", True)
    assert (service.quorum.have, service.quorum.need) == (20, 29)
    assert director.realserver("10.0.0.43").reason.startswith("weight 0 while the sorry server")
    assert director.metric("service_sorry_server", service="web") == 1
    assert director.readiness() == (False, ["service web: live weight 20, needs 29"])
    shown = director.run("status").stdout
    assert "sorry server 10.0.0.44:80 has all new connections: quorum is lost" in shown
    seed.webs[0].set_health(well=True)
    back_s = director.wait_for_weights(BACK_S, rs1=20, rs2=20, rs3=None)
    assert {seed.client.get(VIP)[1] for _ in range(4)} == {"rs1", "rs2"}
    requests, connections = load.stop(), pings.stop()
    assert failures(requests) == []
    assert set(answered_by(requests)) == {"rs1", "rs2", "rs3"}
    assert [c.broken for c in connections] == [""] * 4
    wait_until(lambda: len(told(seed, since)) == 4, 2, "all is told")
    assert told(seed, since) == [
        "quorum-lost",
        "sorry-server-in",
        "quorum-back",
        "sorry-server-out",
    ]
    tell("sorry server", in_s=out_s, out_s=back_s)


def test_a_restart_with_the_sorry_server_in_writes_nothing(seed: Seed, golden: Golden) -> None:
    under(seed, 'quorum = 40\nsorry_server = "10.0.0.44"')
    director, since = seed.director, wall()
    seed.webs[0].set_health(well=False)
    director.wait_for_weights(OUT_S, rs1=0, rs2=0, rs3=1)
    wait_until(lambda: len(told(seed, since)) == 2, 2, "all is told")
    check_why(golden, director, "sorry-server", "10.0.0.43", since)
    check_why(golden, director, "sorry-server-service", "web", since)
    before = director.host.ipvs()
    director.kill()
    director.start()
    director.wait_for_verdicts(rs1="down", rs2="up")
    director.wait_for_passes(2)
    assert (director.writes(), director.host.ipvs()) == (0, before)
    seed.webs[0].set_health(well=True)
    director.wait_for_weights(BACK_S, rs1=20, rs2=20, rs3=None)


def test_in_panic_all_are_in_but_those_that_an_operator_took_out(
    seed: Seed, golden: Golden
) -> None:
    under(seed, "panic_below = 0.5")
    director, since = seed.director, wall()
    seed.webs[0].set_health(well=False)
    director.wait_for_weights(OUT_S, rs1=0, rs2=20)
    seed.webs[1].set_health(well=False)
    director.wait_for_verdicts(OUT_S, rs1="down", rs2="down")
    director.wait_for_weights(1, rs1=20, rs2=20)
    assert {seed.client.get(VIP)[1] for _ in range(4)} == {"rs1", "rs2"}
    assert "panic" in told(seed, since)
    assert director.metric("service_panic", service="web") == 1
    assert director.realserver("10.0.0.42").reason.startswith("panic, 0% of the weight is live")
    assert director.status().services[0].panic
    check_why(golden, director, "panic", "10.0.0.42", since)
    check_why(golden, director, "panic-service", "web", since)
    director.run("disable", "10.0.0.43", "--reason", "disk")
    director.wait_for_weights(1, rs1=20, rs2=None)
    director.run("enable", "10.0.0.43")
    for web in seed.webs[:2]:
        web.set_health(well=True)
    director.wait_for_verdicts(BACK_S, rs1="up", rs2="up")
    director.wait_for_weights(1, rs1=20, rs2=20)
    assert director.events("panic-over", since)
    assert director.metric("service_panic", service="web") == 0


def test_a_slow_start_is_seen_in_the_table_and_ends_at_the_whole_weight(seed: Seed) -> None:
    under(seed, 'slow_start = "3s"')
    director = seed.director
    seed.webs[0].set_health(well=False)
    director.wait_for_weights(OUT_S, rs1=0, rs2=20)
    reads = director.health().passes
    seed.webs[0].set_health(well=True)
    wait_until(lambda: director.weights()["rs1"] > 0, BACK_S, "rs1 is back")
    begun = time.monotonic()
    seen: list[tuple[float, int]] = []
    while not seen or seen[-1][1] < 20:
        assert time.monotonic() - begun < 5, seen
        seen.append((time.monotonic() - begun, director.weights()["rs1"]))
        time.sleep(0.02)
    weights = sorted({weight for _, weight in seen})
    assert [w for _, w in seen] == sorted(w for _, w in seen)
    assert weights[0] <= 2
    assert len(weights) >= 12
    assert all(abs(weight - (1 + 19 * at / 3)) <= 2.5 for at, weight in seen)
    assert seen[-1][0] == pytest.approx(3, abs=0.4)
    assert director.metric("service_slow_starting", service="web") == 0
    tell(
        "slow start",
        took_s=seen[-1][0],
        weights=len(weights),
        passes=director.health().passes - reads,
    )


def test_an_undrain_goes_through_the_slow_start_and_a_reload_does_not_disturb_it(
    seed: Seed,
) -> None:
    under(seed, 'slow_start = "1m"')
    director = seed.director
    director.run("drain", "10.0.0.42", "--reason", "disk")
    director.wait_for_weights(1, rs1=0, rs2=20)
    director.run("undrain", "10.0.0.42")
    director.wait_for_weights(1, rs1=1, rs2=20)
    assert "slow start: 1 of 20" in director.realserver("10.0.0.42").reason
    director.client.reload()
    director.wait_for_passes()
    assert director.weights()["rs1"] == 1
