"""The VRRP process' side of its transfer process: started beforehand, replaced when it ends.

Nothing here waits: an errand starts the process, and what is asked of it meanwhile is said when it
is there. Answers come in the order of the requests; each request is answered once.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from lvsguard.vrrp.errands import End, Errands
from lvsguard.vrrp.transfer_message import (
    PACKET_MAX,
    Failed,
    FromTransfer,
    Hello,
    MessageError,
    ToTransfer,
    decode_from_transfer,
    encode,
)

log = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-P", "-m", "lvsguard.vrrp.transfer")
RESTART_S: Final = 1.0
"""Between two starts."""
ANSWER_MAX_S: Final = 30.0
"""Longest wait for an answer (a million connections take 7 s); then the process is replaced."""

Answered = Callable[[FromTransfer, float], None]


class TransferClient:
    """One transfer process, and the requests that it has not answered yet. Times are monotonic."""

    def __init__(self, errands: Errands, command: Sequence[str] = COMMAND) -> None:
        """No process is started before ``start``."""
        self._errands = errands
        self._command = command
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._closed = False
        self._next_start = float("-inf")
        self._early: list[tuple[ToTransfer, Answered]] = []
        """Asked for while the process is being started."""
        self._asked: deque[tuple[Answered, float]] = deque()
        """With the time by which an answer must be there."""
        self._ended: list[subprocess.Popen[bytes]] = []

    @property
    def there(self) -> bool:
        """Whether a process is there or being started."""
        return self._starting or self._socket is not None

    def fileno(self) -> int:
        """Readable when ``read`` has something; -1 when no process is there."""
        return -1 if self._socket is None else self._socket.fileno()

    def timer(self) -> float | None:
        """When to call ``read`` though nothing came."""
        return self._asked[0][1] if self._asked else None

    def start(self, now: float) -> float | None:
        """See that there will be a process; when to come back if it is too early for another."""
        if self.there or self._closed:
            return None
        if now < self._next_start:
            return self._next_start
        self._next_start = now + RESTART_S
        self._starting = True
        self._errands.ask(self._spawn)
        return None

    def ask(self, message: ToTransfer, answered: Answered, now: float) -> None:
        """Have something done; ``answered`` is called once, with Failed if it could not be."""
        self.start(now)
        if self._starting:
            self._early.append((message, answered))
            return
        if self._socket is None:
            answered(Failed("the transfer process has ended: it is started again"), now)
            return
        try:
            self._socket.send(encode(message))
        except OSError as error:
            answered(Failed(f"the transfer process does not listen: {error.strerror}"), now)
            return
        self._asked.append((answered, now + ANSWER_MAX_S))

    def read(self, now: float) -> None:
        """Take what it answered."""
        self._ended = [one for one in self._ended if one.poll() is None]
        while self._socket is not None:
            try:
                packet = self._socket.recv(PACKET_MAX)
            except BlockingIOError:
                break
            except OSError:
                packet = b""
            try:
                message = decode_from_transfer(packet) if packet else None
            except MessageError as error:
                log.error("the transfer process is replaced: %s", error)
                message = None
            if message is None:
                self._end("the transfer process ended before it was done", now)
            elif not isinstance(message, Hello) and self._asked:
                self._asked.popleft()[0](message, now)
        if self._asked and now >= self._asked[0][1]:
            self._end(f"the transfer process said nothing for {ANSWER_MAX_S:g} s: replaced", now)

    def close(self, now: float) -> None:
        """End it; what was asked for counts as failed."""
        self._closed = True
        self._end("the VRRP process ends", now)
        for process in self._ended:
            process.wait()  # it was killed
        self._ended.clear()

    def _spawn(self) -> End:
        """Start a process: an errand."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            try:
                process = subprocess.Popen(
                    [*self._command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except OSError as error:
                ours.close()
                reason = f"{self._command[0]} cannot be started: {error.strerror}"
                return lambda: self._not_started(reason)
        return lambda: self._started(ours, process)

    def _started(self, ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self._starting = False
        if self._closed:
            ours.close()
            process.kill()
            process.wait()
            self._refuse("the VRRP process ends")
            return
        self._socket, self._process = ours, process
        early, self._early = self._early, []
        now = self._next_start - RESTART_S
        for message, answered in early:
            self.ask(message, answered, now)

    def _not_started(self, reason: str) -> None:
        self._starting = False
        log.error("%s", reason)
        self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        early, self._early = self._early, []
        for _, answered in early:
            answered(Failed(reason), self._next_start)

    def _end(self, reason: str, now: float) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            # It has ended, or is of no use: one that is stopped would stay for ever.
            self._process.kill()
            if self._process.poll() is None:
                self._ended.append(self._process)
            self._process = None
        asked, self._asked = self._asked, deque()
        for answered, _ in asked:
            answered(Failed(reason), now)
