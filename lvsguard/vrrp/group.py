"""Sync groups: instances that are master together or not at all. Pure; shaped like an election.

A director that is the gateway of two networks must not lead in only one of them. So a group takes
over when every member has found its master silent (or of lower priority): one cut network alone is
no reason, as long as another member still hears. It leaves when any member has to: the others hand
over as planned, with their addresses kept until the successor is heard. A link that is lost is
lost for all.

Of two directors with the same priority the greater address leads, and which is greater may differ
from member to member: the addresses of two families have nothing to do with each other. Were each
to decide for all, both directors would give way to each other, again and again. So one member
decides, the same on both directors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.action import Action
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import State


class SyncGroup:
    """Instances by name; every input goes to all of them, adverts and links to the one named."""

    def __init__(
        self,
        members: Mapping[str, Settings],
        *,
        ready: bool = False,
        kind: type[Election] = Election,
    ) -> None:
        self.members: Mapping[str, Election] = {
            name: kind(settings, ready=ready, grouped=True) for name, settings in members.items()
        }
        self._links = dict.fromkeys(members, True)
        self._decider = self._first()

    def _first(self) -> Election | None:
        """Of what both directors have in their configs: VRID, family and addresses."""

        def key(one: Election) -> tuple[int, int, list[bytes]]:
            addresses = one.settings.addresses
            return one.settings.vrid, addresses[0].version, sorted(a.packed for a in addresses)

        return min(self.members.values(), key=key, default=None)

    def timer(self) -> float | None:
        """When to call ``expire``, monotonic seconds; None: not before something else happens."""
        due = [timer for one in self.members.values() if (timer := one.timer()) is not None]
        return min(due, default=None)

    def actions(self) -> list[tuple[str, Action]]:
        """What is to be done since the last call, each with the name of its instance."""
        return [(name, action) for name, one in self.members.items() for action in one.actions()]

    def split(self, names: Collection[str]) -> SyncGroup:
        """Let these members leave the group, as they are, for one of their own."""
        parted = SyncGroup({})
        parted.members = {name: self.members[name] for name in names}
        parted._links = {name: self._links[name] for name in names}
        self.members = {name: one for name, one in self.members.items() if name not in names}
        self._links = {name: up for name, up in self._links.items() if name not in names}
        self._decider, parted._decider = self._first(), parted._first()
        return parted

    def start(
        self, now: float, *, resumed: bool = False, going_on: bool = False, aside: bool = False
    ) -> None:
        """Take part, when the start delay is over; not while one still leaves. For the flags see
        ``Election.start``; members go on as masters together or not at all."""
        if any(one.state is not State.INIT for one in self.members.values()):
            return
        going_on = going_on and all(one.contends for one in self.members.values())
        for one in self.members.values():
            one.start(now, resumed=resumed, going_on=going_on, aside=aside)
        self._align(now)

    def stop(self, now: float, *, keep: bool = False) -> None:
        """Leave; each member tells ``Stopped``."""
        for one in self.members.values():
            one.stop(now, keep=keep)

    def failover(self, now: float) -> bool:
        """Give up mastership and stay; False if there is none to give."""
        given = [one.failover(now) for one in self.members.values()]
        return any(given)

    def resume(self, now: float) -> None:
        """Preempt again after a failover."""
        for one in self.members.values():
            one.resume(now)

    def hold_preempt(self, hold: bool, now: float, until: float = inf) -> None:
        """Leave a lower-priority master alone, or stop doing so."""
        for one in self.members.values():
            one.hold_preempt(hold, now, until)

    def set_priority(self, name: str, priority: int, now: float) -> None:
        """Change the configured priority of one member."""
        self.members[name].set_priority(priority, now)

    def set_ready(self, ready: bool, now: float) -> None:
        """Say whether this director can serve."""
        for one in self.members.values():
            one.set_ready(ready, now)
        self._align(now)

    def link(self, name: str, up: bool, now: float) -> None:
        """Say whether a member's interface and address are there; all must be."""
        self._links[name] = up
        every = all(self._links.values())
        for one in self.members.values():
            one.link(every, now)
        self._align(now)

    def receive(self, name: str, advert: Advert, source: IPAddress, now: float) -> None:
        """Hear an advert for one member."""
        self._step_back_if_late(now)
        member, decider = self.members[name], self._decider
        led = decider is not None and decider is not member and decider.state is State.MASTER
        member.receive(advert, source, now, led=led)
        self._align(now)

    def expire(self, now: float) -> None:
        """Do what is due. Read the sockets of all members first."""
        self._step_back_if_late(now)
        for one in self.members.values():
            due = one.timer()
            if due is not None and due <= now:
                one.expire(now)
        self._align(now)

    def _step_back_if_late(self, now: float) -> None:
        """Together: one that still spoke would have whoever takes over for all wait anew."""
        if any(one.was_late(now) for one in self.members.values()):
            for one in self.members.values():
                one.step_back(now)

    def _align(self, now: float) -> None:
        """Make the members agree again after one of them has moved."""
        members = self.members.values()
        states = {one.state for one in members}
        if State.MASTER in states and states & {State.BACKUP, State.FAULT}:
            for one in members:
                one.leave(now)
        elif State.YIELDING in states:
            self._conclude(now)
        if all(one.wants for one in members):
            for one in members:
                one.take(now)

    def _conclude(self, now: float) -> None:
        """End handovers that nobody claimed; they go on together only if none was claimed."""
        members = self.members.values()
        nobody = all(one.unclaimed for one in members)
        claimed = any(one.state is not State.YIELDING for one in members)
        if nobody or claimed:
            for one in members:
                one.conclude(resume=nobody, now=now)
