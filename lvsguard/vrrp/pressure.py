"""How much of a flood is looked at: the budget of one interface's VRRP sockets. Pure.

Two steps. More packets than the budget in a slice of time: *pressed*, and the filter lets only a
sample of unknown senders through. Still more (a known sender is forged): *paused* until the slice
is over, and the kernel's buffer takes what fits. So the cost has a bound whatever is sent, and the
present master's adverts are the last to suffer.
"""

from __future__ import annotations

from typing import Final

SLICE: Final = 0.1
"""Seconds."""
BUDGET: Final = 500
"""Packets in a slice, at about 10 us each: 5 % of a CPU."""
BUDGET_PER_VRID: Final = 20
"""Added for each virtual router: two masters at the shortest interval of 10 ms."""
CALM: Final = 10
"""Slices in a row with less than half of the budget offered, after which the pressure is over."""


class Pressure:
    """Counts packets against the budget; time is an argument."""

    def __init__(self, vrids: int) -> None:
        """``vrids``: how many virtual routers the interface has."""
        self._budget = BUDGET + BUDGET_PER_VRID * vrids
        self._slice_ends = float("-inf")
        self._taken = 0
        self._offered = 0
        self._calm = 0
        self._pressed = False

    @property
    def pressed(self) -> bool:
        """Whether unknown senders are let through only as a sample."""
        return self._pressed

    def room(self, now: float) -> int:
        """How many packets may be read now."""
        if now >= self._slice_ends:
            self._turn(now)
        return max(self._budget - self._taken, 0)

    def note(self, taken: int, offered: int) -> None:
        """Packets that were read, and how many they stand for (a sample stands for many)."""
        self._taken += taken
        self._offered += offered
        if self._taken >= self._budget and not self._pressed:
            # What waits in the buffer came before the filter: it is worth one more budget.
            self._pressed, self._taken, self._calm = True, 0, 0

    def resume(self) -> float | None:
        """When reading may go on; None: it may now."""
        return self._slice_ends if self._taken >= self._budget else None

    def _turn(self, now: float) -> None:
        """A new slice. A slice in which nobody read was a calm one."""
        missed = int(min((now - self._slice_ends) / SLICE, CALM)) if self._pressed else 0
        self._calm = self._calm + 1 if self._offered < self._budget // 2 else 0
        if self._pressed and self._calm + missed >= CALM:
            self._pressed = False
        self._calm += missed
        self._slice_ends, self._taken, self._offered = now + SLICE, 0, 0
