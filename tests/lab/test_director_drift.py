"""What somebody else changes is mended and told once, and what is not the director's is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_observers import monitor_addresses
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director import Director
    from tests.support.director_seed import Seed
    from tests.support.golden import Golden
    from tests.support.stillness import Stillness

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SERVICE = f"{VIP}:80"
MENDED_S = 1.2
FOREIGN = """\
-A -u 10.0.0.9:53 -s wlc
-a -u 10.0.0.9:53 -r 10.0.0.42:53 -g -w 5
"""


@pytest.fixture
def director(seed: Seed) -> Iterator[Director]:
    """The seed's director, with a service beside it that it does not own."""
    director = seed.director
    director.host.run("ipvsadm", "-R", given=FOREIGN)
    wait_until(lambda: len(director.status().foreign) == 1, 2, "the foreign service is seen")
    yield director
    director.host.run("ipvsadm", "-D", "-u", "10.0.0.9:53", check=False)


@pytest.mark.parametrize(
    ("command", "what", "name", "target"),
    [
        ("-d -t 10.0.0.8:80 -r 10.0.0.42:80", "realserver", "deleted-realserver", "10.0.0.42"),
        ("-e -t 10.0.0.8:80 -r 10.0.0.42:80 -g -w 7", "realserver", "weight", "10.0.0.42"),
        ("-e -t 10.0.0.8:80 -r 10.0.0.42:80 -m -w 1", "realserver", "forwarding", "10.0.0.42"),
        ("-a -t 10.0.0.8:80 -r 10.0.0.99:80 -g -w 1", "realserver", "stranger", "10.0.0.99"),
        ("-E -t 10.0.0.8:80 -s wlc -p 60", "service", "scheduler", "web"),
        ("-D -t 10.0.0.8:80", "service", "deleted-service", "web"),
    ],
)
def test_a_change_by_somebody_else_is_mended_and_told_once(
    director: Director, golden: Golden, command: str, what: str, name: str, target: str
) -> None:
    slow, before, since = slowness(), director.table(), wall()
    repairs = director.metric("drift_repairs_total", kind=what)
    director.host.run("ipvsadm", *command.split())
    at = time.monotonic()
    director.wait_for_drift(since)
    wait_until(lambda: sorted(director.table()) == sorted(before), MENDED_S, "all is as before")
    mended_s = time.monotonic() - at
    director.wait_for_passes(2)
    (event,) = director.events("drift", since)
    assert event.data["what"] == what
    assert director.metric("drift_repairs_total", kind=what) == repairs + 1
    assert mended_s <= MENDED_S * slow
    assert not [e for e in director.events("", since) if e.kind not in ("drift", "foreign")]
    tell(command, mended_s=mended_s, told=event.text)
    check_why(golden, director, f"drift-{name}", target, since)


def test_a_cleared_table_is_mended_and_what_is_not_owned_is_not_made_again(
    director: Director, golden: Golden
) -> None:
    slow, before, since = slowness(), director.host.ipvs(), wall()
    repairs = director.metrics()["lvsguard_drift_repairs_total"]
    director.host.run("ipvsadm", "-C")
    at = time.monotonic()
    director.wait_for_drift(since)
    mended_s = time.monotonic() - at
    assert director.host.ipvs() == [line for line in before if "10.0.0.9" not in line]
    director.host.run("ipvsadm", "-R", given=FOREIGN)
    director.wait_for_passes(2)
    assert director.host.ipvs() == before
    (event,) = director.events("drift", since)
    repairs[frozenset({("kind", str(event.data["what"]))})] += 1
    assert director.metrics()["lvsguard_drift_repairs_total"] == repairs
    assert mended_s <= MENDED_S * slow
    tell("-C", mended_s=mended_s)
    check_why(golden, director, "drift-cleared", "web", since)


def test_a_deleted_vip_is_back_within_50_ms_and_no_connection_notices(
    seed: Seed, still: Stillness, golden: Golden
) -> None:
    director, since, times = seed.director, wall(), 5
    monitor = monitor_addresses(director.host)
    pings = start_pings(seed.client, SERVICE, 10)
    load = start_load(seed.client, SERVICE, per_second=50)
    repairs = director.metric("drift_repairs_total", kind="address")
    for _ in range(times):
        director.host.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")
        time.sleep(0.3)  # the next one does not come while this one is mended
    director.wait_for_passes(2)
    requests, connections = load.stop(), pings.stop()
    gaps = monitor.gaps_s(f"{VIP}/24")
    assert len(gaps) == times
    assert max(gaps) <= 0.05 + still.longest_s()
    assert len(director.events("drift", since)) == times
    assert director.metric("drift_repairs_total", kind="address") == repairs + times
    assert failures(requests) == []
    assert [c.broken for c in connections] == [""] * 10
    stall_s = max(c.worst_s for c in connections)
    check_why(golden, director, "drift-vip", VIP, since)
    tell("ip addr del", gone_ms=[round(gap * 1000, 1) for gap in gaps], stall_s=stall_s)


def test_foreign_entries_and_addresses_are_never_touched(seed: Seed, director: Director) -> None:
    host, since = director.host, wall()
    host.run("ip", "address", "add", "10.0.0.77/24", "dev", "eth0")
    host.run("ipvsadm", "-e", "-u", "10.0.0.9:53", "-r", "10.0.0.42:53", "-g", "-w", "9")
    host.run("ipvsadm", "-a", "-u", "10.0.0.9:53", "-r", "10.0.0.43:53", "-m", "-w", "2")
    host.run("ipvsadm", "-D", "-t", SERVICE)  # work beside it
    director.wait_for_drift(since)
    director.wait_for_passes(2)
    assert [line for line in host.ipvs() if "10.0.0.9" in line] == [
        "-A -u 10.0.0.9:53 -s wlc",
        "-a -u 10.0.0.9:53 -r 10.0.0.42:53 -g -w 9",
        "-a -u 10.0.0.9:53 -r 10.0.0.43:53 -m -w 2",
    ]
    assert "10.0.0.77/24" in host.addresses()
    (foreign,) = director.status().foreign
    assert {r.address: r.weight for r in foreign.realservers} == {"10.0.0.42": 9, "10.0.0.43": 2}
    host.run("ip", "address", "del", "10.0.0.77/24", "dev", "eth0")
    assert seed.client.get(VIP)[0] == 200
