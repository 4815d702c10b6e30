"""Which kernel modules are there, loaded or built in. Reads, loads nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

SYSFS = Path("/sys/module")
LIBRARY = Path("/lib/modules")


def lacking(
    names: Iterable[str], sysfs: Path = SYSFS, builtin: Path | None = None
) -> tuple[str, ...]:
    """Those of these modules that the kernel does not have now.

    ``builtin``: the list of what is built in (kmod's ``modules.builtin``), by default the running
    kernel's.
    """
    absent = [name for name in dict.fromkeys(names) if not (sysfs / name).exists()]
    if not absent:
        return ()
    there = _builtin(builtin or LIBRARY / os.uname().release / "modules.builtin")
    return tuple(name for name in absent if name not in there)


def _builtin(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(
        line.rpartition("/")[2].removesuffix(".ko").replace("-", "_") for line in lines
    )
