"""The third play for a real Prometheus: directors that meet in etcd, which is lost, a hook, and a
second path of adverts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.interop.test_prometheus import INSTANCES
from tests.lab.test_peer_etcd import CLUSTER, keys, met, start_etcd
from tests.lab.test_vrrp_failover import VRRP, wait_for_role
from tests.support.director import make_director, tell
from tests.support.director_config import Setup
from tests.support.processes import wait_until
from tests.support.prometheus import start_prometheus
from tests.support.prometheus_dashboards import IN_THIRD, unanswered
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]

HOOK = """[[hook]]
name = "page"
command = ["/bin/false"]
events = ["override-set"]
"""


def test_the_loss_of_etcd_of_a_hook_and_of_a_path_have_their_alerts_and_these_their_end(
    network: Network, tmp_path: Path
) -> None:
    begun = time.monotonic()
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    keys(tmp_path, network.client)
    etcd = start_etcd(network.client, tmp_path)
    more = CLUSTER.format(network.client.address, tmp_path) + HOOK
    network.add_cable(network.director1, network.director2)
    setup = Setup(vrrp=VRRP + 'heartbeat = ["eth1"]\n', more=more, listen="0.0.0.0:9852")
    one, two = (make_director(host, setup) for host in (network.director1, network.director2))
    for director in (one, two):
        director.start()
    for director in (one, two):
        director.wait_for_verdicts(rs1="up", rs2="up")
    wait_until(lambda: met(one) and met(two), 20, "they meet")
    wait_for_role(one, "master")
    prometheus = start_prometheus(network.client, *INSTANCES)

    etcd.kill()
    for instance in INSTANCES:
        prometheus.wait_for("LvsguardClusterLost", instance=instance)
    start_etcd(network.client, tmp_path)
    prometheus.wait_for_end("LvsguardClusterLost")

    one.run("drain", "10.0.0.42", "--service", "web")
    one.run("undrain", "10.0.0.42", "--service", "web")
    prometheus.wait_for("LvsguardHookFailing", instance=INSTANCES[0], hook="page")
    prometheus.wait_for_end("LvsguardHookFailing")

    two.host.run("ip", "link", "set", "eth1", "down")
    prometheus.wait_for("LvsguardHeartbeatLost", instance=INSTANCES[1], interface="eth1")
    two.host.run("ip", "link", "set", "eth1", "up")
    prometheus.wait_for_end("LvsguardHeartbeatLost")
    rested = prometheus.wait_for_rest(60)
    assert unanswered(prometheus, of=IN_THIRD) == []
    tell("alerts with etcd", whole_s=time.monotonic() - begun, rested_s=rested)
