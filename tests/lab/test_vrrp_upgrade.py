"""Both directors get another version of lvsguard, one after the other, and no client notices.

An upgrade is a planned restart of each (`systemctl restart lvsguard`), the standby first, then the
master, which is master again at the end. The other version is one whose processes do not understand
those of the first (`tests/support/other_version.py`); its files are there before the restart. A
controller that did not stop but was killed leaves its VRRP process, the master: the next one, of
the other version, has it hand over and end.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_vrrp_connections import broken
from tests.lab.test_vrrp_failover import SERVICE, VRRP, holders, wait_for_role
from tests.support import vrrp_director as lab
from tests.support.director import make_director, tell, wall
from tests.support.director_config import Setup
from tests.support.other_version import OTHER, Installation, install
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from tests.support.director import Director
    from tests.support.stillness import Stillness
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]

COUNT = 50
STALL_S = 0.7
"""TCP asks again 0.2 and 0.6 s after what got no answer."""


START_S = 60
"""For programs to start beside all the rest."""


def processes(host: Host) -> set[int]:
    """All of lvsguard on a host, whatever session they are in."""
    there = Path("/run/netns", host.name).stat().st_ino
    found = set()
    for namespace in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):  # it has just ended
            if namespace.stat().st_ino == there:
                found.add(int(namespace.parts[2]))
    return found


def installed(network: Network, folder: Path) -> list[tuple[Director, Installation]]:
    """Both directors, each from an installation of its own, serving; director1 is master."""
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    made = [
        (make_director(host, Setup(vrrp=VRRP)), install(folder / host.name))
        for host in (network.director1, network.director2)
    ]
    for director, installation in made:
        director.start(environment=installation.environment)
    for director, _ in made:
        director.wait_for_weights(rs1=1, rs2=1)
        assert director.status().version != OTHER
    wait_for_role(made[0][0], "master")
    wait_for_role(made[1][0], "backup")
    return made


def upgrade(director: Director, installation: Installation, ends: str) -> None:
    """Restart it as its service manager does; nothing that ran before runs after."""
    before = processes(director.host)
    assert len(before) > 2, "it has children"
    installation.upgrade()
    if ends == "stopped":
        assert director.stop() == 0
        wait_until(lambda: not processes(director.host) & before, 5, "the old version is gone")
    else:
        director.kill()
        assert lab.child(director) in before, "its VRRP process goes on"
    director.start(environment=installation.environment)
    wait_until(lambda: not processes(director.host) & before, START_S, "the old version is gone")
    assert director.status().version == OTHER
    director.wait_for_weights(rs1=1, rs2=1)


@pytest.mark.parametrize("ends", ["stopped", "killed"])
def test_an_upgrade_of_both_directors_loses_nothing(
    network: Network, still: Stillness, tmp_path: Path, ends: str
) -> None:
    slow, since = slowness(), wall()
    (one, first), (two, second) = installed(network, tmp_path)
    quick = start_pings(network.client, SERVICE, COUNT, every_s=0.1)
    idle = start_pings(network.client, SERVICE, COUNT, every_s=2)
    load = start_load(network.client, SERVICE, per_second=50, timeout_s=0.9 * slow)
    time.sleep(1)

    begun = time.monotonic()
    upgrade(two, second, ends)
    wait_for_role(two, "backup", START_S)
    assert holders(one, two) == ["director1"]

    upgrade(one, first, ends)
    wait_for_role(one, "master", START_S)
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
        guest_still_s=still.longest_s(begun),
    )
    assert failures(requests) == []
    assert broken(connections) == []
    assert stall_s <= STALL_S * slow + still.longest_s(begun)
    replaced = [e.text for e in one.events("", since) if "it speaks version" in e.text]
    assert len(replaced) == (ends == "killed"), "the one that was found is of the other version"
