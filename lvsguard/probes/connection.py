"""One probe over one TCP connection: non-blocking, one total timeout, bounded reads.

Connects, sends the conversation's request, feeds it what comes back, closes as soon as the
conversation has decided. It judges nothing but the connection itself.
"""

from __future__ import annotations

import errno
import select
import struct
import sys
from _socket import socket as RawSocket  # the Python subclass around it costs as much as a send
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import ioctl
from socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    SO_ERROR,
    SO_LINGER,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
)
from termios import TIOCOUTQ
from typing import Final

from lvsguard.core.agent import AgentSpec
from lvsguard.core.config import Check, CheckSpec
from lvsguard.core.health import Result
from lvsguard.core.model import IPAddress
from lvsguard.probes import error_queue, outcome
from lvsguard.probes.engine import Engine
from lvsguard.probes.error_queue import IPV6_RECVERR
from lvsguard.probes.outcome import Conversation, Outcome

Done = Callable[[Result], None]

READ_SIZE: Final = 16384
"""Bytes of one read: below malloc's threshold for an mmap, above almost every answer."""
READS_MAX: Final = 16
"""Reads in a row from one peer before others get their turn."""

IP_BIND_ADDRESS_NO_PORT: Final = 24
"""ip(7): choose the local port at connect(), not at bind(). Not in Python's socket module."""

GONE: Final = frozenset({errno.EINVAL, errno.ENETUNREACH})
"""What connect() says at once where bind() took an address that is gone, as it does with
net.ipv4.ip_nonlocal_bind (ip_route_output_key_hash_rcu() in net/ipv4/route.c; it depends on the
kernel's version). The second is said where there is no route, too."""

AGAIN: Final = 0.25
"""Share of the timeout after which one who got no answer is asked over a second connection, and
then over a third, if what was sent is lost. The kernel repeats a lost SYN only after 1 s (RFC
6298), which is all that most probes have: with 5 % of loss every twentieth would fail. A lost
request it repeats sooner, and then ever later: one probe in a hundred would fail."""
MORE_MAX: Final = 2

_NODELAY_ABOVE: Final = 1200  # a request of one segment is never held back by Nagle
_ABORT: Final = struct.pack("ii", 1, 0)
_EVENTS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_BROKEN: Final = select.EPOLLERR | select.EPOLLHUP
_WRITABLE: Final = select.EPOLLOUT
_READABLE: Final = select.EPOLLIN | select.EPOLLRDHUP | _BROKEN
_TYPE: Final = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC


@dataclass(frozen=True, slots=True)
class Target:
    """Where a check's connections go, made ready once."""

    family: int
    address: tuple[str, int]
    source: tuple[str, int] | None
    """To bind to, or fail."""
    own: tuple[str, int] | None
    """To bind to while this host has it; None beside ``source``."""
    timeout: float

    @classmethod
    def of(cls, check: Check) -> Target:
        """Make a check's target ready."""
        return cls.at(check.address, check.port, check.spec, check.spec.timing.timeout)

    @classmethod
    def at(
        cls, address: IPAddress, port: int, spec: CheckSpec | AgentSpec, timeout: float
    ) -> Target:
        """Make a target ready; ``spec`` says what to bind to."""
        source, own = bindings(spec)
        family = AF_INET6 if address.version == 6 else AF_INET
        return cls(family, (str(address), port), source, own, timeout)

    def bind(self, sock: RawSocket, own: tuple[str, int] | None) -> None:
        """Give a socket the address to ask from. ``own``: the one to prefer now."""
        if own is not None:
            prefer(sock, own)
        elif self.source is not None:
            leave_port_open(sock)
            sock.bind(self.source)


def bindings(spec: CheckSpec | AgentSpec) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """What to bind to or fail, and what to prefer; never both."""
    source = None if spec.source is None else (str(spec.source), 0)
    own = None if spec.own is None or source is not None else (str(spec.own), 0)
    return source, own


def leave_port_open(sock: RawSocket) -> None:
    """Have bind() take no port, whatever the address.

    Without this each probe would hold one of the 28000 ephemeral ports of its address alone, for
    every destination: a crowd of slow realservers could use them up, for the rest of the director
    as well, though none is left in TIME_WAIT. Chosen at connect() a port serves once for each
    destination; the system call for it takes less than a microsecond.
    """
    sock.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)


def prefer(sock: RawSocket, own: tuple[str, int]) -> None:
    """Bind to the director's own address; unbound where this host has it no more."""
    leave_port_open(sock)
    try:
        sock.bind(own)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise


class Connection:
    """One probe under way. ``done`` is called exactly once, unless it is cancelled before."""

    __slots__ = (
        "_connected",
        "_done",
        "_engine",
        "_eof",
        "_fd",
        "_more",
        "_patience",
        "_rings",
        "_socket",
        "_stalled",
        "_started",
        "_talk",
        "_target",
        "_unsent",
        "deadline",
    )

    def __init__(self, engine: Engine, target: Target, talk: Conversation, done: Done) -> None:
        self._engine = engine
        self._target = target
        self._talk = talk
        self._done = done
        self._socket: RawSocket | None = None
        self._fd = -1
        self._started = engine.now
        self._stalled = engine.stalled
        self.deadline = engine.now + target.timeout
        self._connected = False
        self._eof = False
        self._unsent = talk.request
        self._more: tuple[Attempt, ...] = ()
        self._patience: Patience | None = None
        self._rings = 0

    @property
    def reached(self) -> bool:
        """See ``kinds.Probe``."""
        return self._connected

    def start(self) -> None:
        """Connect. What fails at once is the director's own fault, and is done with at once."""
        own = self._target.own
        try:
            sock, number = self._dial(own)
            if number in GONE and own is not None:
                sock.close()
                sock, number = self._dial(None)
            if number not in (0, errno.EINPROGRESS):
                # Refused at once is the loopback's way; all else did not leave this host.
                refused = number == errno.ECONNREFUSED
                self._finish(outcome.connect_failed(number) if refused else outcome.local(number))
                return
            self._fd = sock.fileno()
            self._engine.watch(self._fd, _EVENTS, self)
        except OSError as error:
            self._finish(outcome.local(error.errno or errno.EIO))
            return
        self._patience = Patience(self)
        self._engine.wake(self._started + self._target.timeout * AGAIN, self._patience)

    def cancel(self) -> None:
        """End without a result; nothing happens when it has ended already."""
        if self._socket is not None:
            self._close()

    def ready(self, events: int) -> None:
        """Take the socket's events (see ``engine.Watcher``)."""
        sock = self._socket
        if sock is None:
            return
        found = None
        if not self._connected:
            found = self._connect(sock, events)
        elif self._unsent and events & _WRITABLE:
            found = self._send(sock)
        if found is None and events & _READABLE:
            found = self._read(sock, events)
        if found is not None:
            self._finish(found)

    def impatient(self, due: float) -> None:
        """No answer yet: ask over another connection, too, unless the request has arrived."""
        self._rings += 1
        if not self._connected or self._is_lost():
            attempt = Attempt.make(self, self._engine, self._target)
            if attempt is not None:
                self._more += (attempt,)
        if self._rings < MORE_MAX and self._patience is not None:
            self._engine.wake(due + self._target.timeout * AGAIN, self._patience)

    def adopt(self, attempt: Attempt, sock: RawSocket, fd: int) -> None:
        """Go on over another connection, which stands. The peer has not said a word yet."""
        self._more = tuple(one for one in self._more if one is not attempt)
        self._engine.forget(self._fd)
        self._hang_up()
        self._socket, self._fd = sock, fd
        self._connected, self._unsent = False, self._talk.request

    def fail(self, found: Outcome) -> None:
        """Another connection was refused, or told that nobody is there: that is an answer."""
        self._finish(found)

    def expire(self, lateness: float) -> None:
        """End it: ``deadline`` passed, so many seconds ago."""
        timeout = self._target.timeout
        lost = max(lateness, self._engine.stalled - self._stalled)
        if lost > timeout * outcome.STALL_SHARE:
            self._finish(outcome.stalled(lost))
        elif self._connected:
            self._finish(self._talk.expired(timeout))
        else:
            self._finish(outcome.connect_expired(timeout))

    # -- inside ----------------------------------------------------------------------------------

    def _dial(self, own: tuple[str, int] | None) -> tuple[RawSocket, int]:
        target = self._target
        sock = self._socket = RawSocket(target.family, _TYPE, 0)
        target.bind(sock, own)
        if target.family == AF_INET6:
            sock.setsockopt(IPPROTO_IPV6, IPV6_RECVERR, 1)
        if len(self._unsent) > _NODELAY_ABOVE:
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        return sock, sock.connect_ex(target.address)

    def _connect(self, sock: RawSocket, events: int) -> Outcome | None:
        if events & _BROKEN:
            number = sock.getsockopt(SOL_SOCKET, SO_ERROR)
            if number:
                return error_queue.connect_failed(sock, number, self._target.address[0])
        if not events & _WRITABLE:
            return None
        self._connected = True
        if self._more:
            self._drop_others()
        return self._send(sock) if self._unsent else self._talk.sent()

    def _send(self, sock: RawSocket) -> Outcome | None:
        try:
            count = sock.send(self._unsent)
        except BlockingIOError:
            return None
        except OSError as error:
            if error_queue.survived(sock, error):
                return self._send(sock)
            # The peer may have answered before it broke off: that answer is still to be read.
            self._unsent = b""
            return self._read(sock, select.EPOLLRDHUP, error)
        if count < len(self._unsent):
            self._unsent = self._unsent[count:]
            return None
        self._unsent = b""
        return self._talk.sent()

    def _read(self, sock: RawSocket, events: int, broken: OSError | None = None) -> Outcome | None:
        more = events & (select.EPOLLRDHUP | _BROKEN)
        for _ in range(READS_MAX):
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                return self._talk.reset(broken) if broken is not None else None
            except OSError as error:
                if error_queue.survived(sock, error):
                    continue
                return self._talk.reset(broken or error)
            if not data:
                self._eof = True
                return self._talk.closed()
            if self._patience is not None:
                self._settle()
            found = self._talk.feed(data)
            if found is not None:
                self._eof = bool(events & select.EPOLLRDHUP)
                return found
            if len(data) < READ_SIZE and not more:
                return None
        try:
            self._engine.rearm(self._fd, _EVENTS)
        except OSError as error:
            return outcome.local(error.errno or errno.EIO)
        return None

    def _finish(self, found: Outcome) -> None:
        self._close()
        duration = self._engine.now - self._started
        self._done(found.result(duration))

    def _is_lost(self) -> bool:
        """Whether the peer's kernel has not even taken the request. A server that is only slow is
        asked once."""
        if self._socket is None:
            return False
        unacknowledged = ioctl(self._socket.fileno(), TIOCOUTQ, bytes(4))
        return int.from_bytes(unacknowledged, sys.byteorder) > 0

    def _settle(self) -> None:
        """The peer has answered, or it is over: nobody is asked again."""
        patience, self._patience = self._patience, None
        if patience is not None:
            patience.probe = None
            self._engine.sleep(patience)
        self._drop_others()

    def _drop_others(self) -> None:
        for attempt in self._more:
            attempt.close()
        self._more = ()

    def _close(self) -> None:
        self._settle()
        if self._fd >= 0:
            self._engine.forget(self._fd)
        self._fd = -1
        self._hang_up()

    def _hang_up(self) -> None:
        sock, self._socket = self._socket, None
        if sock is None:
            return
        try:
            if self._connected and not self._eof:
                # Closing first would leave a TIME_WAIT here for each probe: reset instead. Where
                # the peer has closed already it has the TIME_WAIT, and a plain close is right.
                sock.setsockopt(SOL_SOCKET, SO_LINGER, _ABORT)
        except OSError:
            pass  # reset by the peer meanwhile
        sock.close()


class Patience:
    """A probe's alarm for asking again (an ``engine.Sleeper``). An alarm that was cancelled stays
    in the engine's heap for a while: this keeps no probe that is over alive."""

    __slots__ = ("alarm", "probe")

    def __init__(self, probe: Connection) -> None:
        self.alarm = 0
        self.probe: Connection | None = probe

    def ring(self, due: float) -> None:
        """See ``engine.Sleeper``."""
        if self.probe is not None:
            self.probe.impatient(due)


class Attempt:
    """One more connection for a probe that got no answer (an ``engine.Watcher``).

    Never more of them than the engine has files to spare; without one the probe waits as it did.
    """

    __slots__ = ("_address", "_engine", "_fd", "_probe", "_socket", "_stands")

    def __init__(self, probe: Connection, engine: Engine, sock: RawSocket, address: str) -> None:
        self._probe = probe
        self._engine = engine
        self._socket = sock
        self._address = address
        self._fd = sock.fileno()
        self._stands = False

    @classmethod
    def make(cls, probe: Connection, engine: Engine, target: Target) -> Attempt | None:
        """Open it; None where that cannot be: then it was not worth it."""
        if engine.spare_files <= 0:
            return None
        try:
            sock = RawSocket(target.family, _TYPE, 0)
        except OSError:
            return None
        try:
            target.bind(sock, target.own)
            if target.family == AF_INET6:
                sock.setsockopt(IPPROTO_IPV6, IPV6_RECVERR, 1)
            if sock.connect_ex(target.address) in (0, errno.EINPROGRESS):
                attempt = cls(probe, engine, sock, target.address[0])
                engine.watch(sock.fileno(), _EVENTS, attempt)
                engine.spare_files -= 1
                return attempt
        except OSError:
            pass  # as above
        sock.close()
        return None

    def ready(self, events: int) -> None:
        """Take the socket's events (see ``engine.Watcher``)."""
        if not self._stands:
            number = self._socket.getsockopt(SOL_SOCKET, SO_ERROR) if events & _BROKEN else 0
            if number:
                self._probe.fail(error_queue.connect_failed(self._socket, number, self._address))
                return
            if not events & _WRITABLE:
                return
            self._stands = True
            self._engine.spare_files += 1
            self._probe.adopt(self, self._socket, self._fd)
        self._probe.ready(events)

    def close(self) -> None:
        """Give it back: another stands, or the probe is over."""
        self._engine.forget(self._fd)
        self._engine.spare_files += 1
        self._socket.close()
