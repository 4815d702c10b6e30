"""Who may try the peer channel, and how often; and what is told of those that are cut off.

A handshake costs CPU, so it is begun only with addresses of directors, and only so often.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.core.peer_event import PeerRefused

TRIES_MAX: Final = 10
"""Connections of one address within ``WINDOW_S``; a director tries about one a second."""
WINDOW_S: Final = 2.0
PENDING_MAX: Final = 8
"""Connections that have not yet said hello, in all."""
TELL_S: Final = 60.0
KINDS_MAX: Final = 64
"""Of refusals that are remembered as told."""


class Gate:
    """Lets connections in by their address and number."""

    def __init__(self, emit: Callable[[PeerRefused], None]) -> None:
        self._emit = emit
        self._tries: dict[str, tuple[float, int]] = {}
        self._told: dict[tuple[str, str], float] = {}
        self.pending = 0
        """Connections that were admitted and have not yet said hello."""
        self.refused = 0
        """Connections that were cut off so far."""

    def admits(self, address: str, known: Collection[IPAddress], now: float) -> bool:
        """Whether a connection of this address may try; the tries of strangers are not kept."""
        if all(address != str(one) for one in known):
            self.refuse(address, "it is no director of [peer] addresses", now)
            return False
        begun, count = self._tries.get(address, (now, 0))
        if now - begun >= WINDOW_S:
            begun, count = now, 0
        self._tries[address] = begun, count + 1
        if count >= TRIES_MAX or self.pending >= PENDING_MAX:
            self.refuse(address, "it opens too many connections", now)
            return False
        return True

    def refuse(self, address: str, why: str, now: float) -> None:
        """Count a connection that was cut off; tell it, if that was not done lately."""
        self.refused += 1
        key = (address, why)
        if now - self._told.get(key, -TELL_S) < TELL_S:
            return
        if len(self._told) >= KINDS_MAX:
            self._told = {k: at for k, at in self._told.items() if now - at < TELL_S}
            if len(self._told) >= KINDS_MAX:
                return
        self._told[key] = now
        self._emit(PeerRefused(address, why))
