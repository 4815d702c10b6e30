"""What may befall a realserver, and how each is undone. rs1 is the one."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.bench.bounds import Bound
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.topology import Network
    from tests.support.topology_web import Web


class Play(Protocol):
    """Something that happens to rs1."""

    event: str
    bound: Bound
    """What is promised of it."""
    rescues: bool
    """Whether clients that wait for rs1 are answered once it is undone."""

    def happen(self) -> None:
        """At once: it is timed from here."""

    def undo(self) -> None:
        """rs1 serves again."""


@dataclass
class Killed:
    """Its server is killed."""

    web: Web
    event = "process killed"
    bound = Bound(0.1, failed=20)
    rescues = False

    def happen(self) -> None:
        self.web.kill()

    def undo(self) -> None:
        self.web.start()


@dataclass
class Dead:
    """Its host is off."""

    network: Network
    event = "host dies (its cable is cut)"
    bound = Bound(1.0)
    rescues = True

    def happen(self) -> None:
        self.network.unplug(self.network.rs1)

    def undo(self) -> None:
        self.network.plug(self.network.rs1)


@dataclass
class Hung:
    """Its server hangs: the kernel still accepts."""

    web: Web
    event = "process hangs (SIGSTOP)"
    bound = Bound(3.15, why="interval, two timeouts, and 0.15 s")
    rescues = True

    def happen(self) -> None:
        self.web.process.freeze()

    def undo(self) -> None:
        self.web.process.thaw()


@dataclass
class Unwell:
    """Its server answers 503."""

    web: Web
    event = "answers 503"
    bound = Bound(1.1, why="interval + 0.1 s")
    rescues = False

    def happen(self) -> None:
        self.web.set_health(False)

    def undo(self) -> None:
        self.web.set_health(True)


@dataclass
class Closed:
    """Its server accepts nobody any more and serves those that it has."""

    web: Web
    server: Process | None = None
    event = "listener closed, connections kept"
    bound = Bound(1.0)
    rescues = False

    def begin(self) -> None:
        """Put a server that can do so in nginx's place."""
        self.web.kill()
        host = self.web.host
        self.server = host.start("closing", sys.executable, "-m", "tests.support.closing_server")
        self.server.wait_for("listens")

    def happen(self) -> None:
        assert self.server is not None
        self.server.signal(signal.SIGUSR1)

    def undo(self) -> None:
        assert self.server is not None
        count = self.server.text().count("listens")
        self.server.signal(signal.SIGUSR2)
        wait_until(lambda: self.server_listens(count), 5, "it listens again")

    def server_listens(self, before: int) -> bool:
        assert self.server is not None
        return self.server.text().count("listens") > before

    def end(self) -> None:
        """Put nginx back."""
        assert self.server is not None
        self.server.kill()
        self.web.start()
