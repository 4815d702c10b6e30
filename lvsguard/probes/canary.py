"""The canary: one idle TCP connection to a realserver; its end is a hint that makes probes at once.

A process that dies takes its connections along: the kernel's FIN or RST is here within
milliseconds, long before the next probe is due. But a server also closes what idles, and at a
graceful reload, so the end of a canary is never a verdict, nor is a refused reopening. It lives
while the check is up; ``habit`` says when it is opened, renewed and given up.
"""

from __future__ import annotations

import errno
import math
import random
import select
import struct
from _socket import socket as RawSocket
from socket import (
    IPPROTO_TCP,
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
from typing import Final, Protocol

from lvsguard.core.health import FailureClass, Hint
from lvsguard.probes import outcome
from lvsguard.probes.connection import GONE, Target, leave_port_open, prefer
from lvsguard.probes.engine import Engine
from lvsguard.probes.habit import RETRY_S, Habit
from lvsguard.probes.outcome import Outcome
from lvsguard.probes.watched import Watched

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
"""Bytes that a server may say unasked: a banner, or why it closes."""
READ_SIZE: Final = 4096
LOCAL_PAUSE_S: Final = 5.0
"""Pause after a failure of the director's own."""
SPREAD: Final = 1000.0
"""Canaries opened in a second, when many checks come up at once."""

_EVENTS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_OVER: Final = select.EPOLLERR | select.EPOLLHUP
_READABLE: Final = select.EPOLLIN | select.EPOLLRDHUP | _OVER
_ABORT: Final = struct.pack("ii", 1, 0)
_TYPE: Final = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC


class Owner(Protocol):
    """Who has the canaries, and their files."""

    engine: Engine

    def take_file(self) -> bool:
        """Take a file for a canary, if there is one left."""

    def give_file_back(self) -> None:
        """Let a probe have it."""

    def sang(self, canary: Canary, hint: Hint) -> None:
        """Take a hint."""

    def crowd(self) -> int:
        """How many canaries there are."""


class Canary:
    """The canary of one realserver's port (an ``engine.Sleeper`` and ``Watcher``)."""

    __slots__ = (
        "_connected",
        "_ended",
        "_eof",
        "_fd",
        "_holds",
        "_look_at",
        "_next",
        "_opened",
        "_owner",
        "_renew_at",
        "_said",
        "_socket",
        "_target",
        "_trusted",
        "alarm",
        "checks",
        "habit",
    )

    def __init__(self, owner: Owner, target: Target) -> None:
        self.alarm = 0
        self.checks: list[Watched] = []
        """Those that it sings for."""
        self.habit = Habit()
        self._owner = owner
        self._target = target
        self._socket: RawSocket | None = None
        self._fd = -1
        self._holds = False
        """Whether it has taken a file."""
        self._connected = False
        self._eof = False
        self._trusted = False
        """Whether a probe went well while it was open."""
        self._said = 0
        self._opened = 0.0
        self._ended = 0.0
        self._next = 0.0
        """When it may be opened."""
        self._renew_at = self._look_at = math.inf

    @property
    def singing(self) -> bool:
        """Whether the connection stands."""
        return self._connected

    def settle(self) -> None:
        """A check's verdict changed, or it came or went: be there while one is up."""
        wanted = any(check.up for check in self.checks)
        if not wanted:
            self._owner.engine.sleep(self)
            self._close()
            self._trusted = False
            self._ended = 0.0
            if self.habit.died():
                self._next = 0.0
        elif self._socket is None and not self.alarm:
            now = self._owner.engine.now
            pause = random.random() * self._owner.crowd() / SPREAD
            self._wake(max(self._next, now + pause))

    def end(self) -> None:
        """End for good."""
        self._owner.engine.sleep(self)
        self._close()

    def disturbs(self) -> None:
        """A probe got a connection and no answer: a server may be short of workers. Make room."""
        if self._connected:
            self._close()
            pause = self.habit.failed("a probe waited in vain while it stood")
            self._note(self.habit.why)
            self._pause(pause)

    # -- the engine ------------------------------------------------------------------------------

    def ring(self, _due: float) -> None:
        """Take an alarm (see ``engine.Sleeper``)."""
        now = self._owner.engine.now
        if self._socket is None:
            if self._ended and any(check.well_since(self._ended) for check in self.checks):
                self.habit.well()
            self._open()
        elif not self._connected:
            self._fail(outcome.connect_expired(self._target.timeout))
        elif self._look_at <= now:
            self._look(now)
        elif self._renew_at <= now and self.habit.outgrown(now):
            self._close()
            self._open()
        else:
            self._renew_at = math.inf

    def ready(self, events: int) -> None:
        """Take the socket's events (see ``engine.Watcher``)."""
        sock = self._socket
        if sock is None:
            return
        if not self._connected:
            number = sock.getsockopt(SOL_SOCKET, SO_ERROR) if events & _OVER else 0
            if number:
                self._fail(outcome.connect_failed(number))
                return
            if not events & select.EPOLLOUT:
                return
            self._stand()
        if events & _READABLE:
            self._listen(sock)

    # -- inside ----------------------------------------------------------------------------------

    def _open(self) -> None:
        if not self._owner.take_file():
            self._note("no file left for it; raise the prober's limit of open files (LimitNOFILE=)")
            self._pause(RETRY_S)
            return
        self._holds = True
        try:
            number = self._dial(self._target.own)
            if number in GONE and self._target.own is not None:
                self._drop()
                number = self._dial(None)
            if number in (0, errno.EINPROGRESS) and self._socket is not None:
                self._fd = self._socket.fileno()
                self._owner.engine.watch(self._fd, _EVENTS, self)
                self._wake(self._owner.engine.now + self._target.timeout)
                return
        except OSError as error:
            number = error.errno or errno.EIO
        refused = number == errno.ECONNREFUSED
        self._fail(outcome.connect_failed(number) if refused else outcome.local(number))

    def _dial(self, own: tuple[str, int] | None) -> int:
        target = self._target
        sock = self._socket = RawSocket(target.family, _TYPE, 0)
        for level, option, value in KEEPALIVE:
            sock.setsockopt(level, option, value)
        if own is not None:
            prefer(sock, own)
        elif target.source is not None:
            leave_port_open(sock)
            sock.bind(target.source)
        return sock.connect_ex(target.address)

    def _stand(self) -> None:
        now = self._owner.engine.now
        self._connected = True
        self._opened, self._said = now, 0
        self._renew_at = self.habit.opened(now) or math.inf
        self._look_at = math.inf if self._trusted else self._next_look(now)
        self._note("")
        self._rearm()

    def _look(self, now: float) -> None:
        """See whether a server that serves one connection at a time waits for this one to end."""
        half = self._target.timeout / 2
        began = [b for check in self.checks if (b := check.waiting) is not None]
        if any(self._opened <= b <= now - half * 0.99 for b in began):
            self._give_up("a probe waits while it stands: does the server serve one at a time?")
            return
        self._trusted = any(check.well_since(self._opened) for check in self.checks)
        self._look_at = math.inf if self._trusted else self._next_look(now)
        self._rearm()

    def _next_look(self, now: float) -> float:
        ahead = [check.look_at for check in self.checks if check.look_at > now]
        return min(ahead, default=now + self._target.timeout)

    def _listen(self, sock: RawSocket) -> None:
        """Read whatever it says, for only its end matters; edge-triggered, so read it all."""
        now = self._owner.engine.now
        try:
            while self._said <= FLOOD:
                data = sock.recv(READ_SIZE)
                if not data:
                    self._eof = True
                    self._over(f"closed after {now - self._opened:.1f} s", by_server=True)
                    return
                self._said += len(data)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                self._over("no answer to TCP keepalive", by_server=False)
            else:
                why = (error.strerror or "broken").lower()
                self._over(f"{why} after {now - self._opened:.1f} s", by_server=False)
            return
        self._give_up("it sends without being asked")

    def _over(self, why: str, *, by_server: bool) -> None:
        now = self._ended = self._owner.engine.now
        pause = self.habit.closed(now, why, by_server=by_server)
        self._sing(why, pause)

    def _fail(self, found: Outcome) -> None:
        """No connection came about."""
        if found.failure is FailureClass.LOCAL:
            self._close()
            self._pause(LOCAL_PAUSE_S)
            return
        self._sing(found.reason, self.habit.failed(found.reason))

    def _sing(self, why: str, pause: float) -> None:
        self._close()
        if self.habit.given_up:
            self._note(self.habit.why)
        self._pause(pause)
        self._owner.sang(self, Hint("canary", why, self._owner.engine.now))

    def _give_up(self, why: str) -> None:
        pause = self.habit.unwanted(why)
        self._close()
        self._note(why)
        self._pause(pause)

    def _note(self, why: str) -> None:
        text = f"no canary for now: {why}; canary = false in the check does without" if why else ""
        for check in self.checks:
            check.note("canary", text)

    def _pause(self, pause: float) -> None:
        """Many may have ended at once: they do not come back at once."""
        self._next = self._owner.engine.now + pause * (1 + random.random())
        self._wake(self._next)

    def _rearm(self) -> None:
        due = min(self._look_at, self._renew_at)
        if due < math.inf:
            self._wake(due)
        else:
            self._owner.engine.sleep(self)

    def _wake(self, due: float) -> None:
        self._owner.engine.wake(due, self)

    def _close(self) -> None:
        """Let go of the connection; what the peer has not closed yet is reset, as by a probe."""
        if self._fd >= 0:
            self._owner.engine.forget(self._fd)
        self._drop()
        if self._holds:
            self._owner.give_file_back()
        self._holds = self._connected = self._eof = False
        self._renew_at = self._look_at = math.inf

    def _drop(self) -> None:
        sock, self._socket, self._fd = self._socket, None, -1
        if sock is None:
            return
        try:
            if not self._eof:
                sock.setsockopt(SOL_SOCKET, SO_LINGER, _ABORT)
        except OSError:
            pass  # reset by the peer meanwhile
        sock.close()
