"""What the VRRP process still has to tell a controller that is slow, or away. Pure.

Events are kept for a while, the last ones of them also for a controller that is not there: a role
that changed while it was started anew matters. Of a picture (a state, the counts) only the newest
is worth anything. So what is kept is bounded, however long nobody reads.
"""

from __future__ import annotations

from collections import deque
from typing import Final

EVENTS_MAX: Final = 500


class Outbox:
    """Packets in the order in which they go out: what is urgent, events, pictures."""

    def __init__(self) -> None:
        self._urgent: deque[bytes] = deque()
        self._events: deque[bytes] = deque(maxlen=EVENTS_MAX)
        self._pictures: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._urgent) + len(self._events) + len(self._pictures)

    @property
    def greeting(self) -> bool:
        """Whether the first is a greeting."""
        return bool(self._urgent)

    def greet(self, packet: bytes) -> None:
        """Begin anew with a greeting: the pictures were for another one, the events still count."""
        self._urgent.clear()
        self._urgent.append(packet)
        self._pictures.clear()

    def event(self, packet: bytes) -> None:
        """Add an event; the oldest makes room."""
        self._events.append(packet)

    def picture(self, key: str, packet: bytes) -> None:
        """Add a picture in place of the one before."""
        self._pictures[key] = packet

    def drop(self, key: str) -> None:
        """A picture of something that is no more."""
        self._pictures.pop(key, None)

    def first(self) -> bytes | None:
        """What goes out next."""
        if self._urgent:
            return self._urgent[0]
        if self._events:
            return self._events[0]
        return next(iter(self._pictures.values()), None)

    def sent(self) -> None:
        """The first has gone out."""
        if self._urgent:
            self._urgent.popleft()
        elif self._events:
            self._events.popleft()
        else:
            self._pictures.pop(next(iter(self._pictures)))
