"""What a director that hands over sends of the connection table, and when. Pure.

The whole table when the handover begins, and what is new since then again and again until shortly
after the successor was heard: connections go on being opened meanwhile. Times are monotonic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf
from typing import Final

BEGUN_S: Final = (0.1, 0.2, 0.3, 0.4)
"""After a handover began: what is new is sent again."""
HEARD_S: Final = (0.0, 0.1, 0.3)
"""After the successor was heard: the last packets that came here."""
GIVE_S: Final = 2.0
"""After the successor was heard its VIP groups are still among those whose connections are sent."""
SAME_S: Final = 0.03
"""Repetitions nearer to each other than this are one."""


class Giving:
    """The handovers of all instances."""

    def __init__(self) -> None:
        self.active = False
        """Whether there is anybody to send to; else nothing more is planned."""
        self._until: dict[str, float] = {}
        """Instances that are handed over, and until when their connections are still sent."""
        self._whole: tuple[float, str] | None = None
        """When the whole table is to be sent, and of which VIP group that is told."""
        self._again: list[float] = []
        """When it is to be sent again; sorted."""

    @property
    def busy(self) -> bool:
        """Whether something is still to be sent."""
        return self._whole is not None or bool(self._again)

    def timer(self) -> float | None:
        """When ``due`` has something to say."""
        due = [*self._again[:1], *([self._whole[0]] if self._whole is not None else [])]
        return min(due, default=None)

    def keep(self, names: Collection[str]) -> None:
        """Forget all instances but these."""
        self._until = {name: until for name, until in self._until.items() if name in names}

    def __contains__(self, name: str) -> bool:
        """Whether an instance is being handed over."""
        return name in self._until

    def begins(self, name: str, vip: str, now: float) -> None:
        """A planned handover of an instance begins."""
        self._until[name] = inf
        self._plan(vip, now, BEGUN_S, now)

    def heard(self, name: str, vip: str, now: float) -> None:
        """Its successor was heard."""
        self._until[name] = now + GIVE_S
        self._plan(vip, None, HEARD_S, now)

    def lost(self, name: str, vip: str, now: float) -> None:
        """Another director took over without asking: all that it does not know is sent at once."""
        self._until[name] = now + GIVE_S
        self._plan(vip, now, HEARD_S[1:], now)

    def ends(self, name: str) -> None:
        """Nobody takes it over, or it cannot speak."""
        self._until.pop(name, None)

    def due(self, now: float) -> tuple[str | None, bool]:
        """The VIP group for which the whole is to be sent now, and whether to send what is new."""
        vip = None
        if self._whole is not None and self._whole[0] <= now:
            vip, self._whole = self._whole[1], None
        left = [at for at in self._again if at > now]
        again, self._again = len(left) < len(self._again), left
        return vip, again

    def expire(self, now: float) -> None:
        """Forget whom it was given long enough ago. After what ``due`` said was done."""
        self._until = {name: until for name, until in self._until.items() if now < until}

    def _plan(self, vip: str, whole: float | None, after: Iterable[float], now: float) -> None:
        if not self.active:
            return
        if whole is not None and self._whole is None:
            self._whole = whole, vip
        for seconds in after:
            at = now + seconds
            if all(abs(at - other) >= SAME_S for other in self._again):
                self._again.append(at)
        self._again.sort()
