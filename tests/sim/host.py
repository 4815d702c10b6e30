"""A director: the real election, a process that may stall, a host that may freeze or crash."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING

from lvsguard.vrrp import packet
from lvsguard.vrrp.action import (
    AddAddresses,
    Conflict,
    RemoveAddresses,
    RoleChanged,
    Send,
    Stopped,
)
from lvsguard.vrrp.advert import GROUP_V4, TTL, Advert, Wire
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.reception import Datagram, Received
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import State
from tests.sim.scenario import LATENESS

if TYPE_CHECKING:
    from tests.sim.world import World

QUEUE = 200
"""Packets that a socket holds for a process that does not read."""


class Host:
    """One director. Times are real ones; only the election sees the host's own clock."""

    def __init__(self, world: World, index: int, settings: Settings, drift: float) -> None:
        self.world = world
        self.index = index
        self.settings = settings
        self._rate = 1 + drift
        self._offset = world.random.uniform(0, 1e6)
        self.election: Election | None = None
        self.holds = False
        self.stalled = False
        """Its process does not run; packets wait in its socket."""
        self.frozen = False
        """It does not run at all; packets are lost."""
        self.ready = False
        self.linked = True
        self._queue: list[tuple[Datagram, int]] = []
        self._wire = Wire(version=settings.version)
        self._octets: dict[Advert, Datagram] = {}
        self._heard: dict[tuple[bytes, int], Advert | None] = {}
        self._expected = Advert(
            settings.vrid, 100, settings.interval, settings.addresses, settings.version
        )
        self._wake_at = inf
        self._wake_number = 0

    # What it is.

    @property
    def awake(self) -> bool:
        """Whether its election runs now."""
        return self.election is not None and not self.stalled and not self.frozen

    @property
    def leads(self) -> bool:
        """Whether it has the addresses and could serve."""
        return self.holds and self.awake

    @property
    def eligible(self) -> bool:
        """Whether it would have to take over from a silent master."""
        one = self.election
        return one is not None and self.awake and one.state is State.BACKUP and one.contends

    @property
    def state(self) -> State:
        """Of its election; a process that is not there is INIT."""
        return State.INIT if self.election is None else self.election.state

    def clock(self) -> float:
        """Its monotonic clock now."""
        return self._offset + self.world.now * self._rate

    # What happens to it.

    def boot(self, *, ready_in: float, hold: float) -> None:
        """Start its process; it is ready after some seconds, and may hold its preemption back."""
        now = self.clock()
        self.election = self.world.kind(self.settings, link=self.linked)
        if hold:
            self.election.hold_preempt(True, now, now + hold)
        self.election.start(now)
        self.settle()
        self.world.after(ready_in, self.set_ready, True)

    def crash(self) -> None:
        """The host is gone, with its addresses."""
        self.election = None
        self.holds = self.stalled = self.frozen = self.ready = False
        self._queue.clear()
        self._wake_at = inf

    def stall(self) -> None:
        """Its process stops running."""
        self.stalled = True

    def freeze(self) -> None:
        """The host stops running."""
        self.frozen = True

    def go_on(self, *, clock_stood_still: float = 0.0) -> None:
        """It runs again; its clock may not have counted the time."""
        self.stalled = self.frozen = False
        self._offset -= clock_stood_still * self._rate
        self._run()

    def set_ready(self, ready: bool) -> None:
        """Its controller says so, also to a process that stalls: it is told when it runs."""
        self.ready = ready
        self._tell(lambda one: one.set_ready(ready, self.clock()))

    def set_link(self, up: bool) -> None:
        """Its interface loses or regains the link."""
        self.linked = up
        self._tell(lambda one: one.link(up, self.clock()))

    def _tell(self, message: Callable[[Election], None]) -> None:
        if self.election is not None and self.awake:
            message(self.election)
            self.settle()

    # Its process.

    def arrive(self, datagram: Datagram, sender: int) -> None:
        """A packet has come."""
        if self.election is None or self.frozen or not self.linked:
            return
        if self.stalled:
            if len(self._queue) < QUEUE:
                self._queue.append((datagram, sender))
            return
        self._hear(datagram, sender)
        self.settle()

    def _hear(self, datagram: Datagram, sender: int) -> None:
        key = (datagram.payload, sender)
        heard = self._heard
        if key not in heard:
            # The codec is pure: octets that were decoded once need not be again.
            got = packet.decode(datagram, self._wire, self._expected)
            heard[key] = got.advert if isinstance(got, Received) else None
        advert = heard[key]
        if advert is None:
            self.world.count("rejected")
        elif self.election is not None:
            self.election.receive(advert, datagram.source, self.clock())

    def wake(self, number: int) -> None:
        """A timer of its process has fired."""
        if number == self._wake_number:
            self._wake_at = inf
            if self.election is not None and not self.stalled and not self.frozen:
                self._run()

    def _run(self) -> None:
        """One turn of the process: read the socket empty, then the timer."""
        one = self.election
        if one is None:
            return
        if self._queue:
            for datagram, sender in self._queue:
                self._hear(datagram, sender)
            self._queue.clear()
        # What its controller and its kernel told it meanwhile.
        if one.contends != (self.ready or self.settings.unready_drop is not None):
            one.set_ready(self.ready, self.clock())
        if self.linked is (one.state is State.FAULT):
            one.link(self.linked, self.clock())
        due, now = one.timer(), self.clock()
        # By the rounding between the clocks it may seem not yet due.
        if due is not None and due <= now + 1e-7:
            one.expire(max(due, now))
            again = one.timer()
            if again is not None and again <= due:
                self.world.watch.violate(f"director {self.index}'s timer stays at {again}")
        self.settle()

    def settle(self) -> None:
        """Do what the election asks for, and set the timer."""
        one = self.election
        if one is None:
            return
        actions = one.actions()
        if actions:
            for action in actions:
                if isinstance(action, Send):
                    self._send(action.advert)
                elif isinstance(action, AddAddresses):
                    self.holds = True
                elif isinstance(action, RemoveAddresses):
                    self.holds = False
                elif isinstance(action, RoleChanged):
                    self.world.tell(self, f"{action.before} -> {action.after}: {action.cause}")
                elif isinstance(action, Conflict):
                    self.world.count("conflicts")
                elif isinstance(action, Stopped):
                    self.election = None
                    self.ready = False
            if len(actions) > 1 or not isinstance(actions[0], Send):
                self.world.look()
        if self.election is not None:
            self._set_timer(self.election)

    def _set_timer(self, one: Election) -> None:
        due = one.timer()
        if due is None:
            return
        at = (due - self._offset) / self._rate
        if at < self._wake_at:
            world = self.world
            self._wake_at = at
            self._wake_number += 1
            late = LATENESS * world.random.random() ** 8
            at = max(at, world.now) + late
            heappush(world.events, (at, world.next(), self.wake, (self._wake_number,)))

    def _send(self, advert: Advert) -> None:
        datagram = self._octets.get(advert)
        if datagram is None:
            octets = packet.encode(advert, self._wire, self.settings.local, GROUP_V4)
            datagram = Datagram(octets, self.settings.local, GROUP_V4, TTL)
            self._octets[advert] = datagram
        if self.linked:
            self.world.send(datagram, self.index)
