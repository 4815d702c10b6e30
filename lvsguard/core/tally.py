"""Counts of probes that a prober sends in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lvsguard.core.config import Check

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the duration histogram in seconds; an infinite one follows."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one check did since the last batch."""

    check: Check
    codes: Mapping[str, int]
    """Probes by result code (L7OK, L4CON, ...)."""
    seconds: float
    """Sum of the durations."""
    buckets: tuple[int, ...]
    """Not cumulative: len(BUCKETS) + 1 counts."""
    last: float
    """Wall clock of the latest probe's end."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Probes that failed, by failure class."""
    expires: float = 0.0
    """Wall clock of the end of the certificate that was shown; 0: none was seen."""
