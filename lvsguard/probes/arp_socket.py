"""Questions out of one interface, and the answers to them: ARP and neighbour discovery.

Answers are told by address and MAC address; what they mean is ``arp``'s business.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from typing import Final

from lvsguard.core.bpf import ACCEPT_ALL, one_of
from lvsguard.core.frame import MAC_LENGTH, request
from lvsguard.core.model import IPAddress
from lvsguard.kernel import neighbour_socket
from lvsguard.probes.engine import Engine

Heard = Callable[[bytes, bytes], None]
"""Takes the packed address and the MAC address that answers; empty where the answer does not say,
which means the one that was asked."""

BATCH: Final = 256
"""Answers taken in a row before others get their turn."""
RECEIVE_BUFFER: Final = 1 << 20
"""Bytes asked for: the answers of a thousand hosts of one moment, at the kernel's own count."""

_EVENTS: Final = select.EPOLLIN | select.EPOLLET
_FRAME_MAX: Final = 64
_ARP_SIZE: Final = 42
_REPLY: Final = 0x0604_0002
"""Lengths of the addresses and the operation in an ARP reply for IPv4 over Ethernet (RFC 826)."""
_LENGTHS: Final = 18
"""Their offset in a frame."""
_ETHERNET: Final = 1
"""ARPHRD_ETHER."""


class Unusable(OSError):
    """Nothing can be asked on an interface. Its text says why and what to do."""


class ArpSocket:
    """One interface, one address family (an ``engine.Watcher``)."""

    def __init__(self, engine: Engine, interface: str, version: int, heard: Heard) -> None:
        """Open it. Raises Unusable."""
        self._engine = engine
        self._interface = interface
        self._heard = heard
        self._read = self._arp_answers if version == 4 else self._neighbour_answers
        opened: list[socket.socket] = []
        try:
            opened.append(_listen(interface, version))
            opened.append(_speak(interface) if version == 6 else opened[0])
            self.mac = _mac(opened[1], interface)
            self._fd = opened[0].fileno()
            engine.watch(self._fd, _EVENTS, self)
        except OSError as error:
            for sock in opened:
                sock.close()
            raise _explained(interface, error) from error
        self._ear, self._mouth = opened

    def ask(self, frame: bytes) -> None:
        """Send a question. Raises OSError."""
        self._mouth.send(frame)

    def question(self, source: IPAddress, address: IPAddress, to: bytes) -> bytes:
        """The frame that asks for an address; ``to``: see ``frame.request``."""
        return request(self.mac, source, address, to)

    def ready(self, _events: int) -> None:
        """Take what came (see ``engine.Watcher``)."""
        for count, (address, mac) in enumerate(self._read(), 1):
            self._heard(address, mac)
            if count == BATCH:
                self._engine.rearm(self._fd, _EVENTS)
                return

    def close(self) -> None:
        """Give the sockets back."""
        self._engine.forget(self._fd)
        self._ear.close()
        self._mouth.close()

    def _arp_answers(self) -> Iterator[tuple[bytes, bytes]]:
        receive = self._ear.recv
        while True:
            try:
                frame = receive(_FRAME_MAX)
            except OSError:  # nothing left, or the interface went down: the next question tells
                return
            if len(frame) >= _ARP_SIZE:
                yield frame[28:32], frame[22:28]

    def _neighbour_answers(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            try:
                neighbour = neighbour_socket.receive(self._ear)
            except OSError:
                return
            if neighbour is not None and neighbour.advertisement:
                yield neighbour.target.packed, neighbour.mac


def _listen(interface: str, version: int) -> socket.socket:
    if version == 4:
        replies = one_of([_REPLY], _LENGTHS)
        return neighbour_socket.arp(interface, replies, buffer=RECEIVE_BUFFER)
    return neighbour_socket.advertisements(interface, ACCEPT_ALL, buffer=RECEIVE_BUFFER)


def _speak(interface: str) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(socket.AF_PACKET, kind, 0)  # protocol 0: it receives nothing
    try:
        sock.bind((interface, 0))
    except BaseException:
        sock.close()
        raise
    return sock


def _mac(sock: socket.socket, interface: str) -> bytes:
    """The interface's MAC address (packet(7), struct sockaddr_ll)."""
    _name, _protocol, _kind, hardware, mac = sock.getsockname()
    if hardware != _ETHERNET or len(mac) != MAC_LENGTH:
        raise Unusable(f"{interface} is no Ethernet interface")
    return bytes(mac)


def _explained(interface: str, error: OSError) -> Unusable:
    if isinstance(error, Unusable):
        return error
    hint = "check that it is there and up (ip link)"
    if error.errno in (errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT):
        hint = "the systemd unit must give CAP_NET_RAW and AF_PACKET"
    return Unusable(f"{interface}: {os.strerror(error.errno or 0).lower()}: {hint}")
