"""When VIPs are announced, and how many of them at a time. Pure: time is an argument.

A new master announces at once and again a while later, because a switch or a neighbour may have
missed the first (its port was still learning, its queue was full). Hundreds of addresses several
times over are thousands of frames: they go out in slices, round by round, so that every address
has been announced once before any is announced twice, and an advert is due at most one slice late.
What is sent, and through which socket, is ``frame`` and ``frame_socket``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from lvsguard.core.model import IPAddress

SLICE: Final = 32
"""Frames sent at one wake. A frame costs about 5 us on hardware, 50 us in user-mode Linux."""
GAP: Final = 0.002
"""Seconds between slices: at most 16,000 frames a second, which a switch's CPU can take in."""


class Cause(StrEnum):
    """Why addresses are announced."""

    MASTER = "master"
    """This director became master."""
    LINK = "link"
    """The interface or its carrier was gone for a moment, too short for a change of role: a switch
    has forgotten everything."""
    CONTESTED = "contested"
    """Another master was heard and gave way: neighbours may have learnt its MAC address."""
    REFRESH = "refresh"


class Announcement(NamedTuple):
    """One frame to send: this address, out of this interface."""

    interface: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often to announce. The defaults are keepalived's, but for the refresh, which it has off.

    ``repeat`` frames for each address now, ``repeat_again`` more after ``delay`` seconds, and
    ``refresh_repeat`` every ``refresh`` seconds after that (0: never).
    """

    repeat: int = 5
    delay: float = 5.0
    repeat_again: int = 5
    refresh: float = 60.0
    refresh_repeat: int = 1


DEFAULT: Final = Rhythm()


class Announcer:
    """What is due when, for the VIPs of all instances of one process.

    ``announce`` and ``stop`` say what should happen, ``timer`` when to come back, ``take`` which
    frames to send now. Instances whose bursts overlap take turns frame by frame.
    """

    def __init__(
        self, rhythm: Rhythm = DEFAULT, *, slice_size: int = SLICE, gap: float = GAP
    ) -> None:
        """``slice_size``: frames that ``take`` gives at most; ``gap``: seconds between slices."""
        self._rhythm = rhythm
        self._slice = slice_size
        self._gap = gap
        self._slice_at = float("-inf")
        self._instances: dict[str, _Plan] = {}

    def announce(
        self, instance: str, items: Iterable[Announcement], cause: Cause, now: float
    ) -> None:
        """Begin: a burst now, another after the delay, then the refresh.

        While a burst of the same addresses runs (a lower-priority master may be heard many times a
        second) it is topped up where it stands, so that a round always comes to its end.
        """
        wanted = tuple(items)
        if not wanted:
            self.stop(instance)
            return
        plan = self._instances.setdefault(instance, _Plan(self._rhythm))
        plan.announce(wanted, cause, now)

    def stop(self, instance: str) -> None:
        """Announce nothing more of an instance: the addresses are somebody else's now."""
        self._instances.pop(instance, None)

    def hold(self, instance: str, until: float) -> None:
        """Announce nothing of an instance before then, unless it is begun anew."""
        if instance in self._instances:
            self._instances[instance].held_until = until

    def timer(self) -> float | None:
        """When ``take`` has something next; it may be in the past. None: never."""
        due = [at for plan in self._instances.values() if (at := plan.due_at()) is not None]
        return max(min(due), self._slice_at) if due else None

    def take(self, now: float) -> tuple[Announcement, ...]:
        """The frames to send now, at most a slice of them."""
        if now < self._slice_at:
            return ()
        taken: list[Announcement] = []
        for plan in self._instances.values():
            plan.start_due(now)
        while len(taken) < self._slice and (
            ready := [name for name, plan in self._instances.items() if plan.ready(now)]
        ):
            for name in ready[: self._slice - len(taken)]:
                # Whoever had its turn goes to the end, also for the next slice.
                plan = self._instances.pop(name)
                taken.append(plan.take())
                self._instances[name] = plan
        if taken:
            self._slice_at = now + self._gap
        return tuple(taken)


class _Plan:
    """What is still to be sent for one instance."""

    def __init__(self, rhythm: Rhythm) -> None:
        self.left = 0
        """Frames of the present burst that are still to be sent."""
        self.held_until = float("-inf")
        self._rhythm = rhythm
        self._items: tuple[Announcement, ...] = ()
        self._next = 0
        self._burst_at = 0.0
        self._again_at: float | None = None
        self._refresh_at: float | None = None

    def announce(self, items: tuple[Announcement, ...], cause: Cause, now: float) -> None:
        self.held_until = float("-inf")
        if items != self._items:
            self._items, self._next, self.left = items, 0, 0
        if cause is Cause.REFRESH:
            self._burst(self._rhythm.refresh_repeat, now)
            return
        self._burst(self._rhythm.repeat, now)
        if self._rhythm.repeat_again > 0:
            self._again_at = now + self._rhythm.delay
        self._plan_refresh(now)

    def due_at(self) -> float | None:
        if self.left:
            return max(self._burst_at, self.held_until)
        due = [at for at in (self._again_at, self._refresh_at) if at is not None]
        return max(min(due), self.held_until) if due else None

    def ready(self, now: float) -> bool:
        """Whether there is a frame to send now."""
        return self.left > 0 and now >= self.held_until

    def start_due(self, now: float) -> None:
        if now < self.held_until:
            return
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            self._burst(self._rhythm.repeat_again, now)
            self._plan_refresh(now)
        elif self._refresh_at is not None and now >= self._refresh_at:
            self._burst(self._rhythm.refresh_repeat, now)
            self._plan_refresh(now)

    def take(self) -> Announcement:
        item = self._items[self._next]
        self._next = (self._next + 1) % len(self._items)
        self.left -= 1
        return item

    def _burst(self, rounds: int, now: float) -> None:
        self.left = max(self.left, rounds * len(self._items))
        self._burst_at = now

    def _plan_refresh(self, now: float) -> None:
        every = self._rhythm.refresh
        self._refresh_at = now + every if every > 0 else None
