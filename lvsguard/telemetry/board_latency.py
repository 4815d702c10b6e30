"""How long the checks of each realserver take, by what probers count: a second's mean."""

from __future__ import annotations

from collections.abc import Iterable

from lvsguard.core.config import Check, Config
from lvsguard.core.tally import Tally


class Latencies:
    """By a realserver's place in the config, services first, as the view goes through them."""

    def __init__(self) -> None:
        self._digest = ""
        self._checks: list[tuple[Check, ...]] = []
        self._seconds: dict[Check, float] = {}

    def configure(self, config: Config) -> None:
        """Learn which checks each realserver has."""
        self._digest = config.digest
        self._checks = [r.checks for service in config.services for r in service.realservers]
        self.forget()

    def forget(self) -> None:
        """Nobody looked for a while."""
        self._seconds.clear()

    def take(self, tallies: Iterable[Tally]) -> None:
        """A batch of about a second."""
        for tally in tallies:
            if probes := sum(tally.codes.values()):
                self._seconds[tally.check] = tally.seconds / probes

    def of(self, digest: str, number: int) -> float | None:
        """Seconds of the slowest check of a realserver of this config; None: not known."""
        if digest != self._digest or number >= len(self._checks):
            return None
        known = [self._seconds[c] for c in self._checks[number] if c in self._seconds]
        return max(known, default=None)
