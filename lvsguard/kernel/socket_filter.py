"""Gives a socket a filter, which the kernel runs on every packet before it costs anything more."""

from __future__ import annotations

import ctypes
import socket
from _socket import socket as RawSocket  # the base of socket.socket
from collections.abc import Iterable
from typing import Final

from lvsguard.core.bpf import Instruction, wire

# Not in Python's socket module: asm-generic/socket.h
_SO_ATTACH_FILTER: Final = 26


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def attach(sock: RawSocket, instructions: Iterable[Instruction]) -> None:
    """Give a socket a classic BPF filter, in place of the one it has. Raises OSError."""
    code = wire(instructions)
    room = ctypes.create_string_buffer(code, len(code))
    fprog = _Program(len(code) // 8, ctypes.cast(room, ctypes.c_char_p))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(fprog))
