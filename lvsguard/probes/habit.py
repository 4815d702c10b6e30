"""What a canary learns of its server: how long it lets a connection idle, and whether it wants one.

Pure: no socket, and time is an argument (monotonic seconds). It judges the server's manners, never
its health.
"""

from __future__ import annotations

import math
from typing import Final

SHORT_S: Final = 0.75
"""A connection that ends before this age was not wanted; no server's idle limit is as short."""
ALIKE: Final = 0.1
"""Two ages that differ by at most this share are the work of one idle limit."""
RENEW_AT: Final = 0.85
"""Share of the idle limit at which a connection is renewed; below ``1 - ALIKE``."""
TRIAL_AFTER: Final = 20
"""Renewals after which one connection is left alone, for the limit may have been raised."""
OUTLIVED: Final = 1.25
"""A connection of this share of the limit shows that there is no such limit."""
BACKOFF_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Pauses before opening, by how many connections in a row were short. The first is longer than
the burst of probes that a hint makes, so that the listener is gone if the server is."""
TOLD_MIN_S: Final = 1.0
"""A shorter limit that a server tells of is not heeded: it would be a connection each second."""
UNTAKEN_S: Final = 25.0
"""Age at which a connection is renewed that says nothing where requests are expected. Apache's
listeners hold one back for 30 s, which the kernel makes 31 (``secs_to_retrans`` in
net/core/request_sock.c), and then take it all the same: from then on it would keep a process of a
server waiting that has one for each connection."""
RETRY_S: Final = 600.0
"""Pause after giving up; a server may be mended without a reload."""


class Habit:
    """What is known of one server."""

    __slots__ = (
        "_aged",
        "_ended",
        "_most",
        "_opened",
        "_renewals",
        "_short",
        "_told",
        "_wrong",
        "limit",
        "why",
    )

    def __init__(self) -> None:
        self.limit: float | None = None
        """Seconds that the server lets a connection idle, once that is known."""
        self.why = ""
        """Why no connection is held for now; empty while one is."""
        self._opened = 0.0
        self._ended: float | None = None
        """The age at which the last connection was closed, until it is known what for."""
        self._aged: float | None = None
        """An age at which a connection was closed though the server was well."""
        self._short = 0
        self._renewals = 0
        self._most = math.inf
        self._told = False
        """Whether the limit is the server's own word."""
        self._wrong = False
        """Whether that was shown to be wrong: something before it may have another limit."""

    @property
    def given_up(self) -> bool:
        """Whether too many connections in a row were not wanted."""
        return self._short >= len(BACKOFF_S)

    def opened(self, now: float, told: float | None = None, most: float = math.inf) -> float | None:
        """A connection stands; returns when ``outgrown`` has to be asked.

        Args: told: the limit (seconds) of which the server speaks, such as HTTP's ``Keep-Alive:
        timeout=5``; most: age (seconds) at which it is renewed whatever is known.
        """
        self._opened, self._most = now, most
        self.why = ""
        if told is not None and told >= TOLD_MIN_S and not self._wrong:
            self.limit, self._told = told, True
        age = math.inf
        if self.limit is not None:
            is_trial = not self._told and self._renewals >= TRIAL_AFTER
            age = self.limit * (OUTLIVED if is_trial else RENEW_AT)
        age = min(age, self._most)
        return now + age if age < math.inf else None

    def outgrown(self, now: float) -> bool:
        """Whether the connection is to be renewed now; else it has outlived the limit."""
        age = now - self._opened
        if self.limit is not None:
            if self._told or self._renewals < TRIAL_AFTER:
                self._renewals += not self._told
                self._short = 0
                return True
            if age > self.limit * (1 + ALIKE):
                self.limit = self._aged = None
            self._renewals = 0
        if age < self._most:
            return False
        self._short = 0
        return True

    def closed(self, now: float, why: str, *, by_server: bool) -> float:
        """The connection ended, by the server's own FIN or otherwise; returns the pause."""
        age = now - self._opened
        self._ended = age if by_server else None
        if by_server and self._renewals >= TRIAL_AFTER:
            self._renewals = 0  # the trial is over, the limit stands
        return self._pause(age, why)

    def failed(self, why: str) -> float:
        """No connection came about; returns the pause before the next attempt."""
        self._ended = None
        return self._pause(0.0, why)

    def well(self) -> None:
        """The server is well after all: the age at its FIN was a limit of its own, if two agree."""
        age, self._ended = self._ended, None
        if age is None or age < SHORT_S:
            return
        before, self._aged = self._aged, age
        if before is not None and abs(age - before) <= ALIKE * max(age, before):
            self.limit, self._renewals = min(age, before), 0
            self._wrong, self._told = self._wrong or self._told, False

    def died(self) -> bool:
        """The server is down: that is no manner of its own. Whether to start afresh."""
        self._ended = None
        if self.given_up:
            return False
        self._short = 0
        return True

    def unwanted(self, why: str) -> float:
        """The connection does harm: give up at once; returns the pause before the next attempt."""
        self._ended, self._short, self.why = None, len(BACKOFF_S), why
        return RETRY_S

    def _pause(self, age: float, why: str) -> float:
        self._short = self._short + 1 if age < SHORT_S else 0
        if self.given_up:
            self.why = f"{self._short} connections in a row: {why}"
            return RETRY_S
        return BACKOFF_S[self._short]
