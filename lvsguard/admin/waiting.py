"""When a drain is over, and when a realserver is back: judged from look to look. Pure.

Whoever waits asks again and again (realservers.RealserversReply), and hands each answer in with the
time. Times are monotonic seconds of the one who waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lvsguard.admin.realservers import FollowedService, RealserversReply
from lvsguard.admin.status_reply import RealserverReply
from lvsguard.core.health import Verdict
from lvsguard.core.override import Admin

QUIET_S = 2.0
"""For so long no packet of a client may come for a realserver whose clients have closed all
connections: one that has only closed its own side still acknowledges what it is sent, and the
kernel counts it as inactive all the same. Longer than a retransmission takes at first (1 s)."""
SYNC_S = 5.0
"""For so long a director that does not forward must know of no connection: the other one tells
within 2 s (net/netfilter/ipvs/ip_vs_sync.c, IPVS_SYNC_FLUSH_TIME), and counts no packet here."""
WINDOW_S = 10.0
"""The rate is that of these last seconds."""


class Place(NamedTuple):
    """A realserver of a service."""

    service: str
    address: str
    port: int

    @property
    def target(self) -> str:
        """As it is typed: ``10.0.0.42:80``; without its port where that is any."""
        if not self.port:
            return self.address
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )

    def __str__(self) -> str:
        return f"{self.target} in {self.service}"


@dataclass(frozen=True, slots=True)
class Left:
    """A realserver that is waited for, and why."""

    place: Place
    name: str
    connections: int
    """That are left; 0: it is something else that is waited for."""
    idle_s: float
    """For so long no packet of a client came for it."""
    why: str = ""
    """What is waited for, where it is no connection."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known after a look."""

    left: tuple[Left, ...]
    """Empty: it is over."""
    connections: int
    most: int
    """Connections at the time when there were most."""
    rate: float
    """Connections a second that have ended, over the last seconds."""
    lost: tuple[str, ...] = ()
    """What makes waiting pointless, one line each."""
    notes: tuple[str, ...] = ()
    """What else there is to know, one line each."""
    ended: frozenset[Place] = frozenset()
    """Realservers of which somebody has ended the drain."""
    dropped: frozenset[Place] = frozenset()
    """Realservers that are not in the configuration any more."""

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return not self.left and not self.lost


@dataclass(slots=True)
class _Watched:
    """What was seen of one realserver."""

    packets: int = -1
    quiet_since: float = 0.0
    """Since when no packet came, or, where that cannot be seen, no connection was known."""
    bare_since: float = 0.0
    """Since when nothing is left that is waited for."""
    reads: int = -1
    quiet_reads: int = 0
    """Reads of the kernel since then."""


@dataclass(slots=True)
class Emptying:
    """Follows realservers that drain until they are empty."""

    strict: bool = False
    """Whether connections that clients have closed count, too, until the kernel forgets them."""
    expected: frozenset[Place] = frozenset()
    """Those that must be there from the first look on."""
    _watched: dict[Place, _Watched] = field(default_factory=dict)
    _most: int = 0
    _counts: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self, replies: Iterable[RealserversReply], now: float) -> Progress:
        """Take answers in that are about the same realservers each time."""
        left: list[Left] = []
        lost: list[str] = []
        notes: dict[str, None] = {}
        gone, ended = self.expected.union(self._watched), set[Place]()
        for reply in replies:
            for service, one, place in _each(reply):
                gone -= {place}
                if service.quorum.have < service.quorum.need:
                    short = f"live weight {service.quorum.have}, needs {service.quorum.need}"
                    notes[f"service {service.name}: {short}"] = None
                if one.admin is Admin.READY:
                    ended.add(place)
                    lost.append(f"{place}: somebody has ended the drain: {one.reason}")
                if service.doubt:
                    notes[f"service {service.name}: {service.doubt}"] = None
                waiting = self._judge(service, one, place, reply.reads, now)
                left += [] if waiting is None else [waiting]
        lost += map(_dropped, sorted(gone))
        count = sum(one.connections for one in left)
        self._most = max(self._most, count)
        return Progress(
            tuple(left),
            count,
            self._most,
            self._rate(count, now),
            tuple(lost),
            tuple(notes),
            frozenset(ended),
            frozenset(gone),
        )

    def _judge(
        self, service: FollowedService, one: RealserverReply, place: Place, reads: int, now: float
    ) -> Left | None:
        """Why it is not empty; None: it is."""
        watched = self._watched.setdefault(place, _Watched(quiet_since=now, bare_since=now))
        count = one.connections.inactive if self.strict else 0
        if "inactive" in service.waits_for:
            count = 0  # it is in there already
        count += one.remaining
        _notice(watched, one, count, reads, now)
        idle = now - watched.quiet_since
        if one.weight is None and one.weight_read is None:
            return None  # out of the table: it gets nothing
        if one.weight != 0 or one.weight_read != 0:
            # Counted before the weight was 0, one more may have come since.
            return Left(place, one.name, count, idle, "the kernel has not been read since")
        if count:
            return Left(place, one.name, count, idle)
        if service.doubt:
            return Left(place, one.name, 0, idle, "its connections are not known here")
        if not service.here and now - watched.bare_since < SYNC_S:
            return Left(place, one.name, 0, idle, "the master may know of more")
        if one.connections.inactive and (idle < QUIET_S or watched.quiet_reads < 2):
            return Left(place, one.name, 0, idle, f"waiting for {QUIET_S:g} s without a packet")
        return None

    def _rate(self, count: int, now: float) -> float:
        self._counts.append((now, count))
        while self._counts[0][0] < now - WINDOW_S:
            self._counts.popleft()
        (began, before) = self._counts[0]
        return max(before - count, 0) / (now - began) if now > began else 0.0


def _notice(watched: _Watched, one: RealserverReply, count: int, reads: int, now: float) -> None:
    """Take in when packets last came, and since when nothing is left."""
    if one.connections.packets != watched.packets:
        watched.packets, watched.quiet_since, watched.quiet_reads = one.connections.packets, now, 0
    elif reads != watched.reads:
        watched.quiet_reads += 1
    watched.reads = reads
    if count:
        watched.bare_since = now


@dataclass(slots=True)
class Returning:
    """Follows realservers of which a drain or a disable has ended until they serve as before."""

    expected: frozenset[Place] = frozenset()
    """Those that must be there from the first look on."""
    _watched: set[Place] = field(default_factory=set)

    def look(self, replies: Iterable[RealserversReply], now: float) -> Progress:
        """Take answers in that are about the same realservers each time."""
        left: list[Left] = []
        lost: list[str] = []
        gone = self.expected.union(self._watched)
        for reply in replies:
            for _, one, place in _each(reply):
                gone -= {place}
                self._watched.add(place)
                if one.admin is not Admin.READY:
                    ending = "enable" if one.admin is Admin.DISABLED else "undrain"
                    lost.append(f"{place}: {one.reason}: `lvsguard {ending}` ends that")
                elif why := _awaited(one):
                    left.append(Left(place, one.name, 0, 0.0, why))
        lost += map(_dropped, sorted(gone))
        if not self.expected and not self._watched:
            lost.append(_NOBODY)
        return Progress(tuple(left), 0, 0, 0.0, tuple(lost), dropped=frozenset(gone))


_NOBODY = "it is not in the configuration: put it back there and reload, if it is to serve"


def _awaited(one: RealserverReply) -> str:
    """What keeps it from serving with its whole weight; empty: nothing."""
    if one.verdict is not Verdict.UP:
        return one.reason
    full = one.full_weight
    if one.weight == full and (full or one.configured_weight == 0):
        return ""
    return f"weight {one.weight or 0} of {full or one.configured_weight}: {one.reason}"


def _dropped(place: Place) -> str:
    return f"{place}: it is not in the configuration any more"


def _each(reply: RealserversReply) -> Iterator[tuple[FollowedService, RealserverReply, Place]]:
    for service in reply.services:
        for one in service.realservers:
            yield service, one, Place(service.name, one.address, one.port)
