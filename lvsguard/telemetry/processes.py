"""What the daemon's processes take of the machine, read from /proc when asked: a few small reads.

prometheus_client's own ``process_*`` tell of the controller's process only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lvsguard.telemetry import catalog, catalog_checks
from lvsguard.telemetry.exposition import Family, Form, labels

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProberLoad(NamedTuple):
    """How a prober fares, as it said last."""

    lateness: float
    """Seconds that its probes began late, at worst in the last second."""
    in_flight: int
    waiting: int
    """Probes that wait for a socket."""


class Machine(NamedTuple):
    """The daemon's processes, by name: ``controller``, ``vrrp``, ``prober0`` ..."""

    pids: Mapping[str, int]
    """0: it does not run."""
    loads: Mapping[str, ProberLoad]
    """Probers that have said how they fare."""


def usage(pid: int) -> tuple[float, int] | None:
    """CPU seconds and resident bytes of a process; None where it has just ended (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK, int(fields[21]) * _PAGE
    except (OSError, IndexError, ValueError):
        return None


def pieces(machine: Machine, form: Form) -> Iterator[bytes]:
    """The families' text."""
    cpu, resident = Family(catalog.PROCESS_CPU), Family(catalog.PROCESS_RESIDENT)
    for name, pid in machine.pids.items():
        if pid and (used := usage(pid)) is not None:
            labelled = labels(process=name)
            cpu.add(labelled, used[0])
            resident.add(labelled, used[1])
    late, flying = Family(catalog_checks.PROBER_LATENESS), Family(catalog_checks.PROBER_IN_FLIGHT)
    waiting = Family(catalog_checks.PROBER_WAITING)
    for name, load in machine.loads.items():
        labelled = labels(process=name)
        late.add(labelled, load.lateness)
        flying.add(labelled, load.in_flight)
        waiting.add(labelled, load.waiting)
    for family in (cpu, resident, late, flying, waiting):
        yield from family.pieces(form)
