"""Sends announcements and questions about VIPs out of one interface, as whole frames (packet(7)).

Which and when is ``announce``'s business.
"""

from __future__ import annotations

import socket
from os import strerror

from lvsguard.core.frame import MAC_LENGTH, announcement, question, request
from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import InterfaceState
from lvsguard.kernel.port import KernelError


class FrameSocket:
    """A packet socket that only sends. It is opened and opened again by ``update``."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self._socket: socket.socket | None = None
        self._index = 0
        self._mac = b""
        self._router = False
        self._near: IPAddress | None = None
        self._announcements: dict[IPAddress, bytes] = {}

    def update(self, state: InterfaceState | None, *, router: bool) -> None:
        """Take in what became of the interface; ``router``: it forwards IPv6, which neighbour
        advertisements tell (net.ipv6.conf.INTERFACE.forwarding). Raises KernelError."""
        mac = state.mac if state is not None and len(state.mac) == MAC_LENGTH else b""
        if (mac, router) != (self._mac, self._router):
            self._mac, self._router = mac, router
            self._announcements.clear()
        held = state.addresses if state is not None else ()
        near = (one.address for one in held if one.usable and one.address.is_link_local)
        self._near = next((one for one in near if one.version == 6), None)
        index = state.index if state is not None else 0
        if index != self._index:
            self.close()
        if state is not None and self._socket is None:
            self._open(state)

    def announce(self, address: IPAddress) -> None:
        """Tell the network that the address is here. Raises KernelError."""
        frame = self._announcements.get(address)
        if frame is None and self._mac:
            frame = announcement(self._mac, address, router=self._router)
            self._announcements[address] = frame
        self._send(f"announce {address}", frame or b"")

    def ask(self, address: IPAddress) -> None:
        """Ask whether somebody else has the address; ``watch`` hears the answer. Raises
        KernelError."""
        frame = b""
        if self._mac and address.version == 6 and self._near is not None:
            # Asked from nowhere, whoever has it would answer to all nodes, who would believe it.
            frame = request(self._mac, self._near, address)
        elif self._mac:
            frame = question(self._mac, address)
        self._send(f"ask who has {address}", frame)

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._index = 0

    def _open(self, state: InterfaceState) -> None:
        try:
            # Protocol 0: it receives nothing.
            sock = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
            )
        except OSError as error:
            raise _explained("open a packet socket", self.interface, error) from error
        try:
            sock.bind((state.name, 0))
        except OSError as error:
            sock.close()
            raise _explained("bind a packet socket", self.interface, error) from error
        self._socket, self._index = sock, state.index

    def _send(self, what: str, frame: bytes) -> None:
        if self._socket is None or not frame:
            raise KernelError(
                f"cannot {what} on {self.interface}: the interface is not there or has no Ethernet"
                " address: look at ip link; VIPs are announced on Ethernet only"
            )
        try:
            self._socket.send(frame)
        except OSError as error:
            raise _explained(what, self.interface, error) from error


def _explained(what: str, interface: str, error: OSError) -> KernelError:
    number = error.errno or 0
    return KernelError(
        f"cannot {what} on {interface}: {strerror(number)}: it is tried again; check that it is up"
        " (ip link) and that the systemd unit gives CAP_NET_RAW and AF_PACKET",
        number,
    )
