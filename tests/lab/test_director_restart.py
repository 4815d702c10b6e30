"""The end of the daemon ends nothing else, and its next start finds all as it should be."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_observers import tap_netlink
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import answered_by, failures, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SERVICE = f"{VIP}:80"
FOREIGN = """\
-A -u 10.0.0.9:53 -s wlc
-a -u 10.0.0.9:53 -r 10.0.0.42:53 -g -w 5
"""


def test_sigkill_of_everything_breaks_no_connection_and_the_restart_writes_nothing(
    seed: Seed,
) -> None:
    director, count = seed.director, 50
    before, since = director.table(), wall()
    pings = start_pings(seed.client, SERVICE, count, every_s=0.5)
    tap = tap_netlink(director.host)
    assert len(director.pids()) == 2  # controller and prober
    director.kill()
    time.sleep(1)  # two pings of each connection with no lvsguard at all
    start_s = director.start()
    director.wait_for_verdicts(rs1="up", rs2="up")
    director.wait_for_passes(2)
    connections = pings.stop()
    assert tap.writes() == []
    assert director.writes() == 0
    (started,) = director.events("started", since)
    assert (started.data["adopted"], started.data["writes"]) == (2, 0)
    assert director.events("applied", since) == []
    assert director.table() == before
    assert [c.broken for c in connections] == [""] * count
    stall_s = max(c.worst_s for c in connections)
    tell("SIGKILL", kept=count, stall_s=stall_s, writes=0, start_s=start_s)


def test_a_prober_does_not_outlive_its_controller(seed: Seed) -> None:
    director = seed.director
    os.kill(director.running.pid, signal.SIGKILL)
    director.running.wait()
    ended_s = wait_until(lambda: not director.pids(), 2, "the prober has ended too")
    tell("prober", ended_s=ended_s)


def test_a_stop_leaves_vip_and_table_and_a_restart_adopts_them(seed: Seed) -> None:
    director = seed.director
    before, addresses = director.table(), director.host.addresses()
    load = start_load(seed.client, SERVICE, per_second=50)
    stopped_at = time.monotonic()
    assert director.stop() == 0
    stop_s = time.monotonic() - stopped_at
    assert "stopping: VIPs and IPVS table stay in the kernel" in director.text()
    assert (director.table(), director.host.addresses()) == (before, addresses)
    director.start()
    director.wait_for_verdicts(rs1="up", rs2="up")
    requests = load.stop()
    assert director.writes() == 0
    assert failures(requests) == []
    assert set(answered_by(requests)) == {"rs1", "rs2"}
    tell("SIGTERM", stop_s=stop_s, requests=len(requests), failed=0)


def test_a_realserver_that_died_without_a_daemon_is_out_after_its_start(seed: Seed) -> None:
    director = seed.director
    director.kill()
    seed.webs[0].kill()
    director.start()
    director.wait_for_weights(2, rs1=None, rs2=1)
    seed.webs[0].start()
    director.wait_for_weights(2, rs1=1, rs2=1)


def test_a_stop_with_release_takes_out_what_is_owned_and_nothing_else(seed: Seed) -> None:
    director, host = seed.director, seed.director.host
    director.stop()
    host.run("ipvsadm", "-R", given=FOREIGN)
    host.run("ip", "address", "add", "10.0.0.77/24", "dev", "eth0")
    director.start("--release")
    assert director.stop() == 0
    assert host.ipvs() == ["-A -u 10.0.0.9:53 -s wlc", "-a -u 10.0.0.9:53 -r 10.0.0.42:53 -g -w 5"]
    assert host.addresses() == ["10.0.0.41/24", "10.0.0.77/24"]
    assert "stopping: taking out what is owned" in director.text()
    host.run("ipvsadm", "-D", "-u", "10.0.0.9:53")
    host.run("ip", "address", "del", "10.0.0.77/24", "dev", "eth0")


def test_a_second_daemon_refuses_to_start_and_disturbs_nothing(seed: Seed) -> None:
    director = seed.director
    before, writes = director.table(), director.writes()
    for options in ((), ("--socket", str(director.place / "second.sock"))):
        command = ("lvsguard", "run", "-c", str(director.config), *options)
        second = director.host.start("second", *command)
        assert second.wait(20) == 1
        assert "another lvsguard keeps its state in" in second.text()
        assert "stop it first" in second.text()
    director.wait_for_passes(2)
    assert director.running.running
    assert (director.table(), director.writes()) == (before, writes)
    assert director.events("drift", 0.0) == []
