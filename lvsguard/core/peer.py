"""What directors tell each other of themselves, and how two of them compare. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lvsguard.core.config_keys import Keys
from lvsguard.core.model import IPAddress

TOLD_MAX = 5
"""Differences that are told one by one."""
DOWN_MAX = 16
"""Realservers of a service that are named as down."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """The channel to the other directors."""

    address: IPAddress
    """This director's own, that the others know it by."""
    port: int
    others: tuple[tuple[str, IPAddress], ...]
    """Name and address of each."""
    credential: bytes = field(default=b"", repr=False)
    """Certificate and key, in PEM."""


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """How a director sees one service."""

    healthy: int
    """Realservers whose verdict is up, drained ones included."""
    unknown: int
    """Realservers without a verdict."""
    total: int
    live: int
    """Live weight."""
    down: tuple[str, ...] = ()
    """Names of realservers whose verdict is down, the first ``DOWN_MAX``."""


@dataclass(frozen=True, slots=True)
class VipPart:
    """A director's part in one VIP group."""

    name: str
    role: str
    ready: bool
    """Whether it may be master."""
    priority: int = 0
    """In force now; 0: not told."""
    why: str = ""
    """The first thing that keeps it from being master, or that lowers its priority."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a director tells of itself."""

    version: str
    """Of lvsguard."""
    config: str
    """Digest of the configuration in force."""
    programmed: bool
    """Whether its kernel holds all that it should."""
    vips: tuple[VipPart, ...] = ()
    services: Mapping[str, ServiceHealth] = field(default_factory=dict)
    """By name."""
    keys: Keys = field(default_factory=dict, repr=False)
    """Digests of the configuration's keys."""
    trouble: tuple[str, ...] = ()
    """The first lines of what is wrong there."""
    probers_lacking: int = 0
    """Prober processes that do not run."""
    modules_lacking: tuple[str, ...] = ()
    """Kernel modules that its configuration wants and its kernel does not have."""
    sync_lacking: tuple[str, ...] = ()
    """Roles of the kernel's sync daemons that should run and do not."""
    table: str = ""
    """Digest of whom it wants new connections to be given to; empty: not told."""
    table_lacks: str = ""
    """Why it may not know all connections; empty: it does."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two directors see of the same services."""

    mine: int = 0
    """Healthy realservers, of the services that both have, as this director sees them."""
    theirs: int = 0
    differs: tuple[str, ...] = ()
    """Services of which they do not see the same, such as ``web: 2 of 2 healthy there, 1 here
    (10.0.0.43 down here)``."""
    worse: tuple[str, ...] = ()
    """Those of them of which the other one sees fewer healthy realservers, or one down that is up
    here, though others may be up there alone."""
    unknown: bool = False
    """Whether one of the two lacks verdicts."""


def compare(
    mine: Mapping[str, ServiceHealth],
    theirs: Mapping[str, ServiceHealth],
    among: Collection[str] | None = None,
) -> Comparison:
    """Hold two pictures side by side; ``among``: of these services alone.

    A service that one does not know, or has with another number of realservers, says nothing:
    then their configurations differ, and not what they see.
    """
    sums = [0, 0]
    differs: list[str] = []
    worse: list[str] = []
    unknown = False
    for name in mine if among is None else among:
        here, there = mine.get(name), theirs.get(name)
        if here is None or there is None or here.total != there.total:
            continue
        sums[0] += here.healthy
        sums[1] += there.healthy
        unknown |= here.unknown > 0 or there.unknown > 0
        if here.healthy == there.healthy and here.down == there.down:
            continue
        named, lost = _named(here, there), _lost(here, there)
        if here.healthy != there.healthy or named or lost:
            line = f"{name}: {there.healthy} of {there.total} healthy there, {here.healthy} here"
            differs.append(f"{line} ({named})" if named else line)
            if there.healthy < here.healthy or lost:
                worse.append(differs[-1])
    return Comparison(sums[0], sums[1], tuple(differs), tuple(worse), unknown)


def _lost(here: ServiceHealth, there: ServiceHealth) -> bool:
    """Whether a realserver is down there that is up here, for certain."""
    if here.unknown or len(here.down) >= DOWN_MAX:
        return False
    return any(name not in here.down for name in there.down)


def _named(here: ServiceHealth, there: ServiceHealth) -> str:
    """The realservers that one of them sees down and the other does not."""
    if max(len(here.down), len(there.down)) >= DOWN_MAX:
        return ""  # some are not named, and may be the same
    told = [f"{name} down there" for name in there.down if name not in here.down]
    told += [f"{name} down here" for name in here.down if name not in there.down]
    return shortened(told)


def shortened(lines: Collection[str]) -> str:
    """The first of them, and how many more there are."""
    told = list(lines)[:TOLD_MAX]
    more = len(lines) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
