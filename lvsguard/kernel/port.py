"""The ports to Linux: what the rest of the project may ask of a kernel.

``kernel.ipvs`` and ``kernel.address`` answer on the real one; the tests' fake obeys the same rules.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lvsguard.core.model import IPAddress, Observation, ServiceKey, VipAddress
from lvsguard.core.step import IpvsStep, Step


class KernelError(Exception):
    """Linux refused, or could not be asked. The message says what to do next.

    ``errno`` is the kernel's, 0 when there was none (a timeout, a lost reply).
    """

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A step that the kernel refused.

    ``stale``: observed was old, so read again and go on (EEXIST; ESRCH: the service has gone;
    ENOENT: the realserver has gone). An unknown scheduler is ENOENT too, and not stale.
    """

    step: Step
    errno: int
    message: str
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """IPVS connection timeouts in seconds (ipvsadm --set)."""

    tcp: int
    tcp_fin: int
    udp: int


@dataclass(frozen=True, slots=True)
class Info:
    """What the kernel says about its IPVS."""

    version: str
    table_size: int
    """Buckets of the connection hash table."""


class SyncRole(StrEnum):
    """Role of the kernel's connection sync daemon."""

    MASTER = "master"
    BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class SyncDaemon:
    """A connection sync daemon of the kernel (ipvsadm --start-daemon)."""

    role: SyncRole
    interface: str
    sync_id: int = 0
    max_length: int = 0
    """Bytes of one message; 0: the kernel's choice."""
    group: str = ""
    port: int = 0
    ttl: int = 0


class Ipvs(Protocol):
    """The kernel's IPVS table. One writer at a time."""

    @property
    def writes(self) -> int:
        """Messages sent so far that change something."""

    async def read(self) -> Observation:
        """Everything in the table, foreign entries included. Raises KernelError.

        What did not change may be the same object as last time, ``services`` itself included.
        Linux adds the totals of the counters up every two seconds; the connections it counts as
        active and inactive are always those of now.
        """

    async def apply(self, steps: Sequence[IpvsStep]) -> tuple[StepFailure, ...]:
        """Apply steps of one phase, in batches. Returns what failed; raises KernelError when the
        kernel could not be asked at all."""

    async def info(self) -> Info:
        """Version and size of the connection table."""

    async def timeouts(self) -> Timeouts:
        """The connection timeouts."""

    async def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set the connection timeouts; a 0 leaves that one."""

    async def zero(self, service: ServiceKey | None = None) -> None:
        """Zero the counters of one service, or of all."""

    async def sync_daemons(self) -> tuple[SyncDaemon, ...]:
        """The sync daemons that run."""

    async def start_sync(self, daemon: SyncDaemon) -> None:
        """Start a sync daemon; EEXIST when one of that role runs."""

    async def stop_sync(self, role: SyncRole) -> None:
        """Stop the sync daemon of a role."""

    async def close(self) -> None:
        """Give the socket back."""


@dataclass(frozen=True, slots=True)
class AddressGone:
    """An address left an interface."""

    address: VipAddress


@dataclass(frozen=True, slots=True)
class AddressCame:
    """An address appeared on an interface."""

    address: VipAddress


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """An interface went up or down, came or left. ``up``: administratively up with carrier."""

    interface: str
    up: bool
    present: bool = True


@dataclass(frozen=True, slots=True)
class NeighbourFailed:
    """The kernel asked for a host on a link and gave up (NUD_FAILED)."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class ChangesLost:
    """Events were lost (ENOBUFS); whoever listens must read again."""


Change = AddressGone | AddressCame | LinkChanged | NeighbourFailed | ChangesLost


class Addresses(Protocol):
    """Addresses of this host's interfaces (rtnetlink)."""

    async def read(self, interfaces: Collection[str]) -> frozenset[VipAddress]:
        """Every address on these interfaces. An interface that is missing has none."""

    async def links(self, interfaces: Collection[str]) -> dict[str, bool]:
        """Which of these interfaces exist, and whether each is up with carrier."""

    async def add(self, address: VipAddress) -> bool:
        """Put an address on its interface (idempotent; IPv6 without DAD). False: was there."""

    async def remove(self, address: VipAddress) -> bool:
        """Take an address off its interface (idempotent). False: was not there."""

    def changes(self) -> AsyncIterator[Change]:
        """Changes as the kernel reports them, from the call on; ends with close()."""

    async def close(self) -> None:
        """Give the sockets back; ends changes()."""
