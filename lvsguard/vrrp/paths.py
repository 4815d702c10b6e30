"""The interfaces of the VRRP process: links for adverts, frames for announcements, ears for claims.

Opened, closed and opened again as interfaces come and go. What is heard goes to the station.
"""

from __future__ import annotations

import select
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import Sysctl, SysctlError, conf
from lvsguard.vrrp.frame_socket import FrameSocket
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.link import Datagram, FamilyNumber, Link
from lvsguard.vrrp.watch import Claim, ClaimWatch


class Paths:
    """All interfaces that instances use, by name."""

    def __init__(self, watch: InterfaceWatch, sysctl: Sysctl) -> None:
        """Nothing is used before ``configure``."""
        self._watch = watch
        self._sysctl = sysctl
        self.links: dict[str, Link] = {}
        self.frames: dict[str, FrameSocket] = {}
        """By the interface that VIPs stand on."""
        self.claims: dict[str, ClaimWatch] = {}
        self._macs: dict[str, set[bytes]] = {}
        self._carriers: dict[str, tuple[int, int]] = {}
        """Of the interfaces that are up: which one it is, and the turns of its carrier."""
        self._plans: dict[str, _Plan] = {}
        self._discarded: Counter[str] = Counter()
        """By links that are closed."""
        # One descriptor for all of them: a loop that watched sockets which come and go would take
        # a new one of the same number for the old.
        self._ears = select.epoll()
        self._ears.register(watch.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """Readable when something came: always the same descriptor."""
        return self._ears.fileno()

    def configure(self, instances: Iterable[Instance], now: float) -> None:
        """Have what these need. Sockets whose needs did not change stay."""
        plans, standing = _plans(instances)
        self._macs = {name: plan.macs for name, plan in plans.items()}
        other = [name for name in self._plans if self._plans[name] != plans.get(name)]
        old: list[Link | ClaimWatch | FrameSocket] = []
        for name in other:
            old += (self.links.pop(name), self.claims.pop(name))
        old += [self.frames.pop(name) for name in self.frames.keys() - standing]
        self._plans = plans
        for name, plan in plans.items():
            if name not in self.links:
                # The old ones are closed after the new ones are open, or a switch would see the
                # multicast group left.
                self._add(name, plan)
        for name in standing - self.frames.keys():
            self.frames[name] = FrameSocket(name)
        self.update(now)
        for one in old:
            self._retire(one)

    def _add(self, name: str, plan: _Plan) -> None:
        link = Link(name, plan.vrids, vips=plan.vips, sources=plan.sources)
        claim = ClaimWatch(name, plan.vips)
        self.links[name], self.claims[name] = link, claim
        for one in (link, claim):
            self._ears.register(one.fileno(), select.EPOLLIN)

    def _retire(self, one: Link | ClaimWatch | FrameSocket) -> None:
        if isinstance(one, Link):
            self._discarded += _discarded(one)
        one.close()

    def look(self, now: float) -> tuple[bool, frozenset[str], list[str]]:
        """Take in what became of the interfaces. Returns whether one can be used or no longer, or
        from another address; the interfaces whose link went and came back since the last look; and
        what went wrong."""
        try:
            changed = self._watch.read()
        except KernelError as error:
            return False, frozenset(), [str(error)]
        if not changed:
            return False, frozenset(), []
        before = self._carriers
        usable, troubles = self.update(now)
        back = {n for n, one in self._carriers.items() if before.get(n, one) != one}
        return usable, frozenset(back), troubles

    def update(self, now: float) -> tuple[bool, list[str]]:
        """Hold all sockets against the interfaces as they are. Returns whether another one can be
        used, and what went wrong."""
        usable = False
        troubles: list[str] = []
        self._carriers = {}
        for name, link in self.links.items():
            state = self._watch.state(name)
            if state is not None and state.up:
                self._carriers[name] = state.index, state.turns
            usable = link.update(state, now) or usable
        for name, frame in self.frames.items():
            try:
                frame.update(self._watch.state(name), router=self._forwards(name))
            except KernelError as error:
                troubles.append(str(error))
        macs = self._watch.macs
        for name, claim in self.claims.items():
            try:
                claim.update(self._watch.state(name), macs | self._macs[name])
            except KernelError as error:
                troubles.append(str(error))
        return usable, troubles

    def read(self, now: float, *, urgent: bool = False) -> list[Datagram]:
        """What came over all links."""
        return [one for link in self.links.values() for one in link.read(now, urgent=urgent)]

    def claimed(self) -> list[Claim]:
        """Claims of VIPs by others."""
        heard: list[Claim] = []
        for claim in self.claims.values():
            heard += claim.read()
        return heard

    def timer(self) -> float | None:
        """When to call ``read`` though nothing came."""
        due = [at for link in self.links.values() if (at := link.timer()) is not None]
        return min(due, default=None)

    def discarded(self) -> Counter[str]:
        """What was thrown away before any instance saw it, by reason."""
        return sum(map(_discarded, self.links.values()), self._discarded.copy())

    def close(self) -> None:
        """Give all sockets back, but for the watch."""
        every: list[Link | ClaimWatch | FrameSocket] = []
        every += (*self.links.values(), *self.claims.values(), *self.frames.values())
        for one in every:
            one.close()
        self._ears.close()

    def _forwards(self, interface: str) -> bool:
        try:
            return self._sysctl.read_int(conf("ipv6", interface, "forwarding")) > 0
        except SysctlError:
            return False


@dataclass(slots=True)
class _Plan:
    """What one interface is used for."""

    vrids: dict[FamilyNumber, set[int]] = field(default_factory=dict)
    vips: set[IPAddress] = field(default_factory=set)
    sources: set[IPAddress] = field(default_factory=set)
    macs: set[bytes] = field(default_factory=set)
    """Virtual ones on top of it."""


def _plans(instances: Iterable[Instance]) -> tuple[dict[str, _Plan], set[str]]:
    """By interface; and the interfaces that VIPs stand on."""
    plans: dict[str, _Plan] = {}
    standing: set[str] = set()
    for one in instances:
        for path in one.paths:
            plan = plans.setdefault(path, _Plan())
            plan.vrids.setdefault(one.family, set()).add(one.settings.vrid)
            plan.vips.update(a.address for a in one.addresses)
            if one.source is not None and path == one.interface:
                plan.sources.add(one.source)
        standing.update(a.interface for a in one.addresses)
        if one.virtual is not None:
            plans[one.interface].macs.add(one.virtual.mac)
    return plans, standing


def _discarded(link: Link) -> Counter[str]:
    link.count_overflow()
    return Counter({str(reason): count for reason, count in link.discarded.items()})
