"""Runs a tool of the host (arptables, nft) by exec, never through a shell."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from typing import Final

from lvsguard.kernel.port import KernelError

TIMEOUT_S: Final = 10.0
SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_PACKAGES: Final = {"nft": "nftables"}


class ToolError(KernelError):
    """A tool is missing, did not end in time, or failed; ``output`` is what it said."""

    def __init__(self, message: str, *, missing: bool = False, output: str = "") -> None:
        super().__init__(message)
        self.missing = missing
        self.output = output


async def run(argv: Sequence[str], stdin: str = "") -> str:
    """Run a tool and return its standard output. Raises ToolError."""
    name = argv[0]
    path = f"{os.environ.get('PATH', os.defpath)}:{SBIN}"
    program = shutil.which(name, path=path)
    if program is None:
        package = _PACKAGES.get(name, name)
        raise ToolError(
            f"{name} is not installed: install it (apt install {package}), or use --arp sysctl",
            missing=True,
        )
    process = await asyncio.create_subprocess_exec(
        program,
        *argv[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": path, "LC_ALL": "C"},
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        raise ToolError(
            f"{' '.join(argv)} did not end in {TIMEOUT_S:.0f} s: run it by hand to see why"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = err.decode("utf-8", "replace").strip()
        raise ToolError(
            f"{' '.join(argv)} failed (exit {process.returncode}): {_brief(said)}{_hint(said)}",
            output=said,
        )
    return out.decode("utf-8", "replace")


def _brief(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (lines[0] if lines else "it said nothing")[:300]


def _hint(said: str) -> str:
    if "modprobe" in said:  # legacy arptables loads them itself, which only root may
        return "; load the modules first: modprobe -a arptable_filter arpt_mangle"
    if "ermi" in said:  # "Permission denied", "Operation not permitted"
        return "; run as root, or with CAP_NET_ADMIN and CAP_NET_RAW"
    if "not supported" in said or "No such file" in said:
        return "; this kernel may lack it: use --arp sysctl"
    return "; run it by hand to see more, or use --arp sysctl"
