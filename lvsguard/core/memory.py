"""What must be remembered of a service from one decision to the next.

Values only; ``rules`` says what becomes of them, the controller keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lvsguard.core.model import RealserverKey


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one service."""

    lost: bool | None = None
    """Whether its quorum is lost; None: there are too few verdicts to say so."""
    out: frozenset[RealserverKey] = frozenset()
    """Realservers that were seen down or taken out, and have not come back. Only kept where there
    is a slow start."""
    rising: Mapping[RealserverKey, float] = field(default_factory=dict)
    """Realservers in slow start, and when it began (monotonic seconds)."""
    panic: float = 0.0
    """Until when panic lasts (monotonic seconds): infinite while too little is live, and some time
    more once enough is; in the past: there is none."""


NEW = Memory()
