"""Both directors get another version of lvsguard, one after the other, and no client notices.

An upgrade is a planned restart of each (`systemctl restart lvsguard`), the standby first, then the
master, which is master again at the end.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_vrrp_connections import broken
from tests.lab.test_vrrp_failover import SERVICE, holders, pair, wait_for_role
from tests.support.director import tell
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.support.director import Director
    from tests.support.pace import Stillness
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(240)]

COUNT = 50
STALL_S = 1.0
"""Two changes of master: at each, TCP asks again after 0.2 s, and after 0.4 s more."""


def processes(host: Host) -> set[int]:
    """All of lvsguard on a host, whatever session they are in."""
    there = Path("/run/netns", host.name).stat().st_ino
    found = set()
    for namespace in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):  # it has just ended
            if namespace.stat().st_ino == there:
                found.add(int(namespace.parts[2]))
    return found


def upgrade(director: Director) -> None:
    """Restart it as its service manager does; nothing that ran before runs after."""
    before = processes(director.host)
    assert len(before) > 2, "it has children"
    assert director.stop() == 0
    wait_until(lambda: not processes(director.host) & before, 5, "the old version is gone")
    director.start()
    director.wait_for_weights(rs1=1, rs2=1)


def test_an_upgrade_of_both_directors_loses_nothing(network: Network, still: Stillness) -> None:
    slow = slowness()
    one, two = pair(network)
    quick = start_pings(network.client, SERVICE, COUNT, every_s=0.1)
    idle = start_pings(network.client, SERVICE, COUNT, every_s=2)
    load = start_load(network.client, SERVICE, per_second=50, timeout_s=0.9)
    time.sleep(1)

    begun = time.monotonic()
    upgrade(two)
    wait_for_role(two, "backup")
    assert holders(one, two) == ["director1"]

    upgrade(one)
    wait_for_role(one, "master", 20)
    wait_for_role(two, "backup")
    assert holders(one, two) == ["director1"]
    time.sleep(5)

    requests = load.stop()
    connections = [*quick.stop(), *idle.stop()]
    stall_s = max(c.worst_s for c in connections)
    tell(
        "upgrade",
        requests=len(requests),
        failed=len(failures(requests)),
        broken=broken(connections),
        stall_s=stall_s,
    )
    assert failures(requests) == []
    assert broken(connections) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)
