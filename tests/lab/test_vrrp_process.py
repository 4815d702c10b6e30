"""The VRRP process of a director: killed, given a VIP that serves, and what metrics tell of it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_vrrp_failover import VRRP, holders, pair, wait_for_role
from tests.support.director import Director, make_director, tell
from tests.support.director_config import Setup
from tests.support.director_observers import AddressMonitor, monitor_addresses
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


def child(director: Director) -> int:
    """Process id of the VRRP process in a director's namespace."""
    there = Path("/run/netns", director.host.name).stat().st_ino
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"lvsguard.vrrp.process" in command and (process / "ns/net").stat().st_ino == there:
                return int(process.name)
        except OSError:
            continue
    return 0


def test_a_vrrp_process_that_dies_is_replaced_and_counted_on(network: Network) -> None:
    one, two = pair(network)
    # A director that has just started waits for its first verdicts.
    wait_until(lambda: one.readiness() == two.readiness() == (True, []), 12, "both are ready")
    wait_until(lambda: one.metric("vrrp_adverts_sent_total", vip="web") > 3, 10, "it is counted")
    dead, sent = child(one), one.metric("vrrp_adverts_sent_total", vip="web")
    watched = [monitor_addresses(director.host) for director in (one, two)]
    os.kill(dead, signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: one.metric("vrrp_process_restarts_total") == 1, 5, "it is counted")
    wait_until(lambda: one.metric("vrrp_process_alive") == 1, 15, "another is there")
    took = time.monotonic() - killed
    assert child(one) not in (0, dead)
    # Whether the backup was quicker depends on how long a Python takes to start.
    wait_for_role(one, "master", 15)
    wait_for_role(two, "backup")
    assert holders(one, two) == ["director1"]
    assert "the VRRP process ended (" in one.timeline(VIP)
    least = min_held(watched)
    tell(
        "VRRP process killed",
        replaced_s=took,
        taken_over=int(two.metric("vrrp_transitions_total", vip="web", to="master")),
    )
    assert least == 1, "no moment without the VIP"
    assert one.metric("vrrp_adverts_sent_total", vip="web") >= sent
    wait_until(lambda: one.metric("vrrp_adverts_sent_total", vip="web") > sent + 2, 10, "it grows")


def min_held(watched: list[AddressMonitor]) -> int:
    """On how few directors the VIP was at any moment; at first it is on one."""
    changes = sorted((c.at, c.added) for monitor in watched for c in monitor.changes(f"{VIP}/24"))
    held = least = 1
    for _, added in changes:
        held += 1 if added else -1
        least = min(least, held)
    return least


def test_a_vip_that_serves_is_given_an_election_where_it_stands(network: Network) -> None:
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    director = make_director(network.director1, Setup())
    director.start()
    director.wait_for_weights(rs1=1, rs2=1)
    assert "vrrp_process_alive" not in str(director.metrics())
    monitor = monitor_addresses(network.director1)
    director.configure(Setup(vrrp=VRRP))
    director.run("reload")
    wait_for_role(director, "master")
    assert holders(director) == ["director1"]
    assert all(change.added for change in monitor.changes(f"{VIP}/24"))
    assert director.readiness() == (True, [])
