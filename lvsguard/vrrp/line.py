"""The VRRP process' end of its connection to the controller: one at a time, the newest counts.

Nothing here waits: what the controller does not take at once is kept (``outbox``), bounded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

from lvsguard.vrrp import message
from lvsguard.vrrp.message import Counts, Gone, Hello, MessageError, State, ToController, ToProcess
from lvsguard.vrrp.outbox import Outbox

log = logging.getLogger(__name__)

ACCEPT_AGAIN_S: Final = 1.0
"""Seconds until the listener is looked at again, when a connection could not be taken."""
BATCH: Final = 64
"""Messages taken at once."""
_COUNTS: Final = "\0"
_CREDENTIALS: Final = struct.Struct("=iII")


class Line:
    """Listens, talks to whoever connected last, if it is of our user or root."""

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[ToProcess], None],
        met: Callable[[], None],
        lost: Callable[[], None],
        *,
        book: int = -1,
    ) -> None:
        """``take`` may raise MessageError, which ends the connection. ``book``: the descriptor of
        the logbook, for the controller to keep."""
        listener.setblocking(False)
        # The credentials that a controller sees are those of whoever called listen last.
        listener.listen(4)
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._take = take
        self._met = met
        self._lost = lost
        self._connection: socket.socket | None = None
        self._book = book
        self._outbox = Outbox()
        self._blocked = False
        self._listen()

    @property
    def connected(self) -> bool:
        """Whether there is a controller."""
        return self._connection is not None

    def send(self, sent: ToController) -> None:
        """Send, or keep for later. Pictures are for a controller that is there."""
        packet = message.encode(sent)
        match sent:
            case Hello():
                self._outbox.greet(packet)
            case State(name=name) if self._connection is not None:
                self._outbox.picture(name, packet)
            case Counts() if self._connection is not None:
                self._outbox.picture(_COUNTS, packet)
            case State() | Counts():
                return
            case Gone(names):
                for name in names:
                    self._outbox.drop(name)
                self._outbox.event(packet)
            case _:
                self._outbox.event(packet)
        if not self._blocked:
            self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the controller takes it."""
        while self._connection is not None and (packet := self._outbox.first()) is not None:
            given = [self._book] if self._outbox.greeting and self._book >= 0 else []
            try:
                socket.send_fds(self._connection, [packet], given)
            except BlockingIOError:
                self._blocked = True
                self._loop.add_writer(self._connection.fileno(), self._writable)
                return
            except OSError:
                self._drop()
                return
            self._outbox.sent()

    def close(self) -> None:
        """Give the sockets back."""
        self._loop.remove_reader(self._listener.fileno())
        self._forget()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _writable(self) -> None:
        self._blocked = False
        if self._connection is not None:
            self._loop.remove_writer(self._connection.fileno())
        self.flush()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:  # out of descriptors, say: it would be readable on and on
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(ACCEPT_AGAIN_S, self._listen)
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
        self._blocked = False
