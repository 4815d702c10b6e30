"""Long-lived connections through every change of master: none breaks that the kernel could keep."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsguard.vrrp.joining import WORD_S
from tests.lab.test_vrrp_failover import SERVICE, pair, wait_for_role
from tests.support.director import tell
from tests.support.pace import slowness
from tests.support.sync_traffic import SYNCID, fill
from tests.support.sync_traffic import connections as in_the_table
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.support.director import Director
    from tests.support.stillness import Stillness
    from tests.support.topology import Network
    from tests.support.topology_pings import Connection

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

COUNT = 50
STALL_S = 0.5
"""One TCP retransmission (0.2 s), and what a guest with one CPU adds."""
MASTER_DOWN_S = 3.609
SYNCED_S = 3.5
"""The kernel sends a message that is not full when it is 2 s old, and looks each second
(IPVS_SYNC_FLUSH_TIME and IPVS_SYNC_CHECK_PERIOD in net/netfilter/ipvs/ip_vs_sync.c)."""
LARGE = 20_000
"""Connections that nobody holds, besides."""


def broken(connections: list[Connection]) -> list[str]:
    return [one.broken for one in connections if one.broken]


def test_a_planned_stop_breaks_no_connection(network: Network, still: Stillness) -> None:
    slow = slowness()
    one, two = pair(network)
    pings = start_pings(network.client, SERVICE, COUNT, every_s=0.1)
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    begun = time.monotonic()
    one.running.stop()
    wait_for_role(two, "master")
    time.sleep(2)
    requests = load.stop()
    connections = pings.stop()
    stall_s = max(c.worst_s for c in connections)
    tell(
        "planned stop",
        failed=len(failures(requests)),
        broken=broken(connections),
        stall_s=stall_s,
        guest_still_s=still.longest_s(begun),
    )
    assert broken(connections) == []
    assert failures(requests) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)


def test_a_director_that_was_away_takes_over_connections_that_it_never_saw(
    network: Network, still: Stillness
) -> None:
    slow = slowness()
    one, two = pair(network)
    one.running.stop()
    wait_for_role(two, "master")
    one.host.run("ipvsadm", "-C")
    pings = start_pings(network.client, SERVICE, COUNT, every_s=2)
    time.sleep(3)
    begun = time.monotonic()
    one.start()
    wait_for_role(one, "master", 20)
    time.sleep(5)
    connections = pings.stop()
    stall_s = max(c.worst_s for c in connections)
    tell(
        "returns",
        broken=broken(connections),
        stall_s=stall_s,
        guest_still_s=still.longest_s(begun),
    )
    assert broken(connections) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)
    received = one.metric("sync_transferred_connections_total", direction="received")
    assert COUNT <= received <= two.metric("sync_transferred_connections_total", direction="sent")
    assert {one.metric("sync_daemon_running", role=role) for role in ("master", "backup")} == {1}


def processes(director: Director, what: bytes = b"lvsguard") -> list[int]:
    """The processes of a director whose command line has this in it."""
    there = Path("/run/netns", director.host.name).stat().st_ino
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if what in command and (process / "ns/net").stat().st_ino == there:
                found.append(int(process.name))
    return found


def transfer_process(director: Director) -> int:
    """The process that reads and sends a director's connection table."""
    (reader,) = processes(director, b"lvsguard.vrrp.transfer")
    return reader


def test_a_director_that_joins_waits_for_a_table_that_takes_long_to_read(
    network: Network, still: Stillness
) -> None:
    """The process that reads it is held up, for as long as 100,000 connections would do it before
    Linux 6.14."""
    slow = slowness()
    one, two = pair(network)
    one.running.stop()
    wait_for_role(two, "master")
    one.host.run("ipvsadm", "-C")
    fill(network, two.host, range(LARGE), SYNCID)
    pings = start_pings(network.client, SERVICE, COUNT, every_s=2)
    time.sleep(2.5)
    begun, reader = time.monotonic(), transfer_process(two)
    os.kill(reader, signal.SIGSTOP)
    one.start()
    wait_for_role(one, "backup", 30)
    end = time.monotonic() + WORD_S + 2
    while time.monotonic() < end:
        assert [vip.role for vip in one.status().vips] == ["backup"]
        time.sleep(0.2)
    assert in_the_table(one.host) == 0
    os.kill(reader, signal.SIGCONT)
    took = wait_for_role(one, "master", 30)
    known = in_the_table(one.host)
    time.sleep(2.5)
    held = pings.stop()
    stall_s = max(c.worst_s for c in held)
    tell(
        "large table",
        connections=known,
        joined_s=took,
        broken=broken(held),
        stall_s=stall_s,
        guest_still_s=still.longest_s(begun),
    )
    assert known >= LARGE + COUNT
    assert broken(held) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)
    assert one.events("table-failed") == []


def test_a_master_that_stood_still_waits_for_the_table_of_the_one_that_led_meanwhile(
    network: Network, still: Stillness
) -> None:
    """All of the director stands still, and its network is deaf, as a host is that was paused; the
    process that reads the other one's table is held up, as a large one would do it."""
    slow = slowness()
    one, two = pair(network)
    network.part(network.director1, network.director2)
    stopped = processes(one)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_for_role(two, "master")
        pings = start_pings(network.client, SERVICE, COUNT, every_s=2)
        time.sleep(SYNCED_S)
        reader = transfer_process(two)
        os.kill(reader, signal.SIGSTOP)
        network.rejoin(network.director1, network.director2)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    begun = time.monotonic()
    wait_for_role(one, "backup", 10)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert [vip.role for vip in one.status().vips] == ["backup"]
        time.sleep(0.2)
    os.kill(reader, signal.SIGCONT)
    took = wait_for_role(one, "master", 30)
    time.sleep(2.5)
    held = pings.stop()
    stall_s = max(c.worst_s for c in held)
    tell(
        "stood still",
        back_s=took,
        broken=broken(held),
        stall_s=stall_s,
        guest_still_s=still.longest_s(begun),
    )
    assert broken(held) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)
    assert one.events("table-failed") == []


def test_a_crash_breaks_no_connection(network: Network, still: Stillness) -> None:
    slow = slowness()
    _one, two = pair(network)
    pings = start_pings(network.client, SERVICE, COUNT, every_s=0.1)
    time.sleep(SYNCED_S)
    begun = time.monotonic()
    network.unplug(network.director1)
    wait_for_role(two, "master")
    time.sleep(2)
    connections = pings.stop()
    stall_s = max(c.worst_s for c in connections)
    tell("crash", broken=broken(connections), stall_s=stall_s)
    assert broken(connections) == []
    assert stall_s <= MASTER_DOWN_S + 0.1 * slow + still.longest_s(begun)
