"""Nothing wrong, and adverts all the time: whoever moves the VIP then fails over for nothing.

    python -m tests.bench.vrrp_rest [--minutes 0.5] [--interval 0.01] [--load] [--systems NAMES]
    python -m tests.bench.vrrp_rest --minutes 60 --interval 0.1 --load --systems lvsguard

Two directors on one cable, keepalived's and then lvsguard's VRRP processes, both real; with
`--load` beside a busy process for each CPU, of the priority that this one has. It needs root and no
ip_vs, so it runs on a host's own kernel, where timers are a machine's and not a guest's; an idle
real-time timer beside each tells what the machine itself did. Printed are what became of the VIP,
how late adverts were on the wire (p50, p99, the latest), and a row for docs/benchmarks.md. It ends
with 1 where lvsguard's VIP moved or a role changed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lvsguard.core.vrrp import VrrpConfig
from tests.bench.bounds import quantiles, verdict, wanted
from tests.bench.scrape import Adverts
from tests.support.director_observers import monitor_addresses
from tests.support.keepalived import Instance, make_keepalived
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.vrrp_child import Child, children, gaps, listening, vip_group
from tests.support.wire_pair import Pair, namespaces_problem, pair

if TYPE_CHECKING:
    from collections.abc import Callable

PRIORITY = (150, 100)
SETTLE_S = 3.0
HELD = "lvsguard"
"""The system that is held to what is promised."""


@dataclass(frozen=True, slots=True)
class Rest:
    """How long nothing happens, and beside what."""

    seconds: float
    interval: float
    load: bool

    def __str__(self) -> str:
        beside = f" beside {os.cpu_count()} busy processes" if self.load else ""
        return f"{1e3 * self.interval:g} ms adverts, {self.seconds:g} s of nothing{beside}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened nevertheless."""

    changes: int
    """Of the VIP, on either director."""
    late_s: list[float]
    """Each advert on the wire, after its interval."""
    noise: str
    """How late an idle real-time timer was."""
    roles: int = 0
    """Changes of role, by the two processes' own word."""

    @property
    def well(self) -> bool:
        return not self.changes and not self.roles

    def __str__(self) -> str:
        late = "/".join(f"{1e3 * value:.1f}" for value in quantiles(self.late_s))
        return f"{self.changes} changes, adverts late by {late} ms"


def watched(hosts: Pair, rest: Rest, wait: Callable[[float], None]) -> Seen:
    """Rest, and tell what became of the VIP and the adverts meanwhile."""
    busy = [
        hosts.left.start(f"busy{number}", sys.executable, "-c", "while True: pass")
        for number in range(os.cpu_count() or 1 if rest.load else 0)
    ]
    seen = [monitor_addresses(host) for host in (hosts.left, hosts.right)]
    command = [sys.executable, "-m", "tests.bench.timer_noise", str(rest.seconds)]
    with listening(hosts.right, more=f"src host {hosts.left.address}") as heard:
        began = time.time()
        noise = hosts.left.start("noise", *command)
        wait(rest.seconds)
        assert noise.wait(30) == 0, noise.text()
    assert all(one.running for one in busy), "the load ended"
    changes = sum(change.at >= began for one in seen for change in one.changes(f"{VIP}/24"))
    late = [gap - rest.interval for gap in gaps(heard[0].adverts())]
    return Seen(changes, late, noise.text().strip())


def lvsguard(hosts: Pair, logs: Path, rest: Rest) -> Seen:
    with children(logs, hosts.left, hosts.right) as both:
        one, two = both
        for child, priority in zip(both, PRIORITY, strict=True):
            vrrp = VrrpConfig(51, priority=priority, interval=rest.interval)
            child.serve(vip_group("web", vrrp=vrrp))
        one.until_role("master")
        two.until_role("backup")
        one.listen(SETTLE_S)
        two.listen(0.1)

        def wait(seconds: float) -> None:
            reader = threading.Thread(target=two.listen, args=(seconds,))
            reader.start()
            one.listen(seconds)
            reader.join()

        before, speaks = [(child.cpu_s(), roles(child)) for child in both], Adverts(one)
        seen = watched(hosts, rest, wait)
        speaks.worst_ms()
        changed = 0
        for child, (cpu, role), part in zip(both, before, ("master", "backup"), strict=True):
            assert child.running, f"the {part} ended:\n{child.log()}"
            changes, share = roles(child) - role, (child.cpu_s() - cpu) / rest.seconds
            print(f"  {part}: {changes} changes of role, {share:.1%} of a CPU")
            changed += changes
        print(f"  adverts late by the master's own count: {speaks.told()}")
        return replace(seen, roles=changed)


def roles(child: Child) -> int:
    """How often its role has changed so far."""
    return len(child.told("role"))


def keepalived(hosts: Pair, _logs: Path, rest: Rest) -> Seen:
    both = [make_keepalived(host) for host in (hosts.left, hosts.right)]
    for one, priority in zip(both, PRIORITY, strict=True):
        one.start(Instance(priority=priority, interval=f"{rest.interval:g}"))
    wait_until(lambda: "MASTER STATE" in both[0].text(), 5, "keepalived has a master")
    time.sleep(SETTLE_S)
    seen = watched(hosts, rest, time.sleep)
    assert all(one.running.running for one in both), "keepalived ended"
    for one in both:
        one.stop()
    return seen


SYSTEMS = {one.__name__: one for one in (keepalived, lvsguard)}


def main() -> None:
    """Let each rest, then the row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=0.5, help="of each system")
    parser.add_argument("--interval", type=float, default=0.01, help="between adverts, s")
    parser.add_argument("--load", action="store_true", help="keep every CPU busy meanwhile")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    options = parser.parse_args()
    if problem := namespaces_problem():
        sys.exit(f"cannot make the two directors: {problem}")
    rest = Rest(60 * options.minutes, options.interval, options.load)
    found: dict[str, Seen] = {}
    for name in wanted(options.systems.split(","), SYSTEMS):
        with tempfile.TemporaryDirectory() as folder, pair(Path(folder)) as hosts:
            found[name] = seen = SYSTEMS[name](hosts, Path(folder), rest)
        print(f"{name}: {seen}; an idle real-time timer, ms late: {seen.noise}", flush=True)
    well = HELD not in found or found[HELD].well
    print(f"\n| event | {' | '.join(found)} | {HELD} must | holds |")
    print(
        f"| {rest} | {' | '.join(map(str, found.values()))} | 0 changes | {verdict(holds=well)} |"
    )
    sys.exit(not well)


if __name__ == "__main__":
    main()
