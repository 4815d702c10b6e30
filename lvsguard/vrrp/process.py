"""The VRRP process: ``python -m lvsguard.vrrp.process FD``, started by ``client``.

It owns the addresses of VIPs that have an election, and nothing else runs in it, so that no advert
is late. FD is the socket it listens on for its controller. A controller that goes away is waited
for, then the VIPs are handed over; a controller that comes back finds everything as it was.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import time
from math import inf
from typing import Final

from lvsguard.core.event import Event, KernelFailed, Repaired
from lvsguard.core.step import AddAddress
from lvsguard.core.vrrp_event import TOLD, VrrpTold
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.vrrp import message
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.line import Line
from lvsguard.vrrp.message import (
    Counts,
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
from lvsguard.vrrp.ownership import AddressOwner
from lvsguard.vrrp.paths import Paths
from lvsguard.vrrp.station import Station
from lvsguard.vrrp.tables import Tables

BEAT_S: Final = 1.0
"""Seconds between two counts, and looks at what nobody told."""
PRIORITY: Final = 10
"""SCHED_FIFO: above everything ordinary, below the kernel's own threads."""
MEMORY_CURRENT, MEMORY_FUTURE = 1, 2


class Process:
    """The station, its timer, and the line to the controller."""

    def __init__(self, listener: socket.socket, *, real_time: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._line = Line(listener, self._take, self._met, self._lost)
        self._real_time = real_time
        self._addresses = LinuxAddresses()
        self._owner = AddressOwner(self._addresses, emit=self._emit, changed=self._changed)
        self._watch = InterfaceWatch()
        sysctl = Sysctl()
        self._keeper = Keeper(self._owner, sysctl)
        self._tables = Tables(tell=self._tell, hold=self._hold)
        self._station = Station(
            Paths(self._watch, sysctl),
            self._keeper,
            self._tables,
            emit=self._emit,
            stopped=self._stopped,
        )
        self._sync: SyncTarget | None = None
        self._wanted: dict[str, Put] = {}
        self._configured = asyncio.Event()
        self._states: dict[str, State] = {}
        self._listening: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._grace = 30.0
        self._alone_since: float | None = time.monotonic()
        self._leaving = False
        self.done = asyncio.Event()

    async def run(self) -> None:
        """Until everything is handed over and nobody needs it."""
        self._loop.add_signal_handler(signal.SIGTERM, self._leave, True)
        self._loop.add_signal_handler(signal.SIGINT, self._leave, True)
        tasks = [
            self._loop.create_task(self._follow(), name="addresses"),
            self._loop.create_task(self._configure(), name="configuration"),
            self._loop.create_task(self._beat(), name="beat"),
        ]
        ended = self._loop.create_task(self.done.wait())
        await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, ended):
            if task.done() and not task.cancelled():
                task.result()  # a bug ends the process: it is started anew
            task.cancel()
        self._line.close()
        self._tables.close()

    # -- the controller --------------------------------------------------------------------

    def _met(self) -> None:
        self._line.send(Hello(message.VERSION, os.getpid()))
        self._states.clear()
        self._show()

    def _lost(self) -> None:
        self._alone_since = time.monotonic()
        self._wake_soon()

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
                self._alone_since = None
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
        if self._leaving and not self._station.parties:
            self._line.flush()
            self.done.set()

    # -- configuration ---------------------------------------------------------------------

    async def _configure(self) -> None:
        """Put in force what the controller said last; reading the addresses takes a moment."""
        while True:
            await self._configured.wait()
            self._configured.clear()
            wanted = dict(self._wanted)
            try:
                self._owner.watch({a.interface for put in wanted.values() for a in put.addresses})
                await self._keeper.find()
            except KernelError as error:
                self._line.send(Failed(str(error)))
                await asyncio.sleep(BEAT_S)
                self._configured.set()
                continue
            self._station.configure(wanted, self._sync, time.monotonic())
            self._listen()
            self._settle()
            gc.freeze()

    def _listen(self) -> None:
        wanted = {*self._station.paths.descriptors(), *self._tables.descriptors()}
        if wanted == self._listening:
            return
        for descriptor in self._listening - wanted:
            self._loop.remove_reader(descriptor)
        for descriptor in wanted:
            self._loop.add_reader(descriptor, self._wake)
        self._listening = wanted

    def _tell(self, vip: str, text: str) -> None:
        self._emit(VrrpTold(vip, text))

    def _hold(self, vip: str, seconds: float) -> None:
        self._station.hold(vip, seconds, time.monotonic())

    # -- time ------------------------------------------------------------------------------

    def _wake(self) -> None:
        now = time.monotonic()
        if self._alone_since is not None and now - self._alone_since > self._grace:
            self._alone_since = None
            self._station.unready(now)
        self._station.wake(now)
        self._listen()
        self._settle()

    def _wake_soon(self) -> None:
        self._loop.call_soon(self._wake)

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
            self._line.send(self._counts())
            self._settle()

    # -- addresses -------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            try:
                await self._owner.run()
            except KernelError as error:
                self._line.send(Failed(str(error)))
            await asyncio.sleep(BEAT_S)

    def _changed(self) -> None:
        self._loop.create_task(self._mend(), name="mend")

    async def _mend(self) -> None:
        """Events were lost, or an address could not be put back: hold all against the kernel."""
        held = self._owner.held
        try:
            present = await self._owner.read()
        except KernelError as error:
            self._line.send(Failed(str(error)))
            return
        missing = [AddAddress(one) for one in held - present if one in self._owner.held]
        for failure in await self._owner.apply(missing):
            self._line.send(Failed(failure.message))

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
        for name in self._station.puts:
            state = self._state(name)
            before = self._states.get(name)
            if state is not None and (before is None or not _same(before, state)):
                self._states[name] = state
                self._line.send(state)

    def _state(self, name: str) -> State | None:
        for party in self._station.parties.values():
            for member, election in party.group.members.items():
                if self._station.instances[member].vip == name:
                    ago = time.monotonic() - election.since
                    return State(
                        name=name,
                        role=str(election.role),
                        since=time.time() - ago,
                        priority=election.priority,
                        master=str(election.master or ""),
                        held=tuple(map(message.address, sorted(self._station.held(name), key=str))),
                        held_back=election.aside,
                        problem=self._station.problem(member),
                    )
        return None

    def _counts(self) -> Counts:
        by_vip: dict[str, dict[str, int]] = {}
        rejected: dict[str, dict[str, int]] = {}
        for one in self._station.instances.values():
            counted = by_vip.setdefault(one.vip, dict.fromkeys(_COUNTED, 0))
            for what in _COUNTED:
                counted[what] += getattr(one, what)
            reasons = rejected.setdefault(one.vip, {})
            for reason, count in one.rejected.items():
                reasons[reason] = reasons.get(reason, 0) + count
        column = {what: {vip: counts[what] for vip, counts in by_vip.items()} for what in _COUNTED}
        late = self._station.lateness
        return Counts(
            sent=column["sent"],
            received=column["received"],
            rejected=rejected,
            discarded=dict(self._station.paths.discarded()),
            announced=self._station.announced,
            conflicts=column["conflicts"],
            claims=column["claims"],
            lateness=tuple(late.counts),
            lateness_sum=late.sum,
            real_time=self._real_time,
        )


_COUNTED: Final = ("sent", "received", "conflicts", "claims")


def _same(one: State, other: State) -> bool:
    """Whether two pictures differ by no more than the rounding of a clock."""
    return abs(one.since - other.since) < 0.5 and all(
        getattr(one, name) == getattr(other, name)
        for name in State.__struct_fields__
        if name != "since"
    )


def take_real_time() -> bool:
    """Be scheduled before ordinary processes, and never wait for a page. Whether the first was
    allowed (CAP_SYS_NICE, or LimitRTPRIO)."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        # With a limit, what is asked for later would be refused.
        ctypes.CDLL(None).mlockall(MEMORY_CURRENT | MEMORY_FUTURE)
    try:
        # What this process starts is ordinary again: a child that imports Python's modules at this
        # priority would keep every advert waiting.
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True


async def _main(listener: socket.socket, *, real_time: bool) -> None:
    gc.collect()
    gc.freeze()
    await Process(listener, real_time=real_time).run()


if __name__ == "__main__":
    real_time = take_real_time()
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        asyncio.run(_main(listener, real_time=real_time))
