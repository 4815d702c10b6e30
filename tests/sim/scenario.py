"""What a world is made of, drawn from its seed, and the bounds that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from random import Random

from lvsguard.vrrp.advert import Version
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.timing import longest_master_down

VIP = IPv4Address("10.0.0.8")
VIP6 = IPv6Address("fd00::8")
LOSSES = 2
"""Adverts lost in a row from which on a link counts as cut until one gets through."""
LATENESS = 0.005
"""Seconds by which a process that does not stall may be late."""


@dataclass(frozen=True, slots=True)
class Network:
    """What the network does to each packet on each link, independently."""

    delay: float
    """Least one-way delay."""
    jitter: float
    """Added to it, uniformly from 0: packets that follow closely are reordered."""
    loss: float
    duplication: float
    corruption: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """For how long a state that should not be may last, in real seconds.

    With I the longest advert interval, D the longest one-way delay, T the greatest lateness of a
    timer, and clocks that are wrong by a part R:

    none = 4 I (1 + 2 R) + D + 6 T. A director that could be master hears at most one more advert
    (on its way for D) and then waits for its master-down interval, at most 3 + 255/256 intervals on
    its own clock; up to five wake-ups in between and the last one may be late by T each.

    two = (LOSSES + 1) (I (1 + 2 R) + T) + D. Of two masters that hear each other one loses by the
    rules as soon as one advert of the other gets through, of which there is one each interval.

    leaving = none. Two directors that both offer what they have wait for a successor for the
    longest master-down interval.
    """

    none: float
    two: float
    leaving: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world."""

    seed: int
    directors: tuple[Settings, ...]
    drifts: tuple[float, ...]
    """How much faster than real time each one's clock goes."""
    network: Network
    fault_every: float
    """Mean seconds between faults; 0: none."""
    sixes: tuple[IPv6Address, ...] = ()
    """Where directors have an IPv6 address too, and so each a group of two: theirs."""

    @property
    def groups(self) -> tuple[tuple[Settings, ...], ...]:
        """Of each director the members of its group."""
        if not self.sixes:
            return tuple((one,) for one in self.directors)
        both = zip(self.directors, self.sixes, strict=True)
        return tuple((one, replace(one, addresses=(VIP6,), local=six)) for one, six in both)

    @property
    def bounds(self) -> Bounds:
        """What must hold in it."""
        interval = max(one.interval for one in self.directors)
        version = self.directors[0].version
        wrong = 1 + 2 * max(abs(drift) for drift in self.drifts)
        delay = self.network.delay + self.network.jitter
        none = longest_master_down(version, interval) * wrong + delay + 6 * LATENESS
        return Bounds(none, (LOSSES + 1) * (interval * wrong + LATENESS) + delay, none)


def draw(seed: int, *, interval: float = 0.1, version: Version = Version.V3) -> Scenario:
    """The world of a seed: 2 to 5 directors, priorities that may be equal, a network."""
    random = Random(f"scenario {seed}")
    number = 2 + seed % 4
    priorities = [random.choice((1, 50, 100, 100, 150, 200, 254)) for _ in range(number)]
    if random.random() < 0.1:
        priorities[0] = 255
    directors = tuple(
        _director(random, index, priority, interval, version)
        for index, priority in enumerate(priorities)
    )
    network = Network(
        delay=random.choice((0.0001, 0.001, 0.02)) * interval * 10,
        jitter=random.choice((0.0001, 0.005, 0.03)) * interval * 10,
        loss=random.choice((0.0, 0.01, 0.05)),
        duplication=random.choice((0.0, 0.02)),
        corruption=random.choice((0.0, 0.001)),
    )
    drifts = tuple(random.uniform(-0.01, 0.01) for _ in range(number))
    last = list(range(number))
    random.shuffle(last)  # whose address is greater has nothing to do with the IPv4 ones
    two = random.random() < 0.5 and version is Version.V3
    sixes = tuple(IPv6Address("fe80::40") + one for one in last) if two else ()
    return Scenario(seed, directors, drifts, network, fault_every=10.0, sixes=sixes)


def _director(
    random: Random, index: int, priority: int, interval: float, version: Version
) -> Settings:
    return Settings(
        vrid=51,
        addresses=(VIP,),
        local=IPv4Address("10.0.0.40") + index,
        priority=priority,
        # In version 3 directors may speak at intervals of their own.
        interval=interval * (2 if version is Version.V3 and random.random() < 0.1 else 1),
        version=version,
        preempt=random.random() < 0.8,
        preempt_delay=random.choice((0.0, 0.0, 2.0)),
        start_delay=random.choice((0.0, 0.0, 0.5)),
        unready_drop=random.choice((None, 40)),
    )
