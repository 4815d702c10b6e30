"""Sends packets to a neighbour of the probe's own choice, and hears what a VIP answers to them.

packet(7): past routing, netfilter and IPVS in both directions, so it is the same on a director that
holds the VIP and on one that does not, and there is nothing in the kernel to set or to put back.
One socket for each interface, own address and VIP; the kernel's filter lets through it nothing but
what that VIP says to that address, and none of the clients' packets.
"""

from __future__ import annotations

import errno
import select
import socket
from _socket import socket as RawSocket
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from lvsguard.core.model import IPAddress
from lvsguard.kernel.nexthop import Paths
from lvsguard.kernel.socket_filter import attach
from lvsguard.probes import segment
from lvsguard.probes.engine import Engine
from lvsguard.probes.segment import Segment, Unreachable
from lvsguard.probes.wire_filter import PACKET_MAX, answers

IDLE_S: Final = 10.0
"""A socket that no probe has used for so long is given back."""
READS_MAX: Final = 64
"""Packets in a row before others get their turn."""
_RECEIVE_BUFFER: Final = 1 << 20
_SO_RCVBUFFORCE: Final = 33
_GONE: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.ENETDOWN})
_ETHERTYPE: Final = {4: 0x0800, 6: 0x86DD}
_EVENTS: Final = select.EPOLLIN | select.EPOLLET


class Receiver(Protocol):
    """A probe that waits for its answers."""

    def receive(self, came: Segment | Unreachable) -> None:
        """Take what came to its port."""


class WireKey(NamedTuple):
    """What one socket hears: the interface (index), the director's own address, the VIP."""

    link: int
    own: IPAddress
    vip: IPAddress


class Wires:
    """The sockets of one engine, each opened when it is wanted."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.paths = Paths()
        self._wires: dict[WireKey, Wire] = {}

    def get(self, key: WireKey) -> Wire:
        """The socket that hears this. Raises OSError: EPERM without CAP_NET_RAW, ENODEV."""
        wire = self._wires.get(key)
        if wire is None:
            wire = self._wires[key] = Wire(self, key)
        return wire

    def forget(self, key: WireKey) -> None:
        """A socket is no more; the next probe opens another."""
        self._wires.pop(key, None)

    def close(self) -> None:
        """Give everything back."""
        for wire in list(self._wires.values()):
            wire.close()
        self.paths.close()
        _wires.pop(self.engine, None)


_wires: Final[dict[Engine, Wires]] = {}
"""Until the engine closes."""


def wires_of(engine: Engine) -> Wires:
    """The sockets that all checks of an engine share."""
    found = _wires.get(engine)
    if found is None:
        found = _wires[engine] = Wires(engine)
        engine.at_close.append(found.close)
    return found


class Wire:
    """One such socket (an ``engine.Watcher`` and ``Sleeper``)."""

    def __init__(self, wires: Wires, key: WireKey) -> None:
        self.alarm = 0
        self._wires = wires
        self._key = key
        self._receivers: dict[int, Receiver] = {}
        self._name = socket.if_indextoname(key.link)
        self._ethertype = _ETHERTYPE[key.vip.version]
        self._socket = RawSocket(
            socket.AF_PACKET,
            socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            0,  # hears nothing before it has its filter
        )
        try:
            attach(self._socket, answers(key.own, key.vip))
            with suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
            self._socket.bind((self._name, self._ethertype))
            wires.engine.watch(self._socket.fileno(), _EVENTS, self)
        except BaseException:
            self._socket.close()
            raise

    def join(self, port: int, receiver: Receiver) -> None:
        """Hear what comes to a port."""
        self._receivers[port] = receiver
        self._wires.engine.sleep(self)

    def leave(self, port: int) -> None:
        """Hear it no more."""
        self._receivers.pop(port, None)
        if not self._receivers and self._socket.fileno() >= 0:
            engine = self._wires.engine
            engine.wake(engine.now + IDLE_S, self)

    def send(self, packet: bytes, mac: bytes) -> None:
        """Send an IP packet to a MAC address. Raises OSError."""
        ethertype = _ETHERTYPE[packet[0] >> 4]
        try:
            self._socket.sendto(packet, (self._name, ethertype, 0, 0, mac))
        except OSError as error:
            if error.errno in _GONE:
                self.close()  # renamed or made anew: the next probe opens another
            raise

    def close(self) -> None:
        """Give the socket back."""
        self._wires.engine.sleep(self)
        self._wires.forget(self._key)
        if self._socket.fileno() >= 0:
            self._wires.engine.forget(self._socket.fileno())
            self._socket.close()

    def ring(self, _due: float) -> None:
        """Nobody has used it for a while (see ``engine.Sleeper``)."""
        if not self._receivers:
            self.close()

    def ready(self, _events: int) -> None:
        """Take what came (see ``engine.Watcher``)."""
        for _ in range(READS_MAX):
            try:
                packet = self._socket.recv(PACKET_MAX)
            except BlockingIOError:
                return
            except OSError:
                # The interface went down or away: the probes wait for their time to be over, and
                # the next one opens a socket anew.
                self.close()
                return
            came = segment.read(packet)
            if came is not None and (receiver := self._receivers.get(came.port)) is not None:
                receiver.receive(came)
                if self._socket.fileno() < 0:
                    return
        self._wires.engine.rearm(self._socket.fileno(), _EVENTS)
