"""A command that is told of an event: no shell, the document on its input, an end in time.

It leads a session of its own, has a clean environment and none of the daemon's capabilities or
precedence. What it writes is read and thrown away, but for the beginning of its errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import Final

from lvsguard.core.hook import HookConfig, Occurrence
from lvsguard.hooks.body import body
from lvsguard.hooks.outcome import Told

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_BYTES: Final = 64 * 1024
"""That it may write; one that writes more is ended."""
SHOWN_BYTES: Final = 200
REST_S: Final = 0.2
REAP_S: Final = 5.0
"""How long a killed command may take to be gone; only one that is stuck in the kernel takes it."""


async def run(hook: HookConfig, occurrence: Occurrence) -> Told:
    """Run it once and wait for its end."""
    name = hook.argv[0]
    launcher = _launcher()
    if not launcher:
        return Told(
            "setpriv is missing, without which a hook would have the daemon's rights:"
            " install it (apt-get install util-linux)"
        )
    talk = _Talk()
    try:
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: talk,
            *launcher,
            *hook.argv,
            cwd="/",
            env={
                "PATH": PATH,
                "LANG": "C.UTF-8",
                "LVSGUARD_DIRECTOR": occurrence.director,
                "LVSGUARD_EVENT": occurrence.kind,
                "LVSGUARD_HOOK": hook.name,
            },
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Told(f"{name} cannot be run ({error}): look at its path and mode")
    try:
        _as_others(transport.get_pid())
        _feed(transport, body(occurrence))
        async with asyncio.timeout(hook.timeout):
            await talk.over.wait()
            await talk.rest()
    except TimeoutError:
        return Told(
            f"{name} was killed after {hook.timeout:g} s: make it faster, or its timeout longer"
        )
    finally:
        await _end(transport, talk)
    return Told(_judge(name, talk, transport.get_returncode()))


def _judge(name: str, talk: _Talk, status: int | None) -> str:
    """What was wrong; empty: nothing."""
    if talk.seen > OUTPUT_BYTES:
        return f"{name} was killed, it wrote more than {OUTPUT_BYTES} bytes: let it be quiet"
    if status is None:
        return f"{name} hangs in the kernel and cannot be killed: look at what it waits for"
    if status == 0:
        return ""
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    said = talk.errors.decode(errors="replace").strip().splitlines()[:1]
    text = "".join(c if c.isprintable() else "?" for c in "".join(said))
    return f"{name} ended {how}" + (f": {text}" if text else "")


class _Talk(asyncio.SubprocessProtocol):
    """What is heard of a command while it runs."""

    def __init__(self) -> None:
        self.seen = 0
        """Bytes that it wrote."""
        self.errors = b""
        """The beginning of its errors."""
        self.over = asyncio.Event()
        """It has ended, or has written too much."""
        self.gone = asyncio.Event()
        """It has ended."""
        self._closed = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.seen += len(data)
        if fd == 2:
            self.errors = (self.errors + data)[:SHOWN_BYTES]
        if self.seen > OUTPUT_BYTES:
            self.over.set()

    def process_exited(self) -> None:
        self.gone.set()
        self.over.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._closed.set()

    async def rest(self) -> None:
        """What it wrote last may come after its end; a child of it may hold the pipes for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REST_S):
                await self._closed.wait()


def _launcher() -> tuple[str, ...]:
    """What takes capabilities away before the command begins. Empty: it is not there."""
    setpriv = shutil.which("setpriv", path=PATH)
    if setpriv is None:
        return ()
    # An unprivileged daemon has ambient ones only, and may not call capset (SystemCallFilter).
    every = ("--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 else ()
    return (setpriv, "--ambient-caps=-all", *every, "--no-new-privs", "--")


def _feed(transport: asyncio.SubprocessTransport, document: bytes) -> None:
    """Give it the document, which it need not read."""
    pipe = transport.get_pipe_transport(0)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(document)
        pipe.write_eof()


def _as_others(pid: int) -> None:
    """Take the daemon's precedence over other processes from it."""
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, 0)


async def _end(transport: asyncio.SubprocessTransport, talk: _Talk) -> None:
    """Kill what is left of its group, close its pipes, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    transport.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_S):
            await talk.gone.wait()
