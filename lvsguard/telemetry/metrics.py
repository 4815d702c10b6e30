"""The metrics object: takes what happens, and writes the exposition of it and of a view.

Few and small families are prometheus_client's; those that grow with the configuration are
written by ``tables`` and ``checks``, in slices.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from time import perf_counter

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from lvsguard.core.admin_event import AdminRefused
from lvsguard.core.agent_event import AGENT
from lvsguard.core.config import Config
from lvsguard.core.crowd_event import HealthChangedMany
from lvsguard.core.election_status import ElectionStatus
from lvsguard.core.event import (
    Event,
    HealthChanged,
    KernelFailed,
    MoreAlike,
    ProberDied,
    Reloaded,
    ReloadRefused,
    Repaired,
    StateTrouble,
    StepRefused,
)
from lvsguard.core.health import Verdict
from lvsguard.core.hook import HOOK, HookConfig, Outcome
from lvsguard.core.peer_event import PEER
from lvsguard.core.service_event import SERVICE
from lvsguard.core.snapshot import View
from lvsguard.core.tally import Tally
from lvsguard.core.vrrp_event import (
    RoleChanged,
    TableFailed,
    TableReceived,
    TableSent,
    VrrpProcessDied,
)
from lvsguard.serving import Slices
from lvsguard.telemetry import catalog, catalog_checks, overview, processes, tables
from lvsguard.telemetry.checks import Checks
from lvsguard.telemetry.elections import Elections
from lvsguard.telemetry.exposition import END, Family, Form, library
from lvsguard.telemetry.histogram import Durations
from lvsguard.telemetry.metric import Metric
from lvsguard.telemetry.processes import Machine
from lvsguard.telemetry.transfers import Transfers

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
DRIFTS = ("service", "realserver", "address", "table", "setting")
"""Values of ``Repaired.what`` that are there from the start, at 0."""


class Metrics:
    """Counts from the start on. Only ``render`` takes time, and it takes it in slices."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        machine: Callable[[], Machine] = lambda: Machine({}, {}),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``machine`` tells of the daemon's processes, ``clock`` the time of the wall."""
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._checks = Checks(clock)
        self._elections = Elections()
        self._transfers = Transfers()
        self._labels = tables.Labels()
        self._machine = machine
        self._generation = _gauge(catalog.CONFIG_GENERATION, registry)
        self._events = _counter(catalog.EVENTS, registry)
        self._reloads = _counter(catalog.RELOADS, registry)
        self._hooks = _counter(catalog.HOOKS, registry)
        self._hooked: set[str] = set()
        self._errors = _counter(catalog.KERNEL_ERRORS, registry)
        self._repairs = _counter(catalog.DRIFT_REPAIRS, registry)
        self._restarts = _counter(catalog_checks.PROBER_RESTARTS, registry)
        self._verdicts = _counter(catalog_checks.VERDICT_CHANGES, registry)
        self._latency = Durations(LATENCIES)
        self._lag = _histogram(catalog.LOOP_LAG, registry)
        self._passes = _histogram(catalog.PASS_SECONDS, registry)
        self._state = _gauge(catalog.STATE_WRITABLE, registry)
        self._state.set(1)
        ProcessCollector(registry=registry)
        every: set[type[Event]] = {
            *Event.__subclasses__(),
            *SERVICE,
            *AGENT,
            *PEER,
            *HOOK,
            AdminRefused,
        }
        _prime(self._events, sorted(kind.kind for kind in every))
        _prime(self._reloads, ("accepted", "refused"))
        _prime(self._errors, ("step", "access"))
        _prime(self._repairs, DRIFTS)
        _prime(self._verdicts, tuple(Verdict))
        self._spent = 0.0
        self._longest = 0.0
        if config is not None:
            self.configure(config)

    def configure(self, config: Config) -> None:
        """A configuration is in force: tallies are told apart by its services."""
        self._generation.inc()
        self._checks.configure(config)
        self._labels.keep({service.name for service in config.services})
        self._elections.configure(config)
        self._keep_hooks(config.hooks)

    def event(self, event: Event) -> None:
        """Count an event."""
        self._events.labels(event.kind).inc()
        match event:
            case HealthChanged():
                self._verdicts.labels(event.after).inc()
            case HealthChangedMany():
                self._verdicts.labels(Verdict.UP).inc(event.up)
                self._verdicts.labels(Verdict.DOWN).inc(event.down)
            case Repaired():
                self._repairs.labels(event.what).inc()
            case MoreAlike(Repaired.kind, about, count):
                self._repairs.labels(about).inc(count)
            case MoreAlike(StepRefused.kind, _, count):
                self._errors.labels("step").inc(count)
            case StepRefused():
                self._errors.labels("step").inc()
            case KernelFailed():
                self._errors.labels("access").inc()
            case ProberDied():
                self._restarts.inc()
            case Reloaded():
                self._reloads.labels("accepted").inc()
            case ReloadRefused():
                self._reloads.labels("refused").inc()
            case StateTrouble():
                self._state.set(event.ok)
            case RoleChanged():
                self._elections.changed(event)
            case VrrpProcessDied():
                self._elections.died()
            case TableSent() | TableReceived() | TableFailed():
                self._transfers.event(event)

    def hook(self, name: str, outcome: str) -> None:
        """A hook was told of an event, or was not. One that a reload has just ended counts no
        more."""
        if name in self._hooked:
            self._hooks.labels(name, outcome).inc()

    def _keep_hooks(self, hooks: Iterable[HookConfig]) -> None:
        """Have every outcome of these from the start, at 0, and forget what is no hook any more."""
        names = {hook.name for hook in hooks}
        for gone in self._hooked - names:
            for outcome in Outcome:
                self._hooks.remove(gone, outcome)
        for name in names:
            for outcome in Outcome:
                self._hooks.labels(name, outcome)
        self._hooked = names

    def tally(self, tallies: Sequence[Tally]) -> None:
        """Add a prober's batch."""
        self._checks.add(tallies)

    @property
    def election(self) -> ElectionStatus | None:
        """What was told last of the VRRP process; None: no VIP group has an election."""
        return self._elections.status

    def elections(self, status: ElectionStatus | None) -> None:
        """Tell how the VRRP process does, and what it has counted: each second, or more often."""
        self._elections.take(status)

    def verdicts_to_kernel(self, seconds: Iterable[float]) -> None:
        """Changes of verdict have reached the kernel, each after so long."""
        self._latency.observe(seconds)

    def passed(self, seconds: float) -> None:
        """A pass of the controller took so long."""
        self._passes.observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """A timer was so late."""
        self._lag.observe(max(seconds, 0.0))

    async def render(
        self, view: View, slices: Slices | None = None, form: Form = Form.TEXT
    ) -> AsyncGenerator[bytes, None]:
        """The exposition in pieces, made in slices of a few ms; one may wait between pieces."""
        slices = slices or Slices()
        begun = perf_counter()
        slices.begin()
        small = b"".join(overview.pieces(view, self._spent, self._longest, form))
        small += b"".join(processes.pieces(self._machine(), form))
        small += b"".join(self._elections.pieces(view, form))
        small += b"".join(self._transfers.pieces(view, form))
        latency = Family(catalog.VERDICT_TO_KERNEL)
        self._latency.write(latency)
        small += b"".join(latency.pieces(form))
        small += library(self._registry, form)
        slices.end()
        yield small
        for big in (
            tables.pieces(view, self._labels, slices, form),
            self._checks.pieces(slices, form),
        ):
            slices.begin()
            async for piece in big:
                yield piece
            slices.end()
        if form is Form.OPENMETRICS:
            yield END
        self._spent = perf_counter() - begun
        self._longest = slices.longest


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)


def _histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=LATENCIES)


def _prime(counter: Counter, values: Iterable[str]) -> None:
    """Have these series from the start, so that the first event is an increase from 0."""
    for value in values:
        counter.labels(value)
