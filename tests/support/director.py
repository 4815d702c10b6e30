"""A director under lvsguard in the lab: writes its config, runs the daemon, asks it, ends it.

What is in the kernel is never asked of the daemon here: that is `Host.ipvs`, `Host.addresses` and
`table`, so that a test compares two sources.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from lvsguard.admin.client import Client, Refused, Unreachable
from tests.support.director_config import LISTEN, Setup
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import CompletedProcess

    from lvsguard.admin.protocol import EventReply
    from lvsguard.admin.status_reply import HealthReply, RealserverReply, Status
    from tests.support.processes import Process
    from tests.support.topology import Host

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ENTRY = re.compile(r"^  -> (\S+) +\w+ +(\d+)")
_COUNTERS = re.compile(r"^(  -> \S+ +\w+ +\d+) .*$")


@dataclass(slots=True)
class Director:
    """`lvsguard run` on a host. Its socket and state live in `place`, its config and log in the
    artifacts."""

    host: Host
    place: Path
    config: Path
    process: Process | None = None

    @property
    def client(self) -> Client:
        return Client(self.place / "lvsguard.sock")

    @property
    def running(self) -> Process:
        assert self.process is not None, "the director was not started"
        return self.process

    def configure(self, setup: Setup) -> None:
        """Write the config; a running daemon reads it at its next reload."""
        self.config.write_text(setup.toml(self.host, self.place))

    def launch(
        self,
        *options: str,
        under: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start the daemon and return at once; `under` is a command that runs it."""
        command = (*under, "lvsguard", "run", "-c", str(self.config), *options)
        self.process = self.host.start("lvsguard", *command, environment=environment)
        return self.process

    def start(
        self,
        *options: str,
        under: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> float:
        """Start the daemon, wait until its first pass is in the kernel; the seconds it took."""
        process = self.launch(*options, under=under, environment=environment)

        def serves() -> bool:
            assert process.running, f"it ended with {process.popen.returncode}:\n{process.text()}"
            with contextlib.suppress(Unreachable, Refused):
                return self.client.health().programmed
            return False

        return wait_until(serves, 60, f"lvsguard serves (log: {process.log})", every_s=0.05)

    def wait_for_weights(self, within_s: float = 10, /, **weights: int | None) -> float:
        """Wait until the kernel has these weights (rs1=1; None: not in the table)."""

        def there() -> bool:
            table = self.weights()
            return all(table.get(name) == weight for name, weight in weights.items())

        try:
            return wait_until(there, within_s, f"the kernel has {weights}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it has {self.table()}\n{self.text()}") from error

    def wait_for_verdicts(self, within_s: float = 10, /, **verdicts: str) -> float:
        """Wait until every service's realservers have these verdicts (rs1="up")."""

        def known() -> bool:
            found = {
                (f"rs{int(r.address.rpartition('.')[2]) - 41}", r.verdict)
                for service in self.status().services
                for r in service.realservers
            }
            return found == set(verdicts.items())

        return wait_until(known, within_s, f"verdicts are {verdicts}", every_s=0.05)

    def wait_for_drift(self, since: float, within_s: float = 3) -> None:
        """Wait until a change by somebody else is told as mended."""
        wait_until(lambda: bool(self.events("drift", since)), within_s, "drift is repaired")

    def wait_for_passes(self, count: int = 1) -> None:
        """Wait until the controller has gone through so many more passes."""
        end = self.health().passes + count
        wait_until(lambda: self.health().passes >= end, 5 * count, f"{count} passes", every_s=0.05)

    def table(self) -> list[str]:
        """The kernel's table without counters, one line an entry: as `ipvsadm -Sn` tells it, but
        read within a millisecond."""
        with self.host.entered():
            text = Path("/proc/thread-self/net/ip_vs").read_text()
        return [_COUNTERS.sub(r"\1", line).rstrip() for line in text.splitlines()[3:]]

    def weights(self) -> dict[str, int]:
        """Weights in the kernel by name (rs1: 10.0.0.42); of a realserver that several services
        have, that of the last one."""
        entries = (_ENTRY.match(line) for line in self.table())
        return {f"rs{int(e[1][6:8], 16) - 41}": int(e[2]) for e in entries if e and e[1][0] != "["}

    # -- asking ----------------------------------------------------------------------------

    def run(self, *arguments: str, check: bool = True) -> CompletedProcess[str]:
        """A command of lvsguard that talks with this daemon."""
        socket = ("--socket", str(self.place / "lvsguard.sock"))
        return self.host.run("lvsguard", *arguments, *socket, check=check)

    def status(self) -> Status:
        return self.client.status()

    def health(self) -> HealthReply:
        return self.client.health()

    def realserver(self, address: object, service: str = "web") -> RealserverReply:
        """What `status` says of one realserver."""
        found = next(s for s in self.status().services if s.name == service)
        return next(r for r in found.realservers if r.address == str(address))

    def why(self, target: object) -> str:
        """What `why` says of something, all of its sentences."""
        return " ".join(s for one in self.client.why(str(target)).answers for s in one.sentences)

    def timeline(self, target: object) -> str:
        """What `why` says of what happened to something, line by line."""
        return "\n".join(one.text for one in self.client.why(str(target)).timeline)

    def events(self, kind: str = "", since: float = 0.0) -> list[EventReply]:
        """What happened since a wall-clock time, maybe of one kind only."""
        return [e for e in self.client.events(since) if kind in ("", e.kind)]

    def readiness(self) -> tuple[bool, list[str]]:
        """What /readyz says: whether clients are served, and else why not."""
        status, text = self._ask("/readyz")
        return status == 200, json.loads(text)["reasons"]

    def metrics(self) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
        """Every metric: name, labels, value."""
        status, text = self._ask("/metrics")
        assert status == 200, text
        found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
        for line in text.splitlines():
            if sample := _SAMPLE.match(line):
                labels = frozenset(_LABEL.findall(sample[2] or ""))
                found.setdefault(sample[1], {})[labels] = float(sample[3])
        return found

    def _ask(self, path: str) -> tuple[int, str]:
        address, port = LISTEN
        return self.host.get(IPv4Address(address), path, port=port)

    def metric(self, name: str, **labels: str) -> float:
        """One metric, named without `lvsguard_`."""
        return self.metrics()[f"lvsguard_{name}"][frozenset(labels.items())]

    def writes(self) -> int:
        """Messages that this daemon has sent to change the IPVS table or an IPVS setting."""
        return int(self.metric("kernel_writes_total"))

    def text(self) -> str:
        """Everything that it logged, earlier runs included."""
        return self.running.text()

    # -- ending ----------------------------------------------------------------------------

    def pids(self) -> tuple[int, ...]:
        """The daemon and every process that it has started, which live in its session."""
        session = str(self.running.pid)
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has just ended
                fields = stat.read_text().rpartition(")")[2].split()
                if fields[3] == session and fields[0] != "Z":
                    found.append(int(stat.parts[2]))
        return tuple(sorted(found))

    def probers(self) -> tuple[int, ...]:
        """Its prober processes."""
        return tuple(pid for pid in self.pids() if b"lvsguard.probes" in _command(pid))

    def kill(self) -> None:
        """End the daemon and its children at once, by SIGKILL."""
        self.running.kill()
        wait_until(lambda: not self.pids(), 5, "all processes of lvsguard are gone")

    def stop(self) -> int:
        """End it by SIGTERM; return its exit status."""
        process = self.running
        process.signal(signal.SIGTERM)
        status = process.wait(15)
        wait_until(lambda: not self.pids(), 5, "all processes of lvsguard are gone")
        return status


def make_director(host: Host, setup: Setup | None = None) -> Director:
    """A director with its config written, not started. A config without arguments is the seed's."""
    place = Path("/run", f"lvsguard.{host.name}")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    director = Director(host, place, host.processes.logs / f"{host.name}.toml")
    director.configure(setup or Setup())
    return director


def wall() -> float:
    """Now, to give as `since` to `Director.events`; the journal's times are in milliseconds."""
    now = time.time()
    return now - now % 0.001


def _command(pid: int) -> bytes:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return b""


def tell(what: str, **numbers: object) -> None:
    """Print what was measured, and keep it beside the artifacts."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0].rpartition("::")[2]
    line = " ".join([f"{test}: {what}:", *(f"{k}={_short(v)}" for k, v in numbers.items())])
    print(line)
    if folder := os.environ.get("LVSGUARD_ARTIFACTS"):
        with Path(folder, "measured.txt").open("a") as file:
            file.write(f"{line}\n")


def _short(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
