"""New connections a second, from totals that were looked at again and again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import Status

WINDOW_S = 5.0
"""The daemon reads the kernel each second or so, and it is asked each second or so: over less than
a few of both a rate would jump."""

Place = tuple[str, str, int]
"""A realserver: its service's name, its address and port."""


class Rates:
    """The totals of the last few seconds, of realservers that are in the kernel's table."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[Place, int]]] = deque()

    def take(self, at: float, status: Status) -> None:
        """A look, at a time in seconds."""
        self._looks.append(
            (
                at,
                {
                    (service.name, one.address, one.port): one.connections.total
                    for service in status.services
                    for one in service.realservers
                    if one.weight_read is not None
                },
            )
        )
        # The last one before the window stays: with it the window is whole.
        while len(self._looks) > 2 and at - self._looks[1][0] >= WINDOW_S:
            self._looks.popleft()

    def forget(self) -> None:
        """The daemon was away: who knows what was counted meanwhile."""
        self._looks.clear()

    def of(self, place: Place) -> float | None:
        """New connections a second; None: not known yet, or not in the kernel's table now."""
        if len(self._looks) < 2:
            return None
        ended, last = self._looks[-1]
        # The kernel goes on counting from where it was with an entry that was out for a while.
        began, first = next((look for look in self._looks if place in look[1]), self._looks[-1])
        if place not in last or ended <= began:
            return None
        # A total that shrank is that of an entry that was made anew.
        return max(last[place] - first[place], 0) / (ended - began)
