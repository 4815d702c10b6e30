"""Who claims a VIP beside this director: a realserver is named by its MAC address, kept for status,
and drained where the config asks for that; another master is kept for status. It asks nobody and
hears nobody itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from math import inf

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.neighbours import Neighbours
from lvsguard.core.config import OnConflict, ServiceConfig
from lvsguard.core.event import Event
from lvsguard.core.memory import NEW
from lvsguard.core.model import IPAddress, ServiceKey
from lvsguard.core.override import CONFLICT, Override, OverrideKind, Target
from lvsguard.core.placement import Facts, Placement, live_weight, placements
from lvsguard.core.rules import remember
from lvsguard.core.snapshot import ConflictStatus
from lvsguard.core.vrrp_event import (
    ConflictDrain,
    HandoverStage,
    RoleChanged,
    VipConflict,
    VipConflictOver,
    VrrpProcessDied,
)


class Conflicts:
    """The conflicts over VIPs that last now."""

    def __init__(
        self,
        book: FactBook,
        neighbours: Neighbours,
        *,
        emit: Callable[[Event], None],
        put: Callable[[Override], None],
        clear: Callable[[Target, OverrideKind, str], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``put`` and ``clear`` an override, see ``loop.Controller``; ``clock``: wall clock."""
        self._book = book
        self._neighbours = neighbours
        self._emit = emit
        self._put = put
        self._clear = clear
        self._clock = clock
        self.seek: Callable[[], None] = lambda: None
        """Called where a MAC address is that of no realserver that is known (``sought``)."""
        self._now: dict[tuple[str, str, str], ConflictStatus] = {}
        self._drained: dict[Target, set[tuple[str, str, str]]] = {}
        self._masters: dict[tuple[str, str], VipConflict] = {}
        """Other masters that are heard, by VIP group and address."""

    def tell(self, event: Event) -> None:
        """Take an event: one of a conflict is told with its realserver's name, others as is."""
        match event:
            case VipConflict(how="arp" | "nd"):
                self._begin(event)
            case VipConflictOver(address=address) if address:
                self._end(event)
            case VrrpProcessDied():
                self._forget()
                self._emit(event)
            case _:
                self._note_master(event)
                self._emit(event)

    def _note_master(self, event: Event) -> None:
        """Who leaves as master looks for no other, and tells no end of one."""
        match event:
            case VipConflict(vip=vip, other=other):
                self._masters[vip, other] = event
            case VipConflictOver(vip=vip, other=other):
                self._masters.pop((vip, other), None)
            case RoleChanged(vip=vip) | HandoverStage(vip=vip, stage="begun"):
                self._masters = {key: e for key, e in self._masters.items() if key[0] != vip}

    def named(self, mac: str = "") -> None:
        """A MAC address was learnt, or several: it may be one that claims a VIP."""
        for key, one in list(self._now.items()):
            if mac in ("", one.mac):
                self._learn(key, one)

    def sought(self) -> frozenset[IPAddress]:
        """Realservers of which one may be who claims a VIP and has no name yet; empty: none is
        looked for."""
        versions = {
            one.address.version
            for one in self._now.values()
            if not self._claimants(one.mac, one.address)
        }
        found = (r.key.address for s in self._book.config.services for r in s.realservers)
        return frozenset(address for address in found if address.version in versions)

    def of(self, vip: str) -> tuple[ConflictStatus, ...]:
        """The conflicts of a VIP group that last now."""
        return tuple(one for key, one in self._now.items() if key[0] == vip)

    def trouble(self) -> Iterator[str]:
        """What is wrong now, one line each."""
        yield from map(str, self._masters.values())
        for key, one in self._now.items():
            name = None if one.realserver is None else str(one.realserver)
            how = "arp" if one.address.version == 4 else "nd"
            yield str(VipConflict(key[0], key[2], how, key[1], name or ""))

    def settle(self) -> None:
        """The facts have changed: who was drained, and can be done without no more, is let back in;
        so is who is no longer to be drained. Looks at services that have changed alone."""
        changed = self._book.changed
        for target, keys in list(self._drained.items()) if changed else ():
            if not self._held_by_us(target):
                continue  # an operator's word stands
            vip = next((key[0] for key in sorted(keys) if self._drains(key[0])), "")
            lacking = self._lacking(target.address, changed) if vip else ""
            if vip and not lacking:
                continue
            del self._drained[target]
            if lacking:
                self._emit(ConflictDrain(vip, str(target.address), lacking))
            self._clear(target, OverrideKind.DRAIN, CONFLICT)

    def ended(self, target: Target) -> None:
        """Another director has ended a drain of it, which may have stood in the place of this
        one's: who still claims a VIP is drained again."""
        self._drained.pop(target, None)
        for key, one in self._now.items():
            for who in self._claimants(one.mac, one.address):
                if Target(who) == target and self._drains(key[0]):
                    self._drain(key, who)

    def _begin(self, event: VipConflict) -> None:
        key = (event.vip, event.detail, event.other)
        address = ip_address(event.detail)
        realservers = self._claimants(event.other, address)
        name = realservers[0] if realservers else self._namesake(event.other)
        known = self._now.get(key)
        since = self._clock() if known is None else known.since
        self._now[key] = ConflictStatus(address, event.other, name, since)
        self._emit(replace(event, realserver="" if name is None else str(name)))
        if not realservers:
            self.seek()
        self._drain_all(key, realservers)

    def _learn(self, key: tuple[str, str, str], one: ConflictStatus) -> None:
        """Tell who it is, once that is known; what else stands on that host is drained, too."""
        realservers = self._claimants(one.mac, one.address)
        if one.realserver in realservers:
            self._drain_all(key, realservers)
        elif realservers or (one.realserver is None and self._namesake(one.mac) is not None):
            how = "arp" if one.address.version == 4 else "nd"
            self._begin(VipConflict(key[0], key[2], how, key[1]))

    def _claimants(self, mac: str, vip: IPAddress) -> tuple[IPAddress, ...]:
        """The realservers at a MAC address that serve this VIP; where it has none there, those of
        its family. One host may be several, and serve other VIPs well by the others."""
        there = self._neighbours.at(mac)
        if not there:
            return ()
        serving, family = set(), set()
        for service in self._book.config.services:
            if service.key.family == vip.version:
                found = {r.key.address for r in service.realservers}.intersection(there)
                family |= found
                if service.key.address == vip:
                    serving |= found
        return tuple(one for one in there if one in (serving or family))

    def _namesake(self, mac: str) -> IPAddress | None:
        """A realserver of another family on that host: it names the host, and is not drained."""
        return next(iter(self._neighbours.at(mac)), None)

    def _end(self, event: VipConflictOver, *, told: bool = True) -> None:
        key = (event.vip, event.address, event.other)
        self._now.pop(key, None)
        if told:
            self._emit(event)
        for target, keys in list(self._drained.items()):
            keys.discard(key)
            if keys:
                continue
            del self._drained[target]
            if self._held_by_us(target):
                self._clear(target, OverrideKind.DRAIN, CONFLICT)

    def _forget(self) -> None:
        """Nobody watches any more who told of these: what still holds is told again."""
        self._masters.clear()
        for vip, address, mac in list(self._now):
            self._end(VipConflictOver(vip, mac, 0.0, address), told=False)

    def _drains(self, vip: str) -> bool:
        vips = self._book.config.vips
        return any(one.name == vip and one.on_conflict is OnConflict.DRAIN for one in vips)

    def _drain_all(self, key: tuple[str, str, str], realservers: Iterable[IPAddress]) -> None:
        if self._drains(key[0]):
            for realserver in realservers:
                self._drain(key, realserver)

    def _drain(self, key: tuple[str, str, str], realserver: IPAddress) -> None:
        """Take it out of rotation for as long as it lasts, once, unless a service needs it."""
        target = Target(realserver)
        if target in self._drained:
            self._drained[target].add(key)
            return
        if self._book.held(target, OverrideKind.DRAIN) is not None:
            return  # an operator's word stands
        if lacking := self._lacking(realserver):
            self._emit(ConflictDrain(key[0], str(realserver), lacking))
            return
        self._drained[target] = {key}
        reason = f"it answers for VIP {key[1]}"
        self._put(Override(target, OverrideKind.DRAIN, CONFLICT, self._clock(), reason))

    def _held_by_us(self, target: Target) -> bool:
        held = self._book.held(target, OverrideKind.DRAIN)
        return held is not None and held.actor == CONFLICT

    def _lacking(self, realserver: IPAddress, among: Collection[ServiceKey] | None = None) -> str:
        """A service that without it has nobody, lacks its quorum or panics; empty: none.
        ``among``: None is all of them."""
        facts = self._book.facts
        drain = Override(Target(realserver), OverrideKind.DRAIN, CONFLICT, 0.0)
        others = (one for one in facts.overrides if one.key != drain.key)
        facts = replace(facts, overrides=(*others, drain))
        for service in self._book.config.services:
            if among is not None and service.key not in among:
                continue
            if not any(one.key.address == realserver for one in service.realservers):
                continue
            left = placements(service, facts)
            if not any(map(live_weight, left)) or _ails(service, left, facts):
                return service.name
        return ""


def _ails(service: ServiceConfig, placed: tuple[Placement, ...], facts: Facts) -> bool:
    """Whether the quorum is lost, or it is panic, once the facts are these."""
    memory = remember(service, placed, facts.memory.get(service.key, NEW), facts.now)
    return bool(memory.lost) or memory.panic == inf
