"""Several datagrams in one system call (recvmmsg), which Python's sockets do not offer.

A dump of one service is two datagrams, the entries and the end; 1,000 services are read every
second. Where the C library lacks the call, ``Mailbox.make`` gives None.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from socket import MSG_DONTWAIT
from typing import Any, ClassVar, Final

SLOTS: Final = 16
SLOT_SIZE: Final = 65536
"""Bytes; the kernel's dumps come in pieces of 32 KiB at most. Pages never used cost nothing."""


class _Iovec(ctypes.Structure):
    _fields_: ClassVar = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Msghdr(ctypes.Structure):
    _fields_: ClassVar = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _Mmsghdr(ctypes.Structure):
    _fields_: ClassVar = [("header", _Msghdr), ("length", ctypes.c_uint)]


@cache
def _recvmmsg() -> Any:  # noqa: ANN401  a C function
    return getattr(ctypes.CDLL(None, use_errno=True), "recvmmsg", None)


class Mailbox:
    """Room for a few datagrams, used over and over."""

    def __init__(self) -> None:
        self._room = ctypes.create_string_buffer(SLOTS * SLOT_SIZE)
        self._view = memoryview(self._room).cast("B")
        base = ctypes.addressof(self._room)
        self._slots = (_Iovec * SLOTS)(
            *(_Iovec(base + number * SLOT_SIZE, SLOT_SIZE) for number in range(SLOTS))
        )
        self._headers = (_Mmsghdr * SLOTS)()
        for header, slot in zip(self._headers, self._slots, strict=True):
            header.header.iov = ctypes.pointer(slot)
            header.header.iov_length = 1

    @classmethod
    def make(cls) -> Mailbox | None:
        """A mailbox, or None where there is no recvmmsg."""
        return cls() if _recvmmsg() is not None else None

    def receive(self, descriptor: int) -> list[bytes]:
        """The datagrams that are there, up to ``SLOTS``. BlockingIOError: none; OSError."""
        count = _recvmmsg()(descriptor, self._headers, SLOTS, MSG_DONTWAIT, None)
        if count < 0:
            errno = ctypes.get_errno()
            raise OSError(errno, os.strerror(errno))
        return [
            bytes(self._view[at * SLOT_SIZE : at * SLOT_SIZE + self._headers[at].length])
            for at in range(count)
        ]
