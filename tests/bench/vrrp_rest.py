"""Adverts at 10 ms and nothing wrong: `python -m tests.bench.vrrp_rest [SECONDS]`, on this host.

Two directors on one cable, lvsguard's VRRP processes and then keepalived's, both real, and no load:
each change of a VIP is a false failover. It needs root and no ip_vs, so it runs on a host's own
kernel, where timers are a machine's and not a guest's; an idle real-time timer beside each tells
what the machine itself did.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lvsguard.core.vrrp import VrrpConfig
from tests.support.director_observers import monitor_addresses
from tests.support.keepalived import Instance, make_keepalived
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.vrrp_child import children, vip_group
from tests.support.wire_pair import Pair, namespaces_problem, pair

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 0.01
PRIORITY = (150, 100)


def watched(hosts: Pair, seconds: float, rest: Callable[[float], None]) -> str:
    """Rest, and tell what became of the VIP meanwhile."""
    seen = {host.name: monitor_addresses(host) for host in (hosts.left, hosts.right)}
    began = time.time()
    command = [sys.executable, "-m", "tests.bench.timer_noise", str(seconds)]
    noise = hosts.left.start("noise", *command)
    rest(seconds)
    noise.wait(seconds)
    changes = sum(
        change.at >= began for one in seen.values() for change in one.changes(f"{VIP}/24")
    )
    return f"{changes} changes in {seconds:g} s; an idle real-time timer, ms late: {noise.text()}"


def lvsguard(hosts: Pair, logs: Path, seconds: float) -> str:
    with children(logs, hosts.left, hosts.right) as (one, two):
        for child, priority in ((one, PRIORITY[0]), (two, PRIORITY[1])):
            vrrp = VrrpConfig(51, priority=priority, interval=INTERVAL_S)
            child.serve(vip_group("web", vrrp=vrrp))
        one.until_role("master")
        two.until_role("backup")
        one.listen(3)

        def rest(seconds: float) -> None:
            reader = threading.Thread(target=two.listen, args=(seconds,))
            reader.start()
            one.listen(seconds)
            reader.join()

        before = one.cpu_s(), two.cpu_s()
        told = watched(hosts, seconds, rest)
        cpu = [(c.cpu_s() - b) / seconds for c, b in zip((one, two), before, strict=True)]
        assert (one.role(), two.role()) != ("", ""), "they do not run"
        return f"{told}; CPU of master {cpu[0]:.1%}, of backup {cpu[1]:.1%}"


def keepalived(hosts: Pair, _logs: Path, seconds: float) -> str:
    both = [make_keepalived(host) for host in (hosts.left, hosts.right)]
    for one, priority in zip(both, PRIORITY, strict=True):
        one.start(Instance(priority=priority, interval=f"{INTERVAL_S:g}"))
    wait_until(lambda: "MASTER STATE" in both[0].text(), 5, "keepalived has a master")
    time.sleep(3)
    told = watched(hosts, seconds, time.sleep)
    assert all(one.running.running for one in both), "keepalived ended"
    for one in both:
        one.stop()
    return told


def main(seconds: float) -> None:
    """One line for each."""
    if problem := namespaces_problem():
        sys.exit(f"cannot make the two directors: {problem}")
    for play in (keepalived, lvsguard):
        with tempfile.TemporaryDirectory() as folder, pair(Path(folder)) as hosts:
            print(f"{play.__name__:10} {play(hosts, Path(folder), seconds)}", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
