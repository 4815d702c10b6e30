"""The canaries of one prober: one for each target (address, port, own address, timeout) and kind,
however many checks ask there.

Their files count against the prober's: a probe is worth more than a canary, which therefore get at
most half of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lvsguard.core.config import CanaryKind, Check
from lvsguard.core.health import Hint
from lvsguard.probes.canary import Canary
from lvsguard.probes.connection import Target
from lvsguard.probes.engine import Engine
from lvsguard.probes.greeting import Manner
from lvsguard.probes.hints import Hints
from lvsguard.probes.watched import Watched

Place = tuple[Target, CanaryKind, bool]
"""Where one is held, its kind at first, and whether the config says so."""


class Canaries:
    """All canaries (a ``canary.Owner``)."""

    def __init__(
        self, engine: Engine, hints: Hints, most: int, shift: Callable[[int], None]
    ) -> None:
        """Args: most: files that they may take; shift: is told how many more they have taken."""
        self.engine = engine
        self.open = 0
        """Connections that stand or are being made."""
        self._hints = hints
        self._most = most
        self._shift = shift
        self._canaries: dict[Place, Canary] = {}
        self._of: dict[Watched, tuple[Place, Canary]] = {}

    def join(self, running: Watched, check: Check) -> None:
        """Have a canary for a check, if it wants one."""
        spec = check.spec.canary
        if spec is None:
            return
        target = Target.of(check)
        if spec.port is not None:
            target = replace(target, address=(target.address[0], spec.port))
        manner = Manner.of(check, spec)
        place = target, manner.kind, manner.chosen
        canary = self._canaries.get(place)
        if canary is None:
            canary = Canary(self, target, manner.kind, fixed=manner.chosen)
            self._canaries[place] = canary
        canary.checks[running] = manner
        self._of[running] = place, canary
        canary.settle()

    def leave(self, check: Watched) -> None:
        """A check ends."""
        place, canary = self._of.pop(check, (None, None))
        if place is None or canary is None:
            return
        del canary.checks[check]
        if canary.checks:
            canary.settle()
        else:
            canary.end()
            del self._canaries[place]

    def changed(self, check: Watched) -> None:
        """A check's verdict changed."""
        found = self._of.get(check)
        if found is not None:
            found[1].settle()

    def starved(self, check: Watched) -> None:
        """A check's probe got a connection and no answer in time."""
        found = self._of.get(check)
        if found is not None:
            found[1].disturbs()

    def __iter__(self) -> Iterator[Canary]:
        return iter(self._canaries.values())

    def close(self) -> None:
        """End all of them."""
        for canary in self._canaries.values():
            canary.end()
        self._canaries.clear()
        self._of.clear()

    # -- canary.Owner ----------------------------------------------------------------------------

    def take_file(self) -> bool:
        """See ``canary.Owner``."""
        if self.open >= self._most:
            return False
        self.open += 1
        self._shift(1)
        return True

    def give_file_back(self) -> None:
        """See ``canary.Owner``."""
        self.open -= 1
        self._shift(-1)

    def sang(self, canary: Canary, hint: Hint) -> None:
        """See ``canary.Owner``."""
        for check in canary.checks:
            if check.up:
                self._hints.give(check, hint)

    def crowd(self) -> int:
        """See ``canary.Owner``."""
        return len(self._canaries)
