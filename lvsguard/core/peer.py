"""What directors tell each other of themselves, and how two of them compare. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lvsguard.core.model import IPAddress

TOLD_MAX = 5
"""Differences that are told one by one."""


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


@dataclass(frozen=True, slots=True)
class VipPart:
    """A director's part in one VIP group."""

    name: str
    role: str
    ready: bool
    """Whether it may be master."""


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two directors see of the same services."""

    mine: int = 0
    """Healthy realservers, of the services that both have, as this director sees them."""
    theirs: int = 0
    differs: tuple[str, ...] = ()
    """Services of which they do not see the same, such as ``web: 2 of 2 healthy there, 1 here``."""
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
    unknown = False
    for name in mine if among is None else among:
        here, there = mine.get(name), theirs.get(name)
        if here is None or there is None or here.total != there.total:
            continue
        sums[0] += here.healthy
        sums[1] += there.healthy
        unknown |= here.unknown > 0 or there.unknown > 0
        if here.healthy != there.healthy:
            differs.append(
                f"{name}: {there.healthy} of {there.total} healthy there, {here.healthy} here"
            )
    return Comparison(sums[0], sums[1], tuple(differs), unknown)


def shortened(lines: Collection[str]) -> str:
    """The first of them, and how many more there are."""
    told = list(lines)[:TOLD_MAX]
    more = len(lines) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
