"""A link of this network namespace, or of a socket's, up and down without starting a program."""

from __future__ import annotations

import fcntl
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
"""netdevice(7): SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP."""


def switch_link(sock: socket.socket, name: str, *, up: bool) -> None:
    """Set a link up or down in the namespace that the socket was made in. Raises OSError."""
    (flags,) = struct.unpack_from("16xh", fcntl.ioctl(sock, _GET_FLAGS, _request(name)))
    flags = flags | _UP if up else flags & ~_UP
    fcntl.ioctl(sock, _SET_FLAGS, _request(name, flags))


def _request(name: str, flags: int = 0) -> bytes:
    """A ``struct ifreq``."""
    return struct.pack("16sh14x", name.encode(), flags)
