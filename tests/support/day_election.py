"""The elections of a director in the day of ``day_script``: roles, adverts, claims, lateness."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import inf

from lvsguard.core.election_status import ElectionCounts, ElectionStatus
from lvsguard.core.event import Event
from lvsguard.core.snapshot import ConflictStatus, PathStatus, Role, VipStatus
from lvsguard.core.vrrp_event import (
    RoleChanged,
    TableReceived,
    TableSent,
    VipConflict,
    VrrpProcessDied,
)
from lvsguard.vrrp.message import LATENESS
from tests.support import day_script as script
from tests.support.day_config import address
from tests.support.day_script import MIDNIGHT, VIPS

BOUNDS = (*LATENESS, inf)
INTERVAL_S = 1.0


class Changes:
    """Remembers what was, to tell what is otherwise now."""

    def __init__(self) -> None:
        self._known: dict[object, object] = {}

    def turned(self, what: object, now: object, at_first: object = None) -> bool:
        """Whether something is otherwise than the last time."""
        before = self._known.get(what, at_first)
        self._known[what] = now
        return before != now


@dataclass
class _Counted:
    """What the VRRP process has counted."""

    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    received: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    conflicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    claims: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    rejected: Counter[str] = field(default_factory=Counter)
    lateness: dict[float, int] = field(default_factory=lambda: dict.fromkeys(BOUNDS, 0))
    late_s: float = 0.0
    late: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    resigned: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    resignations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIPS, 0))
    announced: int = 0
    noise: int = 0


class Elections:
    """Of one director, since its start."""

    def __init__(
        self,
        name: str,
        step_s: int,
        began: int,
        chance: random.Random,
        tell: Callable[[Event], None],
    ) -> None:
        self._name = name
        self._step = step_s
        self._began = began
        self._chance = chance
        self._tell = tell
        self._counted = _Counted()
        self._changes = Changes()

    def step(self, t: int) -> tuple[tuple[VipStatus, ...], ElectionStatus]:
        """What is shown then: the VIP groups, and the VRRP process."""
        counted, groups = self._counted, []
        late = script.one(script.LATE, t, self._name)
        fit = script.one(script.UNFIT, t, self._name) is None
        for vrid, (vip, (_, first)) in enumerate(VIPS.items(), 51):
            masters = script.masters(vip, t)
            role = Role.MASTER if self._name in masters else Role.BACKUP
            role = Role.FAULT if script.one(script.DARK, t) else role
            if self._changes.turned(("role", vip), role, Role.INIT):
                self._tell(RoleChanged(vip, "init", role, "as the day goes", ""))
                self._handed(vip, role, t)
                counted.resigned[vip] += bool(t and role is Role.BACKUP)
                counted.resignations[vip] += bool(t and role is Role.MASTER)
            if role is Role.MASTER:
                counted.sent[vip] += self._step
                self._late(vip, self._step, bool(late))
            elif masters:
                counted.received[vip] += self._step
            claim = script.one(script.CLAIMED, t, vip) if role is Role.MASTER else None
            counted.claims[vip] += self._step * bool(claim)
            counted.conflicts[vip] += len(masters) == 2
            if self._changes.turned(("claim", vip), bool(claim), False) and claim:
                self._tell(VipConflict(vip, "52:54:00:0a:00:2c", "arp", claim.code, "10.0.0.44"))
            groups.append(self._group(vip, vrid, role, t, fit=fit, first=first, claim=claim))
        if script.one(script.DYING, t, self._name):
            for _ in range(self._step // 60):
                self._tell(VrrpProcessDied("signal 9"))
        if script.one(script.REJECTED, t, self._name):
            counted.rejected["auth-data"] += self._step
        counted.noise += self._chance.random() < 0.01
        return tuple(groups), self._status(t, fit)

    def _group(
        self,
        vip: str,
        vrid: int,
        role: Role,
        t: int,
        *,
        fit: bool,
        first: str,
        claim: script.Span | None,
    ) -> VipStatus:
        held = address(vip)
        conflict = ConflictStatus(
            held.address, "52:54:00:0a:00:2c", ip_address("10.0.0.44"), float(MIDNIGHT + t)
        )
        return VipStatus(
            vip,
            (held,),
            frozenset({held} if role is Role.MASTER else ()),
            role,
            float(MIDNIGHT + t),
            vrid=vrid,
            priority=(150 if first == self._name else 100) - (0 if fit else 60),
            ready=fit,
            conflicts=(conflict,) if claim else (),
            paths=(
                PathStatus("eth0", role is not Role.FAULT),
                PathStatus(
                    "eth1",
                    role is Role.MASTER or script.one(script.HEARTBEAT, t, self._name) is None,
                ),
            ),
        )

    def _handed(self, vip: str, role: Role, t: int) -> None:
        """Connection tables go with a change of director, and come when one joins."""
        entries = int(self._chance.uniform(2000, 4000))
        if role is Role.MASTER:
            self._counted.announced += 10
        elif t > self._began:
            self._tell(TableSent(vip, entries, 0.09, "", "handover"))
        elif t:
            self._tell(
                TableReceived(vip, entries, 0.35, script.DIRECTORS[script.other(self._name)])
            )

    def _late(self, vip: str, count: int, overloaded: bool) -> None:
        for _ in range(count):
            late = self._chance.lognormvariate(-6.6, 0.5)
            if overloaded and self._chance.random() < 0.3:
                late += self._chance.uniform(0.05, 0.7)
            self._counted.late[vip] += late > INTERVAL_S / 2
            self._counted.late_s += late
            self._counted.lateness[next(bound for bound in BOUNDS if late <= bound)] += 1

    def _status(self, t: int, fit: bool) -> ElectionStatus:
        c = self._counted
        counts = ElectionCounts(
            sent=dict(c.sent),
            received=dict(c.received),
            rejected={"web": dict(c.rejected)},
            discarded={"short": c.noise},
            announced=c.announced,
            conflicts=dict(c.conflicts),
            claims=dict(c.claims),
            lateness=dict(c.lateness),
            lateness_sum=c.late_s,
            real_time=script.one(script.ORDINARY, t, self._name) is None,
            resigned=dict(c.resigned),
            resignations=dict(c.resignations),
            late=dict(c.late),
        )
        ready = dict.fromkeys(VIPS, fit)
        return ElectionStatus(True, float(MIDNIGHT + t), 4711 + self._began, ready, counts)
