"""One check that runs: its times, its probe under way, its health, its counts.

It knows when it is due and nothing of other checks; the ``Prober`` hands out the sockets.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lvsguard.core import health as core
from lvsguard.core.config import Check
from lvsguard.core.health import FailureClass, Health, Hint, Result, Verdict
from lvsguard.core.tally import BUCKETS
from lvsguard.core.trace import trace_id
from lvsguard.probes.kinds import Probe, ready
from lvsguard.probes.outcome import seconds

if TYPE_CHECKING:
    from lvsguard.probes.prober import Prober

BATCH: Final = 16
"""Checks that share a phase, where there are many. A wake-up costs as much as three probes, and
the code of a probe is in no cache by then."""
LOCAL_S: Final = 0.2
"""Least pause after a probe that could not be made for a reason of this director's own."""
UNASKED: Final = 3
"""Probes in a row that this director could not make, from which on that is noted: a stall is none.
"""
SLOT_MAX_S: Final = 1 / 16
"""Seconds between two phases at most, where there are few."""


_NO_COUNTS: Final[dict[str, int]] = {}
_NO_NOTES: Final[dict[str, str]] = {}
"""Of thousands of checks that have none, who would each have an empty one. Never written to."""


@dataclass(frozen=True, slots=True)
class Count:
    """What one check did since it was counted the last time; see ``core.tally.Tally``."""

    number: int
    codes: Mapping[str, int]
    seconds: float
    buckets: tuple[int, ...]
    last: float
    failures: Mapping[str, int]
    expires: float


class Running:
    """One check that runs (an ``engine.Sleeper``)."""

    __slots__ = (
        "_buckets",
        "_burst",
        "_busy",
        "_check",
        "_codes",
        "_due",
        "_expires",
        "_failures",
        "_hint",
        "_hinted",
        "_last",
        "_notes",
        "_patience",
        "_phased",
        "_probe",
        "_prober",
        "_queued",
        "_regular",
        "_rings",
        "_seconds",
        "_start",
        "_timing",
        "_told",
        "_told_note",
        "_unasked",
        "alarm",
        "ended",
        "health",
        "number",
        "started",
    )

    def __init__(self, prober: Prober, number: int, check: Check, health: Health | None) -> None:
        self.alarm = 0
        self.number = number
        known = health or Health(since=prober.engine.now)
        self.health = replace(known, note="") if known.note else known
        """Its detectors say anew what they have to say."""
        self._prober = prober
        self._check = check
        self._timing = check.spec.timing
        self._start = ready(prober.kinds, check, prober.engine)
        self._probe: Probe | None = None
        self._busy = False
        self._queued = False
        self.ended = False
        self._regular = True
        """Whether the probe under way is one of the usual times."""
        self._phased = False
        self._due = 0.0
        self._rings = 0.0
        """When the alarm rings that is set."""
        self.started = 0.0
        self._hinted = 0.0
        self._hint: Hint | None = None
        """The first hint of those that no success has shown to mean nothing."""
        self._burst: tuple[float, ...] = ()
        self._patience = math.inf
        """Seconds that a probe may take to connect: few while the host is silent on its link."""
        self._notes = _NO_NOTES
        """By detector."""
        self._told: Result | None = self.health.result
        """The result of the last report."""
        self._told_note = known.note
        if known.note:
            prober.restless.add(self)
        self._unasked = 0
        """Probes in a row that could not be made."""
        self._codes = _NO_COUNTS
        self._seconds = 0.0
        self._buckets: list[int] | None = None
        self._last = 0.0
        self._failures = _NO_COUNTS
        self._expires = 0.0

    def begin(self) -> None:
        """Probe now; or at the check's phase, where a verdict stands already."""
        now = self._prober.engine.now
        self._due = self._phase(now) if self.health.settled else now
        self._rearm()

    def end(self) -> None:
        """Stop for good."""
        self.ended = True
        self._prober.engine.sleep(self)
        if self._busy:
            self._busy = False
            probe, self._probe = self._probe, None
            if probe is not None:
                probe.cancel()
            self._prober.landed()

    @property
    def up(self) -> bool:
        """See ``watched.Watched``."""
        return self.health.verdict is Verdict.UP

    @property
    def refused(self) -> bool:
        """See ``watched.Watched``."""
        cause = self.health.cause
        return cause is not None and cause.failure is FailureClass.REFUSED

    @property
    def waiting(self) -> float | None:
        """See ``watched.Watched``."""
        return self.started if self._busy else None

    @property
    def look_at(self) -> float:
        """See ``watched.Watched``."""
        return (self.started if self._busy else self._due) + self._timing.timeout / 2

    def well_since(self, when: float) -> bool:
        """See ``watched.Watched``."""
        return self.up and self.health.failures == 0 and self._last > when

    def silent(self, hint: Hint, patience: float) -> None:
        """See ``watched.Watched``."""
        first = self._hint or hint
        self._hint = replace(hint, at=min(first.at, hint.at), silent=True)
        self._patience = patience
        self._rearm()

    def heard(self) -> None:
        """See ``watched.Watched``."""
        self._patience = math.inf
        if self._hint is not None and self._hint.silent:
            self._hint = None

    def note(self, detector: str, text: str) -> None:
        """See ``watched.Watched``."""
        if self._notes is _NO_NOTES:
            self._notes = {}
        self._notes[detector] = text
        text = "; ".join(filter(None, self._notes.values()))
        if text != self.health.note:
            self.health = replace(self.health, note=text)
            self._prober.restless.add(self)

    def hint(self, delays: Sequence[float], hint: Hint | None = None) -> None:
        """Probe at once and after ``delays``; the usual times stay."""
        now = self._prober.engine.now
        if hint is None or hint.sudden:
            self._hinted = now
        self._hint = self._hint or hint
        self._burst = tuple(sorted(now + delay for delay in delays))
        self._wake(self._burst[0] if self._burst else math.inf)

    def ring(self, _due: float) -> None:
        """Take an alarm (see ``engine.Sleeper``): a probe is due, or one is overdue, or neither.

        One alarm serves both, so a check costs the heap one entry a probe: it is set for the next
        probe, and only while a probe is still under way by then for that one's end.
        """
        now = self._prober.engine.now
        probe = self._probe
        if probe is not None and self._unreached() <= now:
            self._dead(now)
        elif probe is not None and probe.deadline <= now:
            probe.expire(now - probe.deadline)
        elif self._burst and self._burst[0] <= now:
            self._burst = tuple(due for due in self._burst if due > now)
            if self._busy and self.started < self._hinted:
                self._abandon()  # what it finds may be older than the hint
            self._turn(now)
        elif self._due <= now:
            self._turn(now)
        else:
            self._rearm()

    def launch(self) -> None:
        """Start a probe, or wait for a file descriptor."""
        self._queued = False
        if self.ended or self._busy:
            return
        prober = self._prober
        if prober.in_flight >= prober.limit:
            self._queued = True
            prober.queue(self)
            return
        prober.in_flight += 1
        self._busy = True
        self.started = prober.engine.now
        probe = self._start(self._done)
        if self._busy:
            self._probe = probe
            self._rearm()

    def count(self, offset: float) -> Count:
        """Hand out the counts and begin anew. ``offset``: wall clock minus monotonic."""
        buckets = tuple(self._buckets or ())
        last = self._last + offset
        count = Count(
            self.number, self._codes, self._seconds, buckets, last, self._failures, self._expires
        )
        self._codes, self._failures, self._seconds = _NO_COUNTS, _NO_COUNTS, 0.0
        self._buckets = None
        return count

    def changed(self) -> bool:
        """Whether code, reason or note differ from what was reported; now they count as that."""
        told, result = self._told, self.health.result
        told_note, self._told_note = self._told_note, self.health.note
        self._told = result
        if told_note != self.health.note:
            return True
        return result is not None and not (
            told is not None and told.code == result.code and told.reason == result.reason
        )

    # -- inside ----------------------------------------------------------------------------------

    def _done(self, result: Result) -> None:
        prober = self._prober
        now = prober.engine.now
        self._busy = False
        self._probe = None
        self._take_note(result)
        before = self.health
        hint = self._hint
        health = core.step(before, result, self._timing, now, hint)
        if health.verdict is not before.verdict:
            health = replace(health, trace=trace_id(self._check, health.since))
        self.health = health
        self._tally(result, now)
        if health.verdict is not before.verdict or _cut(health) is not _cut(before):
            self._told = result
            self._told_note = health.note
            prober.report(self.number, health)
            self._hint = None
            prober.canaries.changed(self)
        elif result.failure is FailureClass.LOCAL:
            prober.local += 1
            prober.trouble = f"{self._check}: {result.reason}"
        else:
            told = self._told
            if told is None or told.reason != result.reason or told.code != result.code:
                prober.restless.add(self)
            if result.failure is FailureClass.TIMEOUT and result.code != "L4TOUT":
                prober.canaries.starved(self)
        if result.ok:
            self._patience = math.inf
            if hint is not None and (hint.silent or not self._burst):
                self._hint = None
        pause = core.delay(health, self._timing)
        if result.failure is FailureClass.LOCAL:  # asking faster only makes it worse
            pause = max(pause, min(LOCAL_S, self._timing.interval))
        self._schedule(now, pause)
        prober.landed()

    def _take_note(self, result: Result) -> None:
        """A probe that could not be made changes no verdict, so it is told beside it."""
        if result.failure is FailureClass.LOCAL:
            self._unasked += 1
            if self._unasked >= UNASKED:
                self.note("probe", f"it cannot be asked: {result.reason}")
        elif self._unasked:
            self._unasked = 0
            if "probe" in self._notes:
                self.note("probe", "")

    def _turn(self, now: float) -> None:
        if self._busy or self._queued:
            self._rearm()
            return
        self._regular = self._due <= now
        if self._regular and self._phased:
            self._prober.late(now - self._due)
        self.launch()

    def _schedule(self, now: float, pause: float) -> None:
        if not self._phased and self.health.settled:
            self._due = self._phase(now)
        elif self._regular:
            self._due += pause
            # Turns that were missed are left out, so that a late check keeps its phase. One that
            # has passed just now is taken: a hung target's timeout may be as long as its interval.
            earliest = max(self.started + pause / 2, now - pause / 10)
            if self._due < earliest:
                self._due += math.ceil((earliest - self._due) / pause) * pause
        else:
            self._due = min(self._due, now + pause)
        self._rearm()

    def _phase(self, now: float) -> float:
        """Choose a phase by chance; the time of the first probe in it, at most the pause after the
        latest one."""
        self._phased = True
        pause = core.delay(self.health, self._timing)
        slots = max(pause / SLOT_MAX_S, len(self._prober) / BATCH, 1.0)
        slot = pause / 2.0 ** math.ceil(math.log2(slots))
        span = min(self.started + pause - now, pause)
        if span < pause / 2:  # there was none, or it took so long that all would come at once
            span = pause
        chance = now + random.random() * span
        first = math.ceil(chance / slot) * slot
        if first > now + span:
            first -= slot
        return first if first > now else chance

    def _rearm(self) -> None:
        """Set the alarm for whatever comes next."""
        due = self._burst[0] if self._burst else math.inf
        if self._probe is not None:
            now = self._prober.engine.now
            due = min(due, self._unreached(), self._probe.deadline, now + self._timing.timeout)
            pause = core.delay(self.health, self._timing) if self._regular else 0.0
            if now < self._due + pause < due:
                due = self._due + pause
        elif not self._queued:
            due = min(due, self._due)
        self._wake(due)

    def _wake(self, due: float) -> None:
        if not (self.alarm and self._rings <= due) and due < math.inf:
            self._rings = due
            self._prober.engine.wake(due, self)

    def _unreached(self) -> float:
        """When the probe under way has waited long enough for a host that is silent."""
        probe = self._probe
        if probe is None or self._patience == math.inf or probe.reached:
            return math.inf
        return self.started + self._patience

    def _dead(self, now: float) -> None:
        """Neither the probe nor the link gets an answer."""
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.cancel()
        reason = f"no connection within {seconds(self._patience)}, and the host is silent"
        self._done(Result(False, "L4TOUT", reason, now - self.started, FailureClass.HOST_DEAD))

    def _abandon(self) -> None:
        probe, self._probe = self._probe, None
        self._busy = False
        if probe is not None:
            probe.cancel()
        self._prober.landed()

    def _tally(self, result: Result, now: float) -> None:
        buckets = self._buckets
        if buckets is None:
            buckets = self._buckets = [0] * (len(BUCKETS) + 1)
            self._codes = {}
            self._prober.ran.append(self)
        codes = self._codes
        codes[result.code] = codes.get(result.code, 0) + 1
        buckets[bisect_left(BUCKETS, result.duration)] += 1
        self._seconds += result.duration
        self._last = now
        if result.failure is not None:
            if self._failures is _NO_COUNTS:
                self._failures = {}
            self._failures[result.failure] = self._failures.get(result.failure, 0) + 1
        self._expires = result.expires or self._expires


def _cut(health: Health) -> bool:
    """Whether nobody is left to serve: that matters as much as a change of verdict."""
    return health.cause is not None and health.cause.failure in core.CUT
