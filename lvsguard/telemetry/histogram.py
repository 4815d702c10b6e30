"""Histograms that take ten thousand values in one turn: the library takes two locks for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from lvsguard.telemetry.exposition import Family, upper


class Durations:
    """Counts of durations in seconds, by upper bounds; an infinite one follows the last."""

    __slots__ = ("buckets", "edges", "seconds")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.buckets = [0] * (len(edges) + 1)
        """Not cumulative."""
        self.seconds = 0.0

    def observe(self, durations: Iterable[float]) -> None:
        """Count each of these."""
        for duration in durations:
            self.buckets[bisect_left(self.edges, duration)] += 1
            self.seconds += duration

    def add(self, buckets: Iterable[int], seconds: float) -> None:
        """Add what was counted elsewhere by the same bounds."""
        for at, count in enumerate(buckets):
            if count:  # one or two of them, in a batch of a second
                self.buckets[at] += count
        self.seconds += seconds

    def write(self, family: Family, labelled: str = "") -> None:
        """Its samples; ``labelled`` comes from ``exposition.labels``."""
        head = f"{labelled[:-1]}," if labelled else "{"
        counts = list(accumulate(self.buckets))
        for edge, count in zip((*map(upper, self.edges), "+Inf"), counts, strict=True):
            family.lines.append(f'{family.name}_bucket{head}le="{edge}"}} {count}\n')
        family.lines.append(f"{family.name}_sum{labelled} {self.seconds!r}\n")
        family.lines.append(f"{family.name}_count{labelled} {counts[-1]}\n")
