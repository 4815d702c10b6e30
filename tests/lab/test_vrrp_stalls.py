"""The controller is stopped, killed or busy: the VRRP process speaks on, in time.

Adverts are timed by tcpdump on the other director: none comes 20 ms later than due. In a guest with
one CPU, whose kernel cannot be preempted, all timers are late by some milliseconds, so an idle
real-time process beside the test (`still`) tells what the guest itself adds, and what is measured
under load stands beside what is measured without.

The busy controller reloads 1,000 services, answers scrapes of more than 10,000 series without a
pause, and has 100 checks that ask twenty times a second each: 2,000 probes a second, of which at
least `PROBES` must be made on the one CPU on which both realservers, the controller and whoever
scrapes run, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support import vrrp_director as lab
from tests.support.director import tell, wall
from tests.support.director_config import HTTP_CHECK, NO_CHECK, Service, Setup
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP, Network
from tests.support.topology_load import failures, start_load
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director import Director
    from tests.support.stillness import Stillness

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

INTERVAL = 1.0
DOWN2 = 3 + (256 - 100) / 256
OFTEN = 0.2
"""Seconds between adverts where they are a clock to measure by."""
SLACK = 1.0
LATE_MS = 20.0
"""How much later than due an advert may be."""
LOAD = 50.0
"""Requests a second."""
BUSY_S = 8.0
SERVICES = 1000
SERIES = 10_000
PROBES = 1000.0
"""A second, at the least, while all the rest goes on."""


def setup(priority: int, *services: Service, interval: float = INTERVAL) -> Setup:
    vrrp = lab.vrrp(priority, interval=f"{interval * 1000:g}ms")
    return Setup(services=services or (Service(check=HTTP_CHECK),), vrrp=vrrp)


class Pair:
    """director1 (priority 150) and director2 (100), with realservers that answer."""

    def __init__(self, network: Network) -> None:
        self.network = network
        for realserver in network.realservers:
            realserver.hold_vip()
            start_web(realserver)
        self.one = lab.launch(network.director1, setup(150))
        self.two = lab.launch(network.director2, setup(100))
        for director in (self.one, self.two):
            director.wait_for_weights(rs1=1, rs2=1)
        lab.wait_for_role(self.one, "master", 10)

    def settle(self) -> None:
        if not self.one.running.running:
            lab.start(self.one)
        lab.wait_for_holder(self.network, "director1", 15)
        lab.wait_for_role(self.one, "master", 5)
        lab.wait_for_role(self.two, "backup", SLACK)

    def roles_since(self, since: float) -> list[str]:
        events = self.one.events("role", since) + self.two.events("role", since)
        return [event.text for event in events]


@pytest.fixture(scope="module")
def shared_pair(shared_network: Network) -> Iterator[Pair]:
    pair = Pair(shared_network)
    yield pair
    lab.crash(pair.one)
    lab.crash(pair.two)


@pytest.fixture
def pair(shared_pair: Pair) -> Pair:
    shared_pair.settle()
    return shared_pair


class Adverts:
    """director1's adverts, as director2's interface sees them."""

    def __init__(self, network: Network, name: str) -> None:
        self._capture = network.director2.capture(name, "proto 112 and src 10.0.0.41")

    def late_ms(self, interval: float = INTERVAL) -> list[float]:
        """End it; how much later than due each came, milliseconds, the worst last."""
        heard = [one.at for one in lab.adverts(self._capture)]
        return sorted((after - first - interval) * 1000 for first, after in pairwise(heard))


def at(late: list[float], part: float) -> float:
    return late[min(int(part * len(late)), len(late) - 1)]


def test_a_controller_that_is_held_up_for_five_seconds_holds_nothing_else_up(
    pair: Pair, still: Stillness
) -> None:
    since, load = wall(), start_load(pair.network.client, f"{VIP}:80", LOAD)
    begun = time.monotonic()
    adverts = Adverts(pair.network, "held")
    os.kill(pair.one.running.pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(pair.one.running.pid, signal.SIGCONT)
    time.sleep(0.5)
    late, requests = adverts.late_ms(), load.stop()
    still_ms = still.longest_s(begun) * 1000
    tell(
        "controller stopped",
        adverts=len(late),
        worst_ms=late[-1],
        guest_still_ms=still_ms,
        requests=len(requests),
    )
    assert len(late) >= 4
    assert late[-1] <= still_ms + LATE_MS
    assert failures(requests) == []
    assert pair.roles_since(since) == []
    # What they said meanwhile is read before they are taken for dead.
    assert pair.one.metric("vrrp_process_restarts_total") == 0
    assert pair.one.metric("prober_restarts_total") == 0


def test_a_controller_that_is_killed_is_followed_by_one_that_finds_all_as_it_was(
    pair: Pair, still: Stillness
) -> None:
    since, load = wall(), start_load(pair.network.client, f"{VIP}:80", LOAD)
    begun = time.monotonic()
    adverts, child = Adverts(pair.network, "killed"), lab.child(pair.one)
    os.kill(pair.one.running.pid, signal.SIGKILL)
    pair.one.running.wait()
    time.sleep(1)
    assert lab.holders(pair.network) == ["director1"]
    lab.start(pair.one)
    pair.one.wait_for_weights(rs1=1, rs2=1)
    late, requests = adverts.late_ms(), load.stop()
    still_ms = still.longest_s(begun) * 1000
    tell(
        "controller killed",
        adverts=len(late),
        worst_ms=late[-1],
        guest_still_ms=still_ms,
        requests=len(requests),
    )
    assert late[-1] <= still_ms + LATE_MS
    assert lab.child(pair.one) == child
    assert lab.role(pair.one) == "master"
    assert failures(requests) == []
    assert pair.roles_since(since) == []


def test_a_vrrp_process_that_is_killed_leaves_the_vip_served(pair: Pair) -> None:
    since, load = wall(), start_load(pair.network.client, f"{VIP}:80", LOAD)
    adverts, child = Adverts(pair.network, "child"), lab.child(pair.one)
    time.sleep(INTERVAL + 0.2)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: lab.child(pair.one) not in (0, child), 5, "another one is started")
    time.sleep(DOWN2 + SLACK)
    pair.settle()
    time.sleep(INTERVAL)
    late, requests = adverts.late_ms(), load.stop()
    taken = [e for e in pair.two.events("role", since) if e.data["after"] == "master"]
    tell(
        "VRRP process killed",
        silent_s=late[-1] / 1000 + INTERVAL,
        master_down_s=DOWN2,
        taken_over=len(taken),
        requests=len(requests),
    )
    assert failures(requests) == []
    if late[-1] / 1000 + INTERVAL < 3 * INTERVAL:  # a Python that starts in time goes on as master
        (only,) = pair.roles_since(since)
        assert only.endswith("master (was init): goes on where it was")


def many_services() -> list[Service]:
    """Fifty of them ask both realservers twenty times a second each, each in a way of its own: what
    is asked alike is asked once."""
    often = (
        '{{ kind = "http", port = 80, host = "s{}", interval = "50ms", timeout = "50ms",'
        " fall = 20, canary = false }}"
    )
    return [Service(check=HTTP_CHECK)] + [
        Service(
            name=f"s{number}",
            address=f"{VIP}:{10000 + number}",
            check=often.format(number) if number < 50 else NO_CHECK,
        )
        for number in range(SERVICES - 1)
    ]


class Scraper:
    """Asks a director for its metrics, again at once, in a thread."""

    def __init__(self, director: Director) -> None:
        self._director = director
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.series: list[int] = []
        """Of each scrape."""

    def _work(self) -> None:
        while not self._end.is_set():
            with contextlib.suppress(OSError):  # it had no time to answer within 3 s
                self.series.append(sum(map(len, self._director.metrics().values())))

    def __enter__(self) -> Scraper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def probes(director: Director) -> float:
    """How many there were."""
    return sum(director.metrics()["lvsguard_probe_results_total"].values())


def test_adverts_are_in_time_while_the_controller_is_busy(pair: Pair, still: Stillness) -> None:
    slow, network, one = slowness(), pair.network, pair.one
    one.configure(setup(150, interval=OFTEN))
    one.client.reload()
    time.sleep(1)
    quiet, idle = time.monotonic(), Adverts(network, "idle")
    time.sleep(BUSY_S)
    idle_ms = idle.late_ms(OFTEN)
    idle_still_ms = still.longest_s(quiet) * 1000

    since, busy = wall(), Adverts(network, "busy")
    begun = time.monotonic()
    one.configure(setup(150, *many_services(), interval=OFTEN))
    with Scraper(one) as scraper:
        one.client.reload()
        reloaded_s = time.monotonic() - begun
        asked, counted = probes(one), time.monotonic()
        time.sleep(BUSY_S)
        per_second = (probes(one) - asked) / (time.monotonic() - counted)
    lasted = time.monotonic() - begun
    busy_ms = busy.late_ms(OFTEN)
    busy_still_ms = still.longest_s(begun) * 1000
    large = [count for count in scraper.series if count >= SERIES]
    services = len(one.status().services)
    tell("adverts beside an idle controller", **shown(idle_ms), guest_still_ms=idle_still_ms)
    tell("adverts beside a busy controller", **shown(busy_ms), guest_still_ms=busy_still_ms)
    tell(
        "busy with",
        seconds=lasted,
        services=services,
        reloaded_s=reloaded_s,
        scrapes=len(large),
        series=max(scraper.series),
        probes_per_second=per_second,
    )
    one.configure(setup(150))
    one.client.reload()
    assert services == SERVICES
    assert len(large) >= 2
    assert per_second >= PROBES / slow
    assert len(busy_ms) >= 0.9 * lasted / OFTEN
    # What holds up the whole guest (its kernel cannot be preempted) holds up an idle real-time
    # process beside it as well.
    assert idle_ms[-1] <= idle_still_ms + LATE_MS * slow
    assert busy_ms[-1] <= busy_still_ms + LATE_MS * slow
    assert pair.roles_since(since) == []


def shown(late_ms: list[float]) -> dict[str, float]:
    """Of the adverts of one time."""
    return {
        "adverts": len(late_ms) + 1,
        "p50_ms": at(late_ms, 0.5),
        "p99_ms": at(late_ms, 0.99),
        "max_ms": late_ms[-1],
    }
