"""Passive signs: what the kernel's counters of a service say of its realservers. Pure.

A client whose connection establishes sends at least SYN, ACK and its request; one that gets no
answer sends SYNs only. So packets for each new connection, which the kernel counts anyway, show a
realserver that its own checks may not see. A sign is a hint and no more: probes are made at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from lvsguard.core.model import RealserverKey

WINDOW_S = 2.0
"""Seconds that a window lasts at least: Linux adds its counters up every two (ip_vs_est.c)."""
WINDOW_MAX_S = 30.0
"""Seconds after which a window ends, however few the samples."""
SAMPLES = 20
"""New connections of a realserver in a window below which it is not judged."""
FAR = 0.5
"""Share of the others' packets per connection from which on a realserver is far below them."""
ESTABLISHED = 2.0
"""Packets per connection below which connections do not establish, whatever the others do."""
SHARE = 0.5
"""Share of a service's realservers that is hinted at; when more look bad it is the clients."""
PAUSES_S = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 300.0)
"""Before the next hint at a realserver that goes on looking bad though its checks pass."""

FORGET_S = 600.0
"""Seconds without enough connections to be judged after which nobody is a suspect any more."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What clients did at one realserver within a window."""

    connections: int
    packets: int
    """From clients."""

    @property
    def ratio(self) -> float:
        """Packets for each new connection."""
        return self.packets / self.connections


@dataclass(frozen=True, slots=True)
class Sign:
    """One realserver looks bad, and why."""

    realserver: RealserverKey
    what: str
    """One line for people."""
    severity: float
    """The lower the worse."""


def signs(samples: Mapping[RealserverKey, Sample], seconds: float) -> tuple[Sign, ...]:
    """Who looks bad in a window of one service, the worst first.

    Realservers with too few connections are neither judged nor compared with.
    """
    enough = {key: one for key, one in samples.items() if one.connections >= SAMPLES}
    ratios = sorted(one.ratio for one in enough.values())
    found = [
        sign
        for key, one in enough.items()
        if (sign := _judge(key, one, _usual(ratios, one.ratio), seconds))
    ]
    found.sort(key=lambda sign: sign.severity)
    return tuple(found)


def most(judged: int) -> int:
    """How many of so many realservers may be hinted at in one window."""
    return max(int(judged * SHARE), 1)


def _usual(ratios: list[float], own: float) -> float:
    """The middle one of the others, the lower of two; 0 where there is no other."""
    others = len(ratios) - 1
    if not others:
        return 0.0
    middle = (others - 1) // 2
    return ratios[middle if bisect_left(ratios, own) > middle else middle + 1]


def _judge(key: RealserverKey, one: Sample, usual: float, seconds: float) -> Sign | None:
    if one.ratio >= ESTABLISHED and one.ratio >= FAR * usual:
        return None
    sampled = f"{one.connections} connections in {seconds:.0f} s"
    if one.ratio < ESTABLISHED:
        what = f"connections do not establish: {one.ratio:.1f} packets each, {sampled}"
    else:
        what = f"{one.ratio:.1f} packets a connection where others have {usual:.1f}, {sampled}"
    return Sign(key, what, one.ratio / max(usual, ESTABLISHED))


def pause(hints: int) -> float:
    """Seconds until the next hint, after so many in a row without a clean window."""
    return PAUSES_S[min(max(hints, 1), len(PAUSES_S)) - 1]
