"""A thousand canaries that close in one moment: probes, plans and adverts of a director.

A thousand realservers, each with an address of its own, all on one host and in one nginx; an http
check each 5 s, so that what is seen within a second is the storm's. The director is in an election
and speaks each 0.2 s. In user-mode Linux nginx, the prober, the controller and the VRRP process
share one CPU.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import vrrp_director as lab
from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.pace import slowness
from tests.support.processes import Process, wait_until
from tests.support.topology import VIP
from tests.support.topology_web import AS_URGENT, CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsguard.admin.protocol import EventReply
    from tests.support.director import Director
    from tests.support.stillness import Stillness
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]

SERVICES, MEMBERS = 10, 100
COUNT = SERVICES * MEMBERS
EVERY_S = 5.0
CHECK = (
    f'{{ kind = "http", port = 80, path = "/health", interval = "{EVERY_S:g}s", timeout = "2s" }}'
)
BURSTS, PROBES = 50, 3
"""What a hint makes alone: so many hints at once have three probes each, the others one."""
FILES = 4096
"""That an nginx may have open: more than canaries and probes together."""
OVER_S = 2.0
"""After so many seconds a storm is over on a slow machine, too."""
SLOW = 1.5
"""From so much slower a guest on (``pace.slowness``) a thousand probes may be two plans."""
ADVERT_S = 0.2
LATE_S = 0.02
"""How much later than due an advert may be, and the time in which nobody in the guest ran."""


def setup() -> Setup:
    services = []
    for service in range(SERVICES):
        numbers = range(service * MEMBERS, (service + 1) * MEMBERS)
        services.append(
            Service(
                name=f"s{service}",
                address=f"{VIP}:{8000 + service}",
                check=CHECK,
                realservers={f"10.1.{n >> 8}.{n & 255}": 1 for n in numbers},
                more="panic_below = 0.5",
            )
        )
    return Setup(services=tuple(services), vrrp=lab.vrrp(150, interval=f"{ADVERT_S * 1000:g}ms"))


@dataclass(slots=True)
class Farm:
    """All the realservers, and the director."""

    network: Network
    director: Director
    nginx: Process
    started: int = 1

    @property
    def host(self) -> Host:
        return self.network.rs1

    def serve(self) -> Process:
        """Start another nginx beside the one that may be there."""
        self.started += 1
        return start_nginx(self.host, self.started)

    def settle(self) -> None:
        """Wait until all are up, and have their canary."""
        wait_until(lambda: self.up() == COUNT, 60, "all are up", every_s=0.5)
        wait_until(lambda: canaries(self.host) >= COUNT, 60, "all have a canary", every_s=0.5)
        time.sleep(1)

    def up(self) -> int:
        return self.verdicts("up")

    def verdicts(self, verdict: str) -> int:
        services = self.director.status().services
        return sum(r.verdict == verdict for s in services for r in s.realservers)

    def probes(self) -> int:
        """How many ended so far; told once a second."""
        return int(sum(self.director.metrics()["lvsguard_probe_results_total"].values()))

    def in_kernel(self) -> int:
        """Realservers that have their weight in the kernel's table."""
        return sum(line.split()[2:] == ["Route", "1"] for line in self.director.table())


def start_nginx(host: Host, number: int) -> Process:
    """One that shares its port with others of them, and lets connections idle."""
    folder = host.processes.logs / f"{host.name}.{number}.nginx"
    folder.mkdir(exist_ok=True)
    text = CONFIG.format(folder=folder, name=host.name, port=80)
    text = text.replace("backlog=4096", "backlog=4096 reuseport")
    text = text.replace("keepalive_timeout 1h;", "keepalive_timeout 1h; client_header_timeout 1h;")
    (folder / "nginx.conf").write_text(text)
    command = ("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    process = host.start("nginx", *AS_URGENT, "prlimit", f"--nofile={FILES}", *command)

    def answers() -> bool:
        try:
            return host.get(host.address) == (200, host.name)
        except OSError:
            return False

    wait_until(answers, 10, f"nginx on {host.name} answers")
    return process


def canaries(host: Host) -> int:
    """Connections from director1 that stand, in the host's own table."""
    with host.entered():
        lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    established = (fields for line in lines if (fields := line.split())[3] == "01")
    return sum(f[1].endswith(":0050") and f[2].startswith("2900000A:") for f in established)


def moment(event: EventReply) -> float:
    """When it happened (wall clock)."""
    return datetime.fromisoformat(event.time).timestamp()


@pytest.fixture(scope="module")
def shared_farm(shared_network: Network) -> Iterator[Farm]:
    network, host = shared_network, shared_network.rs1
    host.hold_vip()
    host.run("ip", "route", "add", "local", "10.1.0.0/16", "dev", "lo")
    network.director1.run("ip", "route", "add", "10.1.0.0/16", "via", str(host.address))
    nginx = start_nginx(host, 1)
    farm = Farm(network, lab.launch(network.director1, setup()), nginx)
    yield farm
    lab.crash(farm.director)


@pytest.fixture
def farm(shared_farm: Farm) -> Farm:
    shared_farm.settle()
    return shared_farm


class Watch:
    """What a storm costs: begun before it, ended after it."""

    def __init__(self, farm: Farm, still: Stillness, name: str) -> None:
        self._farm, self._still, self._name = farm, still, name
        self._begun = time.monotonic()
        ours = "proto 112 and src 10.0.0.41"
        # As they leave, too: one was lost on its way in a storm, when all others were in time.
        self._left = farm.network.director1.capture(name, ours)
        self._came = farm.network.director2.capture(name, ours)
        time.sleep(2 * ADVERT_S)
        self._probes, self._passes = farm.probes(), farm.director.health().passes
        self._writes = farm.director.writes()
        self.since = wall()

    def end(self, **more: object) -> Figures:
        farm = self._farm
        time.sleep(1.1)  # the last probes are counted
        passed = time.time() - self.since
        probes = farm.probes() - self._probes
        passes = farm.director.health().passes - self._passes
        writes = farm.director.writes() - self._writes
        left, heard = ([a.at for a in lab.adverts(one)] for one in (self._left, self._came))
        late = max(after - first - ADVERT_S for first, after in pairwise(left))
        gap = max(after - first for first, after in pairwise(heard))
        still = self._still.longest_s(self._begun)
        usual = int(COUNT / EVERY_S * (passed + 1))
        tell(
            self._name,
            probes=probes,
            usual=usual,
            passes=passes,
            resyncs=int(passed) + 1,
            writes=writes,
            adverts=len(left),
            lost=len(left) - len(heard),
            late_ms=late * 1000,
            still_ms=still * 1000,
            **more,
        )
        assert len(heard) >= 0.8 * passed / ADVERT_S
        assert len(left) >= 0.8 * passed / ADVERT_S
        assert late <= still + LATE_S
        assert gap <= 2 * ADVERT_S + still + LATE_S
        return Figures(probes, probes - usual, passes, int(passed) + 1, writes)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a storm cost."""

    probes: int
    more: int
    """Probes beyond the usual ones, at least."""
    passes: int
    resyncs: int
    """Passes that there would have been anyway."""
    writes: int


def test_a_storm_over_servers_that_are_well_changes_nothing(farm: Farm, still: Stillness) -> None:
    other = farm.serve()
    watch = Watch(farm, still, "well")
    farm.nginx.kill()
    farm.nginx = other
    time.sleep(OVER_S)
    cost = watch.end()
    assert farm.director.events("health", watch.since) == []
    assert farm.director.events("health-many", watch.since) == []
    assert farm.up() == COUNT
    assert farm.in_kernel() == COUNT
    assert cost.probes >= COUNT  # of which the usual times alone make up little more than half
    assert cost.more <= BURSTS * PROBES + 2 * COUNT
    assert cost.writes == 0
    assert cost.passes <= cost.resyncs + 3


def test_a_storm_of_deaths_is_one_plan_and_panic_keeps_all_in(farm: Farm, still: Stillness) -> None:
    slow = slowness()
    watch = Watch(farm, still, "dead")
    farm.nginx.kill()
    fewest, end = COUNT, time.monotonic() + OVER_S
    while time.monotonic() < end:
        fewest = min(fewest, farm.in_kernel())
        time.sleep(0.02)
    wait_until(lambda: farm.verdicts("down") == COUNT, 10, "all are down", every_s=0.1)
    panics = farm.director.events("panic", watch.since)
    first_s, last_s = (moment(panics[n]) - watch.since for n in (0, -1))
    times = {"first_panic_s": first_s, "last_panic_s": last_s}
    cost = watch.end(fewest_in=fewest, slowness=slow, **times)
    in_kernel = farm.in_kernel()
    farm.nginx = farm.serve()
    assert len(panics) == SERVICES
    assert in_kernel == COUNT
    assert cost.passes <= cost.resyncs + (6 if slow < SLOW else 30)
    # Verdicts wait for a storm's end no longer than half a second: on a slow guest the first of
    # them may make a plan of their own, and nobody goes out and in more than once.
    assert cost.writes <= (0 if slow < SLOW else 2 * COUNT)
    assert fewest == COUNT or slow >= SLOW
    assert cost.more <= BURSTS * PROBES + 2 * COUNT
