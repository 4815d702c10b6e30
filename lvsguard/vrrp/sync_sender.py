"""Sends sync messages to a multicast group, no faster than the peer takes them from its socket.

The peer's daemon has a socket buffer of net.core.rmem_default (208 KiB: some 90 messages) and no
way to say that it overflowed. It knows nothing of what is in the messages.
"""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Callable
from ipaddress import ip_address
from struct import Struct
from typing import Final

from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.transfer_message import Target

BURST: Final = 16
"""Messages sent at once."""
_MTU_USUAL: Final = 1500
"""With less the kernel's daemon makes its buffer no smaller (ip_vs_sync.c start_sync_thread)."""
_HEADERS: Final = {4: 20 + 8, 6: 40 + 8}
"""Bytes of IP and UDP before a message."""
_SIZE_MIN: Final = 256
_IFREQ: Final = Struct("=16si12x")
_SIOCGIFMTU: Final = 0x8921
_MREQN: Final = Struct("=4s4si")
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT = 10, 23, 0


class Pace:
    """How long to wait before each of many messages: bursts of ``BURST``, then as the rate asks.
    Pure; time is monotonic seconds."""

    __slots__ = ("_due", "_gap", "_left")

    def __init__(self, rate: int, now: float) -> None:
        """``rate``: messages a second."""
        self._gap = BURST / max(rate, 1)
        self._due = now
        self._left = BURST

    def delay(self, now: float) -> float:
        """Seconds until the next message may go; 0: now. To be called before every message."""
        if self._left:
            self._left -= 1
            return 0.0
        self._left = BURST - 1
        # Time that the reading took is not made up for by a larger burst.
        self._due = max(self._due + self._gap, now)
        return self._due - now


class SyncSender:
    """A socket that speaks to a group as the kernel's master does."""

    def __init__(
        self, target: Target, now: Callable[[], float], wait: Callable[[float], None]
    ) -> None:
        """Open it. Raises KernelError.

        Args:
            target: where to.
            now: the monotonic clock.
            wait: waits for some seconds; what it raises ends ``send``.
        """
        self.messages = 0
        self._now, self._wait = now, wait
        self._pace = Pace(target.rate, now())
        try:
            group = ip_address(target.group)
            index = socket.if_nametoindex(target.interface)
            family = socket.AF_INET if group.version == 4 else socket.AF_INET6
            self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        except (OSError, ValueError) as error:
            raise _failed(target, error) from error
        try:
            self._set_up(target, index)
            self.size_max = target.size_max or self._usual_size(target.interface, group.version)
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise _failed(target, error) from error
        self._target = target

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def send(self, message: bytes) -> None:
        """Send a message when it is its turn. Raises KernelError, and what ``wait`` raises."""
        delay = self._pace.delay(self._now())
        if delay > 0:
            self._wait(delay)
        try:
            self._socket.send(message)
        except OSError as error:
            raise _failed(self._target, error) from error
        self.messages += 1

    def _set_up(self, target: Target, index: int) -> None:
        sock = self._socket
        if sock.family == socket.AF_INET:
            joined = _MREQN.pack(bytes(4), bytes(4), index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, joined)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, target.ttl)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
            sock.connect((target.group, target.port))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, target.ttl)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
            sock.connect((target.group, target.port, 0, index))

    def _usual_size(self, interface: str, version: int) -> int:
        asked = _IFREQ.pack(interface.encode(), 0)
        mtu: int = _IFREQ.unpack(fcntl.ioctl(self._socket, _SIOCGIFMTU, asked))[1]
        return max(min(mtu, _MTU_USUAL) - _HEADERS[version], _SIZE_MIN)


def _failed(target: Target, error: OSError | ValueError | OverflowError) -> KernelError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return KernelError(
        f"cannot send to {target.group} port {target.port} on {target.interface}: {reason}: look"
        " at the interface of the connection sync (ip link)",
        getattr(error, "errno", 0) or 0,
    )
