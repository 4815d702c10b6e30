"""What may befall a realserver, and how each is undone. rs1 is the one."""

from __future__ import annotations

import fcntl
import signal
import socket
import struct
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tests.support.processes import wait_until
from tests.support.topology import SWITCH

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.topology import Network
    from tests.support.topology_web import Web

# include/uapi/linux/sockios.h, if.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


class Play(Protocol):
    """Something that happens to rs1."""

    event: str
    bound: str
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
    bound = "p99 0.1 s, 20 failed"
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
    bound = "p99 1 s"
    rescues = True

    def happen(self) -> None:
        # As unplug does, but for the program that would have to start: it is timed from here.
        switch = replace(self.network.rs1, name=SWITCH)
        with switch.entered(), socket.socket() as sock:
            name = self.network.rs1.name.encode()
            flags = struct.unpack_from(
                "16sh", fcntl.ioctl(sock, SIOCGIFFLAGS, name.ljust(32, b"\0"))
            )
            down = struct.pack("16sh14x", name, flags[1] & ~IFF_UP)
            fcntl.ioctl(sock, SIOCSIFFLAGS, down)

    def undo(self) -> None:
        self.network.plug(self.network.rs1)


@dataclass
class Hung:
    """Its server hangs: the kernel still accepts."""

    web: Web
    event = "process hangs (SIGSTOP)"
    bound = "interval + timeout, then fast retries"
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
    bound = "interval + 0.1 s"
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
    bound = "p99 1 s"
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
