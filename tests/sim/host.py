"""A director: the real election, a process that may stall or die, a host that may freeze or crash.

A process that dies leaves its addresses behind, which the kernel goes on to serve, and its logbook.
The one that is started in its place does what the station does (``Station._start``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING

from lvsguard.vrrp import packet
from lvsguard.vrrp.action import (
    Action,
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
from lvsguard.vrrp.transitions import HOLDING, State
from tests.sim.book import Book
from tests.sim.scenario import LATENESS

if TYPE_CHECKING:
    from tests.sim.world import World

QUEUE = 200
"""Packets that a socket holds for a process that does not read."""


def _nothing() -> None: ...


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
        self.priority = settings.priority
        """As its controller says."""
        self.book = Book()
        self._steps: float = inf
        """So many more are done by its process before it dies."""
        self._death: Callable[[], None] = _nothing
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
        """Whether it has the addresses and runs."""
        return self.holds and self.awake

    @property
    def speaks(self) -> bool:
        """Whether it has them as a master, and not only still."""
        return self.leads and self.state in HOLDING

    @property
    def serves(self) -> bool:
        """Whether its kernel forwards."""
        return self.holds and not self.frozen

    @property
    def waits(self) -> bool:
        """Whether it neither is master nor would become it."""
        one = self.election
        return one is not None and one.state is State.BACKUP and not one.contends

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

    def boot(self, *, ready_in: float | None, hold: float) -> None:
        """Start its process, which may hold its preemption back. It is ready after some seconds,
        or, None, as its controller said last."""
        now = self.clock()
        one = self.election = self.world.kind(self.settings, ready=self.ready, link=self.linked)
        one.set_priority(self.priority, now)
        if hold:
            one.hold_preempt(True, now, now + hold)
        one.start(
            now,
            resumed=self.holds,
            going_on=self.book.goes_on(now),
            aside=self.book.aside(),
        )
        self.settle()
        if ready_in is not None:
            self.world.after(ready_in, self.set_ready, True)

    def crash(self) -> None:
        """The host is gone, with its addresses."""
        self._end()
        self.holds = self.frozen = self.ready = False
        self.priority = self.settings.priority
        self.book.hand_down("lost", self.world.random)

    def die(
        self, fate: str = "kept", *, steps: int = 0, then: Callable[[], None] = _nothing
    ) -> None:
        """Its process is killed, at once or after it did a few more things; ``then`` is called when
        it is. For the fates of its logbook see ``book``."""
        if steps:
            self._steps, self._death = steps, partial(self.die, fate, then=then)
            return
        self._end()
        self.ready = self.ready and fate != "lost"  # a new controller has to see first
        self.book.hand_down(fate, self.world.random)
        then()

    def _end(self) -> None:
        self.election = None
        self.stalled = False
        self._steps = inf
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
        self.stand_still(clock_stood_still)
        self._run()

    def stand_still(self, seconds: float) -> None:
        """Its clock did not count some time: it was suspended."""
        self._offset -= seconds * self._rate

    def set_priority(self, priority: int) -> None:
        """Its controller gives it another one."""
        self.priority = priority
        self._tell(lambda one: one.set_priority(priority, self.clock()))

    def fail_over(self) -> bool:
        """It is asked to give up mastership; whether it had it."""
        one = self.election
        given = one is not None and one.failover(self.clock())
        self._note_aside()
        return given

    def resume(self) -> None:
        """It may preempt again."""
        if self.election is not None:
            self.election.resume(self.clock())
            self._note_aside()

    def _note_aside(self) -> None:
        self.settle()
        if self.election is not None:
            self.book.stand_aside(self.election.aside)

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
        for action in actions:
            self._do(action)
            if self.election is None:
                break
        changed = len(actions) > 1 or (actions and not isinstance(actions[0], Send))
        if self.holds and self.election is not None and self.election.lets_go:
            self._do(RemoveAddresses())
            changed = True
        if changed:
            self.world.look()
        if self.election is not None:
            self._set_timer(self.election)

    def _do(self, action: Action) -> None:
        if isinstance(action, Send):
            if self._lives():
                self._send(action.advert)
                if self._steps < 1:
                    self.world.look()  # it dies having spoken: others begin to wait anew
            if self._lives():
                self.book.spoke(action.advert, self.clock())
        elif isinstance(action, AddAddresses):
            self.holds = self.holds or self._lives()
        elif isinstance(action, RemoveAddresses):
            if self._lives():
                self.book.left()
            if self._lives():
                self.holds = False
        elif isinstance(action, RoleChanged):
            self.world.tell(self, f"{action.before} -> {action.after}: {action.cause}")
        elif isinstance(action, Conflict):
            self.world.count("conflicts")
        elif isinstance(action, Stopped):
            self._end()
            self.ready = False

    def _lives(self) -> bool:
        """Whether its process comes to the next step."""
        if self.election is not None:
            self._steps -= 1
            if self._steps < 0:
                self._death()
                self.world.look()
        return self.election is not None

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
