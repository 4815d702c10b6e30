"""What a priority depends on, and `lvsguard failover`: who leads then, what a client sees."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsguard.controller.footing import NOBODY_S, STEADY_S
from lvsguard.controller.standing import UNPROGRAMMED
from tests.lab.test_vrrp_failover import SERVICE, holders, wait_for_role
from tests.support.director import Director, make_director, tell, wall
from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import failures, outage_s, start_load
from tests.support.topology_web import start_web
from tests.support.vrrp_director import crash
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import VipReply
    from tests.support.golden import Golden
    from tests.support.stillness import Stillness
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SWITCH = "/run/lvsguard-test.@"
"""Path of a file; @ is the director's name. Hosts of the lab share their files."""
LINK = "uplink0"
VRRP = """vrid = 51
priority = {{ director1 = 150, director2 = 100 }}
interval = "1s"
track = [{track}]
"""
QUORUM = '{{ service = "{0}", interval = "200ms", rise = 2, fall = 2 }}'
SPARE = Service(name="spare", address=f"{VIP}:81", check=NO_CHECK)


def pair(network: Network, track: str = "", only: str = "") -> tuple[Director, Director]:
    """Both directors, serving, director1 master; the track is of both, or of the one named."""
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    one, two = (
        make_director(
            host,
            Setup(
                services=(Service(), SPARE),
                vrrp=VRRP.format(
                    track=track.replace("@", host.name) if only in ("", host.name) else ""
                ),
            ),
        )
        for host in (network.director1, network.director2)
    )
    for director in (one, two):
        director.start()
    for director in (one, two):
        director.wait_for_verdicts(rs1="up", rs2="up")
    wait_for_role(one, "master")
    wait_for_role(two, "backup")
    return one, two


def vip(director: Director) -> VipReply:
    (found,) = director.status().vips
    return found


def test_a_master_whose_service_has_no_quorum_hands_over_and_loses_nothing(
    network: Network, golden: Golden
) -> None:
    one, two = pair(network, QUORUM.format("spare"))
    assert (vip(one).ready, vip(one).why) == (True, [])
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    begun = wall()
    for realserver in ("10.0.0.42", "10.0.0.43"):
        one.run("drain", realserver, "--service", "spare", "--reason", "test")
    took = wait_for_role(two, "master")
    wait_for_role(one, "backup")
    time.sleep(2)
    requests = load.stop()
    tell("quorum", takeover_s=took, requests=len(requests), failed=len(failures(requests)))
    assert failures(requests) == []
    assert holders(one, two) == ["director2"]

    check_why(golden, one, "stands-back", VIP, begun)
    assert vip(one).ready is False
    assert vip(one).why == ["service spare has lost its quorum (live weight 0, needs 1)"]
    shown = one.run("status").stdout
    assert "  stands back: service spare has lost its quorum (live weight 0, needs 1)" in shown
    (event,) = one.events("priority", begun)
    assert event.text == (
        "VIP web: stands back: service spare has lost its quorum (live weight 0, needs 1)"
    )
    assert [e.data["stage"] for e in one.events("handover", begun)] == ["begun", "heard"]

    one.run("undrain", "10.0.0.42", "--service", "spare")
    wait_for_role(one, "master")
    assert one.events("priority", begun)[-1].text == "VIP web: priority 150: all is well again"


def test_a_master_that_cannot_reach_its_realservers_is_relieved(network: Network) -> None:
    one, two = pair(network, QUORUM.format("web"))
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    for realserver in network.realservers:
        rule = f"-t mangle -A OUTPUT -d {realserver.address} -j DROP"
        one.host.run("iptables", *rule.split())
    begun = time.monotonic()
    wait_for_role(two, "master")
    could = time.monotonic()
    time.sleep(2)
    requests = load.stop()
    late = [one for one in failures(requests) if one.at > could]
    tell(
        "relief",
        seconds=could - begun,
        failed=len(failures(requests)),
        failed_after=len(late),
        outage_s=outage_s(requests),
        slowest_s=max(one.took_s for one in requests),
    )
    assert late == []
    assert outage_s(requests) < 3
    wait_for_role(one, "backup")


def test_a_start_waits_for_first_verdicts_before_it_takes_over(network: Network) -> None:
    for realserver in network.realservers:
        realserver.hold_vip()  # without a web server: every check is refused
    setup = Setup(vrrp=VRRP.format(track=QUORUM.format("web")))
    one = make_director(network.director1, setup)
    one.start()
    one.wait_for_verdicts(rs1="down", rs2="down")
    wait_until(lambda: vip(one).why != [] and "quorum" in vip(one).why[0], 5, "it tells why")
    time.sleep(4)
    assert (vip(one).role, vip(one).ready) == ("backup", False)
    assert holders(one) == []
    start_web(network.realservers[0])
    wait_for_role(one, "master")


def test_a_file_lowers_the_priority_until_it_is_gone(network: Network, still: Stillness) -> None:
    switch = Path(SWITCH.replace("@", network.director1.name))
    switch.unlink(missing_ok=True)
    slow = slowness()
    one, two = pair(network, f'{{ file = "{SWITCH}", drop = 60, interval = "200ms" }}')
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    switch.touch()
    took = wait_for_role(two, "master")
    wait_for_role(one, "backup")
    assert (vip(one).priority, vip(one).ready) == (90, True)
    assert f"  priority lowered: file {switch} is there: priority -60" in one.run("status").stdout
    assert holders(one, two) == ["director2"]
    switch.unlink()
    back = wait_for_role(one, "master")
    wait_for_role(two, "backup")
    time.sleep(1)
    requests = load.stop()
    tell("file", gone_s=took, back_s=back, requests=len(requests), failed=len(failures(requests)))
    assert vip(one).why == []
    assert outage_s(requests) < 0.3 * slow + still.longest_s()


def test_an_interface_that_goes_down_has_the_master_hand_over_and_lose_nothing(
    network: Network,
) -> None:
    network.director1.run("ip", "link", "add", LINK, "type", "dummy")
    network.director1.run("ip", "link", "set", LINK, "up")
    one, two = pair(network, f'{{ interface = "{LINK}" }}', only="director1")
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    network.director1.run("ip", "link", "set", LINK, "down")
    took = wait_for_role(two, "master")
    wait_for_role(one, "backup")
    assert vip(one).ready is False
    assert [why for why in vip(one).why if LINK in why] == vip(one).why != []
    assert holders(one, two) == ["director2"]
    network.director1.run("ip", "link", "set", LINK, "up")
    back = wait_for_role(one, "master")
    wait_for_role(two, "backup")
    time.sleep(1)
    requests = load.stop()
    tell("interface", gone_s=took, back_s=back, requests=len(requests),
         failed=len(failures(requests)))  # fmt: skip
    assert vip(one).why == []
    assert failures(requests) == []


def test_a_table_that_the_kernel_refuses_has_the_master_hand_over_and_lose_nothing(
    network: Network,
) -> None:
    """A realserver whose address is the network's broadcast (ip_vs_new_dest wants a host's)."""
    one, two = pair(network)
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    as_it_was = one.config.read_text()
    refused = replace(SPARE, realservers={"10.0.0.255": 1})
    one.configure(Setup(services=(Service(), refused), vrrp=VRRP.format(track="")))
    one.client.reload()
    took = wait_for_role(two, "master")
    wait_for_role(one, "backup")
    assert took >= STEADY_S - 0.5, "it may be over soon"
    assert (vip(one).ready, vip(one).why) == (False, [UNPROGRAMMED])
    assert "The kernel refused 'ipvsadm -a " in one.why("10.0.0.255")
    one.config.write_text(as_it_was)
    one.client.reload()
    back = wait_for_role(one, "master")
    wait_for_role(two, "backup")
    time.sleep(1)
    requests = load.stop()
    tell("refused", gone_s=took, back_s=back, requests=len(requests),
         failed=len(failures(requests)))  # fmt: skip
    assert failures(requests) == []


def test_a_table_that_both_kernels_refuse_is_led_by_one_of_them_and_serves_the_rest(
    network: Network,
) -> None:
    """As after a power cut and an update that took a scheduler away: both start like that."""
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    refused = replace(SPARE, realservers={"10.0.0.255": 1})
    setup = Setup(services=(Service(), refused), vrrp=VRRP.format(track=""))
    one, two = (make_director(host, setup) for host in (network.director1, network.director2))
    for director in (one, two):
        director.launch()  # `start` waits until all is in the kernel
    wait_until(lambda: len(holders(one, two)) == 1, NOBODY_S + 15, "one of them leads")
    time.sleep(5)  # two that lead at once settle it, and who follows says that it is not fit
    (leads,) = holders(one, two)
    first, second = (one, two) if leads == "director1" else (two, one)
    assert (vip(first).role, vip(first).ready, vip(first).priority) == ("master", True, 1)
    assert (vip(second).role, vip(second).ready) == ("backup", False)
    assert vip(first).why == [f"{UNPROGRAMMED}; nobody else leads: priority 1"]
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(2)
    assert failures(load.stop()) == [], "what the kernel took is served"

    crash(first)
    wait_for_role(second, "master", NOBODY_S + 10)
    mended = Setup(services=(Service(), SPARE), vrrp=VRRP.format(track=""))
    second.configure(mended)
    second.client.reload()
    priority = 150 if second is one else 100
    wait_until(lambda: vip(second).priority == priority, STEADY_S + 3, "it is well again")
    assert vip(second).why == []


def test_failover_hands_over_and_resume_takes_back(network: Network, golden: Golden) -> None:
    one, two = pair(network)
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    begun = wall()
    refused = two.run("failover", check=False)
    assert refused.returncode == 1
    assert "master of no VIP group" in refused.stderr
    assert "(10.0.0.41)" in refused.stderr

    done = one.run("failover")
    assert done.stdout.startswith("VIP web: after ")
    assert ": 10.0.0.40 has taken over; to preempt again:" in done.stdout
    seconds = float(done.stdout.split()[3])
    wait_for_role(one, "backup")
    wait_for_role(two, "master")
    time.sleep(5)
    assert holders(one, two) == ["director2"]
    assert vip(one).held_back
    check_why(golden, one, "failover-asked", VIP, begun)
    shown = one.run("status").stdout
    assert "backup for " in shown
    assert "master is 10.0.0.40" in shown
    assert "held back by a failover: to preempt again: lvsguard failover web --resume" in shown
    (asked,) = one.events("failover", begun)
    assert asked.text.startswith("VIP web: root (uid 0)")

    back = one.run("failover", "web", "--resume")
    assert "it preempts again" in back.stdout
    took = wait_for_role(one, "master")
    wait_for_role(two, "backup")
    assert not vip(one).held_back
    time.sleep(2)
    requests = load.stop()
    tell("failover", seconds=seconds, back_s=took, requests=len(requests),
         failed=len(failures(requests)))  # fmt: skip
    assert failures(requests) == []
    assert holders(one, two) == ["director1"]


def test_a_failover_holds_through_a_restart_until_resume(network: Network) -> None:
    one, two = pair(network)
    one.run("failover")
    wait_for_role(two, "master")
    one.running.stop()
    one.start()
    one.wait_for_verdicts(rs1="up", rs2="up")
    wait_for_role(one, "backup")
    time.sleep(6)
    assert holders(one, two) == ["director2"]
    assert vip(one).held_back
    one.run("failover", "web", "--resume")
    wait_for_role(one, "master")
    assert not vip(one).held_back


def test_a_failover_that_nobody_takes_changes_nothing(network: Network) -> None:
    one, two = pair(network)
    two.running.stop()
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    done = one.run("failover", "web", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nobody took over" in done.stderr
    assert holders(one) == ["director1"]
    assert vip(one).role == "master"
    assert not vip(one).held_back
    requests = load.stop()
    tell("nobody", text=done.stderr.strip(), failed=len(failures(requests)))
    assert failures(requests) == []
    unknown = one.run("failover", "wbe", check=False)
    assert unknown.returncode == 2
    assert "there is:\n  web" in unknown.stderr
