"""The VRRP process: ``python -m lvsguard.vrrp.process FD [BOOK]``, started by ``client``.

It owns the addresses of VIPs that have an election, and nothing else runs in it, so that no advert
is late. FD is the socket it listens on for its controller, BOOK the memory of the process that was
there before (``logbook``). A controller that goes away is waited
for, then the VIPs are handed over; a controller that comes back finds everything as it was.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from math import inf
from typing import Any, Final

from lvsguard.core.event import Event, KernelFailed, Repaired
from lvsguard.core.step import AddAddress
from lvsguard.core.vrrp_event import TOLD
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.vrrp import message
from lvsguard.vrrp.instance import standing_on
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.line import Line
from lvsguard.vrrp.logbook import Logbook, blank
from lvsguard.vrrp.mending import Mending
from lvsguard.vrrp.message import (
    Failed,
    Failover,
    Gone,
    Hello,
    Hold,
    Leave,
    Mended,
    MessageError,
    Only,
    Put,
    Resume,
    Standing,
    State,
    SyncTarget,
    ToProcess,
)
from lvsguard.vrrp.paths import Paths
from lvsguard.vrrp.picture import Pictures
from lvsguard.vrrp.real_time import take_real_time
from lvsguard.vrrp.station import Station
from lvsguard.vrrp.tables import Tables

BEAT_S: Final = 1.0
"""Seconds between two counts, and looks at what nobody told."""
LAST_MAX_S, LAST_LOOK_S = 1.0, 0.02
"""Longest wait for the last transfer of connections, and how often it is looked at."""
GATHER_S: Final = 0.004
"""Seconds for which packets gather after one was read: less than half of the shortest interval."""


class Process:
    """The station, its timer, and the line to the controller."""

    def __init__(self, listener: socket.socket, book: int, *, real_time: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._line = Line(listener, self._take, self._met, self._lost, book=book)
        self._mending = Mending(
            LinuxAddresses(),
            emit=self._emit,
            failed=lambda text: self._line.send(Failed(text)),
        )
        self._watch = InterfaceWatch()
        sysctl = Sysctl()
        self._keeper = Keeper(self._mending.owner, sysctl)
        self._tables = Tables(emit=self._emit, hold=self._hold)
        self._station = Station(
            Paths(self._watch, sysctl),
            self._keeper,
            self._tables,
            Logbook(book),
            emit=self._emit,
            stopped=self._stopped,
        )
        self._pictures = Pictures(self._station, real_time=real_time)
        self._sync: SyncTarget | None = None
        self._wanted: dict[str, Put] = {}
        self._configured = asyncio.Event()
        self._states: dict[str, State] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._gathered: asyncio.TimerHandle | None = None
        self._grace = 30.0
        self._alone_since: float | None = time.monotonic()
        self._abandoned = False
        self._known = False
        """Whether a controller has said what there is to do."""
        self._leaving = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.set_exception_handler(self._bug)

    async def run(self) -> None:
        """Until everything is handed over and nobody needs it."""
        self._loop.add_signal_handler(signal.SIGTERM, self._leave, True)
        self._loop.add_signal_handler(signal.SIGINT, self._leave, True)
        self._listen()
        self._loop.add_reader(self._tables.fileno(), self._wake)
        tasks = [
            self._loop.create_task(self._mending.follow(), name="addresses"),
            self._loop.create_task(self._configure(), name="configuration"),
            self._loop.create_task(self._beat(), name="beat"),
            self._loop.create_task(self._mending.mend(), name="mending"),
        ]
        await asyncio.wait([self._ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()  # a bug ends the process: it is started anew
            task.cancel()
        self._ended.result()
        await self._keeper.rest()
        self._line.flush()
        await self._send_the_last()
        self._line.close()
        self._deafen()
        self._tables.close(time.monotonic())

    async def _send_the_last(self) -> None:
        """Wait for the transfer of what changed until the successor was heard."""
        for _ in range(round(LAST_MAX_S / LAST_LOOK_S)):
            if not self._tables.busy:
                return
            await asyncio.sleep(LAST_LOOK_S)

    def _bug(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback raised. To go on without it could mean to say nothing for ever."""
        loop.default_exception_handler(context)
        error = context.get("exception")
        if isinstance(error, Exception) and not self._ended.done():
            self._ended.set_exception(error)

    # -- the controller --------------------------------------------------------------------

    def _met(self) -> None:
        self._line.send(Hello(message.VERSION, os.getpid()))
        # One before it may have gone unseen: nobody vouches for anything before this one has.
        self._alone_since = self._alone_since or time.monotonic()
        self._abandoned = False
        self._states.clear()
        self._station.touched.update(self._station.roster.puts)
        self._settle()

    def _lost(self) -> None:
        self._alone_since = time.monotonic()
        self._loop.call_soon(self._wake)

    def _take(self, received: ToProcess) -> None:
        now = time.monotonic()
        match received:
            case Hello(version=version) if version != message.VERSION:
                raise MessageError(f"the controller speaks version {version}")
            case Put(name=name):
                self._wanted[name] = received
            case Only(names=names, grace=grace, sync=sync):
                self._sync = sync
                self._wanted = {n: put for n, put in self._wanted.items() if n in names}
                self._grace = grace
                self._configured.set()
            case Standing(name=name, ready=ready, priority=priority):
                self._alone_since, self._abandoned = None, False
                self._station.standing(name, ready=ready, priority=priority, now=now)
            case Failover(name):
                self._station.failover(name, now)
            case Resume(name):
                self._station.resume(name, now)
            case Hold(name, seconds):
                self._station.hold(name, seconds, now)
            case Leave(keep):
                self._leave(keep)
        self._settle()

    def _leave(self, keep: bool) -> None:
        self._leaving = True
        self._station.leave(time.monotonic(), keep=keep)
        self._end_if_idle()
        self._settle()

    def _stopped(self, vips: tuple[str, ...]) -> None:
        for name in vips:
            self._states.pop(name, None)
        self._line.send(Gone(vips))
        self._loop.call_soon(self._end_if_idle)

    def _end_if_idle(self) -> None:
        # One that cannot say yet how it stands would start another process in place of this one.
        alone = self._abandoned and not self._line.connected
        if alone and not self._leaving and self._station.idle():
            self._leave(True)
        unneeded = self._leaving or (self._known and not self._wanted)
        if unneeded and not self._station.roster.parties and not self._ended.done():
            self._ended.set_result(None)

    # -- configuration ---------------------------------------------------------------------

    async def _configure(self) -> None:
        """Put in force what the controller said last; reading the addresses takes a moment."""
        while True:
            await self._configured.wait()
            self._configured.clear()
            try:
                await self._find()
            except KernelError as error:
                self._line.send(Failed(str(error)))
                await asyncio.sleep(BEAT_S)
                self._configured.set()
                continue
            if not self._leaving:
                self._station.configure(dict(self._wanted), self._sync, time.monotonic())
            self._known = True
            self._settle()
            self._end_if_idle()
            # What is there now stays: no collection need look at it. What the config before left
            # behind in cycles goes first.
            gc.collect()
            gc.freeze()

    async def _find(self) -> None:
        """Know which addresses are there, while none is being written."""
        while True:
            await self._station.rest()
            interfaces = set().union(*map(standing_on, self._wanted.values()))
            await self._keeper.find(interfaces)
            if not self._station.busy:
                return

    def _hold(self, vip: str, seconds: float) -> None:
        self._station.hold(vip, seconds, time.monotonic())

    # -- time ------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._loop.add_reader(self._station.paths.fileno(), self._readable)

    def _readable(self) -> None:
        """Something came. What comes just behind it is read with it: a wake-up costs ten times as
        much as a packet, and anybody on the network can send some thousand a second."""
        self._loop.remove_reader(self._station.paths.fileno())
        self._gathered = self._loop.call_later(GATHER_S, self._listen)
        self._wake()

    def _deafen(self) -> None:
        """Before it all is closed: whatever comes now finds nobody."""
        for handle in (self._gathered, self._timer):
            if handle is not None:
                handle.cancel()
        for descriptor in (self._station.paths.fileno(), self._tables.fileno()):
            self._loop.remove_reader(descriptor)

    def _wake(self) -> None:
        now = time.monotonic()
        if self._alone_since is not None and now - self._alone_since > self._grace:
            self._alone_since, self._abandoned = None, True
            self._station.unready(now)
        self._station.wake(now)
        if self._abandoned:
            self._end_if_idle()
        self._settle()

    def _settle(self) -> None:
        """After anything: set the timer, tell what changed."""
        due = self._station.timer()
        if self._alone_since is not None:
            due = min(due, self._alone_since + self._grace + 0.01)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due == inf else self._loop.call_at(due, self._wake)
        self._show()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._line.send(self._pictures.counts())
            self._station.tidy()
            self._station.touched.update(self._station.roster.puts)
            self._settle()

    # -- telling ---------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        match event:
            case Repaired(steps=(AddAddress(address),)):
                self._line.send(Mended(message.address(address)))
            case KernelFailed(text):
                self._line.send(Failed(text))
            case _ if event.kind in TOLD:
                self._line.send(message.told(event))
            case _:
                pass  # links are the controller's to tell: it watches them, too

    def _show(self) -> None:
        """Tell how VIP groups stand that something happened to."""
        touched, self._station.touched = self._station.touched, set()
        for name in touched:
            state = self._pictures.state(name)
            if state is not None and self._states.get(name) != state:
                self._states[name] = state
                self._line.send(state)


def _book(arguments: list[str]) -> int:
    """The descriptor of the logbook: that of the process before, or a blank one."""
    return int(arguments[0]) if arguments else blank()


async def _main(listener: socket.socket, book: int, *, real_time: bool) -> None:
    gc.collect()
    gc.freeze()
    await Process(listener, book, real_time=real_time).run()


if __name__ == "__main__":
    real_time = take_real_time()
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        asyncio.run(_main(listener, _book(sys.argv[2:]), real_time=real_time))
