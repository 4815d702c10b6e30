"""The kernel's own sync messages, of every kind of connection, as the codec reads them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lvsguard.vrrp.sync_codec import Message, decode, encode
from tests.support.processes import wait_until
from tests.support.sync_traffic import (
    KINDS,
    SYNCID,
    backup,
    balance,
    connections,
    messages,
    start_clients,
    start_listener,
    start_servers,
    take_vips,
)
from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

BUFFER_S = 2.0
"""The kernel's daemon keeps a message that is not full for this long."""


def test_every_message_of_the_kernels_master_is_read_and_written_alike(network: Network) -> None:
    """What is heard is kept as the artifact sync.hex, of which tests/golden/sync has a copy."""
    start_servers(network)
    director = network.director1
    balance(director, network.realservers)
    take_vips(director)
    director.sysctl("net.ipv4.vs.sync_threshold", "0 1")
    listener = start_listener(network.director2)
    start = f"ipvsadm --start-daemon master --mcast-interface eth0 --syncid {SYNCID}"
    director.run(*start.split())
    start_clients(network.client, dict.fromkeys(KINDS, 2))
    wait_until(lambda: bool(messages(listener)), 3 * BUFFER_S, "a sync message was heard")
    time.sleep(1.5 * BUFFER_S)

    heard = messages(listener)
    (network.artifacts / "sync.hex").write_text("".join(f"{data.hex()}\n" for data in heard))
    with director.entered():
        for table in ("ip_vs_conn", "ip_vs_conn_sync"):
            file = Path("/proc/thread-self/net", table)
            (network.artifacts / table).write_text(file.read_text())
    (network.artifacts / "ipvsadm").write_text("\n".join(director.ipvs()) + "\n")

    for data in heard:
        message = decode(data, SYNCID)
        assert isinstance(message, Message), (message, data.hex())
        assert list(encode(message.entries, SYNCID, 1472)) == [data]


@pytest.mark.parametrize(
    ("size", "told"), [(1472, range(1)), (1, range(29, 31))], ids=["full", "one connection"]
)
def test_a_message_of_one_connection_is_not_kept_for_two_seconds(
    network: Network, size: int, told: range
) -> None:
    """The kernel's master sends a message that is full, at the next connection; else it waits."""
    start_servers(network)
    for director in (network.director1, network.director2):
        balance(director, network.realservers)
    take_vips(network.director1)
    backup(network.director2)
    network.director1.sysctl("net.ipv4.vs.sync_threshold", "2 0")
    words = f"--start-daemon master --mcast-interface eth0 --syncid {SYNCID} --sync-maxlen {size}"
    network.director1.run("ipvsadm", *words.split())
    start_clients(network.client, {"tcp4": 30})
    time.sleep(0.2)
    assert connections(network.director2) in told
    wait_until(lambda: connections(network.director2) == 30, 2 * BUFFER_S, "all are told")
