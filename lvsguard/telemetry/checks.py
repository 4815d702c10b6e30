"""What the probers' tallies add up to: results by realserver, durations by service and kind."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

from lvsguard.core.config import Check, CheckKind, Config
from lvsguard.core.health import FailureClass
from lvsguard.core.model import endpoint
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.serving import Slices
from lvsguard.telemetry import catalog_checks as catalog
from lvsguard.telemetry.exposition import PIECE_LINES, Family, Form, escape, labels
from lvsguard.telemetry.histogram import Durations

OVERDUE = 3.0
"""A check is overdue when it was silent for so many times its longest pause and timeout, and"""
OVERDUE_SECONDS = 5.0
"""for this: a prober that is replaced comes back in less."""
CODES_MAX = 32
"""Codes of one check; further ones are counted as ``other``."""


class _Results:
    """Counts of one check."""

    __slots__ = ("codes", "expires", "head", "labelled", "last", "patience", "seconds")

    def __init__(self, realserver: str, check: str) -> None:
        self.labelled = labels(realserver=realserver, check=check)
        self.head = f"{self.labelled[:-1]},code="
        self.codes: dict[str, int] = {}
        self.last = 0.0
        self.seconds = 0.0
        self.expires = 0.0
        self.patience = 0.0
        """Seconds without a probe after which it is overdue."""

    def add(self, tally: Tally) -> None:
        for code, count in tally.codes.items():
            known = code if code in self.codes or len(self.codes) < CODES_MAX else "other"
            self.codes[known] = self.codes.get(known, 0) + count
        self.last = max(self.last, tally.last)
        self.seconds += tally.seconds
        self.expires = tally.expires or self.expires


class Checks:
    """Sums since the start, of the checks that are configured."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """``clock``: the wall's."""
        self._clock = clock
        self._services: dict[Check, tuple[str, ...]] = {}
        self._results: dict[tuple[str, str], _Results] = {}
        self._durations: dict[tuple[str, CheckKind], Durations] = {}
        self._failures: dict[tuple[str, CheckKind, str], int] = {}
        self._patience: dict[tuple[str, str], float] = {}
        self._configured = 0.0
        self._adders: dict[Check, tuple[_Results, tuple[Durations, ...]]] = {}

    def configure(self, config: Config) -> None:
        """Learn which services use which checks; forget what is not configured any more."""
        services: dict[Check, dict[str, None]] = {}
        for service in config.services:
            for realserver in service.realservers:
                for check in realserver.checks:
                    services.setdefault(check, {})[service.name] = None
        self._services = {check: tuple(names) for check, names in services.items()}
        patience: dict[tuple[str, str], float] = {}
        for check in services:
            key, pause = identity(check), _patience(check)
            patience[key] = max(patience.get(key, 0.0), pause)
        self._patience = patience
        self._configured = self._clock()
        durations = {(n, c.spec.kind) for c, names in services.items() for n in names}
        self._results = {k: v for k, v in self._results.items() if k in patience}
        for key, kept in self._results.items():
            kept.patience = patience[key]
        self._durations = {k: v for k, v in self._durations.items() if k in durations}
        self._failures = {k: v for k, v in self._failures.items() if k[:2] in durations}
        for check, names in services.items():
            for failure in _possible(check):
                for name in names:
                    self._failures.setdefault((name, check.spec.kind, str(failure)), 0)
        self._adders.clear()

    def add(self, tallies: Iterable[Tally]) -> None:
        """Add batches; those of checks that left the configuration meanwhile are passed over."""
        for tally in tallies:
            adders = self._adders.get(tally.check) or self._adder(tally.check)
            if adders is None:
                continue
            results, durations = adders
            results.add(tally)
            for histogram in durations:
                histogram.add(tally.buckets, tally.seconds)
            for failure, count in tally.failures.items():
                self._fail(tally.check, failure, count)

    def _fail(self, check: Check, failure: str, count: int) -> None:
        for name in self._services[check]:
            key = name, check.spec.kind, failure
            self._failures[key] = self._failures.get(key, 0) + count

    def _adder(self, check: Check) -> tuple[_Results, tuple[Durations, ...]] | None:
        """Where a check's tallies go, looked up once: they come a thousand a second."""
        names = self._services.get(check)
        if names is None:
            return None
        key = identity(check)
        if key not in self._results:
            self._results[key] = _Results(*key)
            self._results[key].patience = self._patience[key]
        kind = check.spec.kind
        durations = tuple(self._durations.setdefault((n, kind), Durations(BUCKETS)) for n in names)
        self._adders[check] = self._results[key], durations
        return self._adders[check]

    async def pieces(self, slices: Slices, form: Form) -> AsyncGenerator[bytes, None]:
        """The families' text."""
        results, last = Family(catalog.PROBE_RESULTS), Family(catalog.LAST_CHECK)
        seconds = Family(catalog.PROBE_SECONDS)
        expiry, heard, now = Family(catalog.CERTIFICATE_EXPIRY), 0, self._clock()
        for one in tuple(self._results.values()):
            heard += now - one.last <= one.patience
            for code, count in one.codes.items():
                results.lines.append(f'{results.name}{one.head}"{escape(code)}"}} {count}\n')
            last.lines.append(f"{last.name}{one.labelled} {one.last:.3f}\n")
            seconds.lines.append(f"{seconds.name}{one.labelled} {one.seconds:.6f}\n")
            if one.expires:
                expiry.lines.append(f"{expiry.name}{one.labelled} {one.expires:.0f}\n")
            if len(results.lines) >= PIECE_LINES:
                results.pack()
                last.pack()
                seconds.pack()
            if slices.due():
                await slices.rest()
        durations = Family(catalog.PROBE_DURATION)
        for (service, kind), histogram in tuple(self._durations.items()):
            histogram.write(durations, labels(service=service, kind=str(kind)))
            if len(durations.lines) >= PIECE_LINES:
                durations.pack()
            if slices.due():
                await slices.rest()
        failures = Family(catalog.PROBE_FAILURES)
        for (service, kind, failure), count in tuple(self._failures.items()):
            labelled = labels(service=service, kind=str(kind), failure=failure)
            failures.add(labelled, count)
        for family in (
            *self._counted(heard, now),
            failures,
            results,
            seconds,
            last,
            expiry,
            durations,
        ):
            for piece in family.pieces(form):
                slices.end()
                yield piece
                slices.begin()
                await slices.rest()  # a caller whose socket takes it does not wait

    def _counted(self, heard: int, now: float) -> tuple[Family, Family]:
        checks, overdue = Family(catalog.CHECKS), Family(catalog.CHECKS_OVERDUE)
        checks.add("", len(self._patience))
        # What was never heard is overdue once the most patient of them should have been.
        early = now - self._configured <= max(self._patience.values(), default=0.0)
        known = len(self._results) if early else len(self._patience)
        overdue.add("", known - heard)
        return checks, overdue


def _possible(check: Check) -> Iterator[FailureClass]:
    """Classes that its probes may fail with. They count from 0: of a series that begins at 7,
    ``increase()`` says that it grew by nothing."""
    for failure in FailureClass:
        if failure is not FailureClass.VIP_PATH or check.spec.path is not None:
            yield failure


def _patience(check: Check) -> float:
    timing = check.spec.timing
    pause = max(timing.interval, timing.fast_interval, timing.down_interval)
    return OVERDUE * (pause + timing.timeout) + OVERDUE_SECONDS


def identity(check: Check) -> tuple[str, str]:
    """A check's labels: what is probed, and how. Checks that differ in less are counted as one."""
    http = check.spec.http
    # A query may hold secrets, and /metrics tells everybody.
    how = check.how if http is None else f"{check.how} {http.path.partition('?')[0]}"
    return endpoint(check.address, check.port), how
