"""The composition root: builds the parts, runs them in one task group, stops them in order.

Nothing is decided here but order: journal before facts, facts before checks, the kernel before
ready; and at the end the reverse.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from lvsguard.admin.journal import Journal
from lvsguard.admin.server import AdminServer
from lvsguard.controller import Controller
from lvsguard.controller.ahead import Ahead, Heard
from lvsguard.controller.conflicts import Conflicts
from lvsguard.controller.linksigns import LinkSigns
from lvsguard.controller.neighbours import Neighbours
from lvsguard.controller.settings import Settings
from lvsguard.controller.since import Since
from lvsguard.controller.standing import Standings
from lvsguard.controller.sync import wanted_sync
from lvsguard.controller.view import LiveView
from lvsguard.controller.whereabouts import Whereabouts
from lvsguard.core.config import Check, Config, OnStop
from lvsguard.core.event import Event, KernelFailed, ProberDied, StateTrouble, Stopping
from lvsguard.core.health import Hint
from lvsguard.core.model import IPAddress
from lvsguard.core.tally import Tally
from lvsguard.daemon import log
from lvsguard.daemon.elections import Elections
from lvsguard.daemon.housekeeping import Housekeeping
from lvsguard.daemon.late_addresses import LateAddresses
from lvsguard.daemon.occurrence import occurrence
from lvsguard.daemon.operations import DaemonOperations, Face, Load
from lvsguard.daemon.peers import Condition, Peers
from lvsguard.daemon.sharing import Sharing
from lvsguard.daemon.systemd import ServiceManager
from lvsguard.hooks.hooks import Hooks
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.ipvs import LinuxIpvs
from lvsguard.kernel.port import Change, Ipvs, KernelError
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.probes.pool import Probers
from lvsguard.telemetry.board import EVENTS, Board
from lvsguard.telemetry.http import TelemetryServer
from lvsguard.telemetry.metrics import Metrics
from lvsguard.telemetry.page import StatusPage
from lvsguard.telemetry.processes import Machine, ProberLoad
from lvsguard.vrrp.ownership import AddressOwner
from lvsguard.vrrp.vip_watch import VipWatch


class House:
    """One running director."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        addresses: LinuxAddresses,
        *,
        config_path: str,
        load: Load,
        face: Face,
        open_ipvs: Callable[[], Awaitable[Ipvs]] = LinuxIpvs.open,
        sysctl: Sysctl | None = None,
    ) -> None:
        """The journal is open; nothing runs yet. ``sysctl``: by default the kernel's."""
        self.stop = asyncio.Event()
        self._config = config
        self._journal = journal
        self._addresses = addresses
        self._manager = ServiceManager()
        self._metrics = Metrics(config, machine=self._machine)
        self._hooks = Hooks(self.emit, self._metrics.hook)
        self._hooks.configure(config.hooks)
        self._signs = LinkSigns(lambda: self._controller.book, self._give_hint)
        self._owner = AddressOwner(addresses, emit=self.emit, changed=self._look, also=self._follow)
        self._controller = Controller(
            config,
            open_ipvs=open_ipvs,
            owner=self._owner,
            settings=Settings(config.ipvs, sysctl, sync=wanted_sync(config)),
            emit=self.emit,
            latency=self._metrics.verdicts_to_kernel,
            passed=self._metrics.passed,
            give_hint=self._give_hint,
            recorded=journal.owned(),
            recorded_addresses=journal.addresses(),
            since=Since(journal.verdicts, journal.set_verdict),
        )
        self._sharing = Sharing(config.director, self._controller, journal, self.emit)
        book = self._controller.book
        ahead = Ahead(book, self._heard)
        standings = Standings(config, book, self._controller.pulse, peer=ahead.look)
        self._neighbours = Neighbours(self.emit)
        self._conflicts = Conflicts(
            self._controller.book,
            self._neighbours,
            emit=self.emit,
            put=self._controller.override,
            clear=self._controller.clear,
        )
        self._whereabouts = Whereabouts(
            self._neighbours, sought=self._conflicts.sought, named=self._conflicts.named
        )
        self._conflicts.seek = self._whereabouts.seek
        self._sharing.ended = self._conflicts.ended
        self._controller.review = self._conflicts.settle
        self._elections = Elections(
            config,
            standings,
            addresses,
            emit=self._conflicts.tell,
            aside=journal.aside(),
            keep_aside=journal.set_aside,
        )
        self._peers = Peers(
            config,
            self._controller,
            self._sharing,
            elections=self._elections.seen,
            emit=self.emit,
            condition=self._condition,
        )
        self._elections.failovers.objections = self._peers.objections
        self._vip_watch = VipWatch(self._conflicts.tell, held=lambda: self._owner.held)
        self._vip_watch.configure(config.vips)
        self._probers = Probers(
            config.probers,
            record=self._controller.record,
            tally=self._tally,
            died=self._prober_died,
            heard=self._controller.hear,
            met=self._met,
        )
        self._view = LiveView(
            self._controller,
            self._owner,
            config_path=config_path,
            probers=lambda: (self._probers.alive, config.probers),
            troubles=self._troubles,
            elections=self._elections.seen,
            transfer=lambda: self._elections.transfer,
            conflicts=self._conflicts.of,
            peers=self._peers.status,
            cluster=lambda: self._peers.cluster,
        )
        self._board = Board(self._view)
        self._board.configure(config)
        self._operations = DaemonOperations(
            self._controller,
            self._view,
            journal,
            self._sharing,
            load=load,
            face=face,
            adopt=self._adopt,
            emit=self.emit,
            reloading=self._reloading,
            failovers=self._elections.failovers,
            turn=self._peers.turn,
        )
        self._late = LateAddresses(config, self._operations.face, self.emit)
        self._admin: AdminServer | None = None
        if config.admin_socket is not None:
            self._admin = AdminServer(
                self._operations, config.admin_socket, config.admin_group, emit=self.emit
            )
            self._admin.configure(config.remote)

    # -- what the parts tell ---------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """One event to log, metrics and journal."""
        now = time.time()
        log.tell(event)
        self._metrics.event(event)
        self._board.event(now, event.kind, event.level, str(event))
        self._hooks.offer(occurrence(self._config.director, self._journal.append(now, event)))

    def state(self, trouble: StateTrouble) -> None:
        """The journal's word on its file; one that could not be read at the start may bring what
        was kept before."""
        self.emit(trouble)
        if not trouble.ok:
            return
        self._controller.claim(self._journal.owned(), self._journal.addresses())
        self._sharing.recall()

    def _heard(self) -> Heard | None:
        return self._peers.heard()

    def _condition(self) -> Condition:
        loop = self._view.loop()
        return Condition(
            loop.trouble, loop.probers_wanted - loop.probers, self._elections.table_lacks
        )

    def _follow(self, change: Change) -> None:
        self._signs.follow(change)
        self._late.follow(change)

    def _look(self) -> None:
        self._controller.look()
        self._vip_watch.look()

    def _met(self, address: IPAddress, mac: str) -> None:
        self._neighbours.met(address, mac)
        self._conflicts.named(mac)

    def _troubles(self) -> tuple[str, ...]:
        remote = "" if self._admin is None else self._admin.trouble
        known = (self._journal.trouble, self._vip_watch.trouble, self._peers.trouble, remote)
        return (*filter(None, known), *self._conflicts.trouble(), *self._elections.troubles())

    def _tally(self, tallies: Sequence[Tally]) -> None:
        self._metrics.tally(tallies)
        self._board.tally(tallies)

    def _machine(self) -> Machine:
        loads = {f"prober{load.prober}": load for load in self._probers.loads}
        return Machine(
            {
                "controller": os.getpid(),
                "vrrp": self._elections.client.pid,
                **{name: load.pid for name, load in loads.items()},
            },
            {
                name: ProberLoad(load.lateness, load.in_flight, load.waiting)
                for name, load in loads.items()
            },
        )

    def _give_hint(self, checks: Collection[Check], hint: Hint, *, down: bool = False) -> None:
        self._probers.hint(checks, hint, down=down)

    def _prober_died(self, prober: int, how: str, checks: int) -> None:
        self.emit(ProberDied(prober, how, checks))

    async def _adopt(self, config: Config, actor: str) -> int:
        """Put an accepted config in force everywhere; the count of kernel steps."""
        before, self._config = self._config, config
        self._metrics.configure(config)
        self._board.configure(config)
        self._late.configure(config)
        await self._journal.set_owned(self._controller.owned | {s.key for s in config.services})
        await self._journal.set_addresses(self._controller.owned_addresses | config.lone_addresses)
        steps = await self._controller.reload(config, actor)
        self._elections.configure(config)
        self._peers.configure(config)
        self._hooks.configure(config.hooks)
        if self._admin is not None:
            self._admin.configure(config.remote)
        self._vip_watch.configure(config.vips)
        self._configure_probers()
        self._neighbours.keep(
            {check.address for check in self._controller.book.checks},
            {one.key.address for service in config.services for one in service.realservers},
        )
        self._catch_up()
        if ignored := _needs_restart(before, config):
            log.LOGGER.warning("changed, and in force after a restart: %s", ", ".join(ignored))
        return steps

    def _configure_probers(self) -> None:
        book = self._controller.book
        self._probers.configure(book.checks | book.agents)

    def _catch_up(self) -> None:
        """Take over what the probers know already: of two reloads in a row the first may have made
        the book forget a check that never stopped, and probers tell changes only."""
        book = self._controller.book
        for check in book.checks - book.health.keys():
            health = self._probers.health(check)
            if health is not None:
                self._controller.record(check, health)
        for agent in book.agents - book.heard.keys():
            standing = self._probers.standing(agent)
            if standing is not None:
                self._controller.hear(agent, standing)

    def _reloading(self, begins: bool) -> None:
        if begins:
            self._manager.reloading()
        else:
            self._manager.ready()

    # -- running ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Until ``stop`` is set.

        Raises SocketTaken when another director answers here, KernelError when what is owned
        could not be taken out at the end.
        """
        # First of all: two that write the same kernel would mend each other's work for ever.
        if self._admin is not None:
            await self._admin.open()
        try:
            await self._run()
        finally:
            if self._admin is not None:
                await self._admin.close()
            await self._controller.close()

    async def _run(self) -> None:
        keeping = Housekeeping(
            self._controller,
            self._view,
            self._owner,
            self._journal,
            self._manager,
            self._metrics,
            self._elections.status,
        )
        await keeping.remember_owned()
        self._configure_probers()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._controller.run(), name="controller"),
                group.create_task(self._elections.run(), name="elections"),
                group.create_task(self._peers.run(), name="peers"),
                group.create_task(self._follow_addresses(), name="addresses"),
                group.create_task(self._late.run(), name="late-addresses"),
                group.create_task(self._vip_watch.run(), name="vip-watch"),
                group.create_task(self._probers.run(), name="probers"),
                group.create_task(self._whereabouts.run(), name="whereabouts"),
                group.create_task(self._hooks.run(), name="hooks"),
                group.create_task(keeping.run(), name="housekeeping"),
                group.create_task(keeping.remember(), name="memory"),
                group.create_task(keeping.announce_ready(), name="ready"),
            ]
            if self._config.telemetry_listen is not None:
                telemetry = self.telemetry(*self._config.telemetry_listen)
                tasks.append(group.create_task(telemetry, name="telemetry"))
            if self._admin is not None:
                tasks.append(group.create_task(self._admin.serve_remote(), name="admin-remote"))
            self._hear_signals(group)
            await self.stop.wait()
            self._manager.stopping()
            self.emit(
                Stopping(
                    self._config.on_stop is not OnStop.REMOVE,
                    self._elections.left_by(self._config.on_stop),
                )
            )
            await self._elections.leave(self._config.on_stop)
            await self._hooks.last_words()
            for task in tasks:
                task.cancel()
        if self._admin is not None:
            await self._admin.close()  # a reload from here on would write everything back
        if self._config.on_stop is OnStop.REMOVE:
            await self._controller.release()

    async def telemetry(self, host: str, port: int) -> None:
        """Metrics, health and the status page, which begins with what the journal remembers; who
        asks for health at the start does not wait for that."""
        page = StatusPage(self._board) if self._config.status_page else None
        server = TelemetryServer(self._view, self._metrics, host, port, page=page)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run(), name="telemetry-server")
            if page is not None:
                past = await self._journal.query(0.0, EVENTS)
                self._board.recall(
                    (one.at, one.kind, one.level, one.text)
                    for one in past
                    if one.at < self._view.started
                )

    def _hear_signals(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)

        def reload() -> None:
            group.create_task(self._operations.reload("SIGHUP"), name="reload")

        loop.add_signal_handler(signal.SIGHUP, reload)

    async def _follow_addresses(self) -> None:
        """Events of addresses and links, again after each failure."""
        while True:
            try:
                await self._owner.run()
            except KernelError as error:
                self.emit(KernelFailed(str(error)))
            self._controller.look()
            await asyncio.sleep(1.0)


def _needs_restart(before: Config, after: Config) -> list[str]:
    """Keys of the config that a reload cannot change."""
    return [
        key
        for key, was, now in (
            ("director.name", before.director, after.director),
            ("director.probers", before.probers, after.probers),
            ("cluster", before.etcd, after.etcd),
            ("telemetry.listen", before.telemetry_listen, after.telemetry_listen),
            ("telemetry.status_page", before.status_page, after.status_page),
            ("admin.socket", before.admin_socket, after.admin_socket),
            ("admin.group", before.admin_group, after.admin_group),
            ("state.directory", before.state_directory, after.state_directory),
        )
        if was != now
    ]
