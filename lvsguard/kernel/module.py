"""Kernel modules: asks modprobe for one, by exec and never through a shell."""

from __future__ import annotations

import asyncio
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from typing import Final

PATIENCE: Final = 30.0
"""Seconds given to modprobe; a module may have to be read from a slow disk."""
_PLACES: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


async def load(module: str) -> str | None:
    """Load a module; None when that worked or it was there, else what modprobe said."""
    if not _NAME.match(module):
        return f"{module!r} is no name of a module"
    modprobe = shutil.which("modprobe") or shutil.which("modprobe", path=_PLACES)
    if modprobe is None:
        return "there is no modprobe: install kmod"
    try:
        process = await asyncio.create_subprocess_exec(
            modprobe, "--", module, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )
    except OSError as error:
        return f"{modprobe} does not run: {error.strerror}"
    try:
        async with asyncio.timeout(PATIENCE):
            _nothing, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"{modprobe} did not end within {PATIENCE:.0f} s"
    except BaseException:
        process.kill()
        raise
    if process.returncode == 0:
        return None
    return said.decode(errors="replace").strip()[:200] or f"status {process.returncode}"
