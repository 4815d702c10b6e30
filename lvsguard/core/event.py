"""What happened, as frozen records with one line each. They feed log, metrics and journal.

An event says what changed and why; it never carries work to be done.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.override import Override
from lvsguard.core.step import Step

NAMED_MAX = 100
"""Names in one event."""


class Level(IntEnum):
    """Severity; the numbers are those of the logging module."""

    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events: ``kind`` is stable and public, ``str()`` is for people."""

    kind: ClassVar[str] = "event"
    level: ClassVar[Level] = Level.INFO


@dataclass(frozen=True, slots=True)
class Started(Event):
    """The controller has applied its first pass."""

    kind: ClassVar[str] = "started"
    version: str
    adopted: int
    """Realservers that were in the kernel already."""
    writes: int
    """Messages that the first pass wrote to the kernel."""

    def __str__(self) -> str:
        return f"started {self.version}: adopted {self.adopted} realservers, {self.writes} writes"


@dataclass(frozen=True, slots=True)
class Stopping(Event):
    """The daemon stops."""

    kind: ClassVar[str] = "stopping"
    keep: bool
    left: tuple[str, ...] = ()
    """VIP groups whose election this director leaves: another one takes them over."""

    def __str__(self) -> str:
        if not self.keep:
            return "stopping: taking out what is owned"
        if not self.left:
            return "stopping: VIPs and IPVS table stay in the kernel"
        groups = ", ".join(self.left)
        return (
            f"stopping: VIP {groups} goes to another director, the IPVS table stays in the kernel"
        )


@dataclass(frozen=True, slots=True)
class HealthChanged(Event):
    """A check's verdict changed; a warning where it went down."""

    kind: ClassVar[str] = "health"
    realserver: str
    check: str
    before: Verdict
    after: Verdict
    code: str
    reason: str
    failure: FailureClass | None
    detector: str = ""
    """What gave the hint that made the probe look; ``check`` where it was due anyway."""
    hint: str = ""
    """What the detector saw."""
    latency: float | None = None
    """Seconds from the hint to the verdict."""
    duration: float = 0.0
    """Seconds that the probe took that decided."""
    probes: int = 0
    """Results in a row that made the verdict, that one included."""
    took: float = 0.0
    """Seconds from the begin of the first of them to the verdict."""
    seen: str = ""
    """The beginning of what the peer sent, where that decided; printable, never a header."""
    trace: str = ""
    """Id of the verdict; what followed from it carries the same."""
    services: tuple[str, ...] = ()
    """Names of those that ask by this check, ten at most."""

    def __str__(self) -> str:
        line = (
            f"realserver {self.realserver} is {self.after} (was {self.before}): "
            f"{self.check} {self.code} {self.reason}"
        )
        if not self.detector or self.latency is None:
            return line
        return f"{line} ({self.latency * 1000:.0f} ms after a hint, {self.detector}: {self.hint})"


@dataclass(frozen=True, slots=True)
class HealthLost(HealthChanged):
    """A check's verdict went down. ``after`` is that."""

    level: ClassVar[Level] = Level.WARNING


@dataclass(frozen=True, slots=True)
class MacChanged(Event):
    """A realserver answers from another MAC address than before: its network card or its host was
    replaced, or two hosts have its address."""

    kind: ClassVar[str] = "mac-changed"
    level: ClassVar[Level] = Level.WARNING
    realserver: str
    before: str
    after: str

    def __str__(self) -> str:
        return (
            f"realserver {self.realserver} answers from MAC address {self.after} (was"
            f" {self.before}): if its hardware was not changed, look for a second host with its"
            " address"
        )


@dataclass(frozen=True, slots=True)
class Applied(Event):
    """The kernel was changed to what is wanted."""

    kind: ClassVar[str] = "applied"
    command: str
    """The step or setting, as the command it equals."""
    trace: str = ""
    """Id of the verdict or override that it follows from; empty: none that is known."""
    latency: float | None = None
    """Seconds from that verdict to the kernel's answer; None: it was no verdict."""
    service: str = ""
    """Name of the service that it changes; empty: none."""
    realserver: str = ""

    def __str__(self) -> str:
        return f"applied: {self.command}"


@dataclass(frozen=True, slots=True)
class AppliedMany(Event):
    """The kernel was changed in more steps than are worth a line each."""

    kind: ClassVar[str] = "applied-many"
    count: int
    first: str
    last: str

    def __str__(self) -> str:
        return f"applied {self.count} more steps, from '{self.first}' to '{self.last}'"


@dataclass(frozen=True, slots=True)
class Repaired(Event):
    """Somebody else changed what lvsguard owns; it was mended."""

    kind: ClassVar[str] = "drift"
    level: ClassVar[Level] = Level.WARNING
    what: str
    """``service``, ``realserver``, ``table``, ``address`` or ``setting``."""
    subject: str
    differed: str
    steps: tuple[Step, ...]
    service: str = ""
    """Name of the service that was changed; empty: it is about no service, or about all."""
    realserver: str = ""

    def __str__(self) -> str:
        return f"drift repaired on {self.subject}: {self.differed}"


@dataclass(frozen=True, slots=True)
class MoreAlike(Event):
    """More events of one kind within a second than are worth a line each."""

    kind: ClassVar[str] = "more"
    level: ClassVar[Level] = Level.WARNING
    of: str
    """Their kind."""
    about: str
    """What they have in common, such as ``realserver``; may be empty."""
    count: int
    first: str
    """The line of the first of them."""

    def __str__(self) -> str:
        return f"{self.count} more events of kind {self.of}, the first: {self.first}"


REFUSES = "the kernel refuses "
"""Begins each line of what is wrong now that is about a step."""


@dataclass(frozen=True, slots=True)
class StepRefused(Event):
    """The kernel refused a step; the rest of its address waits for the next pass."""

    kind: ClassVar[str] = "step-refused"
    level: ClassVar[Level] = Level.ERROR
    command: str
    message: str
    trace: str = ""
    """Id of the verdict or override that it follows from; empty: none that is known."""
    service: str = ""
    """Name of the service that it would change; empty: none."""
    realserver: str = ""

    def __str__(self) -> str:
        return f"the kernel refused '{self.command}': {self.message}"


@dataclass(frozen=True, slots=True)
class KernelFailed(Event):
    """The kernel could not be read or asked; the next pass tries again."""

    kind: ClassVar[str] = "kernel-error"
    level: ClassVar[Level] = Level.ERROR
    message: str

    def __str__(self) -> str:
        return f"kernel: {self.message}"


@dataclass(frozen=True, slots=True)
class KernelRecovered(Event):
    """The kernel answers again after a failure."""

    kind: ClassVar[str] = "kernel-recovered"
    passes: int

    def __str__(self) -> str:
        return f"kernel answers again after {self.passes} failed passes"


@dataclass(frozen=True, slots=True)
class ForeignChanged(Event):
    """A service that is not the director's own came or left; it is never touched."""

    kind: ClassVar[str] = "foreign"
    service: str
    present: bool

    def __str__(self) -> str:
        verb = "seen, it will not be touched" if self.present else "is gone"
        return f"foreign service {self.service} {verb}"


@dataclass(frozen=True, slots=True)
class LinkEvent(Event):
    """An interface that carries a VIP, or that realservers are behind, went down or came back."""

    kind: ClassVar[str] = "link"
    level: ClassVar[Level] = Level.WARNING
    interface: str
    up: bool
    present: bool = True

    def __str__(self) -> str:
        state = ("up" if self.up else "down") if self.present else "gone"
        return f"interface {self.interface} is {state}"


@dataclass(frozen=True, slots=True)
class OverrideSet(Event):
    """An operator override was set."""

    kind: ClassVar[str] = "override-set"
    override: Override
    trace: str = ""
    """Id of this word on the target, the same on all directors."""

    def __str__(self) -> str:
        o = self.override
        what = f"{o.kind} {o.weight}" if o.weight else str(o.kind)
        why = f": {o.reason}" if o.reason else ""
        ticket = f" [{o.ticket}]" if o.ticket else ""
        return f"{what} of {o.target} by {o.actor}{why}{ticket}"


@dataclass(frozen=True, slots=True)
class OverrideCleared(Event):
    """An operator override was cleared, or its time was over (``actor`` is then ``expiry``)."""

    kind: ClassVar[str] = "override-cleared"
    override: Override
    actor: str
    trace: str = ""
    """Id of the override that it ends."""
    reason: str = ""
    """Why it was ended; empty: nobody said."""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{self.override.kind} of {self.override.target} ended by {self.actor}{why}"


@dataclass(frozen=True, slots=True)
class OverrideIdle(Event):
    """After a reload an override is about nothing that the config names."""

    kind: ClassVar[str] = "override-idle"
    level: ClassVar[Level] = Level.WARNING
    override: Override

    def __str__(self) -> str:
        o = self.override
        return (
            f"{o.kind} of {o.target} by {o.actor} matches nothing in this config any more: set it"
            " again under the new name, or clear it"
        )


@dataclass(frozen=True, slots=True)
class Reloaded(Event):
    """A new configuration is in force."""

    kind: ClassVar[str] = "reloaded"
    digest: str
    steps: int
    actor: str = ""
    """Who asked for it."""
    added: tuple[str, ...] = ()
    """Realservers that came, as ``10.0.0.42:80 in web``; at most ``NAMED_MAX``, as below."""
    removed: tuple[str, ...] = ()
    """Realservers that the configuration names no more."""
    more: int = 0
    """How many more came or went than are named."""

    def __str__(self) -> str:
        by = f" by {self.actor}" if self.actor else ""
        line = f"configuration {self.digest} in force{by}, {self.steps} kernel steps"
        for what, names in (("added", self.added), ("removed", self.removed)):
            if names:
                rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
                line += f"; {what} {', '.join(names[:3])}{rest}"
        return line


@dataclass(frozen=True, slots=True)
class ReloadRefused(Event):
    """A new configuration was refused; the old one stays in force."""

    kind: ClassVar[str] = "reload-refused"
    level: ClassVar[Level] = Level.ERROR
    problems: tuple[str, ...]
    actor: str = ""
    """Who asked for it."""

    def __str__(self) -> str:
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"configuration refused, the old one stays in force: {self.problems[0]}{more}"


@dataclass(frozen=True, slots=True)
class ProberDied(Event):
    """A prober process ended; it is replaced, its last verdicts stand."""

    kind: ClassVar[str] = "prober-died"
    level: ClassVar[Level] = Level.ERROR
    prober: int
    how: str
    checks: int

    def __str__(self) -> str:
        return (
            f"prober {self.prober} ended ({self.how}): restarting it, "
            f"the verdicts of its {self.checks} checks stand"
        )


@dataclass(frozen=True, slots=True)
class StateTrouble(Event):
    """The state directory cannot be written (or can again); overrides are then kept in memory."""

    kind: ClassVar[str] = "state"
    level: ClassVar[Level] = Level.ERROR
    message: str
    ok: bool = False

    def __str__(self) -> str:
        return f"state directory: {self.message}"


@dataclass(frozen=True, slots=True)
class StateRestored(StateTrouble):
    """The state directory can be written again. ``ok`` is true."""

    level: ClassVar[Level] = Level.INFO
    ok: bool = True
