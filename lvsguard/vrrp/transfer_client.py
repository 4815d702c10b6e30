"""The VRRP process' side of its transfer process: started beforehand, replaced when it ends.

Nothing here waits. Answers come in the order of the requests.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

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


class TransferClient:
    """One transfer process, and the requests that it has not answered yet."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """No process is started before ``start``."""
        self._command = command
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starter: threading.Thread | None = None
        self._asked: list[Callable[[FromTransfer], None]] = []

    def fileno(self) -> int:
        """Readable when ``read`` has something; -1 when no process is there."""
        return -1 if self._socket is None else self._socket.fileno()

    def start(self) -> None:
        """See that there will be a process. A thread starts it: while a process is being started
        no advert may wait."""
        if self._socket is None and (self._starter is None or not self._starter.is_alive()):
            self._starter = threading.Thread(target=self._spawn, name="transfer", daemon=True)
            self._starter.start()

    def _spawn(self) -> None:
        if self._process is not None:
            self._process.poll()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [*self._command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except OSError as error:
                log.error("the connection table cannot be sent: %s", error)
                ours.close()
                return
        ours.setblocking(False)
        self._socket = ours

    def ask(self, message: ToTransfer, answered: Callable[[FromTransfer], None]) -> None:
        """Have something done; ``answered`` is called once, with Failed if it could not be."""
        if self._socket is None:
            answered(Failed("the transfer process is not there: it is started again"))
            return
        try:
            self._socket.send(encode(message))
        except OSError as error:
            answered(Failed(f"the transfer process does not listen: {error}"))
            return
        self._asked.append(answered)

    def read(self) -> None:
        """Take what it answered."""
        while self._socket is not None:
            try:
                packet = self._socket.recv(PACKET_MAX)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            try:
                message = decode_from_transfer(packet) if packet else None
            except MessageError as error:
                log.error("the transfer process is replaced: %s", error)
                message = None
            if message is None:
                self.close()
                return
            if not isinstance(message, Hello) and self._asked:
                self._asked.pop(0)(message)

    def close(self) -> None:
        """End it; what was asked for counts as failed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        asked, self._asked = self._asked, []
        for answered in asked:
            answered(Failed("the transfer process ended before it was done"))
        if self._process is not None:
            self._process.poll()
