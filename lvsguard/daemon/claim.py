"""One daemon for each state directory: two would write over each other's overrides and history."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class StateTaken(Exception):
    """Another daemon keeps its state there."""


@contextlib.contextmanager
def claimed(directory: Path | None) -> Iterator[None]:
    """Hold the state directory for this process, and no child of it; made when missing.

    One that cannot be made or opened is not held: the journal tells what is wrong with it. Raises
    StateTaken.
    """
    descriptor = None if directory is None else _open(directory)
    if directory is None or descriptor is None:
        yield
        return
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int | None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateTaken(
            f"another lvsguard keeps its state in {directory}: stop it first (systemctl stop"
            " lvsguard), or set another [state] directory for this one"
        ) from None
    except OSError:
        pass  # a file system without locks
