"""The elections as metric families: roles from the view, counts from the VRRP process.

That process may be replaced, and begins to count anew then; what is exposed only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from lvsguard.core.config import Config
from lvsguard.core.dropped import Discard, Reason
from lvsguard.core.election_status import ElectionCounts, ElectionStatus
from lvsguard.core.snapshot import Role, View
from lvsguard.core.vrrp_event import RoleChanged
from lvsguard.telemetry import catalog_elections as catalog
from lvsguard.telemetry.exposition import Family, Form, labels, number, upper
from lvsguard.telemetry.metric import Metric


@dataclass(frozen=True, slots=True)
class _Series:
    """A counter of the VRRP process."""

    metric: Metric
    vip: str = ""
    """Empty: of the whole process."""
    reason: str = ""
    bound: float = 0.0
    """Upper bound of a bucket; 0: not of a histogram, or its sum."""


_VIPS = (
    (catalog.VRRP_SENT, "sent"),
    (catalog.VRRP_RECEIVED, "received"),
    (catalog.VRRP_ZERO_SENT, "resigned"),
    (catalog.VRRP_ZERO_RECEIVED, "resignations"),
    (catalog.VRRP_LATE, "late"),
    (catalog.VRRP_CONFLICTS, "conflicts"),
    (catalog.ARP_CONFLICTS, "claims"),
)
_COUNTERS = (
    catalog.VRRP_SENT,
    catalog.VRRP_RECEIVED,
    catalog.VRRP_ZERO_SENT,
    catalog.VRRP_ZERO_RECEIVED,
    catalog.VRRP_LATE,
    catalog.VRRP_CONFLICTS,
    catalog.ARP_CONFLICTS,
    catalog.VRRP_REJECTED,
    catalog.VRRP_DISCARDED,
    catalog.VRRP_ANNOUNCEMENTS,
)
"""In the order in which they are told."""


class Elections:
    """What all VRRP processes counted since this start, of the VIP groups that are configured."""

    def __init__(self) -> None:
        self.status: ElectionStatus | None = None
        """As told last; None: no VIP group has an election."""
        self._told = False
        """Whether a process has told what it counted. One that was there before this start has
        counted for long: at 0 until it tells, all of that would look like new."""
        self._sums: dict[_Series, float] = {}
        self._last: Mapping[_Series, float] = {}
        self._process = 0
        self._restarts = 0
        self._transitions: dict[tuple[str, Role], int] = {}
        self._roles: dict[str, str] = {}

    def configure(self, config: Config) -> None:
        """Have a count for each role of each VIP group, and for each reason to drop what comes in;
        forget what is not configured any more."""
        vips = [vip.name for vip in config.vips if vip.vrrp is not None]
        before = self._transitions
        self._transitions = {(v, role): before.get((v, role), 0) for v in vips for role in Role}
        self._roles = {vip: role for vip, role in self._roles.items() if vip in vips}
        kept = {"", *vips}
        self._sums = {series: n for series, n in self._sums.items() if series.vip in kept}
        for series in _from_0(vips):
            self._sums.setdefault(series, 0)

    def changed(self, event: RoleChanged) -> None:
        """Count a change of role: once, though both families of a VIP group tell it."""
        key = (event.vip, Role(event.after))
        if key in self._transitions and self._roles.get(event.vip) != event.after:
            self._transitions[key] += 1
            self._roles[event.vip] = event.after

    def died(self) -> None:
        """The process has ended."""
        self._restarts += 1

    def take(self, status: ElectionStatus | None) -> None:
        """Take in the latest picture; the same one twice counts once."""
        self.status = status
        if status is None or status.counts is None:
            return
        if status.pid != self._process:
            self._process, self._last = status.pid, {}
        self._told = True
        counted = dict(_counted(status.counts))
        for series, count in counted.items():
            before = self._last.get(series, 0)
            # Less than before: a VIP group or a socket was made anew in the same process.
            more = count - before if count >= before else count
            self._sums[series] = self._sums.get(series, 0) + more
        self._last = counted

    def pieces(self, view: View, form: Form) -> Iterator[bytes]:
        """The families' text; nothing while no VIP group has an election."""
        if self.status is None:
            return
        for family in (*_process(self.status, self._restarts), *_roles(view, self.status)):
            yield from family.pieces(form)
        transitions = Family(catalog.VRRP_TRANSITIONS)
        for (vip, role), count in self._transitions.items():
            transitions.add(labels(vip=vip, to=str(role)), count)
        yield from transitions.pieces(form)
        if self._told:
            yield from self._counters(form)
            yield from _lateness(self._sums, form)

    def _counters(self, form: Form) -> Iterator[bytes]:
        families = {metric: Family(metric) for metric in _COUNTERS}
        for series, count in self._sums.items():
            if series.metric is catalog.VRRP_LATENESS:
                continue
            named = {"vip": series.vip, "reason": series.reason}
            known = {name: value for name, value in named.items() if value}
            families[series.metric].add(labels(**known) if known else "", count)
        for family in families.values():
            yield from family.pieces(form)


def _from_0(vips: Iterable[str]) -> Iterator[_Series]:
    """What counts from 0 before anything happens: of a series that begins at 7, ``increase()``
    says that it grew by nothing. They are told once the process has."""
    for vip in vips:
        for metric, _ in _VIPS:
            yield _Series(metric, vip)
        for reason in Reason:
            yield _Series(catalog.VRRP_REJECTED, vip, str(reason))
    for why in Discard:
        yield _Series(catalog.VRRP_DISCARDED, reason=str(why))


def _counted(counts: ElectionCounts) -> Iterable[tuple[_Series, float]]:
    for metric, name in _VIPS:
        column: Mapping[str, int] = getattr(counts, name)
        for vip, count in column.items():
            yield _Series(metric, vip), count
    for vip, reasons in counts.rejected.items():
        for reason, count in reasons.items():
            yield _Series(catalog.VRRP_REJECTED, vip, reason), count
    for reason, count in counts.discarded.items():
        yield _Series(catalog.VRRP_DISCARDED, reason=reason), count
    yield _Series(catalog.VRRP_ANNOUNCEMENTS), counts.announced
    for bound, count in counts.lateness.items():
        yield _Series(catalog.VRRP_LATENESS, bound=bound), count
    yield _Series(catalog.VRRP_LATENESS), counts.lateness_sum


def _process(status: ElectionStatus, restarts: int) -> Iterator[Family]:
    values: list[tuple[Metric, float]] = [
        (catalog.VRRP_ALIVE, status.alive),
        (catalog.VRRP_RESTARTS, restarts),
    ]
    if status.counts is not None:
        values.append((catalog.VRRP_REAL_TIME, status.counts.real_time))
    for metric, value in values:
        family = Family(metric)
        family.add("", value)
        yield family


def _roles(view: View, status: ElectionStatus) -> Iterator[Family]:
    state, priority = Family(catalog.VRRP_STATE), Family(catalog.VRRP_PRIORITY)
    ready, since = Family(catalog.VRRP_READY), Family(catalog.VRRP_SINCE)
    path = Family(catalog.VRRP_PATH)
    for vip in view.vips():
        if vip.vrid is None:
            continue
        labelled = labels(vip=vip.name)
        for role in Role:
            state.add(labels(vip=vip.name, state=str(role)), vip.role is role)
        priority.add(labelled, vip.priority or 0)
        ready.add(labelled, status.ready.get(vip.name, False))
        if vip.since:  # 0 before the VRRP process has spoken
            since.add(labelled, vip.since)
        for one in vip.paths:
            path.add(labels(vip=vip.name, interface=one.interface), one.heard)
    yield from (state, priority, ready, since, path)


def _lateness(sums: Mapping[_Series, float], form: Form) -> Iterator[bytes]:
    metric = catalog.VRRP_LATENESS
    buckets = sorted((s.bound, n) for s, n in sums.items() if s.metric is metric and s.bound)
    if not buckets:
        return
    family = Family(metric)
    counts = list(accumulate(count for _, count in buckets))
    for (edge, _), count in zip(buckets, counts, strict=True):
        le = "+Inf" if edge == inf else upper(edge)
        family.lines.append(f'{family.name}_bucket{{le="{le}"}} {number(count)}\n')
    family.lines.append(f"{family.name}_sum {sums[_Series(metric)]!r}\n")
    family.lines.append(f"{family.name}_count {number(counts[-1])}\n")
    yield from family.pieces(form)
