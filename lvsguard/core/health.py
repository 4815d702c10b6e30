"""Rise, fall and the three intervals: probe results folded into a verdict.

Time is an argument; whoever owns a check (the prober) keeps one ``Health`` for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What is known of a realserver after rise and fall."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class FailureClass(StrEnum):
    """Why a probe failed; decides what becomes of the established connections."""

    REFUSED = "refused"
    """Connection refused or reset by a host without a listener. Definite."""
    HOST_DEAD = "host-dead"
    """The host cannot be reached on its link (EHOSTUNREACH, silent ARP)."""
    TIMEOUT = "timeout"
    """Nothing in time: at connect, at the TLS handshake or while reading."""
    WRONG = "wrong"
    """An answer that is not the expected one: status, body, TLS, protocol."""
    VIP_PATH = "vip-path"
    """Well on the realserver's own address, but not on the VIP, where clients ask."""
    LOCAL = "local"
    """The director could not even ask (no fd, no route): says nothing of the realserver."""


DEFINITE = frozenset({FailureClass.REFUSED})
"""Failures that need no second probe."""

AT_FIRST = frozenset({"L4CON", "L4TOUT"})
"""Codes of ``VIP_PATH`` that need no second probe while nothing is known: no connection on the VIP,
however often it was asked for, and the own address is a witness already."""

CUT = frozenset({FailureClass.REFUSED, FailureClass.HOST_DEAD})
"""Failures after which nobody is left to serve the established connections."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When to probe and how many results make a verdict. Seconds."""

    interval: float = 1.0
    """While the verdict is settled up."""
    fast_interval: float = 0.05
    """While in transition: some results contradict the verdict, or there is none yet."""
    down_interval: float = 1.0
    """While settled down."""
    timeout: float = 1.0
    """For a whole probe."""
    rise: int = 2
    fall: int = 2


@dataclass(frozen=True, slots=True)
class Result:
    """One probe's outcome."""

    ok: bool
    code: str
    """In HAProxy's vocabulary: L4OK L4CON L4TOUT L6OK L6RSP L6TOUT L7OK L7STS L7RSP L7TOUT ..."""
    reason: str
    """One line for people, such as ``503 Service Unavailable, expected 200``."""
    duration: float = 0.0
    """Seconds from start to outcome."""
    failure: FailureClass | None = None
    """None exactly when ok."""
    seen: str = ""
    """The beginning of what the peer sent, where that decided; printable, never a header."""
    expires: float = 0.0
    """Wall clock of the end of the certificate that was shown; 0: none was seen."""


PASSIVE: Final = "passive"
"""The detector that reads the kernel's counters."""
PACE: Final = 31 / 32
"""Share of the interval between two probes of a target that is up: what none but the next probe can
tell is to be in the kernel's table before the interval is over, not a moment after it."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What made a probe look before its time. It is evidence beside the probe's, never instead."""

    detector: str
    """``canary`` ..."""
    what: str
    """One line for people, such as ``closed after 12.3 s``."""
    at: float = 0.0
    """Monotonic seconds."""
    silent: bool = False
    """Whether the host itself says nothing on its link: where a probe cannot reach it either, two
    witnesses agree, and no second probe is needed."""

    @property
    def sudden(self) -> bool:
        """Whether it tells of this moment, so that what a probe under way finds may be older.
        Passive signs tell of seconds, and such a probe tells as much as a new one would."""
        return self.detector != PASSIVE


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict, since when, and the run of results that may change it."""

    verdict: Verdict = Verdict.UNKNOWN
    since: float = 0.0
    """Monotonic seconds of the last change of verdict."""
    successes: int = 0
    """Consecutive, up to now."""
    failures: int = 0
    """Consecutive, up to now."""
    result: Result | None = None
    """The latest result that counted."""
    cause: Result | None = None
    """While down: the latest of the gravest failures since it went down. One after which nobody
    serves (``CUT``) outweighs the others, and a success on the way up does not change it."""
    hint: Hint | None = None
    """What made the probe look that changed the verdict; None: it was due anyway."""
    note: str = ""
    """What a detector has to say of itself, such as why it has given up."""
    doubted: float = 0.0
    """Monotonic seconds at which the first probe began of the latest run of results that went
    against a verdict, or led to the first."""
    trace: str = ""
    """Id of the verdict (``core.trace``), given by the prober that came to it."""
    kept: float = 0.0
    """Wall clock since when the verdict holds, where the check before this one came to the same
    one (``core.begun``); 0: it is as old as ``since`` says."""

    @property
    def settled(self) -> bool:
        """Whether the latest result agrees with the verdict."""
        if self.verdict is Verdict.UP:
            return self.failures == 0
        if self.verdict is Verdict.DOWN:
            return self.successes == 0
        return False


def step(
    health: Health, result: Result, timing: Timing, now: float, hint: Hint | None = None
) -> Health:
    """Fold one result in; ``hint`` is what made the probe look, if it was not due.

    The first success makes an unknown realserver up (a safe start must be quick too); otherwise
    ``rise`` successes or ``fall`` failures in a row change the verdict. A definite failure needs
    no second, nor has one of a host that is silent on its link, nor has an unknown realserver that
    is well but for the VIP. A probe that failed on the director's own side changes nothing.
    """
    if result.failure is FailureClass.LOCAL:
        return health
    successes = health.successes + 1 if result.ok else 0
    failures = 0 if result.ok else health.failures + 1
    verdict = health.verdict
    if result.ok and (verdict is Verdict.UNKNOWN or successes >= timing.rise):
        verdict = Verdict.UP
    elif not result.ok and (failures >= timing.fall or _definite(health, result, hint)):
        verdict = Verdict.DOWN
    if verdict is health.verdict:
        since, hint = health.since, health.hint
    else:
        since = now
    cause = _graver(health.cause, result) if verdict is Verdict.DOWN else None
    against = failures if health.verdict is Verdict.UP else successes
    if health.verdict is Verdict.UNKNOWN:
        against = 1 if health.result is None else 0
    doubted = now - result.duration if against == 1 else health.doubted
    return Health(
        verdict,
        since,
        successes,
        failures,
        result,
        cause,
        hint,
        health.note,
        doubted,
        health.trace,
    )


def _definite(health: Health, result: Result, hint: Hint | None) -> bool:
    if health.verdict is Verdict.UNKNOWN and result.failure is FailureClass.VIP_PATH:
        return result.code in AT_FIRST
    if result.failure is FailureClass.HOST_DEAD and hint is not None and hint.silent:
        return True
    return result.failure in DEFINITE


def _graver(cause: Result | None, result: Result) -> Result | None:
    if result.ok:
        return cause
    if cause is not None and cause.failure in CUT and result.failure not in CUT:
        return cause
    return result


def delay(health: Health, timing: Timing) -> float:
    """Seconds from the start of this probe to the start of the next."""
    if not health.settled:
        return timing.fast_interval
    return timing.interval * PACE if health.verdict is Verdict.UP else timing.down_interval
