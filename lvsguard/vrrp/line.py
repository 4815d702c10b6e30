"""The VRRP process' end of its connection to the controller: one at a time, the newest counts.

Nothing here waits: what the controller does not take at once is kept while there is room, and then
dropped; pictures and counts come again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from lvsguard.vrrp import message
from lvsguard.vrrp.message import MessageError, ToController, ToProcess

log = logging.getLogger(__name__)

WAITING_MAX: Final = 2000
"""Messages kept for a controller that is slow."""
BATCH: Final = 64
"""Messages taken at once."""
_CREDENTIALS: Final = struct.Struct("=iII")


class Line:
    """Listens, talks to whoever connected last, if it is of our user or root."""

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[ToProcess], None],
        met: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        """``take`` may raise MessageError, which ends the connection."""
        listener.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._take = take
        self._met = met
        self._lost = lost
        self._connection: socket.socket | None = None
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self._loop.add_reader(listener.fileno(), self._accept)

    def send(self, sent: ToController) -> None:
        """Send, or keep for later; without a controller it goes nowhere."""
        if self._connection is not None:
            self._waiting.append(message.encode(sent))
            self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the controller takes it."""
        while self._waiting and self._connection is not None:
            try:
                self._connection.send(self._waiting[0])
            except BlockingIOError:
                self._loop.add_writer(self._connection.fileno(), self._writable)
                return
            except OSError:
                self._drop()
                return
            self._waiting.popleft()

    def close(self) -> None:
        """Give the sockets back."""
        self._loop.remove_reader(self._listener.fileno())
        self._forget()

    def _writable(self) -> None:
        if self._connection is not None:
            self._loop.remove_writer(self._connection.fileno())
        self.flush()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, user, _ = _CREDENTIALS.unpack(credentials)
        if user not in (0, os.geteuid()):
            connection.close()
            return
        self._forget()
        connection.setblocking(False)
        self._connection = connection
        self._loop.add_reader(connection.fileno(), self._read)
        self._met()

    def _read(self) -> None:
        for _ in range(BATCH):
            if self._connection is None:
                return
            try:
                packet = self._connection.recv(message.PACKET_MAX)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._drop()
                return
            try:
                self._take(message.decode_to_process(packet))
            except MessageError as error:
                log.error("the controller's connection is ended: %s", error)
                self._drop()
                return

    def _drop(self) -> None:
        self._forget()
        self._lost()

    def _forget(self) -> None:
        if self._connection is not None:
            self._loop.remove_reader(self._connection.fileno())
            self._loop.remove_writer(self._connection.fileno())
            self._connection.close()
        self._connection = None
        self._waiting.clear()
