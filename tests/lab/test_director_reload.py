"""A reload is a smaller diff to the same loop: nothing that stays is disturbed."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.director_observers import monitor_addresses
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import answered_by, failures, start_load
from tests.support.topology_pings import PING, start_pings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director import Director
    from tests.support.director_seed import Seed

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.lab,
    pytest.mark.parametrize("shared_network", [4], indirect=True, scope="module"),
]

SERVICE = f"{VIP}:80"
CARRIES = 2.5
"""How slow a guest may be (``pace.slowness``) that carries 500 new connections a second."""
WRR = Service(scheduler="wrr", realservers={"10.0.0.42": 1, "10.0.0.43": 1, "10.0.0.44": 1})
BROKEN = """
[[service]]
name = "web"
weigth = 3
address = "10.0.0.8:99999"
"""


def test_a_changed_an_added_and_a_removed_realserver_cost_no_connection(seed: Seed) -> None:
    """At 500 new connections a second, where the guest is not so slow that it carries fewer."""
    slow, director = slowness(), seed.director
    rate = 500 * min(1.0, CARRIES / slow)
    director.configure(Setup(services=(WRR,)))
    director.client.reload()
    director.wait_for_weights(rs1=1, rs2=1, rs3=1)
    pings = start_pings(seed.client, SERVICE, 9, every_s=0.5)
    load = start_load(seed.client, SERVICE, per_second=rate)
    time.sleep(1)
    wanted = replace(WRR, realservers={"10.0.0.42": 3, "10.0.0.43": 1, "10.0.0.45": 1})
    director.configure(Setup(services=(wanted,)))
    begun_at = time.monotonic()
    director.client.reload()
    reload_s = time.monotonic() - begun_at
    director.wait_for_weights(3, rs1=3, rs2=1, rs3=0, rs4=1)
    settled_at = time.monotonic()
    time.sleep(1)
    requests = load.stop()
    connections = pings.stop()
    director.wait_for_weights(5, rs1=3, rs2=1, rs3=None, rs4=1)
    per_s = len(requests) / (requests[-1].at - requests[0].at)
    assert per_s > 0.9 * rate / slow, "it was no load"
    assert failures(requests) == []
    assert [c.broken for c in connections] == [""] * 9
    after = answered_by(r for r in requests if r.at > settled_at + 0.05)
    assert set(after) == {"rs1", "rs2", "rs4"}
    assert after["rs1"] / after["rs2"] == pytest.approx(3, rel=0.2)
    late_s = max(r.late_s for r in requests)
    slowest_s = max(r.took_s for r in requests)
    tell(
        "reload",
        requests=len(requests),
        per_s=per_s,
        failed=0,
        reload_s=reload_s,
        slowest_s=slowest_s,
        late_s=late_s,
    )


def test_a_removed_realserver_finishes_the_handshakes_under_way(seed: Seed) -> None:
    """Its clients are 0.5 s away: handshakes are under way and no connection is active yet."""
    director = seed.director
    seed.client.run("tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", "500ms")
    with seed.client.entered(), contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.socket()) for _ in range(20)]
        for connection, port in zip(connections, unknown_ports(director), strict=False):
            connection.setblocking(False)
            connection.bind(("", port))
            connection.connect_ex((str(VIP), 80))
        wait_until(lambda: half_open(director) == len(connections), 2, "handshakes are under way")
        director.configure(Setup(services=(Service(realservers={"10.0.0.42": 1}),)))
        director.client.reload()
        assert half_open(director) == len(connections)
        seed.client.run("tc", "qdisc", "del", "dev", "eth0", "root")
        answers = Counter(answer(connection) for connection in connections)
    assert answers == {"rs1": 10, "rs2": 10}, director.host.run("ipvsadm", "-Lnc").stdout
    gone_s = director.wait_for_weights(5, rs1=1, rs2=None)
    tell("handshakes", answers=dict(answers), removed_after_s=gone_s)


def unknown_ports(director: Director) -> Iterator[int]:
    """Client ports that IPVS knows no connection of: its word on one that it knows is no word on
    how new ones are shared out. They lie beyond those that the client's kernel gives to others."""
    with director.host.entered():
        lines = Path("/proc/thread-self/net/ip_vs_conn").read_text().splitlines()
    known = {int(line.split()[2], 16) for line in lines[1:]}
    return (port for port in range(65001, 65536) if port not in known)


def half_open(director: Director) -> int:
    with director.host.entered():
        return Path("/proc/thread-self/net/ip_vs_conn").read_text().count("SYN_RECV")


def answer(connection: socket.socket) -> str:
    connection.settimeout(5)
    connection.sendall(PING)
    return connection.recv(4096).decode().split()[-1]


@pytest.mark.parametrize("way", ["command", "SIGHUP"])
def test_a_broken_config_changes_nothing_and_says_why(seed: Seed, way: str) -> None:
    director, since = seed.director, wall()
    before, writes, digest = director.table(), director.writes(), director.status().config_hash
    with director.config.open("a") as file:
        file.write(BROKEN)
    if way == "command":
        refused = director.run("reload", check=False)
        assert refused.returncode == 2  # bad configuration, as the exit statuses are defined
        for where in (r"director1\.toml:\d+: .*weigth", r"director1\.toml:\d+: .*99999"):
            assert re.search(where, refused.stderr), refused.stderr
    else:
        director.running.signal(signal.SIGHUP)
    wait_until(lambda: not director.health().reload_ok, 5, "the reload is refused")
    (event,) = director.events("reload-refused", since)
    assert "the old one stays in force" in event.text
    assert re.search(r"director1\.toml:\d+: ", event.text)
    assert director.metric("config_reload_success") == 0
    director.wait_for_passes(2)
    assert (director.table(), director.writes()) == (before, writes)
    assert director.status().config_hash == digest
    director.configure(Setup())
    reload(director, way)
    assert director.metric("config_reload_success") == 1


def reload(director: Director, way: str) -> None:
    since = wall()
    if way == "command":
        assert "is in force: 0 kernel steps" in director.run("reload").stdout
    else:
        director.running.signal(signal.SIGHUP)
    wait_until(lambda: bool(director.events("reloaded", since)), 5, "the reload is done")


def test_a_vip_changes_its_prefix_and_is_never_gone(seed: Seed) -> None:
    director = seed.director
    monitor = monitor_addresses(director.host)
    load = start_load(seed.client, SERVICE, per_second=100)
    for vip in (f"{VIP}/32", f"{VIP}/24"):
        director.configure(Setup(vips=(vip,)))
        director.client.reload()
        assert [a for a in director.host.addresses() if a.startswith(f"{VIP}/")] == [vip]
    requests = load.stop()
    changes = [(c.added, c.address) for c in monitor.changes() if c.link == "eth0"]
    assert changes == [
        (True, f"{VIP}/32"),
        (False, f"{VIP}/24"),
        (True, f"{VIP}/24"),
        (False, f"{VIP}/32"),
    ]
    assert failures(requests) == []
    tell("prefix", requests=len(requests), failed=0)
