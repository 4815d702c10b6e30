"""A realserver that answers ARP for the VIP: found and named by its address while clients run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Setup
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import start_load

if TYPE_CHECKING:
    from tests.support.director_seed import Seed
    from tests.support.topology import Host

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

START_S = 2.0
"""From the daemon's start to the event that names the realserver."""
SLACK = 3
"""Times as long as that a slow machine may take."""


def speak(host: Host) -> None:
    """Take the ARP suppression off a realserver."""
    host.sysctl("net.ipv4.conf.all.arp_ignore", 0)
    host.sysctl("net.ipv4.conf.all.arp_announce", 0)


def hush(host: Host) -> None:
    host.sysctl("net.ipv4.conf.all.arp_ignore", 1)
    host.sysctl("net.ipv4.conf.all.arp_announce", 2)


def moment(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def named(seed: Seed, since: float, address: str) -> bool:
    events = seed.director.events("conflict", since)
    return any(event.data["realserver"] == address for event in events)


def test_a_realserver_that_answers_for_the_vip_is_named_soon_after_the_start(seed: Seed) -> None:
    director, rs2 = seed.director, seed.network.rs2
    director.stop()
    speak(rs2)
    try:
        since = wall()
        director.start()
        wait_until(lambda: named(seed, since, str(rs2.address)), START_S * SLACK, "it is named")
        event = director.events("conflict", since)[-1]
        assert (event.data["other"], event.data["detail"]) == (rs2.mac, str(VIP))
        assert f"run there: lvsguard realserver check --vip {VIP} --rip {rs2.address}" in event.text
        (started,) = director.events("started", since)
        told_s = moment(event.time) - moment(started.time)
        tell("answers ARP for the VIP", named_s=told_s, from_launch_s=moment(event.time) - since)
        (conflict,) = director.status().vips[0].conflicts
        assert (conflict.mac, conflict.realserver) == (rs2.mac, str(rs2.address))
        assert str(rs2.address) in director.run("status").stdout
        assert director.metric("vip_conflicts", vip="web") == 1
    finally:
        hush(rs2)
    wait_until(lambda: bool(director.events("conflict-over", since)), 10, "its end is told")
    assert director.status().vips[0].conflicts == []
    assert director.metric("vip_conflicts", vip="web") == 0
    assert len(director.events("conflict", since)) <= 2  # not one for each answer


def test_one_that_begins_while_clients_run_is_told_and_drained_where_asked(seed: Seed) -> None:
    director, rs2 = seed.director, seed.network.rs2
    director.configure(Setup(vip='on_conflict = "drain"'))
    director.client.reload()
    load = start_load(seed.client, f"{VIP}:80", per_second=100)
    since = wall()
    speak(rs2)
    try:
        wait_until(lambda: named(seed, since, str(rs2.address)), START_S * SLACK, "it is named")
        told_s = moment(director.events("conflict", since)[0].time) - since
        director.wait_for_weights(rs1=1, rs2=0)
        reason = director.realserver(rs2.address).reason
        assert reason == f"drained by lvsguard: it answers for VIP {VIP}"
    finally:
        hush(rs2)
    director.wait_for_weights(15, rs1=1, rs2=1)
    requests = load.stop()
    tell("a conflict that begins under load", told_s=told_s, requests=len(requests))
    assert len(requests) > 0
