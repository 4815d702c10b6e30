"""A day of two directors: who fails, who is drained, who is master, minute by minute.

The day is written down here; what is told of it is the work of the real telemetry (day_director).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

MIDNIGHT = 1795392000
"""2026-11-23T00:00:00Z."""
DAY_S = 86400
STEP_S = 60
"""Prometheus scrapes once a minute, where nobody asks for less."""

DIRECTORS = {"director1": "10.0.0.41", "director2": "10.0.0.40"}
VIPS = {"web": ("10.0.0.8", "director1"), "internal": ("10.0.0.9", "director2")}
"""VIP groups: the address, and the director with the higher priority."""


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service of the day."""

    name: str
    vip: str
    port: int
    hosts: tuple[str, ...]
    need: int
    peak: float
    """New connections a second at the busiest time."""
    panic: bool = False
    sorry: bool = False


SERVICES = (
    Service("web", "web", 80, tuple(f"10.0.0.{n}" for n in range(42, 46)), 2, 180, panic=True),
    Service("tls", "web", 443, tuple(f"10.0.0.{n}" for n in range(42, 46)), 2, 120, panic=True),
    Service(
        "api", "internal", 8080, tuple(f"10.0.0.{n}" for n in range(46, 49)), 2, 60, sorry=True
    ),
)


@cache
def at(clock: str) -> int:
    """Seconds since midnight of ``09:30`` or ``09:30:15``."""
    hours, minutes, seconds = (int(part) for part in f"{clock}:00".split(":")[:3])
    return hours * 3600 + minutes * 60 + seconds


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasts from one time of the day to another, with its end left out."""

    begin: str
    end: str
    who: str = ""
    """Whom it befalls: a realserver's address, maybe with port; a director; a VIP group."""
    code: str = ""
    """How probes fail; of a conflict, the address that is claimed."""
    period: int = 0
    """Seconds after which it comes and goes; 0: it stays."""

    def holds(self, t: int) -> bool:
        """Whether it is so at this second of the day."""
        if not at(self.begin) <= t < at(self.end):
            return False
        return not self.period or (t - at(self.begin)) // self.period % 2 == 0


FAILURES = (
    Span("02:15", "02:31", "10.0.0.45", "L4TOUT"),
    Span("06:05", "06:29", "10.0.0.43:80", "L7TOUT", 120),
    Span("07:30", "07:45", "10.0.0.42:80", "L4CON"),
    Span("10:10", "10:18", "10.0.0.42:443", "L7STS"),
    Span("13:00", "13:25", "10.0.0.46", "L6ARP"),
    Span("13:05", "13:20", "10.0.0.47", "L4CON"),
    Span("16:00", "16:12", "10.0.0.42", "L4CON"),
    Span("16:00", "16:10", "10.0.0.43", "L4CON"),
    Span("16:01", "16:11", "10.0.0.44", "L4CON"),
    Span("23:35", "24:30", "10.0.0.48:8080", "L7STS"),
)
DRAINS = (Span("02:05", "02:45", "10.0.0.44"), Span("20:00", "24:30", "10.0.0.45"))
DOWN = (Span("09:30", "09:45", "director1"), Span("03:00", "03:05", "director2"))
"""Directors that do not run."""
UNFIT = (Span("17:20", "17:40", "director2"),)
"""A director whose kernel refuses a step."""
CUT = (Span("21:10", "21:20"),)
"""The directors do not hear each other, on any path."""
DARK = (Span("22:40", "22:46"),)
"""The switch of the VIPs is restarted: both directors have no link there."""
AWAY = (
    Span("18:00", "18:30", "web"),
    Span("09:45", "09:50", "web"),
    Span("23:00", "23:30", "internal", "", 120),
)
"""The VIP group is with the other director though its own one runs."""
HEARTBEAT = (Span("05:40", "06:00", "director2"),)
"""A backup that hears nothing on its second path."""
CLAIMED = (Span("14:30", "14:41", "web", "10.0.0.8"),)
LATE = (Span("15:00", "15:12", "director1"),)
"""A host that is overloaded."""
STALLED = (Span("19:30", "19:36", "director1"),)
"""A director without its prober."""
NEW_CONFIG = {"director2": at("04:00"), "director1": at("04:25")}
DRIFT = (
    Span("11:15", "11:20", "director1", "table"),
    Span("12:00", "12:30", "director1", "service"),
)
PATHLESS = (Span("07:30", "07:45", "10.0.0.42:80"),)
"""A realserver without the VIP."""
REFUSED = (Span("08:20", "08:40", "director2"),)
"""A configuration with a mistake."""
FULL = (Span("22:00", "22:20", "director1"),)
"""A disk."""
BLIND = (Span("18:40", "18:55"),)
"""The directors do not see the same health."""
OUT_OF_STEP = (Span("01:00", "01:20", "director2"),)
"""Without the kernel's sync daemon that listens."""
ORDINARY = (Span("01:30", "01:50", "director2"),)
"""A VRRP process without real-time priority."""
UNASKED = (Span("06:50", "07:05"),)
"""etcd, which the day's directors have beside the peer channel, so that all that there is to see is
seen."""
MUTE = (Span("08:50", "09:05", "director1", "chat"),)
"""A hook that fails: whose, and its name."""
DYING = (Span("10:35", "10:50", "director2"),)
"""A VRRP process that ends each minute."""
REJECTED = (Span("05:00", "05:20", "director2", "auth-data"),)


CERTIFICATE_DAYS = 40.0
"""That certificates have left at midnight, but for"""
OLD = ("10.0.0.45:443", 14.3, "10:30", 90.0)
"""one: the realserver, days that it has left, when it is renewed, days from then on."""


def certificate(realserver: str, t: int) -> float:
    """When the certificate ends that it shows, since the epoch."""
    who, left, renewed, fresh = OLD
    if realserver != who:
        return MIDNIGHT + CERTIFICATE_DAYS * DAY_S
    return MIDNIGHT + (at(renewed) + fresh * DAY_S if t >= at(renewed) else left * DAY_S)


def one(spans: tuple[Span, ...], t: int, *who: str) -> Span | None:
    """The span that holds now for one of these, if there is one."""
    return next((s for s in spans if s.holds(t) and (not s.who or s.who in who)), None)


def failure(host: str, port: int, t: int) -> str:
    """How a realserver fails its probes; empty: it passes."""
    found = one(FAILURES, t, host, f"{host}:{port}")
    return found.code if found else ""


def drained(host: str, t: int) -> bool:
    """Whether somebody has drained it."""
    return one(DRAINS, t, host) is not None


def runs(director: str, t: int) -> bool:
    """Whether a director runs."""
    return one(DOWN, t, director) is None


def other(director: str) -> str:
    """The other director."""
    return next(name for name in DIRECTORS if name != director)


def masters(vip: str, t: int) -> tuple[str, ...]:
    """Directors that are master of a VIP group."""
    if one(DARK, t):
        return ()
    first = VIPS[vip][1]
    wanted = other(first) if one(AWAY, t, vip) else first
    if one(CUT, t):
        return tuple(name for name in DIRECTORS if runs(name, t))
    for name in (wanted, other(wanted)):
        if runs(name, t) and one(UNFIT, t, name) is None:
            return (name,)
    return ()


def traffic(service: Service, t: int) -> float:
    """New connections a second: little at night, a peak before noon and one in the evening."""
    hour = t / 3600
    day = 0.5 - 0.5 * math.cos((hour - 4) / 24 * 2 * math.pi)
    evening = math.exp(-(((hour - 20.5) / 1.8) ** 2))
    return service.peak * (0.12 + 0.62 * day + 0.26 * evening)
