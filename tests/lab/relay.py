"""Join the serial lines of a guest to this process's stdin, stdout and stderr.

The guest never gets the caller's own descriptors: UML makes those non-blocking, which would
break every other program (make, a shell) that shares them.
"""

from __future__ import annotations

import contextlib
import os
import pty
import selectors
import sys
import termios
import time
import tty
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """The descriptors of both sides, and what is copied where."""

    guest_fds: tuple[int, ...]
    """For the guest: one terminal, or stdout and stderr."""
    from_guest: dict[int, int]
    """Read here, written there."""
    to_guest: dict[int, int]
    terminal: bool

    def close_guest_side(self) -> None:
        """Leave the guest as the only holder of its side, so that its end is seen."""
        for fd in self.guest_fds:
            os.close(fd)

    def copy_until_exit(self, process: subprocess.Popen[bytes], until: float) -> bool:
        """Copy until the guest has ended; return whether it did so in time (monotonic clock)."""
        routes = self.from_guest | self.to_guest
        with selectors.DefaultSelector() as selector:
            for source in routes:
                selector.register(source, selectors.EVENT_READ)
            while time.monotonic() < until:
                ended = process.poll() is not None
                ready = [key.fd for key, _ in selector.select(0 if ended else 0.1)]
                if ended and not self.from_guest.keys() & ready:
                    return True
                for source in ready:
                    if not _copy(source, routes[source]):
                        selector.unregister(source)
        return False


@contextlib.contextmanager
def open_relay() -> Iterator[Relay]:
    """Yield a terminal when the caller has one, else two pipes."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        with _terminal() as relay:
            yield relay
        return
    (out, guest_out), (err, guest_err) = os.pipe(), os.pipe()
    try:
        yield Relay(
            guest_fds=(guest_out, guest_err),
            from_guest={out: 1, err: 2},
            to_guest={},
            terminal=False,
        )
    finally:
        os.close(out)
        os.close(err)


@contextlib.contextmanager
def _terminal() -> Iterator[Relay]:
    near, far = pty.openpty()
    before = termios.tcgetattr(0)
    termios.tcsetwinsize(far, termios.tcgetwinsize(0))  # the guest's kernel reads it there
    tty.setraw(far)
    tty.setraw(0)
    try:
        yield Relay(guest_fds=(far,), from_guest={near: 1}, to_guest={0: near}, terminal=True)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.close(near)


def _copy(source: int, target: int) -> bool:
    """Copy what is there; return whether more may come."""
    try:
        data = memoryview(os.read(source, 65536))
    except OSError:  # EIO: the guest has closed its side of the terminal
        return False
    more = bool(data)
    while data:
        data = data[os.write(target, data) :]
    return more
