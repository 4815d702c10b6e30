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
from asyncio.subprocess import PIPE, Process
from typing import Final

from lvsguard.core.hook import HookConfig, Occurrence
from lvsguard.hooks.body import body
from lvsguard.hooks.outcome import Told

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_BYTES: Final = 64 * 1024
"""Of each stream; a command that writes more is ended."""
SHOWN_BYTES: Final = 200
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
    try:
        process = await asyncio.create_subprocess_exec(
            *launcher,
            *hook.argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
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
        async with asyncio.timeout(hook.timeout):
            said = await _talk(process, body(occurrence))
            status = await process.wait()
    except TimeoutError:
        return Told(
            f"{name} was killed after {hook.timeout:g} s: make it faster, or its timeout longer"
        )
    except _TooMuch:
        return Told(f"{name} was killed, it wrote more than {OUTPUT_BYTES} bytes: let it be quiet")
    finally:
        await _end(process)
    if status == 0:
        return Told()
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return Told(f"{name} ended {how}" + (f": {said}" if said else ""))


class _TooMuch(Exception):
    """It writes without end."""


def _launcher() -> tuple[str, ...]:
    """What takes capabilities away before the command begins. Empty: it is not there."""
    setpriv = shutil.which("setpriv", path=PATH)
    if setpriv is None:
        return ()
    # An unprivileged daemon has ambient ones only, and may not call capset (SystemCallFilter).
    every = ("--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 else ()
    return (setpriv, "--ambient-caps=-all", *every, "--no-new-privs", "--")


async def _talk(process: Process, document: bytes) -> str:
    """Give it the document; the beginning of its errors."""
    given, output, complaints = process.stdin, process.stdout, process.stderr
    if given is None or output is None or complaints is None:
        raise TypeError("the process has no pipes")
    _as_others(process)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_feed(given, document))
            group.create_task(_read(output))
            errors = group.create_task(_read(complaints))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    text = errors.result().decode(errors="replace").strip().splitlines()
    return "".join(c if c.isprintable() else "?" for c in text[0])[:SHOWN_BYTES] if text else ""


async def _feed(stream: asyncio.StreamWriter, document: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read it
        stream.write(document)
        await stream.drain()
        stream.close()
        await stream.wait_closed()


async def _read(stream: asyncio.StreamReader) -> bytes:
    kept, seen = b"", 0
    while chunk := await stream.read(4096):
        seen += len(chunk)
        if seen > OUTPUT_BYTES:
            raise _TooMuch
        kept = (kept + chunk)[:SHOWN_BYTES]
    return kept


def _as_others(process: Process) -> None:
    """Take the daemon's precedence over other processes from it."""
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 0)


async def _end(process: Process) -> None:
    """Kill what is left of its group, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_S):
            await process.wait()
