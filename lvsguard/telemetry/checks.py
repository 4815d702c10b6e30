"""What the probers' tallies add up to: results by realserver, durations by service and kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from itertools import accumulate

from lvsguard.core.config import Check, CheckKind, Config
from lvsguard.core.model import endpoint
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.serving import Slices
from lvsguard.telemetry import catalog
from lvsguard.telemetry.exposition import Family, escape, labels, number

CODES_MAX = 32
"""Codes of one check; further ones are counted as ``other``."""

_BOUNDS = (*(number(bound) for bound in BUCKETS), "+Inf")


class _Results:
    """Counts of one check."""

    __slots__ = ("codes", "head", "labelled", "last")

    def __init__(self, realserver: str, check: str) -> None:
        self.labelled = labels(realserver=realserver, check=check)
        self.head = f"{self.labelled[:-1]},code="
        self.codes: dict[str, int] = {}
        self.last = 0.0

    def add(self, tally: Tally) -> None:
        for code, count in tally.codes.items():
            known = code if code in self.codes or len(self.codes) < CODES_MAX else "other"
            self.codes[known] = self.codes.get(known, 0) + count
        self.last = max(self.last, tally.last)


class _Durations:
    """A histogram of one service and kind of check."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_BOUNDS)
        self.seconds = 0.0

    def add(self, tally: Tally) -> None:
        for at, count in enumerate(tally.buckets):
            if count:  # one or two of them, in a batch of a second
                self.buckets[at] += count
        self.seconds += tally.seconds


class Checks:
    """Sums since the start, of the checks that are configured."""

    def __init__(self) -> None:
        self._services: dict[Check, tuple[str, ...]] = {}
        self._results: dict[tuple[str, str], _Results] = {}
        self._durations: dict[tuple[str, CheckKind], _Durations] = {}
        self._adders: dict[Check, tuple[_Results, tuple[_Durations, ...]]] = {}

    def configure(self, config: Config) -> None:
        """Learn which services use which checks; forget what is not configured any more."""
        services: dict[Check, dict[str, None]] = {}
        for service in config.services:
            for realserver in service.realservers:
                for check in realserver.checks:
                    services.setdefault(check, {})[service.name] = None
        self._services = {check: tuple(names) for check, names in services.items()}
        results = {identity(check) for check in services}
        durations = {(n, c.spec.kind) for c, names in services.items() for n in names}
        self._results = {k: v for k, v in self._results.items() if k in results}
        self._durations = {k: v for k, v in self._durations.items() if k in durations}
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
                histogram.add(tally)

    def _adder(self, check: Check) -> tuple[_Results, tuple[_Durations, ...]] | None:
        """Where a check's tallies go, looked up once: they come a thousand a second."""
        names = self._services.get(check)
        if names is None:
            return None
        key = identity(check)
        if key not in self._results:
            self._results[key] = _Results(*key)
        kind = check.spec.kind
        durations = tuple(self._durations.setdefault((n, kind), _Durations()) for n in names)
        self._adders[check] = self._results[key], durations
        return self._adders[check]

    async def pieces(self, slices: Slices) -> AsyncGenerator[bytes, None]:
        """The families' text."""
        results, last = Family(catalog.PROBE_RESULTS), Family(catalog.LAST_CHECK)
        for one in tuple(self._results.values()):
            for code, count in one.codes.items():
                results.lines.append(f'{results.name}{one.head}"{escape(code)}"}} {count}\n')
            last.lines.append(f"{last.name}{one.labelled} {one.last:.3f}\n")
            if slices.due():
                await slices.rest()
        durations = Family(catalog.PROBE_DURATION)
        for (service, kind), histogram in tuple(self._durations.items()):
            _histogram(durations, labels(service=service, kind=str(kind)), histogram)
            if slices.due():
                await slices.rest()
        for family in (results, last, durations):
            for piece in family.pieces():
                slices.end()
                yield piece
                slices.begin()
                await slices.rest()  # a caller whose socket takes it does not wait
            family.lines.clear()


def identity(check: Check) -> tuple[str, str]:
    """A check's labels: what is probed, and how. Checks that differ in less are counted as one."""
    http = check.spec.http
    # A query may hold secrets, and /metrics tells everybody.
    how = check.how if http is None else f"{check.how} {http.path.partition('?')[0]}"
    return endpoint(check.address, check.port), how


def _histogram(family: Family, labelled: str, durations: _Durations) -> None:
    head = labelled[:-1]
    counts = list(accumulate(durations.buckets))
    for bound, count in zip(_BOUNDS, counts, strict=True):
        family.lines.append(f'{family.name}_bucket{head},le="{bound}"}} {count}\n')
    family.lines.append(f"{family.name}_sum{labelled} {durations.seconds!r}\n")
    family.lines.append(f"{family.name}_count{labelled} {counts[-1]}\n")
