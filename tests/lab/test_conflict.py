"""A realserver that answers ARP for the VIP: found and named by its address while clients run."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import start_load
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from tests.support.director_seed import Seed
    from tests.support.golden import Golden
    from tests.support.stillness import Stillness
    from tests.support.topology import Host

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

START_S = 2.0
"""From the daemon's first pass to the event that names the realserver, and the start of the
prober's process, which asks whose MAC address is whose: a fifth of a second on a host, one or two
in a guest."""
ASKED_S = 1.0
"""Between two questions about a VIP."""
SLACK_S = 0.3
"""For the answer, and the way of the event into the journal."""
RATE = 100.0


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


def start_of_prober_s(host: Host) -> float:
    """What the start of such a process takes here and now, when nothing else runs."""
    begun = time.monotonic()
    host.run(sys.executable, "-c", "import lvsguard.probes.process")
    return time.monotonic() - begun


def test_a_realserver_that_answers_for_the_vip_is_named_soon_after_the_start(
    seed: Seed, still: Stillness
) -> None:
    director, rs2 = seed.director, seed.network.rs2
    director.stop()
    start_s = start_of_prober_s(director.host)
    speak(rs2)
    try:
        since, begun = wall(), time.monotonic()
        director.start()
        wait_until(lambda: named(seed, since, str(rs2.address)), 15, "it is named")
        event = director.events("conflict", since)[-1]
        assert (event.data["other"], event.data["detail"]) == (rs2.mac, str(VIP))
        assert f"run there: lvsguard realserver check --vip {VIP} --rip {rs2.address}" in event.text
        (started,) = director.events("started", since)
        told_s = moment(event.time) - moment(started.time)
        still_s = still.within_s(begun, time.monotonic())
        launched_s = moment(event.time) - since
        times = {"named_s": told_s, "launched_s": launched_s, "start_s": start_s}
        tell("answers ARP for the VIP", **times, still_s=still_s)
        assert told_s <= START_S + start_s + still_s
        (conflict,) = director.status().vips[0].conflicts
        assert (conflict.mac, conflict.realserver) == (rs2.mac, str(rs2.address))
        assert str(rs2.address) in director.run("status").stdout
        assert f"realserver {rs2.address} ({rs2.mac}) answers for {VIP}, too" in director.why(VIP)
        assert director.metric("vip_conflicts", vip="web") == 1
    finally:
        hush(rs2)
    wait_until(lambda: bool(director.events("conflict-over", since)), 10, "its end is told")
    assert director.status().vips[0].conflicts == []
    assert director.metric("vip_conflicts", vip="web") == 0
    assert len(director.events("conflict", since)) <= 2  # not one for each answer


def test_one_that_begins_while_clients_run_is_told_and_drained_where_asked(
    seed: Seed, still: Stillness
) -> None:
    director, rs2 = seed.director, seed.network.rs2
    director.configure(Setup(vip='on_conflict = "drain"'))
    director.client.reload()
    load = start_load(seed.client, f"{VIP}:80", per_second=RATE)
    since, begun = wall(), time.monotonic()
    speak(rs2)
    try:
        wait_until(lambda: named(seed, since, str(rs2.address)), 15, "it is named")
        still_s = still.within_s(begun, time.monotonic())
        event = director.events("conflict", since)[0]
        (conflict,) = director.status().vips[0].conflicts
        director.wait_for_weights(rs1=1, rs2=0)
        reason = director.realserver(rs2.address).reason
        assert reason == f"drained by lvsguard: it answers for VIP {VIP}"
    finally:
        hush(rs2)
    director.wait_for_weights(15, rs1=1, rs2=1)
    ran_s, requests = time.monotonic() - begun, load.stop()
    told_s = moment(event.time) - since
    tell(
        "a conflict that begins under load", told_s=told_s, still_s=still_s, requests=len(requests)
    )
    # When and for whom: its VIP, its realserver and MAC address, and since when.
    assert told_s <= ASKED_S + SLACK_S + still_s
    assert (event.data["vip"], event.data["detail"]) == ("web", str(VIP))
    assert (event.data["realserver"], event.data["other"]) == (str(rs2.address), rs2.mac)
    assert (conflict.address, conflict.mac) == (str(VIP), rs2.mac)
    assert conflict.realserver == str(rs2.address)
    assert conflict.since is not None
    assert abs(moment(conflict.since) - moment(event.time)) <= SLACK_S + still_s
    (over,) = director.events("conflict-over", since)
    assert (over.data["other"], over.data["address"]) == (rs2.mac, str(VIP))
    assert len(requests) >= 0.9 * RATE * ran_s, "clients ran beside it"


def test_why_names_it_of_the_vip_and_of_the_realserver(seed: Seed, golden: Golden) -> None:
    director, rs2 = seed.director, seed.network.rs2
    director.configure(Setup(vip='on_conflict = "drain"'))
    director.client.reload()
    time.sleep(ASKED_S)  # each has answered by ARP, so that its MAC address is known
    since = wall()
    speak(rs2)
    try:
        director.wait_for_weights(15, rs1=1, rs2=0)
        wait_until(lambda: named(seed, since, str(rs2.address)), 5, "it is named")
        check_why(golden, director, "arp-suppression-off-vip", VIP, since)
        check_why(golden, director, "arp-suppression-off", rs2.address, since)
    finally:
        hush(rs2)
    director.wait_for_weights(15, rs1=1, rs2=1)


WITHOUT_ARP = '{ kind = "http", path = "/health", interval = "1s", timeout = "1s", arp = false }'
FOUND_S = 2.0
"""From a claim to the name where the kernel's neighbour table has to be asked: it may have to ask
itself first, and is looked at again a second later."""


@pytest.mark.parametrize("check", [WITHOUT_ARP, NO_CHECK])
def test_one_whose_mac_address_only_the_kernel_knows_is_named_and_drained(
    seed: Seed, still: Stillness, check: str
) -> None:
    """No prober asks it by ARP."""
    director, rs2 = seed.director, seed.network.rs2
    setup = Setup(services=(Service(check=check),), vip='on_conflict = "drain"')
    director.configure(setup)
    director.stop()  # what an earlier play has taught is forgotten
    director.start()
    director.wait_for_weights(rs1=1, rs2=1)
    since, begun = wall(), time.monotonic()
    speak(rs2)
    try:
        wait_until(lambda: named(seed, since, str(rs2.address)), 15, "it is named")
        still_s = still.within_s(begun, time.monotonic())
        told = [e for e in director.events("conflict", since) if e.data["realserver"]]
        director.wait_for_weights(rs1=1, rs2=0)
    finally:
        hush(rs2)
    director.wait_for_weights(15, rs1=1, rs2=1)
    told_s = moment(told[0].time) - since
    tell("a conflict of one that only the kernel knows", told_s=told_s, still_s=still_s)
    assert told_s <= ASKED_S + FOUND_S + SLACK_S + still_s
    assert told[0].data["other"] == rs2.mac
