"""Two directors that tell each other how they do: who leads when one sees less than the other."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsguard.controller.ahead import LINGER_S
from lvsguard.credential import create
from tests.lab.test_vrrp_failover import SERVICE, holders, wait_for_role
from tests.lab.test_vrrp_failover import pair as silent_pair
from tests.support.director import Director, make_director, tell, wall
from tests.support.director_config import Setup
from tests.support.processes import wait_until
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import PeerReply
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

APART_S = 60
VRRP = """vrid = 51
priority = { director1 = 150, director2 = 100 }
track = [{ peer = true, drop = 60, interval = "500ms" }]
"""
CHANNEL = """[peer]
addresses = {{ director1 = "10.0.0.41", director2 = "10.0.0.40" }}
credential = "{0}"
"""


def pair(network: Network) -> tuple[Director, Director]:
    """Both directors, serving and hearing each other, director1 master."""
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    return joined(network)


def joined(network: Network, setup: Setup | None = None) -> tuple[Director, Director]:
    """As ``pair``, with realservers that serve already."""
    credential = network.artifacts / "peer.pem"
    credential.touch(mode=0o600)
    credential.write_bytes(create())
    setup = replace(setup or Setup(vrrp=VRRP), more=CHANNEL.format(credential))
    one, two = (make_director(host, setup) for host in (network.director1, network.director2))
    for director in (one, two):
        director.start()
    up = {realserver.name: "up" for realserver in network.realservers}
    for director in (one, two):
        director.wait_for_verdicts(**up)
        wait_for_word(director)
    wait_for_role(one, "master")
    wait_for_role(two, "backup")
    return one, two


def peer(director: Director) -> PeerReply:
    (found,) = director.status().peers
    return found


def wait_for_word(director: Director, heard: bool = True, within_s: float = 10) -> float:
    what = f"{director.host.name} {'hears' if heard else 'does not hear'} the other one"
    return wait_until(lambda: peer(director).heard is heard, within_s, what, every_s=0.05)


def cut(director: Director, other: object, undo: bool = False) -> None:
    """Nothing goes from this director to that host, or comes from there; or it does again."""
    how = "-D" if undo else "-A"
    for rule in (f"OUTPUT -d {other} -j DROP", f"INPUT -s {other} -j DROP"):
        director.host.run("iptables", "-t", "mangle", how, *rule.split())


def test_a_director_that_sees_fewer_realservers_leaves_the_vip_to_the_other(
    network: Network,
) -> None:
    one, two = pair(network)
    wait_until(lambda: peer(one).same_health is True, 5, "it tells its health")
    wait_until(lambda: peer(one).vips[0].role == "backup", 5, "it tells its role")
    rs2 = network.rs2.address
    load = start_load(network.client, SERVICE, per_second=20)
    begun, since = time.monotonic(), wall()
    cut(one, rs2)
    one.wait_for_verdicts(rs1="up", rs2="down")
    wait_for_role(two, "master", 20)
    took = time.monotonic() - begun
    wait_for_role(one, "backup")
    (vip,) = one.status().vips
    assert (vip.priority, vip.ready) == (90, True)
    told = "web: 2 of 2 healthy there, 1 here (10.0.0.43 down here)"
    why = f"director director2 sees more healthy realservers ({told})"
    assert vip.why == [f"{why}: priority -60"]
    assert f"  priority lowered: {why}: priority -60" in one.run("status").stdout
    assert (
        "  sees another health: web: 2 of 2 healthy there, 1 here (10.0.0.43 down here)"
        in one.run("status").stdout
    )
    assert two.status().vips[0].why == []
    assert holders(one, two) == ["director2"]
    moved = time.monotonic()
    time.sleep(6)  # no to and fro
    assert holders(one, two) == ["director2"]
    assert [e.text for e in one.events("priority", since)] == [
        f"VIP web: priority 90: {why}: priority -60"
    ]
    assert two.events("priority", since) == []

    cut(one, rs2, undo=True)
    back = wait_for_role(one, "master", 15)
    wait_for_role(two, "backup")
    time.sleep(1)
    requests = load.stop()
    late = [r for r in failures(requests) if r.at > moved]
    tell("sees fewer", moved_s=took, back_s=back, requests=len(requests),
         failed=len(failures(requests)), failed_after=len(late))  # fmt: skip
    assert late == []
    assert one.status().vips[0].why == []
    assert holders(one, two) == ["director1"]


def test_a_drain_is_waited_for_on_the_backup_until_the_masters_connections_end(
    network: Network,
) -> None:
    """Its kernel knows of them by the sync, and that the master drains it knows by the channel."""
    one, two = pair(network)
    pings = start_pings(network.client, SERVICE, 20, every_s=0.5, last_s=8)
    rs1 = network.rs1.address
    wait_until(lambda: two.realserver(rs1).connections.active > 0, 10, "the backup knows of them")
    done = two.run("drain", str(rs1), "--wait", "--timeout", "120s", check=False)
    left = one.realserver(rs1).connections.active
    assert (done.returncode, left) == (0, 0), f"{done.stdout}{done.stderr}"
    assert " left" in done.stdout  # it had to wait
    assert one.weights()["rs1"] == 0
    connections = pings.stop()
    assert [c.broken for c in connections if c.broken] == []
    assert two.run("undrain", str(rs1), "--reason", "enough", "--wait").returncode == 0
    wait_until(lambda: one.weights()["rs1"] == 1, 5, "the master has it back")


def test_without_the_channel_a_wait_on_the_backup_believes_nothing(network: Network) -> None:
    one, two = silent_pair(network)
    rs1 = str(network.rs1.address)
    done = two.run("drain", rs1, "--wait", "--timeout", "8s", check=False)
    assert done.returncode == 4, f"{done.stdout}{done.stderr}"
    assert "its connections are not known here" in done.stderr
    assert one.run("drain", rs1, "--wait", "--timeout", "30s").returncode == 0


def test_a_realserver_that_is_down_for_both_moves_nothing(network: Network) -> None:
    one, two = pair(network)
    since = wall()
    # Both at the same moment: a director waits seconds for the other to find out, too.
    both = f"{network.director2.address}/31"
    network.rs2.run("iptables", "-t", "mangle", "-A", "INPUT", "-s", both, "-j", "DROP")
    for director in (one, two):
        director.wait_for_verdicts(rs1="up", rs2="down")
    time.sleep(5)
    assert one.events("priority", since) == []
    assert two.events("role", since) == []
    assert peer(one).same_health is True


def test_a_director_that_is_gone_is_shown_and_means_nothing(network: Network) -> None:
    one, two = pair(network)
    since = wall()
    cut(one, network.rs2.address)
    wait_for_role(two, "master", 20)
    two.running.stop()
    silent = wait_for_word(one, heard=False)
    wait_for_role(one, "master")
    alone = LINGER_S + 10  # it may be starting anew
    wait_until(lambda: one.status().vips[0].priority == 150, alone, "nobody to compare with")
    shown = one.run("status").stdout
    assert "PEER  director2  10.0.0.40  NOT HEARD for " in shown
    (event,) = one.events("peer-silent", since)
    assert event.text.startswith("director director2 (10.0.0.40) is not heard any more: ")
    two.start()
    heard = wait_for_word(one)
    tell("gone", silent_s=silent, heard_s=heard)


def test_after_a_cut_between_directors_they_hear_each_other_at_once(network: Network) -> None:
    one, two = pair(network)
    cut(one, network.director2.address)
    for director in (one, two):
        wait_for_word(director, heard=False)
    time.sleep(20)
    began = time.monotonic()
    cut(one, network.director2.address, undo=True)
    for director in (one, two):
        wait_for_word(director)
    took = time.monotonic() - began
    tell("healed", heard_s=took)
    assert took < 2.5


def test_a_wrong_credential_is_refused_and_disturbs_nothing(network: Network) -> None:
    one, two = pair(network)
    since = wall()
    other = Path(network.artifacts, "other.pem")
    other.touch(mode=0o600)
    other.write_bytes(create())
    two.configure(Setup(vrrp=VRRP, more=CHANNEL.format(other)))
    two.run("reload")
    wait_for_word(one, heard=False)
    wait_until(lambda: bool(one.events("peer-refused", since)), 10, "it is told")
    assert "is its credential the same" in one.run("status").stdout
    assert one.status().vips[0].role == "master"
    assert two.status().vips[0].role == "backup"


def drains(director: Director) -> dict[str, str]:
    """What is drained, and by whom."""
    return {one.target: one.actor for one in director.client.overrides().overrides}


def agrees(director: Director) -> bool:
    """Whether it knows the same overrides as the other one."""
    return peer(director).same_overrides is True


def test_a_drain_on_one_is_a_drain_on_both_whoever_leads(network: Network) -> None:
    one, two = pair(network)
    rs1 = str(network.rs1.address)
    one.run("drain", rs1, "--reason", "kernel")
    took = wait_until(lambda: rs1 in drains(two), 5, "the other one knows", every_s=0.02)
    assert drains(two)[rs1] == "root (uid 0) on director1"
    two.wait_for_weights(rs1=0, rs2=1)
    assert "drained by root (uid 0) on director1: kernel" in two.run("status").stdout
    # It outlives a restart of the one that only heard of it, and of both.
    two.running.stop()
    two.start()
    two.wait_for_weights(rs1=0, rs2=1)
    assert drains(two)[rs1] == "root (uid 0) on director1"
    wait_for_word(one)
    two.run("undrain", rs1)
    wait_until(lambda: drains(one) == {}, 5, "its end is known")
    one.wait_for_weights(rs1=1, rs2=1)
    tell("drain", told_s=took)


def test_a_director_that_is_down_holds_up_no_drain_and_catches_up(network: Network) -> None:
    one, two = pair(network)
    rs1, rs2 = (str(host.address) for host in network.realservers)
    one.run("drain", rs1)
    wait_until(lambda: rs1 in drains(two), 5, "the other one knows")
    two.running.stop()
    begun = time.monotonic()
    one.run("undrain", rs1)
    one.run("drain", rs2)
    took = time.monotonic() - begun
    one.wait_for_weights(rs1=1, rs2=0)
    two.start()
    wait_until(lambda: set(drains(two)) == {rs2}, 10, "it has caught up")
    two.wait_for_weights(rs1=1, rs2=0)
    assert set(drains(one)) == {rs2}
    tell("down", two_commands_s=took)


def test_cut_apart_with_different_drains_they_are_one_again_when_healed(network: Network) -> None:
    one, two = pair(network)
    rs1, rs2 = (str(host.address) for host in network.realservers)
    cut(one, network.director2.address)
    apart = time.monotonic()
    for director in (one, two):
        wait_for_word(director, heard=False)
    one.run("drain", rs1, "--reason", "said by director1")
    two.run("drain", rs1, "--reason", "said by director2, and later")
    two.run("drain", rs2)
    one.run("drain", f"{rs2}:80")
    two.run("undrain", rs2)
    time.sleep(max(APART_S - (time.monotonic() - apart), 0.0))
    assert set(drains(one)) == {rs1, f"{rs2}:80"}
    assert set(drains(two)) == {rs1}
    healed = time.monotonic()
    cut(one, network.director2.address, undo=True)
    wait_until(
        lambda: (
            set(drains(one)) == set(drains(two)) == {rs1, f"{rs2}:80"}
            and drains(one)[rs1] == "root (uid 0) on director2"
        ),
        10,
        "they are one again",
        every_s=0.02,
    )
    took = time.monotonic() - healed
    for director in (one, two):
        director.wait_for_weights(rs1=0, rs2=0)
        wait_until(partial(agrees, director), 5, "status says so")
    tell("cut apart", converged_s=took)
    assert took < 2.0
