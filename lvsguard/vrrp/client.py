"""The controller's side of the VRRP process: finds or starts it, feeds it, hears it.

A process that is there already (the controller died, or is of a newer version) is taken up: it
still holds its VIPs. One that speaks another version is asked to end and replaced. Nothing is
decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from lvsguard.core.config import Config
from lvsguard.core.vrrp import ConnectionSync
from lvsguard.vrrp import message
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
BACKOFF_S: Final = (0.0, 0.1, 0.5, 1.0, 2.0)
"""Pauses before a start, by how many went wrong in a row."""
STEADY_S: Final = 10.0
LOOK_S: Final = 0.05
END_MAX_S: Final = 60.0
"""Longest wait for a process of another version to hand over."""
_CREDENTIALS: Final = struct.Struct("=iII")


class Taken(Exception):
    """The process' socket belongs to somebody else. The message says what to do."""


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
        self.pid = 0
        """Of the process; 0: none, or it has not said yet."""
        self._told = told
        self._changed = changed
        self._died = died
        self._command = command
        self._name = name
        self._puts: dict[str, Put] = {}
        self._grace = 30.0
        self._sync: SyncTarget | None = None
        self._standing: dict[str, Standing] = {}
        self._socket: socket.socket | None = None
        self._wanted = asyncio.Event()
        self._ending = False
        self._gone = asyncio.Event()
        self._greeted = False
        self._heard = 0.0

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

    async def leave(self, *, keep: bool) -> None:
        """Hand everything over and wait until that is done, or the process is gone."""
        self._ending = True
        if self._socket is None:
            return
        self._gone.clear()
        self._send(Leave(keep))
        longest = max((put.interval for put in self._puts.values()), default=1.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4 * longest + 10):
                await self._gone.wait()

    def _say_config(self) -> None:
        for put in self._puts.values():
            self._send(put)
        self._send(Only(names=tuple(self._puts), grace=self._grace, sync=self._sync))
        for standing in self._standing.values():
            self._send(standing)

    def _send(self, sent: ToProcess) -> None:
        if self._socket is None or not self._greeted:
            return  # it is all said again at the next hello
        try:
            self._socket.send(message.encode(sent))
        except OSError:
            # Full or gone: a fresh connection says all of it again.
            self._socket.shutdown(socket.SHUT_RDWR)

    # -- the process -----------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a process there while there is an election, until cancelled. Raises Taken."""
        failures = 0
        while True:
            await self._wanted.wait()
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            begun = time.monotonic()
            how = await self._live()
            if self._ending or not self._puts:
                self._wanted.clear()
                continue
            failures = 0 if time.monotonic() - begun > STEADY_S else failures + 1
            self._died(how)

    async def _live(self) -> str:
        connection, process = self._reach()
        self.pid = process.pid if process is not None else 0
        self.counts = None  # those were another's, or come again
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[str] = loop.create_future()
        self._socket, self._greeted, self._heard = connection, False, time.monotonic()
        loop.add_reader(connection.fileno(), self._read, connection, lost)
        connection.send(message.encode(Hello(message.VERSION, os.getpid())))
        try:
            while not lost.done():
                left = self._heard + SILENCE_MAX_S - time.monotonic()
                if left <= 0:
                    _signal(self.pid, signal.SIGKILL)
                    return f"killed, it said nothing for {SILENCE_MAX_S:g} s"
                await asyncio.wait([lost], timeout=left)
            how = lost.result()
            if how:  # of another version, or it talks nonsense: it hands over and ends
                await _end(self.pid, process)
                return how
            return await _ending(process)
        finally:
            loop.remove_reader(connection.fileno())
            connection.close()
            self._socket, self._greeted = None, False
            self._gone.set()

    def _reach(self) -> tuple[socket.socket, subprocess.Popen[bytes] | None]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(self._name)
        except OSError:
            connection.close()
        else:
            user = _user(connection)
            if user not in (0, os.geteuid()):
                raise Taken(
                    f"the socket @{self._name[1:].decode()} belongs to user {user}, not to"
                    " lvsguard: end that program (ss -xlp shows it)"
                )
            return connection, None
        return self._start()

    def _start(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with listener:
            listener.bind(self._name)
            listener.listen(4)
            process = subprocess.Popen(
                [*self._command, str(listener.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # it outlives a controller that dies
            )
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.connect(self._name)
            connection.setblocking(False)
        return connection, process

    def _read(self, connection: socket.socket, lost: asyncio.Future[str]) -> None:
        while not lost.done():
            try:
                packet = connection.recv(message.PACKET_MAX)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
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
                self.pid = pid
                if version != message.VERSION:
                    raise MessageError(f"it speaks version {version}, not {message.VERSION}")
                self._greeted = True
                self._say_config()
            case State(name=name):
                if name in self._puts:
                    self.states[name] = received
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


def _user(connection: socket.socket) -> int:
    """Who listens on the other side. (The process id that comes with it is the starter's.)"""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    return user


async def _end(pid: int, process: subprocess.Popen[bytes] | None) -> None:
    """Ask a process to hand over and end; wait for that."""
    _signal(pid, signal.SIGTERM)
    for _ in range(round(END_MAX_S / LOOK_S)):
        gone = process.poll() is not None if process is not None else not _signal(pid, 0)
        if gone:
            return
        await asyncio.sleep(LOOK_S)


def _signal(pid: int, number: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


async def _ending(process: subprocess.Popen[bytes] | None) -> str:
    """What became of a process that closed its socket."""
    if process is None:
        return "it closed its socket"
    for _ in range(100):
        status = process.poll()
        if status is not None:
            return f"signal {-status}" if status < 0 else f"exit status {status}"
        await asyncio.sleep(0.01)
    process.kill()
    process.wait()
    return "killed, it closed its socket but went on"
