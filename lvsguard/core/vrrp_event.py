"""What happened in the election: the VRRP process tells it, the controller passes it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvsguard.core.event import Event, Level


@dataclass(frozen=True, slots=True)
class RoleChanged(Event):
    """This director has another role for a VIP group."""

    kind: ClassVar[str] = "role"
    level: ClassVar[Level] = Level.WARNING
    vip: str
    before: str
    after: str
    cause: str
    master: str
    """Who is master now, as far as known."""

    def __str__(self) -> str:
        who = f"; master is {self.master}" if self.master and self.after != "master" else ""
        return f"VIP {self.vip}: {self.after} (was {self.before}): {self.cause}{who}"


@dataclass(frozen=True, slots=True)
class HandoverStage(Event):
    """A planned handover of a VIP group began, found its successor, or found nobody."""

    kind: ClassVar[str] = "handover"
    vip: str
    stage: str
    """``begun``, ``heard`` or ``nobody``."""
    successor: str

    def __str__(self) -> str:
        if self.stage == "heard":
            return f"VIP {self.vip}: {self.successor} has taken over, the addresses go now"
        if self.stage == "nobody":
            return f"VIP {self.vip}: nobody took over"
        return f"VIP {self.vip}: handing over, the addresses stay until a successor is heard"


@dataclass(frozen=True, slots=True)
class VipConflict(Event):
    """While this director is master somebody else claims the VIP: a split brain, or a realserver
    that answers ARP for it."""

    kind: ClassVar[str] = "conflict"
    level: ClassVar[Level] = Level.ERROR
    vip: str
    other: str
    """Address of the other master, or the MAC address that claims the VIP."""
    how: str
    """``advert`` (it speaks VRRP), ``arp`` or ``nd``."""
    detail: str = ""
    """Of an advert its priority, else the address that is claimed."""
    realserver: str = ""
    """The realserver whose MAC address it is; empty: none that is known."""

    def __str__(self) -> str:
        if self.how == "advert":
            return (
                f"VIP {self.vip}: {self.other} says that it is master, too ({self.detail}): the two"
                " did not hear each other; the lower priority gives way"
            )
        if self.realserver:
            return (
                f"VIP {self.vip}: realserver {self.realserver} ({self.other}) answers for"
                f" {self.detail}: clients reach it past this director; run there: lvsguard"
                f" realserver check --vip {self.detail} --rip {self.realserver}"
            )
        return (
            f"VIP {self.vip}: {self.other} answers for it ({self.detail}): a director that cannot"
            " be heard, or a realserver that answers ARP (there: lvsguard realserver check)"
        )


@dataclass(frozen=True, slots=True)
class VipConflictOver(Event):
    """Who was master, too, or claimed the VIP, has fallen silent."""

    kind: ClassVar[str] = "conflict-over"
    vip: str
    other: str
    seconds: float
    address: str = ""
    """The one that was claimed; empty: the other one spoke VRRP."""

    def __str__(self) -> str:
        if self.address:
            return (
                f"VIP {self.vip}: {self.other} does not answer for {self.address} any more, after"
                f" {self.seconds:.1f} s"
            )
        return f"VIP {self.vip}: {self.other} is silent again after {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class ConflictDrain(Event):
    """A realserver that claims a VIP should be drained, and a service cannot do without it."""

    kind: ClassVar[str] = "conflict-drain"
    level: ClassVar[Level] = Level.ERROR
    vip: str
    realserver: str
    service: str

    def __str__(self) -> str:
        return (
            f"VIP {self.vip}: realserver {self.realserver} answers for it and is not drained:"
            f" service {self.service} cannot do without it (there: lvsguard realserver check)"
        )


@dataclass(frozen=True, slots=True)
class VrrpStalled(Event):
    """The VRRP process did not run when it should have."""

    kind: ClassVar[str] = "stalled"
    level: ClassVar[Level] = Level.WARNING
    vip: str
    seconds: float

    def __str__(self) -> str:
        return (
            f"VIP {self.vip}: the VRRP process did not run for {self.seconds:.2f} s: look for what"
            " held this host up (suspended? no real-time priority?)"
        )


@dataclass(frozen=True, slots=True)
class AdvertRejected(Event):
    """Adverts of one sender are dropped for one reason; told once a minute at most."""

    kind: ClassVar[str] = "advert-rejected"
    level: ClassVar[Level] = Level.WARNING
    vip: str
    source: str
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"VIP {self.vip}: advert of {self.source} dropped: {self.advice}"


@dataclass(frozen=True, slots=True)
class VrrpTold(Event):
    """The VRRP process tells something else that matters for a VIP group."""

    kind: ClassVar[str] = "vrrp"
    level: ClassVar[Level] = Level.WARNING
    vip: str
    text: str

    def __str__(self) -> str:
        return f"VIP {self.vip}: {self.text}"


@dataclass(frozen=True, slots=True)
class TableSent(Event):
    """This director has sent its connection table to the others."""

    kind: ClassVar[str] = "table-sent"
    vip: str
    entries: int
    seconds: float
    peer: str
    """Who asked for it; empty: nobody, it went with a handover."""
    why: str
    """``join`` or ``handover``."""

    def __str__(self) -> str:
        whom = f"to {self.peer}, which joins" if self.peer else "ahead of the handover"
        return f"VIP {self.vip}: {self.entries} connections sent {whom}, in {self.seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class TableReceived(Event):
    """The master has sent its connection table to this director, which joins."""

    kind: ClassVar[str] = "table-received"
    vip: str
    entries: int
    seconds: float
    """From the first question to the answer."""
    peer: str

    def __str__(self) -> str:
        return (
            f"VIP {self.vip}: {self.peer} has sent its {self.entries} connections,"
            f" in {self.seconds:.2f} s"
        )


@dataclass(frozen=True, slots=True)
class TableFailed(Event):
    """The connection table was not sent, or did not come. What goes wrong each time when sending is
    told once, until it goes well again."""

    kind: ClassVar[str] = "table-failed"
    level: ClassVar[Level] = Level.WARNING
    vip: str
    """``all`` where it concerns no single one."""
    received: bool
    """It was to come from ``peer``."""
    peer: str
    why: str

    def __str__(self) -> str:
        if self.received:
            return f"VIP {self.vip}: no connections from {self.peer}: {self.why}"
        return f"VIP {self.vip}: the connection table was not sent: {self.why}"


@dataclass(frozen=True, slots=True)
class VrrpProcessDied(Event):
    """The VRRP process ended; it is started again, and takes its VIPs up as it finds them."""

    kind: ClassVar[str] = "vrrp-died"
    level: ClassVar[Level] = Level.ERROR
    how: str

    def __str__(self) -> str:
        return f"the VRRP process ended ({self.how}): starting it anew, its VIPs stay meanwhile"


@dataclass(frozen=True, slots=True)
class PriorityChanged(Event):
    """What is tracked has changed this director's priority or readiness."""

    kind: ClassVar[str] = "priority"
    level: ClassVar[Level] = Level.WARNING
    vip: str
    priority: int
    ready: bool
    why: str

    def __str__(self) -> str:
        standing = f"priority {self.priority}" if self.ready else "stands back"
        return f"VIP {self.vip}: {standing}: {self.why}"


@dataclass(frozen=True, slots=True)
class FailoverAsked(Event):
    """An operator asked this director to give up mastership, or to preempt again."""

    kind: ClassVar[str] = "failover"
    level: ClassVar[Level] = Level.WARNING
    vip: str
    actor: str
    resume: bool
    forced: str = ""
    """What would have been refused without ``--force``."""

    def __str__(self) -> str:
        what = "ended the failover, it may preempt again" if self.resume else "asked for a failover"
        if self.forced:
            what += f" by force, though {self.forced}"
        return f"VIP {self.vip}: {self.actor} {what}"


TOLD = {
    event.kind: event
    for event in (
        RoleChanged,
        HandoverStage,
        VipConflict,
        VipConflictOver,
        VrrpStalled,
        AdvertRejected,
        VrrpTold,
        TableSent,
        TableReceived,
        TableFailed,
    )
}
"""Events that come from the VRRP process, by kind."""
