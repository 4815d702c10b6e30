"""Hosts that are asked by ARP: how soon a dead one is out of the kernel, with clients running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load

if TYPE_CHECKING:
    from tests.support.director_seed import Seed
    from tests.support.stillness import Stillness

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

DEATHS = 6
TIMEOUT_S = 5
"""Of a probe: two of them without ARP's help would take ten seconds."""
OUT_S = 1.0
"""From the host's death to the kernel's table where the guest is not slow (``pace.slowness``), but
for the time in which nobody in it ran."""


def test_a_dead_host_is_out_of_the_kernel_long_before_a_probe_times_out(
    seed: Seed, still: Stillness
) -> None:
    director, slow = seed.director, slowness()
    check = f'{{ kind = "http", path = "/health", interval = "5s", timeout = "{TIMEOUT_S}s" }}'
    director.configure(Setup(services=(Service(check=check),)))
    director.client.reload()
    director.wait_for_verdicts(rs1="up", rs2="up")
    load = start_load(seed.client, f"{VIP}:80", per_second=200)
    took: list[float] = []
    deaths: list[tuple[float, float]] = []
    since = wall()
    for number in range(DEATHS):
        time.sleep(1.0 + 0.17 * number)  # at every phase of the check and of the questions
        began = time.monotonic()
        seed.network.unplug(seed.network.rs1)
        while director.weights().get("rs1") is not None:
            assert time.monotonic() - began < 2 * TIMEOUT_S, director.text()
            time.sleep(0.002)
        took.append(time.monotonic() - began)
        deaths.append((began, time.monotonic()))
        seed.network.plug(seed.network.rs1)
        director.wait_for_weights(rs1=1, rs2=1)
    requests = load.stop()
    slow = max(slow, slowness())
    failed = failures(requests)
    each = sorted(sum(a - 3.5 < r.at < b + 0.05 for r in failed) for a, b in deaths)
    downs = [e for e in director.events("health", since) if e.data["after"] == "down"]
    by_arp = [e for e in downs if e.data["detector"] == "arp"]
    own = sorted(t - still.within_s(a, b) for t, (a, b) in zip(took, deaths, strict=True))
    took.sort()
    tell(
        "host dead",
        p50_s=took[len(took) // 2],
        max_s=took[-1],
        own_max_s=own[-1],
        slowness=slow,
        by_arp=len(by_arp),
        failed_p50=each[len(each) // 2],
        failed_max=each[-1],
        requests=len(requests),
    )
    assert own[-1] <= OUT_S * slow, own
    assert len(downs) == DEATHS
    assert len(by_arp) >= DEATHS - 2
    assert {e.data["failure"] for e in by_arp} == {"host-dead"}
    assert "arp: the host is silent for " in by_arp[0].text


def test_a_realserver_on_no_link_is_not_asked_and_status_says_so(seed: Seed) -> None:
    far = Service(name="far", address="10.0.0.8:81", realservers={"192.0.2.42": 1})
    seed.director.configure(Setup(services=(Service(), far)))
    seed.director.client.reload()

    note = "not asked by ARP: on no link of this director"
    assert seed.director.realserver("192.0.2.42", "far").notes == [note]
    assert seed.director.realserver("10.0.0.42").notes == []
    assert f"192.0.2.42: {note}" in seed.director.run("status").stdout


def test_a_new_mac_address_is_told_and_nobody_is_out(seed: Seed) -> None:
    host, since = seed.network.rs2, wall()
    host.run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:66")
    try:
        wait_until(lambda: bool(seed.director.events("mac-changed", since)), 5, "it is told")
        (event,) = seed.director.events("mac-changed", since)
        assert (event.data["before"], event.data["after"]) == (host.mac, "02:00:00:00:00:66")
        assert seed.director.events("health", since) == []
    finally:
        host.run("ip", "link", "set", "eth0", "address", host.mac)
