"""Two directors that meet in etcd: a real one, over TLS, on a host of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.lab.test_vrrp_failover import SERVICE, VRRP, wait_for_role
from tests.support.director import Director, make_director, tell, wall
from tests.support.director_config import Setup
from tests.support.processes import Process, wait_until
from tests.support.topology_load import failures, start_load
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

CLUSTER = """[cluster]
backend = "etcd"
endpoints = ["https://{0}:2379"]
ca_file = "{1}/ca.pem"
certificate_file = "{1}/director.pem"
lease = "3s"
"""
START_S = 30


def keys(folder: Path, host: Host) -> None:
    """etcd's certificate, and that of the directors."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("etcd", "director"):
        leaf = authority.issue_cert(str(host.address), name)
        leaf.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
        (folder / f"{name}.pem").chmod(0o600)


def start_etcd(host: Host, folder: Path) -> Process:
    """One member; what it knew before it knows again."""
    client, member = f"https://{host.address}:2379", "http://127.0.0.1:2380"
    host.run("ip", "link", "set", "lo", "up")
    process = host.start(
        "etcd", "etcd", "--name", "one", "--data-dir", str(folder / "data"),
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", member, "--initial-advertise-peer-urls", member,
        "--initial-cluster", f"one={member}", "--client-cert-auth",
        "--trusted-ca-file", str(folder / "ca.pem"), "--cert-file", str(folder / "etcd.pem"),
        "--key-file", str(folder / "etcd.pem"),
    )  # fmt: skip
    process.wait_for("ready to serve client requests", START_S)
    return process


def drained(*directors: Director) -> list[set[str]]:
    return [{o.address for o in d.client.overrides().overrides} for d in directors]


def met(director: Director) -> bool:
    """Whether it hears the other one: of one that it never heard it knows nothing."""
    return [peer.heard for peer in director.status().peers] == [True]


def told(director: Director) -> bool:
    """Whether its status says that etcd is lost."""
    return "etcd cannot be asked" in director.run("status", check=False).stdout


def test_drains_are_shared_and_the_loss_of_etcd_takes_nothing_down(
    network: Network, tmp_path: Path
) -> None:
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    keys(tmp_path, network.client)
    etcd = start_etcd(network.client, tmp_path)
    setup = Setup(vrrp=VRRP, more=CLUSTER.format(network.client.address, tmp_path))
    one, two = (make_director(host, setup) for host in (network.director1, network.director2))
    for director in (one, two):
        director.start()
    for director in (one, two):
        director.wait_for_verdicts(rs1="up", rs2="up")
    wait_until(lambda: met(one) and met(two), 20, "they meet")
    wait_for_role(one, "master")
    rs1, rs2 = (str(host.address) for host in network.realservers)

    begun = time.monotonic()
    one.run("drain", rs1, "--reason", "kernel update")
    two.wait_for_weights(rs1=0, rs2=1)
    shared_s = time.monotonic() - begun

    load, since = start_load(network.client, SERVICE, per_second=20), wall()
    etcd.kill()
    lost_s = wait_until(lambda: told(one) and told(two), 20, "the loss is told", every_s=0.2)
    one.run("undrain", rs1)  # nobody waits for etcd
    one.wait_for_weights(rs1=1, rs2=1)
    two.run("drain", rs2)
    two.wait_for_weights(rs1=0, rs2=0)
    two.run("undrain", rs2)
    assert drained(one, two) == [set(), {rs1}]
    assert [e for d in (one, two) for e in d.events("role", since)] == []

    start_etcd(network.client, tmp_path)
    healed = time.monotonic()
    wait_until(lambda: drained(one, two) == [set(), set()], 20, "they are one again", every_s=0.05)
    healed_s = time.monotonic() - healed
    wait_until(lambda: not (told(one) or told(two)), 10, "and say so", every_s=0.2)
    two.wait_for_weights(rs1=1, rs2=1)
    requests = load.stop()
    tell("etcd", shared_s=shared_s, lost_s=lost_s, healed_s=healed_s, requests=len(requests))
    assert failures(requests) == []
