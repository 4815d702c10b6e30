"""What is known of the VRRP process and of what it counted, for those who show it. Frozen values.

Roles and priorities are in ``snapshot.VipStatus``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AWAY_SECONDS = 5.0
"""A prober or the VRRP process may be gone for so long: it is started anew within a second or two.
"""


@dataclass(frozen=True, slots=True)
class ElectionCounts:
    """What one VRRP process has counted since it began; by VIP group where it is a mapping."""

    sent: Mapping[str, int]
    """Adverts, one for each path and peer."""
    received: Mapping[str, int]
    rejected: Mapping[str, Mapping[str, int]]
    """By VIP group, and there by reason."""
    discarded: Mapping[str, int]
    """Packets that no VIP group ever saw, by reason."""
    announced: int
    """ARP and ND frames."""
    conflicts: Mapping[str, int]
    """Adverts of another master."""
    claims: Mapping[str, int]
    """Answers of somebody else for a VIP, by ARP or ND."""
    lateness: Mapping[float, int]
    """Adverts by how late they left: not cumulative, by upper bound in seconds, the last one
    infinite."""
    lateness_sum: float
    """Seconds."""
    real_time: bool
    """Whether the process runs with real-time priority."""
    resigned: Mapping[str, int]
    """Adverts of priority 0 sent, by which a master gives up at once."""
    resignations: Mapping[str, int]
    """Those that were received."""
    late: Mapping[str, int]
    """Adverts that left late by more than half their interval, or not at all for that."""


@dataclass(frozen=True, slots=True)
class ElectionStatus:
    """How the VRRP process does."""

    alive: bool
    there: float
    """Wall clock of when it was last known to be there."""
    pid: int
    """0: none, or not known yet."""
    ready: Mapping[str, bool]
    """VIP groups that have an election, and whether this director can serve them."""
    counts: ElectionCounts | None
    """None: the process has not told yet."""

    def away(self, now: float) -> bool:
        """Whether the process is gone for longer than a restart takes; ``now``: wall clock."""
        return not self.alive and now - self.there > AWAY_SECONDS
