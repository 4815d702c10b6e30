"""Turns what a pass did into events: one line each, nothing twice, no flood.

It remembers what it has said already; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from types import MappingProxyType

from lvsguard.controller.crowd import Crowd
from lvsguard.controller.settings import Held
from lvsguard.core.config import Config
from lvsguard.core.crowd_event import summed
from lvsguard.core.drift import Drift
from lvsguard.core.event import (
    NAMED_MAX,
    REFUSES,
    Applied,
    AppliedMany,
    Event,
    ForeignChanged,
    HealthChanged,
    KernelFailed,
    KernelRecovered,
    MoreAlike,
    Reloaded,
    Repaired,
    StepRefused,
)
from lvsguard.core.model import RealserverKey, ServiceKey
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    DeleteRealserver,
    EditRealserver,
    RemoveAddress,
    Step,
)
from lvsguard.core.trace import Cause, Causes, cause_of
from lvsguard.kernel.port import KernelError, StepFailure


class Reporter:
    """Speaks for the controller. ``steps`` counts what was applied so far."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        name_of: Callable[[ServiceKey], str] = lambda key: "",
    ) -> None:
        """``name_of`` gives a service's name in the config, or nothing."""
        self._name_of = name_of
        self.steps = 0
        self._emit = emit
        self._drifts: tuple[Drift, ...] = ()
        self._cleared = 0
        self._foreign: frozenset[ServiceKey] = frozenset()
        self._refused: dict[str, str] = {}
        self._held: tuple[Step, ...] = ()
        self._kernel_trouble = ""
        self._setting_troubles: tuple[str, ...] = ()
        self._settings_seen = False
        self._verdicts: Crowd[HealthChanged] = Crowd()
        self._steps: Crowd[Step] = Crowd()
        self._alike: dict[tuple[str, str], Crowd[Event]] = {}
        self._now = 0.0

    def tick(self, now: float) -> None:
        """Tell the sums that are due. ``now`` is monotonic, here and below."""
        self._now = now
        for (kind, about), crowd in self._alike.items():
            if more := crowd.sum(now):
                self._emit(MoreAlike(kind, about, len(more), str(more[0])))
        if changes := self._verdicts.sum(now):
            self._emit(summed(changes))
        if many := self._steps.sum(now):
            self._emit(AppliedMany(len(many), str(many[0]), str(many[-1])))

    def health(self, change: HealthChanged, now: float) -> None:
        """A verdict changed."""
        if self._verdicts.admits(change, now):
            self._emit(change)

    def services(self, news: Iterable[Event]) -> None:
        """What became of services as a whole."""
        for event in news:
            self._tell(event)

    def trouble(self) -> tuple[str, ...]:
        """What is wrong now, one line each."""
        lines = [self._kernel_trouble] if self._kernel_trouble else []
        lines += [f"{REFUSES}'{step}': {why}" for step, why in self._refused.items()]
        if self._held:
            lines.append(f"{len(self._held)} steps wait for those that were refused")
        return (*lines, *self._setting_troubles)

    def kernel_failed(self, error: KernelError) -> None:
        """A pass could not ask the kernel. Told once for the same text."""
        text = str(error)
        if text != self._kernel_trouble:
            self._emit(KernelFailed(text))
        self._kernel_trouble = text

    def recovered(self, failed_passes: int) -> None:
        """A pass went through."""
        if self._kernel_trouble:
            self._emit(KernelRecovered(failed_passes))
        self._kernel_trouble = ""

    def settings(self, held: Held) -> None:
        """Settings were looked at; the first look sets them, a later change is drift."""
        if held.changes:
            text = ", ".join(held.changes)
            if self._settings_seen:
                self._emit(Repaired("setting", "IPVS settings", text, ()))
            else:
                self._emit(Applied(text))
        for trouble in held.troubles:
            if trouble not in self._setting_troubles:
                self._emit(KernelFailed(trouble))
        self._setting_troubles = held.troubles
        self._settings_seen = True

    def foreign(self, keys: Collection[ServiceKey]) -> None:
        """Which services are not the director's own."""
        now = frozenset(keys)
        for key in sorted(now - self._foreign, key=str):
            self._tell(ForeignChanged(str(key), present=True))
        for key in sorted(self._foreign - now, key=str):
            self._tell(ForeignChanged(str(key), present=False))
        self._foreign = now

    def drifted(self, drifts: tuple[Drift, ...], left: int, found: int) -> None:
        """What differs from what the last pass left; told once it is mended.

        ``left`` and ``found`` count the owned services before and now.
        """
        self._drifts = drifts
        self._cleared = left if left and not found else 0

    def applied(
        self,
        done: Sequence[Step],
        failures: Iterable[StepFailure],
        held: Sequence[Step],
        now: float,
        causes: Causes = MappingProxyType({}),
        *,
        whole: bool,
    ) -> None:
        """The end of a pass: what was written, what was refused, what waits, and what it follows
        from.

        Only a ``whole`` pass, about everything that is owned, ends what was wrong before.
        """
        self.steps += len(done)
        for step in self._repaired(done):
            if self._steps.admits(step, now):
                self._emit(self._applied(step, causes, now))
        refused: dict[str, str] = {}
        for failure in failures:
            command = str(failure.step)
            if not failure.stale and self._refused.get(command) != failure.message:
                cause = _cause(failure.step, causes)
                trace = "" if cause is None else cause.trace
                about = self._about(failure.step)
                self._tell(StepRefused(command, failure.message, trace, *about))
            if not failure.stale:
                refused[command] = failure.message
        if whole:
            self._refused, self._held = refused, tuple(held)
        else:
            self._refused |= refused

    def _applied(self, step: Step, causes: Causes, now: float) -> Applied:
        cause = _cause(step, causes)
        trace = "" if cause is None else cause.trace
        at = None if cause is None else cause.at
        latency = None if at is None else round(max(now - at, 0.0), 6)
        return Applied(str(step), trace, latency, *self._about(step))

    def _about(self, step: Step) -> tuple[str, str]:
        """Name of the service and the realserver that a step is about; empty: none."""
        if isinstance(step, AddAddress | RemoveAddress):
            return "", ""
        return self._name_of(step.service), str(_realserver(step) or "")

    def _tell(self, event: Event, about: str = "") -> None:
        """Tell an event of a kind that may come in thousands."""
        crowd = self._alike.setdefault((event.kind, about), Crowd())
        if crowd.admits(event, self._now):
            self._emit(event)

    def _repaired(self, done: Sequence[Step]) -> list[Step]:
        """Tell the drifts that these steps mended; the steps that mended nothing are left."""
        drifts, self._drifts = self._drifts, ()
        if not drifts:
            return list(done)
        if self._cleared > 1:
            text = f"all {self._cleared} services were deleted by somebody else"
            self._emit(Repaired("table", "the IPVS table", text, tuple(done)))
            return []
        mended: dict[ServiceKey, list[Step]] = {}
        rest: list[Step] = []
        touched = {drift.service for drift in drifts}
        for step in done:
            if isinstance(step, AddAddress | RemoveAddress) or step.service not in touched:
                rest.append(step)
            else:
                mended.setdefault(step.service, []).append(step)
        for drift in drifts:
            if drift.service in mended:
                steps = tuple(mended[drift.service])
                about = self._name_of(drift.service), str(drift.realserver or "")
                repaired = Repaired(drift.what, drift.subject, drift.differed, steps, *about)
                self._tell(repaired, drift.what)
        return rest


def realserver_names(config: Config) -> tuple[str, ...]:
    """Every realserver of a config as events name it, such as ``10.0.0.42:80 in web``."""
    return tuple(f"{r.key} in {s.name}" for s in config.services for r in s.realservers)


def reloaded(config: Config, steps: int, actor: str, before: Sequence[str]) -> Reloaded:
    """What a config that is in force now changed; ``before``: the realservers of the last one."""
    after = realserver_names(config)
    was, now = frozenset(before), frozenset(after)
    added = [name for name in after if name not in was]
    removed = [name for name in before if name not in now]
    more = max(len(added) - NAMED_MAX, 0) + max(len(removed) - NAMED_MAX, 0)
    told = tuple(added[:NAMED_MAX]), tuple(removed[:NAMED_MAX])
    return Reloaded(config.digest, steps, actor, *told, more)


def _cause(step: Step, causes: Causes) -> Cause | None:
    one = _realserver(step)
    return None if one is None else cause_of(one, causes)


def _realserver(step: Step) -> RealserverKey | None:
    if isinstance(step, AddRealserver | EditRealserver | DeleteRealserver):
        return step.realserver
    return None
