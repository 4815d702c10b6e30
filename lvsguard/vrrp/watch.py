"""Hears whether somebody else on the network claims a VIP: the sign of a split brain.

A host that has the VIP answers a probe for it (``frame.question``), or announces it by itself;
both come by here. A realserver that is set up rightly does neither. What to do about a claim is
decided elsewhere.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from os import strerror
from typing import Final

from lvsguard.core.bpf import one_of
from lvsguard.core.frame import ArpOperation, Neighbour, mac_text, parse_arp
from lvsguard.core.model import IPAddress
from lvsguard.kernel import neighbour_socket
from lvsguard.kernel.interface_watch import InterfaceState
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.announce import Rhythm

QUESTIONS: Final = Rhythm(repeat=0, delay=1.0, repeat_again=1, refresh=1.0, refresh_repeat=1)
"""When to ask for an own VIP, for an ``announce.Announcer`` of questions: a second after it was
taken over, and every second. Not at once: the old master, which lets go when it hears our
advert, would answer, by ND to all nodes, and undo the announcement."""
BATCH: Final = 64
"""Packets that one ``read`` takes of each kind."""

_FRAME_MAX: Final = 256
_ARP_SENDER: Final = 28
"""Offset of the sender's address in a frame."""
_TARGET_END: Final = 20
"""Offset of the last four octets of the target in a neighbour advertisement."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody else says that a VIP is at this MAC address (``02:00:00:00:00:29``; empty where the
    packet did not tell)."""

    address: IPAddress
    mac: str
    asked: bool = field(default=False, compare=False)
    """Whether it answers a question of this director's, and nobody else heard it."""


def claim_in_arp(frame: bytes, vips: Set[IPAddress], own_macs: Set[bytes]) -> Claim | None:
    """The claim that an ARP frame makes: its sender's address is a VIP and its sender's MAC address
    none of ours (RFC 5227 section 2.4). A probe for the VIP is no claim."""
    arp = parse_arp(frame)
    if arp is None or arp.sender not in vips or arp.sender_mac in own_macs:
        return None
    asked = arp.operation is ArpOperation.REPLY and arp.target_mac in own_macs
    return Claim(arp.sender, mac_text(arp.sender_mac), asked)


def claim_in_neighbour(
    neighbour: Neighbour | None, vips: Set[IPAddress], own_macs: Set[bytes]
) -> Claim | None:
    """The claim that a neighbour advertisement makes. A solicitation makes none."""
    if neighbour is None or not neighbour.advertisement or neighbour.target not in vips:
        return None
    mac = neighbour.mac or neighbour.source_mac
    if mac in own_macs:
        return None
    return Claim(neighbour.target, mac_text(mac), neighbour.solicited)


class ClaimWatch:
    """Listens on one interface for claims of these VIPs. Never waits.

    ARP comes by a packet socket, neighbour advertisements by a raw ICMPv6 one, so that a busy
    director's IPv6 packets pass no filter of ours.
    """

    def __init__(self, interface: str, vips: Iterable[IPAddress]) -> None:
        """No socket is opened before the first ``update``."""
        self.interface = interface
        self._vips = frozenset(vips)
        self._own_macs: frozenset[bytes] = frozenset()
        self._poll = select.epoll()
        self._arp: socket.socket | None = None
        self._icmp: socket.socket | None = None
        self._index = 0

    def fileno(self) -> int:
        """The descriptor that is readable when ``read`` has something; -1 when closed."""
        return -1 if self._poll.closed else self._poll.fileno()

    def update(self, state: InterfaceState | None, own_macs: Iterable[bytes] = ()) -> None:
        """Take in what became of the interface. ``own_macs``: more MAC addresses of this director
        (the virtual one; those of its other interfaces, of which one on the same segment answers
        for every address of the host). Raises KernelError."""
        self._own_macs = frozenset(own_macs) | ({state.mac} if state is not None else frozenset())
        index = state.index if state is not None else 0
        if index == self._index:
            return
        self._close_sockets()
        if state is None:
            return
        try:
            if any(one.version == 4 for one in self._vips):
                self._arp = self._open_arp(state)
            if any(one.version == 6 for one in self._vips):
                self._icmp = self._open_icmp(state)
        except OSError as error:
            self._close_sockets()
            raise KernelError(
                f"cannot watch for other holders of the VIPs on {self.interface}:"
                f" {strerror(error.errno or 0)}: check that the systemd unit gives CAP_NET_RAW and"
                " AF_PACKET, and that the interface is there (ip link)",
                error.errno or 0,
            ) from error
        self._index = index

    def read(self) -> list[Claim]:
        """The claims that came, each once."""
        found: list[Claim | None] = []
        if self._arp is not None:
            found += self._arp_claims(self._arp)
        if self._icmp is not None:
            found += self._neighbour_claims(self._icmp)
        return list(dict.fromkeys(claim for claim in found if claim is not None))

    def close(self) -> None:
        """Give the sockets back."""
        self._close_sockets()
        self._poll.close()

    def _arp_claims(self, sock: socket.socket) -> Iterator[Claim | None]:
        """What each of the frames that wait claims."""
        for _ in range(BATCH):
            try:
                frame = sock.recv(_FRAME_MAX)
            except OSError:  # nothing there, or the interface went down: its return is an update
                return
            yield claim_in_arp(frame, self._vips, self._own_macs)

    def _neighbour_claims(self, sock: socket.socket) -> Iterator[Claim | None]:
        for _ in range(BATCH):
            try:
                neighbour = neighbour_socket.receive(sock)
            except OSError:
                return
            yield claim_in_neighbour(neighbour, self._vips, self._own_macs)

    def _open_arp(self, state: InterfaceState) -> socket.socket:
        words = [int(one) for one in self._vips if isinstance(one, IPv4Address)]
        sock = neighbour_socket.arp(state.name, one_of(words, _ARP_SENDER))
        try:
            self._poll.register(sock.fileno(), select.EPOLLIN)
        except BaseException:
            sock.close()
            raise
        return sock

    def _open_icmp(self, state: InterfaceState) -> socket.socket:
        words = {int(one) & 0xFFFF_FFFF for one in self._vips if isinstance(one, IPv6Address)}
        sock = neighbour_socket.advertisements(state.name, one_of(sorted(words), _TARGET_END))
        try:
            self._poll.register(sock.fileno(), select.EPOLLIN)
        except BaseException:
            sock.close()
            raise
        return sock

    def _close_sockets(self) -> None:
        for sock in (self._arp, self._icmp):
            if sock is not None:
                sock.close()
        self._arp = self._icmp = None
        self._index = 0
