"""With a virtual MAC address IPVS forwards what comes to it, before and after a change of director,
and no neighbour has to learn anything."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_vrrp_failover import SERVICE, VRRP, pair, wait_for_role
from tests.support import vrrp_director as lab
from tests.support.director import tell
from tests.support.keepalived import Instance, make_keepalived
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load
from tests.support.wire_pair import macvlan_problem

if TYPE_CHECKING:
    from tests.support.director import Director
    from tests.support.topology import Network

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.lab,
    pytest.mark.skipif(bool(macvlan_problem()), reason=macvlan_problem()),
]

VIRTUAL = "00:00:5e:00:01:33"
"""Of vrid 51."""
MEET_S = 5.0
"""Seconds for two to agree; a master-down interval is below one."""


def forwarded(director: Director) -> int:
    """Packets that IPVS took for the service."""
    lines = director.host.run("ipvsadm", "-Ln", "--stats", "--exact").stdout.splitlines()
    (line,) = (one for one in lines if re.match(rf"TCP +{VIP}:80 ", one))
    return int(line.split()[3])


def test_what_comes_to_a_virtual_mac_is_forwarded_whoever_has_it(network: Network) -> None:
    one, two = pair(network, VRRP + "virtual_mac = true\n")
    lab.ask_for(network.client)
    load = start_load(network.client, SERVICE, per_second=50)
    capture = network.client.capture("virtual", "proto 112 or arp")
    time.sleep(2)
    assert network.client.neighbour(VIP) == VIRTUAL
    assert forwarded(one) > 100
    assert forwarded(two) == 0
    one.running.stop()
    wait_for_role(two, "master")
    time.sleep(2)
    assert network.client.neighbour(VIP) == VIRTUAL
    assert forwarded(two) > 100
    one.start()
    wait_for_role(one, "master")
    wait_for_role(two, "backup")
    time.sleep(1)
    requests = load.stop()
    said = lab.adverts(capture)
    tell("virtual MAC", requests=len(requests), failed=len(failures(requests)), adverts=len(said))
    assert failures(requests) == []
    assert lab.complaints(said) == []
    shown = network.client.run("tcpdump", "-enn", "-r", str(capture.file), "proto 112").stdout
    macs = {line.split()[1] for line in shown.splitlines()}
    assert macs == {one.host.mac, two.host.mac}, "adverts leave with the interfaces' own"


def test_a_rival_that_speaks_from_the_same_virtual_mac_is_heard(network: Network) -> None:
    # As keepalived with use_vmac does, and FRR: RFC 9568 section 7.3 has adverts come from it.
    vrrp = lab.vrrp(100, interval="200ms", more="virtual_mac = true")
    ours = lab.launch(network.director1, lab.setup(lab.Group("seed", (f"{VIP}/24",), vrrp)))
    lab.wait_for_role(ours, "master", MEET_S)
    theirs = make_keepalived(network.director2)
    capture = network.client.capture("rival", "proto 112")

    def rival(priority: int) -> None:
        theirs.start(Instance(priority=priority, interval="0.2", virtual_mac=True))

    rival(150)
    theirs.wait_for_role("master", MEET_S)
    lab.wait_for_role(ours, "backup", MEET_S)
    time.sleep(2)
    assert (lab.role(ours), theirs.role) == ("backup", "master")
    theirs.stop()
    lab.wait_for_role(ours, "master", MEET_S)
    rival(50)
    time.sleep(3)
    assert (lab.role(ours), theirs.role) == ("master", "backup")
    theirs.stop()
    assert lab.complaints(lab.adverts(capture)) == []
    shown = network.client.run("tcpdump", "-enn", "-r", str(capture.file), "proto 112").stdout
    macs = {line.split()[1] for line in shown.splitlines()}
    assert macs == {ours.host.mac, VIRTUAL}
