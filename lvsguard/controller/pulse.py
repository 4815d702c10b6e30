"""How the loop does, for whoever watches it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lvsguard.core.model import IPAddress, ServiceKey
from lvsguard.core.step import Subject


@dataclass(slots=True)
class Pulse:
    """How the loop does. Wall clock and seconds."""

    passes: int = 0
    last_pass: float = 0.0
    pass_seconds: float = 0.0
    read_seconds: float = 0.0
    last_read: float = 0.0
    """Monotonic seconds at which the last read ended."""
    reads: int = 0
    read_cpu_seconds: float = 0.0
    """CPU time of all reads so far."""
    failed_passes: int = 0
    programmed: bool = False
    refused: frozenset[Subject] = frozenset()
    """What the kernel lacks, by address or mark; not programmed and none of it: it could not be
    asked."""

    def holds(self, addresses: Collection[IPAddress]) -> bool:
        """Whether the kernel holds what is wanted for these VIPs. Nobody knows by which address
        marked packets come."""
        concerned = (isinstance(one, ServiceKey) or one in addresses for one in self.refused)
        return self.programmed or (bool(self.refused) and not any(concerned))

    def read(self, ended: float, seconds: float, cpu: float) -> None:
        """The kernel was read, until ``ended`` (monotonic), in so many seconds, for so many of
        which this process worked."""
        self.reads += 1
        self.last_read = ended
        self.read_seconds = seconds
        self.read_cpu_seconds += cpu
