"""What is logged of those who misuse the admin socket: each kind of it once a minute at most."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

TELL_S: Final = 60.0
KINDS_MAX: Final = 64
"""Kinds of misuse that are remembered as told; more are told of when those are forgotten."""
MISUSE: Final = frozenset({"too-large", "too-slow", "busy"})
"""Codes of refusals that no command of ours would meet."""

log = logging.getLogger(__name__)


class Misuse:
    """Tells the log of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}

    def tell(self, who: str, what: str, why: str) -> None:
        """``who`` has asked for ``what``, which was refused."""
        now, key = self._clock(), (who, what)
        self._told = {kind: at for kind, at in self._told.items() if now - at < TELL_S}
        if key in self._told or len(self._told) >= KINDS_MAX:
            return
        self._told[key] = now
        log.warning("admin: %s of %s was refused: %s", what, who, why)

    def crowd(self) -> None:
        """A connection was sent away because there are too many."""
        self.tell("somebody", "a connection", "there are too many connections: who holds them?")
