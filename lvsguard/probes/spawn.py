"""A prober process as the controller's side starts it, waits for it and ends it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Sequence


class ProberProcess:
    """A prober process, waited for without blocking the loop."""

    def __init__(self, command: Sequence[str], theirs: socket.socket) -> None:
        """Start it; ``OSError`` where that cannot be."""
        fd = theirs.fileno()
        self._popen = subprocess.Popen(
            [*command, str(fd)],
            stdin=subprocess.DEVNULL,
            pass_fds=[fd],
            # asyncio's transports read 256 KiB at once; below this they need no mmap for it.
            env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_ARENA_MAX": "1"},
        )
        self.pid = self._popen.pid
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    async def ending(self) -> str:
        """Wait for the end of a process that has closed its socket, and say what it was."""
        await asyncio.wait([self._ended], timeout=1.0)
        status = self._popen.returncode
        if status is None:
            return "killed, it closed its socket but went on"
        if status < 0:
            return f"signal {-status}"
        return f"exit status {status}"

    async def kill(self) -> None:
        """End it, if it has not ended, and wait for that."""
        if not self._ended.done():
            self._popen.kill()
        await self._ended

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._popen.wait()
        self._ended.set_result(None)
