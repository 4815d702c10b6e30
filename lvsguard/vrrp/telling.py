"""What the VRRP process tells of its elections, as events: each thing once, and not on and on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from lvsguard.core.event import Event
from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp_event import (
    AdvertRejected,
    HandoverStage,
    RoleChanged,
    VipConflict,
    VipConflictOver,
    VrrpStalled,
    VrrpTold,
)
from lvsguard.vrrp.action import (
    Action,
    Conflict,
    ConflictOver,
    Handover,
    HoldLapsed,
    MasterResigned,
    Stalled,
)
from lvsguard.vrrp.action import RoleChanged as RoleAction
from lvsguard.vrrp.claims import Claims
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.reception import Rejected
from lvsguard.vrrp.watch import Claim

REPEAT_S: Final = 60.0
"""Between two events that say the same."""
KEPT_MAX: Final = 1000


class Telling:
    """Makes events of what the elections report. Times are monotonic."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._told: dict[tuple[str, ...], float] = {}
        self._roles: dict[str, Role] = {}
        self._claims = Claims()

    def keep(self, names: Iterable[str]) -> None:
        """Forget the roles of all instances but these."""
        kept = set(names)
        self._roles = {name: role for name, role in self._roles.items() if name in kept}

    def action(self, mine: Instance, action: Action, master: str) -> None:
        """Tell what an election reports. ``master``: who is it, as far as known."""
        match action:
            case RoleAction(_, after, cause):
                # An instance under a new config has the role that it had: that is no news.
                before = self._roles.get(mine.name, Role.INIT)
                self._roles[mine.name] = after
                if before is not after:
                    self._emit(RoleChanged(mine.vip, str(before), str(after), str(cause), master))
            case Handover(stage, _, source):
                self._emit(HandoverStage(mine.vip, str(stage), str(source or "")))
            case Conflict(source, priority):
                self._emit(VipConflict(mine.vip, str(source), "advert", f"priority {priority}"))
            case ConflictOver(source, seconds):
                self._emit(VipConflictOver(mine.vip, str(source), seconds))
            case Stalled(seconds):
                self._emit(VrrpStalled(mine.vip, seconds))
            case MasterResigned(source):
                self._emit(VrrpTold(mine.vip, f"the master {source} leaves as planned"))
            case HoldLapsed():
                text = "what preemption was held back for did not come in time: it may preempt now"
                self._emit(VrrpTold(mine.vip, text))
            case _:
                pass

    def rejected(self, mine: Instance, source: str, why: Rejected, now: float) -> None:
        """An advert was dropped."""
        self.once(AdvertRejected(mine.vip, source, str(why.reason), str(why)), now)

    def claim(self, vip: str, claim: Claim, now: float) -> None:
        """Somebody else says that it has an address of a VIP group that is here."""
        event = self._claims.claim(vip, claim.address, claim.mac, now)
        if event is not None:
            self._emit(event)

    @property
    def due(self) -> float | None:
        """When ``expire`` has something to tell."""
        return self._claims.due

    def expire(self, now: float) -> None:
        """Tell which claims have ended."""
        for event in self._claims.expire(now):
            self._emit(event)

    def trouble(self, vip: str, texts: Iterable[str], now: float) -> None:
        """Something did not work; ``vip`` is empty where it concerns all."""
        for text in texts:
            self.once(VrrpTold(vip or "all", text), now)

    def once(self, event: Event, now: float) -> None:
        """Tell, unless the same was told a short while ago."""
        key = (event.kind, *_subject(event))
        if now - self._told.get(key, -inf) < REPEAT_S:
            return
        if len(self._told) > KEPT_MAX:
            self._told.clear()
        self._told[key] = now
        self._emit(event)


def _subject(event: Event) -> tuple[str, ...]:
    match event:
        case AdvertRejected(vip, source, reason, _):
            return (vip, source, reason)
        case VrrpTold(vip, text):
            return (vip, text)
        case _:
            return (str(event),)
