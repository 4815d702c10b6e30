"""Two directors under lvsguard: who is master, and what a client sees when that changes."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support.director import Director, make_director, tell, wall
from tests.support.director_config import Setup
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load
from tests.support.topology_web import start_web
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from tests.support.golden import Golden
    from tests.support.stillness import Stillness
    from tests.support.topology import Network
    from tests.support.topology_load import Request

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SERVICE = f"{VIP}:80"
VRRP = """vrid = 51
priority = { director1 = 150, director2 = 100 }
interval = "1s"
"""


def pair(network: Network, vrrp: str = VRRP) -> tuple[Director, Director]:
    """Both directors, serving, director1 master."""
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    setup = Setup(vrrp=vrrp)
    one = make_director(network.director1, setup)
    two = make_director(network.director2, setup)
    one.start()
    two.start()
    for director in (one, two):
        director.wait_for_weights(rs1=1, rs2=1)
    wait_for_role(one, "master")
    wait_for_role(two, "backup")
    return one, two


def wait_for_role(director: Director, role: str, within_s: float = 10) -> float:
    def there() -> bool:
        return [vip.role for vip in director.status().vips] == [role]

    try:
        return wait_until(there, within_s, f"{director.host.name} is {role}", every_s=0.05)
    except AssertionError as error:
        raise AssertionError(f"{error}: {director.status().vips}\n{director.text()}") from error


def longest_silence_s(requests: list[Request]) -> float:
    """The longest time without an answer. When failed requests ended says less: each waits for its
    own timeout, or for TCP's next try."""
    answers = sorted(r.at + r.took_s for r in requests if not r.failed)
    return max(after - before for before, after in pairwise(answers))


def holders(*directors: Director) -> list[str]:
    return [d.host.name for d in directors if f"{VIP}/24" in d.host.addresses()]


def test_a_planned_stop_loses_nothing(network: Network, golden: Golden) -> None:
    one, two = pair(network)
    assert holders(one, two) == ["director1"]
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    since = wall()
    one.running.stop()
    assert holders(one, two) == ["director2"]
    time.sleep(2)
    requests = load.stop()
    check_why(golden, two, "master-stopped", VIP, since)
    tell("planned stop", requests=len(requests), failed=len(failures(requests)))
    assert failures(requests) == []
    one.start()
    wait_for_role(one, "master")
    wait_for_role(two, "backup")
    assert holders(one, two) == ["director1"]


def test_a_dead_director_is_replaced_within_a_master_down_interval(
    network: Network, still: Stillness, golden: Golden
) -> None:
    slow = slowness()
    one, two = pair(network)
    load = start_load(network.client, SERVICE, per_second=50)
    time.sleep(1)
    since, begun = wall(), time.monotonic()
    network.unplug(network.director1)
    wait_for_role(two, "master")
    wait_until(lambda: bool(two.events("role", since)), 2, "it is told")
    check_why(golden, two, "master-dead", VIP, since)
    told = {event.kind for event in one.events("", since)}
    assert {"link", "role"} <= told
    check_why(golden, one, "link-down", VIP, since, sorted_events=True)
    network.plug(network.director1)
    wait_for_role(one, "master")
    time.sleep(1)
    requests = load.stop()
    silence_s = longest_silence_s(requests)
    tell("cut", requests=len(requests), silence_s=silence_s)
    assert silence_s <= 3.609 + 0.1 * slow + still.longest_s(begun)
    wait_for_role(two, "backup")
    assert holders(one, two) == ["director1"]
