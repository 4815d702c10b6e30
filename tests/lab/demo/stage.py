"""The seed network as the demo plays on it: two realservers, a director under lvsguard, a client.

It does and measures; it shows nothing and judges nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lvsguard.core.health import Verdict
from tests.lab.demo.answers import Answers
from tests.support.director import Director
from tests.support.director_observers import monitor_addresses
from tests.support.processes import run, wait_until
from tests.support.topology import VIP, Network, seed_network
from tests.support.topology_load import answered_by, failures, start_load
from tests.support.topology_web import Web, start_web

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path("/etc/lvsguard/config.toml")
PLACE = Path("/run/lvsguard")
SERVICE = f"{VIP}:80"
NAMES = ("rs1", "rs2")
PER_SECOND = 50
"""New connections of the client; one each 20 ms."""
UNDER_WAY_S = 0.3
"""A request that is not answered after this long is a failed one."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the client's requests in a stretch of time."""

    by: dict[str, int]
    failed: int

    def __str__(self) -> str:
        answers = ", ".join(f"{name} {self.by.get(name, 0)}" for name in NAMES)
        return f"answered: {answers}; failed: {self.failed}"


@dataclass(slots=True)
class Stage:
    """Everything that runs, made by `set_up`."""

    network: Network
    director: Director
    webs: dict[str, Web]
    answers: Answers | None = None

    def start_client(self) -> None:
        """Start the client that opens a new connection each 20 ms."""
        self.answers = Answers(start_load(self.network.client, SERVICE, PER_SECOND).file)

    def tally(self, since: float, until: float | None = None) -> Tally:
        """Count the requests that began in a stretch of time (monotonic clock, s; default: until
        now), once they have had time to end."""
        assert self.answers is not None, "there is no client yet"
        until = now() if until is None else until
        time.sleep(max(until + UNDER_WAY_S - now(), 0))
        requests = [r for r in self.answers.since(since) if r.at < until]
        return Tally(dict(answered_by(requests)), len(failures(requests)))

    def wait_for_verdicts(self) -> None:
        """Wait until lvsguard has probed every realserver."""

        def probed() -> bool:
            realservers = [r for s in self.director.status().services for r in s.realservers]
            return all(r.verdict is not Verdict.UNKNOWN for r in realservers)

        wait_until(probed, 10, "every realserver has a verdict", every_s=0.1)

    def clear_table(self) -> float:
        """Run `ipvsadm -C` on the director; return the seconds from empty table to full one."""
        before = sorted(self.director.table())
        process = self.network.director1.start("somebody", "ipvsadm", "-C")
        wait_until(lambda: not self.director.table(), 5, "the table is empty", every_s=0.001)
        took = wait_until(
            lambda: sorted(self.director.table()) == before, 5, "the table is back", every_s=0.001
        )
        assert process.wait() == 0, process.text()
        return took

    def delete_vip(self, times: int) -> list[float]:
        """Run `ip addr del VIP` on the director so many times; return the seconds of each absence.

        They are told by `ip monitor`, which hears of both changes from the kernel.
        """
        vip = f"{VIP}/24"
        monitor = monitor_addresses(self.network.director1)
        gaps: list[float] = []
        while len(gaps) < times:
            seen = len(gaps)
            self.network.director1.run("ip", "addr", "del", vip, "dev", "eth0")
            wait_until(lambda: len(monitor.gaps_s(vip)) > seen, 5, "the VIP is back")  # noqa: B023
            gaps = monitor.gaps_s(vip)
        monitor.process.stop()
        return gaps


@contextlib.contextmanager
def set_up(logs: Path) -> Iterator[Stage]:
    """Build the network with nginx on both realservers; nothing of LVS is there yet."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    CONFIG.parent.mkdir(exist_ok=True)
    shutil.copy(Path(__file__).with_name("director1.toml"), CONFIG)
    # As an installation does (deploy/, sysusers.d); the daemon gives its socket to this group.
    run(["groupadd", "--force", "--system", "lvsguard"])
    with seed_network(logs) as network:
        webs = {host.name: start_web(host) for host in network.realservers}
        yield Stage(network, Director(network.director1, PLACE, CONFIG), webs)


def now() -> float:
    """The clock of the client's records."""
    return time.monotonic()
