"""Passive signs on a real kernel: what clients' packets tell of a realserver whose checks pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import start_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

CHECK = (
    '{{ kind = "http", path = "/health", interval = "{interval}", timeout = "500ms",'
    ' fast_interval = "200ms", fall = 2, canary = false, arp = false }}'
)
TOLD_S = 12.0
"""Two windows of two seconds, the read of the kernel after each, and the slack of a slow guest."""


@pytest.fixture
def undo(seed: Seed) -> Iterator[list[list[str]]]:
    """Commands to run on rs1 at the end."""
    commands: list[list[str]] = []
    yield commands
    for command in commands:
        seed.webs[0].host.run(*command)


def watched(seed: Seed, interval: str) -> None:
    """The seed's service with rare probes and without canaries."""
    check = CHECK.format(interval=interval)
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    seed.director.wait_for_weights(rs1=1, rs2=1)


def test_one_without_the_vip_is_told_and_stays_for_a_sign_is_only_a_hint(
    seed: Seed, undo: list[list[str]]
) -> None:
    watched(seed, "1s")
    director, since, rs1 = seed.director, wall(), seed.webs[0].host
    load = start_load(seed.client, f"{VIP}:80", per_second=50)
    time.sleep(5)  # both are well, and compared
    assert director.events("passive", since) == []
    begun = time.monotonic()
    rs1.run("ip", "address", "del", f"{VIP}/32", "dev", "ipvs0")
    undo.append(["ip", "address", "add", f"{VIP}/32", "dev", "ipvs0"])
    wait_until(lambda: bool(director.events("passive", since)), TOLD_S, "a sign is told")
    told_s = time.monotonic() - begun
    one = director.realserver("10.0.0.42")
    assert (one.verdict, director.weights()["rs1"]) == ("up", 1)
    assert "; clients fare badly: " in one.reason
    assert "Its checks pass, yet its clients fare badly: " in director.why("10.0.0.42")
    told = director.events("passive", since)
    assert {e.data["realserver"] for e in told} == {"10.0.0.42:80"}
    load.stop()
    tell("passive", told_s=told_s, events=len(told))


def test_a_silent_death_between_rare_probes_is_found(seed: Seed, undo: list[list[str]]) -> None:
    """Probes come every half an hour; clients come all the time."""
    watched(seed, "30m")
    director, since, rs1 = seed.director, wall(), seed.webs[0].host
    load = start_load(seed.client, f"{VIP}:80", per_second=50)
    time.sleep(5)
    begun = time.monotonic()
    for host in (director.host, seed.client):
        route = [str(host.address), "dev", "lo"]
        rs1.run("ip", "route", "add", *route)  # its answers stay with itself
        undo.append(["ip", "route", "del", *route])
    director.wait_for_weights(TOLD_S + 5, rs1=0, rs2=1)
    out_s = time.monotonic() - begun
    load.stop()
    (down,) = [e for e in director.events("health", since) if e.data["after"] == "down"]
    assert (down.data["detector"], down.data["code"]) == ("passive", "L4TOUT")
    assert "passive saw it first" in director.why("10.0.0.42")
    tell("passive, probes every 30 min", out_s=out_s)
