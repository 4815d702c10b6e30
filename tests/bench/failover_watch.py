"""Who held the VIP when, told by the kernels of both directors and by nobody under test.

`ip monitor address` in each director's namespace gives what was added and removed. A director that
was made dead holds nothing from then on, though its addresses stay in its namespace until it is
made as after a reboot. Times are wall clock, s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.director_observers import monitor_addresses
from tests.support.topology import VIP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.director_observers import AddressMonitor
    from tests.support.topology import Network

ADDRESS = f"{VIP}/24"


@dataclass(frozen=True, slots=True)
class Change:
    """A director that has the VIP from `at` on, or has it no more."""

    at: float
    director: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A time with the same holders."""

    begin: float
    end: float
    holders: frozenset[str]

    @property
    def took_s(self) -> float:
        return self.end - self.begin


def spans(changes: Iterable[Change], begin: float, end: float) -> list[Span]:
    """What was between two times, from all changes since the beginning of the world."""
    found: list[Span] = []
    holders: frozenset[str] = frozenset()
    since = begin
    for change in sorted(changes, key=lambda change: change.at):
        if change.at >= end:
            break
        after = holders | {change.director} if change.holds else holders - {change.director}
        if after != holders and change.at > since:
            found.append(Span(since, change.at, holders))
            since = change.at
        holders = after
    found.append(Span(since, end, holders))
    return found


def longest(found: Iterable[Span], holders: int) -> Span | None:
    """The longest span with so many holders, if there was one."""
    of_these = (span for span in found if len(span.holders) == holders)
    return max(of_these, key=lambda span: span.took_s, default=None)


@dataclass(slots=True)
class Watch:
    """Both directors' monitors, and when one was made dead."""

    monitors: dict[str, AddressMonitor]
    deaths: list[Change] = field(default_factory=list)
    _known: tuple[tuple[int, ...], frozenset[str]] = ((), frozenset())
    """Who held it when that much had been seen."""

    def pids(self) -> frozenset[int]:
        """The monitors' processes: they live through a death."""
        return frozenset(monitor.process.pid for monitor in self.monitors.values())

    def died(self, director: str, at: float) -> None:
        self.deaths.append(Change(at, director, holds=False))

    def changes(self) -> list[Change]:
        """All changes so far."""
        seen = [
            Change(change.at, name, change.added)
            for name, monitor in self.monitors.items()
            for change in monitor.changes(ADDRESS)
        ]
        return sorted([*seen, *self.deaths], key=lambda change: change.at)

    def holders(self) -> frozenset[str]:
        """Who holds it now. Reads what was seen only when there is more of it."""
        logs = [monitor.process.log for monitor in self.monitors.values()]
        seen = (*(log.stat().st_size for log in logs), len(self.deaths))
        if seen != self._known[0]:
            holders: set[str] = set()
            for change in self.changes():
                (holders.add if change.holds else holders.discard)(change.director)
            self._known = seen, frozenset(holders)
        return self._known[1]


def watch(network: Network) -> Watch:
    """Start watching both directors."""
    directors = (network.director1, network.director2)
    return Watch({host.name: monitor_addresses(host) for host in directors})
