"""Directors take turns at a choice that must know of all overrides, such as a share to drain. Pure.

It is the mutual exclusion of Lamport ("Time, Clocks, and the Ordering of Events in a Distributed
System", 1978) with what directors tell each other anyway: each beat says since when its sender
wants a turn, and which turns of others it knows of. Who asked first by the hybrid logical clock is
first on all of them. Nothing is granted by somebody, so nobody who is gone can hold a turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lvsguard.core.ledger import HybridClock, Stamp

COUNTER_MAX: Final = 2**31
"""No director counts as far; a turn that does must not make this one's leave what can be told."""


@dataclass(frozen=True, slots=True)
class Told:
    """What another director's last beat says of turns."""

    turn: Stamp | None
    """Since when it wants or has one; None: it does not."""
    known: Mapping[str, Stamp]
    """Turns of others that it knows of, by director."""
    same: bool
    """Whether it holds the same overrides as this one."""


class Turns:
    """This director's turn, and those of others that it knows of."""

    def __init__(self, director: str) -> None:
        """``director``: this one."""
        self._director = director
        self._clock = HybridClock(director)
        self._own: Stamp | None = None
        self._known: dict[str, Stamp] = {}

    @property
    def own(self) -> Stamp | None:
        """Since when this director wants or has a turn; None: it does not."""
        return self._own

    @property
    def known(self) -> Mapping[str, Stamp]:
        """Turns of others, by director."""
        return MappingProxyType(self._known)

    def begin(self, now: float) -> None:
        """Want a turn (``now``: wall clock)."""
        self._own = self._clock.tick(now)

    def end(self) -> None:
        """Want none any more."""
        self._own = None

    def hear(self, director: str, turn: Stamp | None) -> bool:
        """Another one wants this turn, or none. Whether it waits for a word that this is known."""
        if turn is None:
            self._known.pop(director, None)
            return False
        news = self._known.get(director) != turn
        self._known[director] = turn
        if turn.counter < COUNTER_MAX:
            self._clock.observe(turn)
        return news

    def lets(self, told: Told) -> bool:
        """Whether another director lets this one go first: it knows of the turn, so that its own
        next one is later; it is not first itself; and what it has chosen before is known here."""
        own = self._own
        first = told.turn is not None and own is not None and told.turn < own
        return told.known.get(self._director) == own and not first and told.same
