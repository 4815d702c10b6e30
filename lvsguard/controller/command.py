"""Runs a command that a priority depends on: no shell, no input, no output, an end in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence

from lvsguard.core.track import Finding

REAP_S = 1.0
"""How long a killed command may take to be gone; only one that is stuck in the kernel takes it."""


class Command:
    """One command, run again and again, never twice at once.

    It leads a session of its own, and what is in its process group is killed with it when its time
    is over or the caller is cancelled. It inherits the daemon's environment and capabilities, not
    its precedence.
    """

    def __init__(self, argv: Sequence[str], timeout: float) -> None:
        """``timeout``: seconds that a run may take."""
        self._argv = tuple(argv)
        self._timeout = timeout
        self._process: Process | None = None

    async def look(self) -> Finding:
        """Whether it ends with 0 in time."""
        name = self._argv[0]
        if self._process is not None and self._process.returncode is None:
            return Finding(False, f"command {name} hangs in the kernel and cannot be killed")
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
            )
        except OSError as error:
            return Finding(False, f"command {name} cannot be run ({error.strerror})")
        except ValueError as error:
            return Finding(False, f"command {name} cannot be run ({error})")
        _as_others(self._process)
        try:
            async with asyncio.timeout(self._timeout):
                status = await self._process.wait()
        except TimeoutError:
            return Finding(False, f"command {name} was killed after {self._timeout:g} s")
        finally:
            await _end(self._process)
        if status == 0:
            return Finding(True)
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return Finding(False, f"command {name} ended {how}")


def _as_others(process: Process) -> None:
    """Take the daemon's precedence over other processes from a command."""
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        with contextlib.suppress(OSError):  # it has ended, or has given way by itself
            os.setpriority(os.PRIO_PROCESS, process.pid, 0)


async def _end(process: Process) -> None:
    """Kill what has not ended by itself, and reap it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_S):
            await process.wait()
