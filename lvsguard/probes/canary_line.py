"""A canary's connection: dialled, greeted, then only listened to. It decides nothing.

The kernel keeps it alive and finds silent death; what is said unasked is read, counted and
forgotten.
"""

from __future__ import annotations

import errno
import select
import struct
from _socket import socket as RawSocket
from collections.abc import Callable
from dataclasses import dataclass
from socket import (
    IPPROTO_TCP,
    MSG_PEEK,
    SO_ERROR,
    SO_KEEPALIVE,
    SO_LINGER,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_USER_TIMEOUT,
)
from typing import Final

from lvsguard.probes import error_queue, outcome
from lvsguard.probes.connection import GONE, Target
from lvsguard.probes.greeting import Greeting
from lvsguard.probes.outcome import Outcome

KEEPALIVE: Final = (
    (SOL_SOCKET, SO_KEEPALIVE, 1),
    (IPPROTO_TCP, TCP_KEEPIDLE, 1),
    (IPPROTO_TCP, TCP_KEEPINTVL, 1),
    (IPPROTO_TCP, TCP_KEEPCNT, 2),
    (IPPROTO_TCP, TCP_USER_TIMEOUT, 2500),
)
"""Silent death shows within 3 s, and one lost packet is none (tcp(7); seconds, then milliseconds).
The director's kernel does it: it costs a packet each way a second, and no wake-up here."""
FLOOD: Final = 65536
"""Bytes that a server may say unasked: a banner, a session ticket, or why it closes."""
READ_SIZE: Final = 4096
EVENTS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
CONNECTED: Final = Outcome(True, "L4OK", "connected")

_OVER: Final = select.EPOLLERR | select.EPOLLHUP
_ABORT: Final = struct.pack("ii", 1, 0)
_TYPE: Final = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC


@dataclass(frozen=True, slots=True)
class End:
    """How a connection that stood ended."""

    why: str
    """``closed``, ``connection reset by peer`` ..."""
    by_server: bool = False
    """Whether by its FIN."""
    unheard: bool = False
    """Whether it was reset, and nothing had ever come over it."""


class Line:
    """One connection."""

    __slots__ = (
        "_address",
        "_eof",
        "_reached",
        "_said",
        "_sock",
        "dialled",
        "fd",
        "greeting",
        "stands",
    )

    def __init__(self, sock: RawSocket, address: str, now: float) -> None:
        self._sock = sock
        self._address = address
        self.fd = sock.fileno()
        self.dialled = now
        self.greeting: Greeting | None = None
        """While it is under way."""
        self.stands = False
        """Whether TCP's handshake and the greeting are over."""
        self._reached = False
        self._eof = False
        self._said = 0

    @classmethod
    def dial(cls, target: Target, now: float) -> Line | int:
        """Begin to connect; the number of an error where that failed at once."""
        try:
            sock, number = _dial(target, target.own)
            if number in GONE and target.own is not None:
                sock.close()
                sock, number = _dial(target, None)
        except OSError as error:  # no socket to be had
            return error.errno or errno.EIO
        if number in (0, errno.EINPROGRESS):
            return cls(sock, target.address[0], now)
        sock.close()
        return number

    def advance(
        self, events: int, greet: Callable[[], Greeting | Outcome | None]
    ) -> Outcome | None:
        """Go on until it stands or has failed; None: there is more to come."""
        if not self._reached:
            number = self._sock.getsockopt(SOL_SOCKET, SO_ERROR) if events & _OVER else 0
            if number:
                # Over IPv6 the error alone: the option for more would break a line that stands.
                return error_queue.connect_failed(self._sock, number, self._address)
            if not events & select.EPOLLOUT:
                return None
            self._reached = True
            greeting = greet()
            if isinstance(greeting, Outcome):
                return greeting
            self.greeting = greeting
        found: Outcome | None = CONNECTED
        if self.greeting is not None:
            found = self.greeting.advance(self._sock)
            self._eof = self.greeting.eof
        self.stands = found is not None and found.ok
        return found

    def expired(self, timeout: float) -> Outcome:
        """It took more than ``timeout`` (seconds) until now."""
        if self.greeting is not None:
            return self.greeting.expired(timeout)
        return outcome.connect_expired(timeout)

    def listen(self) -> End | None:
        """Read whatever the server says, for only its end matters; edge-triggered, so all of it.

        More than ``FLOOD`` is not read: see ``flooded``.
        """
        try:
            while self._said <= FLOOD:
                data = self._sock.recv(READ_SIZE)
                if not data:
                    self._eof = True
                    return End("closed", by_server=True)
                self._said += len(data)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                return End("silent to TCP keepalive")
            unheard = error.errno == errno.ECONNRESET and self._said == 0
            return End((error.strerror or "broken").lower(), unheard=unheard)
        return None

    @property
    def flooded(self) -> bool:
        """Whether the server sends too much."""
        return self._said > FLOOD

    @property
    def unheard(self) -> bool:
        """Whether it stands and nothing ever came over it, not even its end."""
        if not self.stands or self._said:
            return False
        try:
            self._sock.recv(1, MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def hang_up(self) -> None:
        """Let go; what the peer has not ended yet is reset, as by a probe."""
        try:
            if not self._eof:
                self._sock.setsockopt(SOL_SOCKET, SO_LINGER, _ABORT)
        except OSError:
            pass  # reset by the peer meanwhile
        self._sock.close()


def _dial(target: Target, own: tuple[str, int] | None) -> tuple[RawSocket, int]:
    sock = RawSocket(target.family, _TYPE, 0)
    try:
        for level, option, value in KEEPALIVE:
            sock.setsockopt(level, option, value)
        target.bind(sock, own)
        return sock, sock.connect_ex(target.address)
    except OSError as error:
        return sock, error.errno or errno.EIO
