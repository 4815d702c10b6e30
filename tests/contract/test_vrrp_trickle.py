"""Too few packets for a flood, too many to wake up for each."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from lvsguard.core.vrrp import VrrpConfig
from tests.support.flood import GROUP, packets
from tests.support.topology import Host
from tests.support.vrrp_child import FAST, children, vip_group
from tests.support.wire_pair import namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]

PER_SECOND, SECONDS = 2000, 2.0
_SO_BINDTODEVICE = 25


def test_many_packets_are_read_at_once(tmp_path: Path) -> None:
    with pair(tmp_path) as hosts, children(tmp_path, hosts.left) as (child,):
        child.serve(vip_group(vrrp=VrrpConfig(51, priority=150, interval=FAST)))
        child.until_role("master")
        before = wakes(child.pid)
        sent = trickle(hosts.right)
        woken = wakes(child.pid) - before
        assert sent > 0.9 * PER_SECOND * SECONDS
        assert woken < 400 * SECONDS
        child.listen(1.5)  # counts come each second
        assert child.counts is not None
        assert child.counts.rejected["web"]["checksum"] == sent
        assert child.role() == "master"


def trickle(host: Host) -> int:
    """Send forged adverts, one after the other; how many."""
    made, sent, begun = packets("forged"), 0, time.monotonic()
    with host.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, b"eth0\0")
        while (passed := time.monotonic() - begun) < SECONDS:
            while sent < passed * PER_SECOND:
                sock.sendto(made[sent % len(made)], (GROUP, 0))
                sent += 1
            time.sleep(0.5 / PER_SECOND)
    return sent


def wakes(pid: int) -> int:
    """How many times a process went to sleep of its own."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    raise AssertionError("the kernel tells no context switches")
