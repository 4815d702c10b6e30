"""The one table of the kinds of check: how each is made ready, and how a probe of it starts.

A new kind is a file of its own and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from lvsguard.core.config import Check, CheckKind
from lvsguard.probes.connection import Connection, Done, Target
from lvsguard.probes.engine import Engine
from lvsguard.probes.http import HttpCheck
from lvsguard.probes.outcome import Conversation
from lvsguard.probes.tcp import TcpCheck


class Probe(Protocol):
    """A probe under way."""

    deadline: float
    """When its time is over (monotonic); infinite while it waits for its turn."""

    @property
    def reached(self) -> bool:
        """Whether there is a connection: then the host is alive."""

    def expire(self, lateness: float) -> None:
        """End it for its deadline passed, ``lateness`` seconds ago; it is done at once or soon."""

    def cancel(self) -> None:
        """End it without a result."""


Start = Callable[[Done], Probe]
"""Starts a probe, which calls ``Done`` exactly once, perhaps before this returns."""

Ready = Callable[[Check, Engine], Start]
"""Makes a check ready, so that a probe of it costs as little as can be."""


class _Plain(Protocol):
    request: bytes

    def open(self) -> Conversation:
        """Begin one conversation."""


def _plain(make: Callable[[Check], _Plain]) -> Ready:
    def ready(check: Check, engine: Engine) -> Start:
        opened, target = make(check).open, Target.of(check)

        def start(done: Done) -> Probe:
            connection = Connection(engine, target, opened(), done)
            connection.start()
            return connection

        return start

    return ready


def _https(check: Check, engine: Engine) -> Start:
    # TLS brings aiohttp, 20 MB and 150 ms of import: only for those who configured it.
    from lvsguard.probes.https import HttpsCheck

    return HttpsCheck(check, engine).start


def ready(kinds: Mapping[CheckKind, Ready], check: Check, engine: Engine) -> Start:
    """Make a check ready, by its kind and the way that it goes."""
    plain = kinds[check.spec.kind](check, engine)
    if check.spec.path is None:
        return plain
    # Frames of its own, and with them netlink and ctypes: only for those who configured it.
    from lvsguard.probes.vip_path import VipCheck

    return VipCheck(check, check.spec.path, engine, plain).start


KINDS: Final[Mapping[CheckKind, Ready]] = {
    CheckKind.HTTP: _plain(HttpCheck),
    CheckKind.HTTPS: _https,
    CheckKind.TCP: _plain(TcpCheck),
}
"""Kinds that are probed; ``none`` never is."""
