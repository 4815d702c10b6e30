"""Play worlds, one for each seed, and add up what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from lvsguard.vrrp.election import Election
from tests.sim.faults import Faults
from tests.sim.scenario import Scenario
from tests.sim.world import World


@dataclass(slots=True)
class Tally:
    """What was seen in some worlds."""

    hours: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    none_longest: float = 0.0
    """Of the bound."""
    two_longest: float = 0.0
    """Of the bound."""
    unserved: float = 0.0
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add other worlds."""
        self.hours += other.hours
        self.counts += other.counts
        self.none_longest = max(self.none_longest, other.none_longest)
        self.two_longest = max(self.two_longest, other.two_longest)
        self.unserved += other.unserved
        self.violations += other.violations

    def __str__(self) -> str:
        """One line."""
        counts = ", ".join(f"{self.counts[name]:,} {name}" for name in sorted(self.counts))
        return (
            f"{self.hours:.1f} h: {counts}; longest without a master {self.none_longest:.2f} and "
            f"with two {self.two_longest:.2f} of the bound; {len(self.violations)} violations"
        )


def play(
    scenario: Scenario,
    hours: float,
    kinds: tuple[str, ...] = (),
    trace: Callable[[str], None] | None = None,
    kind: type[Election] = Election,
) -> Tally:
    """Play one world for some hours of its time, with an election of some kind."""
    world = World(scenario, trace=trace, kind=kind)
    Faults(world, kinds).begin()
    world.run(hours * 3600)
    world.watch.finish()
    watch = world.watch
    return Tally(
        hours,
        world.counts,
        watch.none_longest,
        watch.two_longest,
        watch.unserved,
        watch.violations,
    )
