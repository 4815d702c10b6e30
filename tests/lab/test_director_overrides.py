"""What the operator has said stands across a crash, and what is dead stays out of the table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell
from tests.support.director_config import Service, Setup
from tests.support.director_observers import tap_netlink
from tests.support.director_seed import seed_under_lvsguard
from tests.support.topology import VIP
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SETUP = Setup(services=(Service(realservers={f"10.0.0.{n}": 2 for n in (42, 43, 44)}),))


@pytest.mark.parametrize("network", [3], indirect=True)
def test_a_drain_a_weight_and_a_dead_realserver_outlive_sigkill_without_a_write(
    network: Network,
) -> None:
    with seed_under_lvsguard(network, SETUP) as seed:
        director = seed.director
        director.wait_for_weights(rs1=2, rs2=2, rs3=2)
        pings = start_pings(seed.client, f"{VIP}:80", 9)
        director.run("drain", "10.0.0.42", "--reason", "new disk")
        director.run("weight", "10.0.0.44", "50%")
        director.wait_for_weights(1, rs1=0, rs2=2, rs3=1)
        seed.webs[1].kill()
        director.wait_for_weights(1.5, rs1=0, rs2=None, rs3=1)
        before = director.table()
        tap = tap_netlink(director.host)
        director.kill()
        time.sleep(0.3)  # each connection is used three times
        director.start()
        director.wait_for_verdicts(rs1="up", rs2="down", rs3="up")
        director.wait_for_passes(2)
        assert tap.writes() == []
        assert director.writes() == 0
        assert director.table() == before
        drained, weighted = director.realserver("10.0.0.42"), director.realserver("10.0.0.44")
        assert (drained.admin, drained.weight) == ("drain", 0)
        assert drained.reason.startswith("drained by root")
        assert drained.reason.endswith(": new disk")
        assert (weighted.admin, weighted.weight, weighted.configured_weight) == ("ready", 1, 2)
        assert director.realserver("10.0.0.43").weight is None
        seed.webs[1].start()
        back_s = director.wait_for_weights(1.7, rs1=0, rs2=2, rs3=1)
        director.run("undrain", "10.0.0.42")
        director.wait_for_weights(1, rs1=2, rs2=2, rs3=1)
        by_realserver: dict[str, set[str]] = {}
        for connection in pings.stop():
            by_realserver.setdefault(connection.realserver, set()).add(connection.broken)
        assert by_realserver["rs1"] == by_realserver["rs3"] == {""}  # rs2's died with it
        tell("restart with a drain, a weight and a dead one", writes=0, back_s=back_s)
