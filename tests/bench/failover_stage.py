"""Where the plays of a failover are played: hosts that die, come back empty, and are watched."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.failover_watch import ADDRESS, Watch, watch
from tests.support.processes import wait_until
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from tests.bench.failover_systems import System
    from tests.support.processes import Process
    from tests.support.topology import Host, Network

START_S = 30.0


@dataclass(slots=True)
class Stage:
    """The seed network under one system; `begin` makes both directors as after a reboot."""

    network: Network
    system: System
    watch: Watch
    chance: random.Random = field(default_factory=lambda: random.Random(51))

    def begin(self, interval: float, *, sync: bool) -> None:
        """Both directors serve, and director1 has held the VIP alone for three adverts."""
        for host in self.directors:
            self.reboot(host)
            self.system.configure(host, interval, sync=sync)
        running = [self.system.launch(host) for host in self.directors]
        for host, process in zip(self.directors, running, strict=True):
            self._wait_for_table(host, process)
        self.wait_for_holder(self.one)
        time.sleep(3 * interval + 0.5)
        assert self.watch.holders() == {self.one.name} or interval < 0.1, "it does not settle"

    @property
    def one(self) -> Host:
        return self.network.director1

    @property
    def two(self) -> Host:
        return self.network.director2

    @property
    def directors(self) -> tuple[Host, Host]:
        return self.one, self.two

    def _wait_for_table(self, host: Host, process: Process) -> None:
        """Wait until the kernel forwards to both realservers."""

        def there() -> bool:
            assert process.running, f"{self.system.name} ended:\n{process.text()[-2000:]}"
            with host.entered():
                lines = Path("/proc/thread-self/net/ip_vs").read_text().splitlines()
            return sum(line.split()[3:4] == ["1"] for line in lines if "->" in line) == 2

        wait_until(there, START_S, f"{self.system.name} serves on {host.name}", every_s=0.05)

    def wait_for_holder(self, host: Host) -> None:
        wait_until(
            lambda: self.watch.holders() == {host.name},
            START_S,
            f"{self.system.name}: the VIP is on {host.name} alone",
            every_s=0.05,
        )

    def kill(self, host: Host) -> float:
        """The host dies: all its processes and its cable, within a moment; the wall-clock time."""
        pids = self._pids(host)
        assert len(pids) > 1, f"{self.system.name} does not run on {host.name}"
        at = time.time()
        # Frozen first: of those left, none shall see another one's death and say good-bye.
        _signal(pids, signal.SIGSTOP)
        self.network.unplug(host)
        self.watch.died(host.name, at)
        assert time.time() - at < 0.05, "the death took too long to be one"
        self._end(host)
        return at

    def _end(self, host: Host) -> None:
        """End all processes of the host, and those that one of them had just started."""
        while pids := self._pids(host):
            _signal(pids, signal.SIGKILL)
            time.sleep(0.01)

    def wait_a_while(self, interval: float) -> None:
        """Wait for a second, and for any part of an interval: adverts know of no plays."""
        time.sleep(1 + self.chance.random() * interval)

    def reboot(self, host: Host) -> None:
        """Whatever ran or was configured on the host is gone; its cable is plugged."""
        self._end(host)
        host.run("ip", "address", "del", ADDRESS, "dev", "eth0", check=False)
        for role in ("master", "backup"):
            host.run("ipvsadm", "--stop-daemon", role, check=False)
        host.run("ipvsadm", "-C")
        host.run("tc", "qdisc", "del", "dev", "eth0", "clsact", check=False)
        assert ADDRESS not in host.addresses()
        self.network.plug(host)

    def boot(self, host: Host) -> None:
        """The host is back, knows nothing, and serves."""
        self.reboot(host)
        self._wait_for_table(host, self.system.launch(host))

    def _pids(self, host: Host) -> list[int]:
        """All processes of the host but the watch."""
        watch = self.watch.pids()
        return [pid for pid in host.pids() if pid not in watch]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def stages(network: Network, systems: list[System]) -> list[Stage]:
    """A stage for each system; they are used one after the other."""
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    seen = watch(network)
    return [Stage(network, system, seen) for system in systems]
