"""The controller's side of the VRRP process: finds or starts it, feeds it, hears it.

A process that is there already (the controller died, or is of a newer version) is taken up: it
still holds its VIPs. One that speaks another version is asked to end and replaced. Nothing is
decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from lvsguard.core.config import Config
from lvsguard.core.vrrp import ConnectionSync
from lvsguard.core.vrrp_event import VrrpTold
from lvsguard.vrrp import message
from lvsguard.vrrp.child import Child, Taken, Unreachable
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
    ToController,
    Told,
    ToProcess,
)

COMMAND: Final = (sys.executable, "-P", "-m", "lvsguard.vrrp.process")
SILENCE_MAX_S: Final = 10.0
"""A process that says nothing for this long (seconds; it should each second) is replaced."""
LAST_LOOK_S: Final = 0.1
"""Seconds to read what it said while this process itself did not run."""
BACKOFF_S: Final = (0.0, 0.0, 0.1, 0.5, 1.0, 2.0)
"""Pauses before a start, by how many went wrong in a row."""
STEADY_S: Final = 10.0
WAITING_MAX: Final = 5000
"""Messages kept for a process that does not read; with more, it is told all of it anew."""


class VrrpClient:
    """The election as the controller knows it. Silent while no VIP has one."""

    def __init__(
        self,
        *,
        told: Callable[[Told | Mended | Failed], None],
        changed: Callable[[State], None],
        died: Callable[[str], None],
        command: Sequence[str] = COMMAND,
        name: bytes = message.NAME,
    ) -> None:
        """``told`` gets events; ``changed`` each new state; ``died`` how a process ended."""
        self.states: dict[str, State] = {}
        self.counts: Counts | None = None
        self.aside: frozenset[str] = frozenset()
        """VIP groups that a failover keeps from preempting; set before ``run``, what an earlier
        process said."""
        self.trouble = ""
        """Why there can be no process, and what to do; empty: there can."""
        self._told = told
        self._changed = changed
        self._died = died
        self._child = Child(command, name)
        self._puts: dict[str, Put] = {}
        self._grace = 30.0
        self._sync: SyncTarget | None = None
        self._standing: dict[str, Standing] = {}
        self._socket: socket.socket | None = None
        self._wanted = asyncio.Event()
        self._waiting: deque[bytes] = deque()
        self._ending: Leave | None = None
        self._gone = asyncio.Event()
        self._greeted = False
        self._heard = 0.0

    @property
    def pid(self) -> int:
        """Of the process; 0: none, or it is not known yet."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there and has said hello."""
        return self._socket is not None and self._greeted

    # -- what the controller says ----------------------------------------------------------

    def configure(self, config: Config, sync: ConnectionSync | None = None) -> None:
        """Have exactly the elections of this config, and the directors' connections in step over
        ``sync``."""
        self._sync = None if sync is None else _target(sync)
        self._puts = {
            vip.name: message.put(vip, vip.vrrp) for vip in config.vips if vip.vrrp is not None
        }
        self._grace = config.vrrp_grace
        self._standing = {n: s for n, s in self._standing.items() if n in self._puts}
        self.states = {n: s for n, s in self.states.items() if n in self._puts}
        self.aside &= self._puts.keys()
        if self._puts:
            self._wanted.set()
        self._say_config()

    def stand(self, name: str, *, ready: bool, priority: int) -> None:
        """Say whether this director can serve a VIP group, and its priority."""
        standing = Standing(name=name, ready=ready, priority=priority)
        if self._standing.get(name) != standing:
            self._standing[name] = standing
            self._send(standing)

    def failover(self, name: str) -> None:
        """Give up mastership of a VIP group."""
        self._send(Failover(name))

    def resume(self, name: str) -> None:
        """Preempt again."""
        self._send(Resume(name))

    def hold(self, name: str, seconds: float) -> None:
        """Leave a lower priority alone for some seconds; 0: no longer."""
        self._send(Hold(name, seconds))

    @property
    def puts(self) -> tuple[Put, ...]:
        """The VIP groups that have an election."""
        return tuple(self._puts.values())

    def reign_ends(self) -> float:
        """Until when no other director can be master of what this one led, monotonic."""
        return self._child.reign_ends()

    async def leave(self, *, keep: bool) -> bool:
        """Hand everything over and wait until that is done, or the process is gone. Whether there
        is none any more: if it did not hand over, its addresses still stand."""
        self._ending = Leave(keep)
        if self._socket is None:
            return not self._child.alive
        self._gone.clear()
        self._send(self._ending)
        longest = max((put.interval for put in self._puts.values()), default=1.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4 * longest + 10):
                await self._gone.wait()
        return self._socket is None and not self._child.alive

    def close(self) -> None:
        """Give back what is kept for the next process. After ``run`` has ended."""
        self._child.close()

    def _say_config(self) -> None:
        for put in self._puts.values():
            self._send(replace(put, aside=put.name in self.aside))
        # Before what puts it in force: a master that goes on has to be ready from the start.
        for standing in self._standing.values():
            self._send(standing)
        self._send(Only(names=tuple(self._puts), grace=self._grace, sync=self._sync))
        if self._ending is not None:
            self._send(self._ending)

    def _send(self, sent: ToProcess) -> None:
        if self._socket is None or not self._greeted:
            return  # it is all said again at the next hello
        self._waiting.append(message.encode(sent))
        if len(self._waiting) > WAITING_MAX:
            self._socket.shutdown(socket.SHUT_RDWR)  # a fresh connection says all of it again
        elif len(self._waiting) == 1:
            self._flush()

    def _flush(self) -> None:
        """Say what waits, as far as the process takes it."""
        connection = self._socket
        if connection is None:
            return
        loop = asyncio.get_running_loop()
        while self._waiting:
            try:
                connection.send(self._waiting[0])
            except BlockingIOError:
                loop.add_writer(connection.fileno(), self._flush)
                return
            except OSError:
                break  # its end is read as well
            self._waiting.popleft()
        loop.remove_writer(connection.fileno())

    # -- the process -----------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a process there while there is an election, until cancelled."""
        failures = 0
        while True:
            await self._wanted.wait()
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            if not self._needed():
                self._wanted.clear()
                self.trouble = ""
                continue
            begun = time.monotonic()
            try:
                how = await self._live()
            except Taken as error:
                failures += 1
                self._tell(str(error))
                continue
            if not self._needed():
                self._wanted.clear()
                continue
            failures = 0 if time.monotonic() - begun > STEADY_S else failures + 1
            self._died(how)

    def _tell(self, trouble: str) -> None:
        """Once, until it is over."""
        if trouble != self.trouble:
            self.trouble = trouble
            self._told(message.told(VrrpTold("all", trouble)))

    def _needed(self) -> bool:
        return self._ending is None and bool(self._puts)

    async def _live(self) -> str:
        try:
            connection = self._child.reach()
        except Unreachable as error:
            self.trouble = ""
            return str(error)
        self.trouble = ""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[str] = loop.create_future()
        self._socket, self._greeted, self._heard = connection, False, time.monotonic()
        self._waiting.clear()
        loop.add_reader(connection.fileno(), self._read, connection, lost)
        try:
            connection.send(message.encode(Hello(message.VERSION, os.getpid())))
            if not await self._watch(lost):
                self._child.kill()
                await self._child.gone()
                return f"killed, it said nothing for {SILENCE_MAX_S:g} s"
            if how := lost.result():  # of another version, or it talks nonsense
                await self._child.end()
                return how
            return await self._child.gone()
        except OSError:
            return await self._child.gone()
        finally:
            loop.remove_reader(connection.fileno())
            loop.remove_writer(connection.fileno())
            connection.close()
            self._socket, self._greeted = None, False
            self._gone.set()

    async def _watch(self, lost: asyncio.Future[str]) -> bool:
        """Wait for the end of the connection; False: the process is silent for too long."""
        while not lost.done():
            heard = self._heard
            left = heard + SILENCE_MAX_S - time.monotonic()
            # Past the end one more look: this process may have stood still, perhaps the host did.
            await asyncio.wait([lost], timeout=left if left > 0 else LAST_LOOK_S)
            if left <= 0 and heard == self._heard and not lost.done():
                return False
        return True

    def _read(self, connection: socket.socket, lost: asyncio.Future[str]) -> None:
        while not lost.done():
            try:
                packet, given, _, _ = socket.recv_fds(connection, message.PACKET_MAX, 1)
            except BlockingIOError:
                return
            except OSError:
                packet, given = b"", []
            self._child.keep_book(given)
            if not packet:
                lost.set_result("")
                return
            try:
                self._take(message.decode_to_controller(packet))
            except MessageError as error:
                lost.set_result(f"replaced: {error}")

    def _take(self, received: ToController) -> None:
        self._heard = time.monotonic()
        match received:
            case Hello(version, pid):
                self._child.pid = pid
                if version != message.VERSION:
                    raise MessageError(f"it speaks version {version}, not {message.VERSION}")
                self._greeted = True
                self._say_config()
            case State(name=name):
                if name in self._puts:
                    self.states[name] = received
                    self.aside -= {name}
                    self.aside |= {name} if received.held_back else set()
                    self._changed(received)
            case Counts():
                self.counts = received
            case Gone(names):
                for name in names:
                    self.states.pop(name, None)
            case _:
                self._told(received)


def _target(sync: ConnectionSync) -> SyncTarget:
    group = str(sync.group) if sync.group else "224.0.0.81"
    return SyncTarget(interface=sync.interface, sync_id=sync.sync_id, group=group, port=sync.port)
