"""The admin socket's file: made, given to its group, and taken from nobody who still lives."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import socket
import stat
from pathlib import Path

MODE = 0o660
BACKLOG = 16

log = logging.getLogger(__name__)


class SocketTaken(Exception):
    """The socket's place cannot be had. The message says what to do."""


class Door:
    """A listening unix socket at a path."""

    def __init__(self, path: Path, group: str) -> None:
        """Listen. Raises SocketTaken."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path)
            self.socket = _listen(path)
        except OSError as error:
            raise SocketTaken(
                f"cannot listen on {path}: {error.strerror or error}: its directory must "
                "be writable by the user that runs lvsguard, or set another [admin] socket"
            ) from error
        status = path.stat()
        self._identity = status.st_dev, status.st_ino
        _give(path, group)

    def close(self) -> None:
        """Take the file away, unless somebody else has put his own there."""
        with contextlib.suppress(OSError):
            status = self._path.stat()
            if (status.st_dev, status.st_ino) == self._identity:
                self._path.unlink()
        self.socket.close()


def _clear(path: Path) -> None:
    """Remove a socket that a dead daemon left."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketTaken(
            f"{path} exists and is no socket: move it away or set another [admin] socket"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # Its queue is full, so somebody has it.
    raise SocketTaken(
        f"another lvsguard answers on {path}: stop it first (systemctl stop lvsguard), "
        "or set another [admin] socket for this one"
    )


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        # Nobody may connect before the group is set.
        previous = os.umask(0o777 & ~0o600)
        try:
            listener.bind(str(path))
        finally:
            os.umask(previous)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _give(path: Path, group: str) -> None:
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        log.warning(
            "admin socket: there is no group %r, so only this user's own group may use %s: "
            "create it (groupadd --system %s) or set another [admin] group",
            group,
            path,
            group,
        )
    except PermissionError:
        log.warning(
            "admin socket: may not give %s to group %r: make the user that runs lvsguard "
            "a member of it",
            path,
            group,
        )
    path.chmod(MODE)
