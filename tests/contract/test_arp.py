"""Asking a host for its MAC address on a real kernel's link: a prober on the left, a host right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lvsguard.core.config import ArpSpec, Check, CheckKind, CheckSpec
from lvsguard.core.health import FailureClass, Health, Timing, Verdict
from lvsguard.core.model import IPAddress
from lvsguard.probes.engine import Engine
from lvsguard.probes.pool import Probers
from lvsguard.probes.prober import Prober
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
TIMING = Timing(interval=60.0, timeout=5.0, fall=2)
"""Nothing but a hint makes a probe, and nothing but the link ends it soon."""


class Scene:
    """A prober in the left host, with one tcp check of the right one."""

    def __init__(self, hosts: Pair, *, version: int = 4, spec: ArpSpec | None = None) -> None:
        self.hosts = hosts
        self.engine = Engine()
        self.met: list[tuple[IPAddress, bytes]] = []
        self.healths: list[Health] = []
        self.prober = Prober(
            self.engine,
            lambda _, health: self.healths.append(health),
            met=lambda address, mac: self.met.append((address, mac)),
        )
        left, right = hosts.left, hosts.right
        self.address: IPAddress = IPv4Address(right.address)
        source: IPAddress = IPv4Address(left.address)
        if version == 6:
            self.address, source = IPv6Address(right.address6), IPv6Address(left.address6)
        self.source = source
        arp = spec or ArpSpec(interface="eth0", source=source)
        check_spec = CheckSpec(CheckKind.TCP, TIMING, arp=arp)
        self.prober.add(1, Check(self.address, 80, check_spec))

    @property
    def health(self) -> Health:
        return self.prober.health(1)

    def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.health, self.met)
            self.run(0.01)

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self.hosts.left.entered():
            while (left := end - time.monotonic()) > 0:
                self.engine.select(left)

    def close(self) -> None:
        self.prober.close()
        self.engine.close()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        made.right.start("server", "python3", "-m", "http.server", "--bind", "::", "80")
        yield made


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def scene(hosts: Pair, request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(hosts, version=request.param)
    yield made
    made.close()


def up(scene: Scene) -> bool:
    return scene.health.verdict is Verdict.UP


def mac_of(scene: Scene) -> bytes:
    return bytes.fromhex(scene.hosts.right.mac.replace(":", ""))


def known(scene: Scene) -> None:
    scene.until(lambda: bool(scene.met) and up(scene))


def test_it_learns_the_mac_address_once(scene: Scene) -> None:
    known(scene)
    scene.run(1.0)
    assert scene.met == [(scene.address, mac_of(scene))]
    assert scene.health.note == ""


def test_a_host_without_a_cable_is_dead_long_before_the_probe_would_say_so(scene: Scene) -> None:
    known(scene)
    began = time.monotonic()
    scene.hosts.unplug()
    scene.until(lambda: not up(scene))
    took = time.monotonic() - began
    health = scene.health
    assert took < TIMING.timeout
    assert health.result is not None
    assert health.hint is not None
    assert health.result.failure is FailureClass.HOST_DEAD
    assert (health.hint.detector, health.hint.silent) == ("arp", True)
    assert health.failures == 1  # two witnesses, one probe


def test_of_several_checks_the_one_counts_that_finds_a_dead_host_soonest(hosts: Pair) -> None:
    source = IPv4Address(hosts.left.address)
    seldom = ArpSpec(20.0, 5, "eth0", source)
    scene = Scene(hosts, spec=seldom)
    try:
        known(scene)
        often = replace(seldom, interval=0.1, tries=3)
        for number, spec in ((2, often), (3, replace(seldom, interval=0.05, tries=100))):
            check = Check(scene.address, 80, CheckSpec(CheckKind.TCP, TIMING, arp=spec))
            scene.prober.add(number, check)
        scene.until(lambda: scene.prober.health(2).verdict is Verdict.UP)
        began = time.monotonic()
        scene.hosts.unplug()
        scene.until(lambda: not up(scene), 3.0)
        assert time.monotonic() - began < 3.0
        scene.prober.remove(2)
        scene.prober.remove(3)
        scene.hosts.plug()
        scene.run(1.0)
    finally:
        scene.close()


def test_a_host_that_comes_back_is_probed_at_once(scene: Scene) -> None:
    known(scene)
    scene.hosts.unplug()
    scene.until(lambda: not up(scene))
    scene.hosts.plug()
    if scene.address.version == 6:  # a link that goes down takes its IPv6 addresses along
        right = scene.hosts.right
        right.run("ip", "-6", "address", "add", f"{scene.address}/64", "dev", "eth0", "nodad")
    scene.until(lambda: up(scene), 20)


def test_one_that_answers_probes_but_not_on_its_link_is_not_dead(scene: Scene) -> None:
    known(scene)
    told = len(scene.healths)
    scene.hosts.left.run(
        *f"ip neighbour replace {scene.address} lladdr {scene.hosts.right.mac} dev eth0".split(),
        *["nud", "permanent"],
    )
    deaf(scene)
    scene.run(2.0)
    assert up(scene)
    assert len(scene.healths) == told


def deaf(scene: Scene) -> None:
    """Have the right host answer no question about its MAC address."""
    right = scene.hosts.right
    if scene.address.version == 4:
        right.run("ip", "link", "set", "eth0", "arp", "off")
        right.run(
            *f"ip neighbour replace {scene.hosts.left.address} dev eth0".split(),
            *f"lladdr {scene.hosts.left.mac} nud permanent".split(),
        )
    else:
        rule = "-A INPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j DROP"
        done = right.run("ip6tables", *rule.split(), check=False)
        if done.returncode:
            pytest.skip("no ip6tables on this kernel")


def test_another_mac_address_is_told(scene: Scene) -> None:
    known(scene)
    right = scene.hosts.right
    right.run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:66")
    scene.until(lambda: len(scene.met) == 2)
    assert scene.met[1] == (scene.address, bytes.fromhex("020000000066"))
    scene.run(0.5)
    assert up(scene)


def test_a_stranger_is_not_missed_and_said_to_be_one(hosts: Pair) -> None:
    scene = Scene(hosts)
    nobody = IPv4Address("10.0.0.99")
    source = IPv4Address(hosts.left.address)
    arp = ArpSpec(0.05, 3, "eth0", source)
    scene.prober.add(2, Check(nobody, 80, CheckSpec(CheckKind.TCP, TIMING, arp=arp)))
    scene.until(lambda: "it has never answered" in scene.prober.health(2).note, 20)
    scene.close()


@pytest.mark.parametrize("interface", ["lo", "absent0"])
def test_where_nothing_can_be_asked_it_says_why(hosts: Pair, interface: str) -> None:
    arp = ArpSpec(0.1, 3, interface, IPv4Address(hosts.left.address))
    scene = Scene(hosts, spec=arp)
    scene.run(0.5)
    assert scene.health.note.startswith("not asked by ARP: " + interface)
    assert "arp = false" in scene.health.note
    scene.close()


FARM = "10.0.0.128/25"
"""Where the right host is a hundred hosts and more, as long as it has a route for them."""
CROWD = 120


def test_a_host_that_has_just_come_back_is_missed_as_soon_as_any_other(hosts: Pair) -> None:
    """While it is silent it is asked once a second only."""
    scene = Scene(hosts)
    spec = CheckSpec(CheckKind.TCP, TIMING, arp=ArpSpec(0.2, 3, "eth0", scene.source))

    def there(do: str) -> None:
        hosts.right.run("ip", "route", do, "local", FARM, "dev", "lo")

    def until(verdict: Verdict) -> float:
        began = time.monotonic()
        scene.until(lambda: scene.prober.health(2).verdict is verdict)
        return time.monotonic() - began

    there("add")
    scene.prober.add(2, Check(IPv4Address("10.0.0.129"), 80, spec))
    until(Verdict.UP)
    scene.run(0.5)  # it has answered on the link
    for _ in range(2):
        there("del")
        assert until(Verdict.DOWN) < 1.0
        there("add")
        until(Verdict.UP)
    scene.close()


class Told:
    """Verdicts of prober processes, and in how many parts the deaths came."""

    def __init__(self, checks: int) -> None:
        self.all_up = asyncio.Event()
        self.all_dead = asyncio.Event()
        self.parts = 0
        self._part = False
        self._up: set[Check] = set()
        self._dead: set[Check] = set()
        self._checks = checks

    def record(self, check: Check, health: Health) -> None:
        if health.verdict is Verdict.UP:
            self._up.add(check)
            if len(self._up) == self._checks:
                self.all_up.set()
            return
        assert health.cause is not None
        assert health.cause.failure is FailureClass.HOST_DEAD
        self._dead.add(check)
        if len(self._dead) == self._checks:
            self.all_dead.set()
        if not self._part:
            self._part = True
            self.parts += 1
            asyncio.get_running_loop().call_soon(self._over)

    def _over(self) -> None:
        self._part = False


def test_the_deaths_of_a_hundred_hosts_at_once_are_told_together(hosts: Pair) -> None:
    """A rule about too few realservers sees all of them before the first is taken out."""
    hosts.right.run("ip", "route", "add", "local", FARM, "dev", "lo")
    hosts.right.start("other", "python3", "-m", "http.server", "--bind", "::", "81")
    arp = ArpSpec(interface="eth0", source=IPv4Address(hosts.left.address))
    spec = CheckSpec(CheckKind.TCP, TIMING, arp=arp)
    farm = [IPv4Address("10.0.0.129") + number for number in range(CROWD)]
    checks = [Check(address, port, spec) for address in farm for port in (80, 81)]

    async def story() -> tuple[int, float]:
        told = Told(len(checks))
        probers = Probers(1, record=told.record, tally=lambda _: None, died=lambda *_: None)
        task = asyncio.create_task(probers.run())
        try:
            probers.configure(checks)
            async with asyncio.timeout(20):
                await told.all_up.wait()
                await asyncio.sleep(1.0)  # all have answered on the link
                hosts.right.run("ip", "route", "del", "local", FARM, "dev", "lo")
                silent_at = time.monotonic()
                await told.all_dead.wait()
            return told.parts, time.monotonic() - silent_at
        finally:
            task.cancel()
            await asyncio.wait([task])

    with hosts.left.entered():
        parts, took = asyncio.run(story())
    assert parts <= 2
    assert took < 2.0
