"""The status page as a daemon serves it: a real controller on the kernel in memory, a real prober
where one is wanted, the real telemetry server. It runs in a thread, so that a browser can be driven
from the test's own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from lvsguard.controller.conflicts import Conflicts
from lvsguard.controller.neighbours import Neighbours
from lvsguard.controller.standing import Seen, Standings
from lvsguard.controller.view import LiveView
from lvsguard.core.config import Config
from lvsguard.core.event import Event
from lvsguard.core.model import Counters, Protocol, RealserverKey, ServiceKey
from lvsguard.core.snapshot import PeerStatus
from lvsguard.core.tally import Tally
from lvsguard.probes.pool import Probers
from lvsguard.telemetry.board import Board
from lvsguard.telemetry.http import TelemetryServer
from lvsguard.telemetry.metrics import Metrics
from lvsguard.telemetry.page import StatusPage
from lvsguard.vrrp.message import State
from tests.support.rig import Rig, config, realserver, service

T = TypeVar("T")

HOST = "127.0.0.1"
SECONDS = 20.0
"""For anything that the stage is asked to do."""


class Told(list[Event]):
    """What the controller emits: kept, and handed on to the page as the house does."""

    board: Board | None = None

    def append(self, event: Event) -> None:
        super().append(event)
        if self.board is not None:
            self.board.event(time.time(), event.kind, event.level, str(event))


@dataclass
class Stage:
    """One director with its page. What is asked of it runs in its own loop."""

    rig: Rig
    probing: bool = False
    """Whether a prober process asks the realservers; else the test says their verdicts."""
    peers: tuple[PeerStatus, ...] = ()
    states: dict[str, State] = field(default_factory=dict)
    """What the VRRP process said last, by VIP group."""
    alive: int = 1
    """Probers, of the one that is wanted."""
    troubles: tuple[str, ...] = ()
    """What others than the controller know to be wrong."""
    meeting: bool | None = None
    """Whether etcd, where the directors meet, answers; None: they do not meet there."""
    port: int = 0
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    passed: dict[tuple[ServiceKey, RealserverKey | None], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.probers = Probers(
            1, record=self.rig.controller.record, tally=self._tally, died=lambda *_: None
        )
        controller, emit = self.rig.controller, self.rig.events.append
        self.neighbours = Neighbours(emit)
        self.conflicts = Conflicts(
            controller.book,
            self.neighbours,
            emit=emit,
            put=controller.override,
            clear=controller.clear,
        )
        self.standings = Standings(self.rig.config, controller.book, controller.pulse)
        self.view = LiveView(
            controller,
            self.rig.owner,
            config_path="/etc/lvsguard/config.toml",
            probers=lambda: (self.alive, 1),
            troubles=lambda: (*self.troubles, *self.conflicts.trouble()),
            elections=self._elections,
            conflicts=self.conflicts.of,
            peers=lambda: self.peers,
            cluster=lambda: self.meeting,
        )
        self.board = Board(self.view)
        self.board.configure(self.rig.config)
        if isinstance(self.rig.events, Told):
            self.rig.events.board = self.board

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/"

    def do(self, action: Callable[[], T]) -> T:
        """Do it in the loop."""

        async def within() -> T:
            return action()

        return self.wait(within())

    def wait(self, work: Coroutine[None, None, T]) -> T:
        """Run it in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)

    def traffic(self, numbers: Collection[tuple[ServiceKey, RealserverKey, int, int, int]]) -> None:
        """Clients came: (service, realserver, new, active, inactive) each."""

        def count() -> None:
            sums: dict[ServiceKey, int] = {}
            for key, one, new, active, inactive in numbers:
                total = self.passed[key, one] = self.passed.get((key, one), 0) + new
                self.rig.ipvs.count(key, one, _counters(total, active, inactive))
                sums[key] = sums.get(key, 0) + new
            for key, new in sums.items():
                total = self.passed[key, None] = self.passed.get((key, None), 0) + new
                self.rig.ipvs.count(key, None, _counters(total, 0, 0))

        self.do(count)

    def _elections(self) -> dict[str, Seen]:
        self.standings.look(time.monotonic())
        names = [vip.name for vip in self.rig.config.vips if vip.vrrp is not None]
        return {name: self.standings.seen(name, self.states.get(name)) for name in names}

    def _tally(self, tallies: Sequence[Tally]) -> None:
        self.board.tally(tallies)

    async def play(self, ready: threading.Event) -> None:
        """Run all parts until cancelled."""
        page = StatusPage(self.board)
        server = TelemetryServer(self.view, Metrics(self.rig.config), HOST, self.port, page=page)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.rig.controller.run())
            group.create_task(self.standings.run())
            group.create_task(server.run())
            if self.probing:
                self.probers.configure(self.rig.controller.book.checks)
                group.create_task(self.probers.run())
            await server.listening.wait()
            self.port = server.port
            ready.set()


def _counters(total: int, active: int, inactive: int) -> Counters:
    # Packets enough for no passive sign to wonder.
    return Counters(
        total, total * 12, total * 9, total * 2000, total * 9000, active=active, inactive=inactive
    )


@contextmanager
def playing(stage: Stage) -> Iterator[Stage]:
    """Have it run in a thread of its own for as long as it is open."""
    ready = threading.Event()
    loop = stage.loop
    begun = threading.Event()
    tasks: list[asyncio.Task[None]] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        tasks.append(loop.create_task(stage.play(ready)))
        begun.set()
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(tasks[0])
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))

    thread = threading.Thread(target=run, name="stage")
    thread.start()
    try:
        assert begun.wait(SECONDS)
        while not ready.wait(0.05):
            if not thread.is_alive():
                tasks[0].result()
        yield stage
    finally:
        loop.call_soon_threadsafe(tasks[0].cancel)
        thread.join(SECONDS)
        loop.close()


def shop(sysctl: Path) -> Rig:
    """Three services of a shop, for a page that has something to show."""
    return Rig(shop_config(), sysctl, events=Told())


def keys(first: int, count: int, port: int) -> list[RealserverKey]:
    """Realservers of the seed network's kind."""
    return [RealserverKey(ip_address(f"10.0.0.{first + n}"), port) for n in range(count)]


SHOP = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 443)
API = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 8443)
MAIL = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 25)
SHOP_SERVERS = keys(42, 4, 443)
API_SERVERS = keys(50, 3, 8443)
MAIL_SERVERS = keys(60, 2, 25)


def shop_config() -> Config:
    """The configuration of ``shop``."""
    named = [
        service(*map(realserver, servers), name=name, key=key)
        for name, key, servers in (
            ("shop", SHOP, SHOP_SERVERS),
            ("api", API, API_SERVERS),
            ("mail", MAIL, MAIL_SERVERS),
        )
    ]
    return config(*named)
