"""The VRRP process seen from outside: find the one that is there, start one, end one.

What is said to it is ``client``'s business.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path
from typing import Final

from lvsguard.vrrp.logbook import Logbook, blank

LOOK_S: Final = 0.05
END_MAX_S: Final = 60.0
"""Longest wait for a process to hand over."""
GONE_MAX_S: Final = 1.0
"""Longest wait for the end of a process that closed its socket or was killed."""
_CREDENTIALS: Final = struct.Struct("=iII")


class Taken(Exception):
    """The process' socket belongs to somebody else. The message says what to do."""


class Unreachable(Exception):
    """There is no process now, and none could be started. The message says why."""


class Child:
    """One after the other, at one address; and the logbook that they hand down."""

    def __init__(self, command: Sequence[str], name: bytes) -> None:
        """``name``: of the abstract socket."""
        self._command = command
        self._name = name
        self._started: subprocess.Popen[bytes] | None = None
        self._book = -1
        self.pid = 0
        """0: none, or not known."""

    def reach(self) -> socket.socket:
        """Connect to the process that is there, or to a new one. Raises Taken, Unreachable."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.setblocking(False)
            connection.connect(self._name)
            pid, user, _ = _credentials(connection)
            if user not in (0, os.geteuid()):
                raise Taken(
                    f"the socket @{self._shown} belongs to user {user}, not to lvsguard, so there"
                    " is no election here: end that program (ss -xap shows it)"
                )
        except ConnectionRefusedError:
            connection.close()
            return self._start()
        except BlockingIOError as error:
            # It is there, but takes nothing.
            connection.close()
            self.kill()
            raise Unreachable("killed, it took no connection") from error
        except BaseException:
            connection.close()
            raise
        # Until it listens itself, they are those of whoever started it.
        self.pid = 0 if pid == os.getpid() else pid
        if self._started is not None and self._started.poll() is None:
            self.pid = self._started.pid
        return connection

    @property
    def _shown(self) -> str:
        return self._name[1:].decode()

    def _start(self) -> socket.socket:
        if self._started is not None and self._started.poll() is None:
            self._started.kill()  # it listens no more, but goes on
            self._started.wait()
        if self._book < 0:
            self._book = blank()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with listener:
                listener.bind(self._name)
                listener.listen(4)
                connection.connect(self._name)
                connection.setblocking(False)
                self._started = subprocess.Popen(
                    [*self._command, str(listener.fileno()), str(self._book)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[listener.fileno(), self._book],
                    start_new_session=True,  # it outlives a controller that dies
                )
        except OSError as error:
            connection.close()
            if error.errno == EADDRINUSE:
                raise Unreachable(
                    "the one before it is still ending, or another program has its socket"
                    f" @{self._shown} (ss -xap shows it)"
                ) from error
            raise Unreachable(f"it could not be started: {error}") from error
        self.pid = self._started.pid
        return connection

    def keep_book(self, descriptors: Sequence[int]) -> None:
        """Take the logbook of a process that this one did not start, for the next one."""
        for descriptor in descriptors:
            if self._book >= 0:
                os.close(self._book)
            self._book = descriptor

    @property
    def alive(self) -> bool:
        """Whether there is one, connected or not."""
        return bool(self.pid) and _is_ours(self.pid)

    def reign_ends(self) -> float:
        """Until when no other director can be master of what these led, monotonic."""
        if self._book < 0:
            return 0.0
        book = Logbook(self._book)
        try:
            return book.latest
        finally:
            book.close()

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    async def end(self) -> None:
        """Ask it to hand over and end; wait for that."""
        self._signal(signal.SIGTERM)
        await self._await_end(END_MAX_S)

    async def gone(self) -> str:
        """What became of it after it closed its socket."""
        await self._await_end(GONE_MAX_S)
        status = self._started.poll() if self._started is not None else None
        if status is None:
            return "it closed its connection"
        self._started = None
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    async def _await_end(self, longest: float) -> None:
        for _ in range(round(longest / LOOK_S)):
            mine = self._started if self._started and self._started.pid == self.pid else None
            if not (mine.poll() is None if mine is not None else _is_ours(self.pid)):
                return
            await asyncio.sleep(LOOK_S)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid and _is_ours(self.pid):
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def close(self) -> None:
        """Give the logbook back. The process, if there is one, goes on."""
        if self._started is not None and self._started.poll() is None:
            self._started.returncode = 0  # nobody's to wait for any more
        if self._book >= 0:
            os.close(self._book)
            self._book = -1


def _credentials(connection: socket.socket) -> tuple[int, int, int]:
    """Process, user and group of who called listen on the other side."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, group = _CREDENTIALS.unpack(found)
    return pid, user, group


def _is_ours(pid: int) -> bool:
    """Whether a number that may be old is still that of a VRRP process, and one that lives."""
    with suppress(OSError):
        return b"lvsguard.vrrp.process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
