"""A director: real elections, a process that may stall or die, a host that may freeze or crash.

A process that dies leaves its addresses behind, which the kernel goes on to serve, and its logbook.
The one that is started in its place does what the station does (``Station._start``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING

from lvsguard.vrrp.action import (
    Action,
    AddAddresses,
    Conflict,
    RemoveAddresses,
    RoleChanged,
    Send,
    Stopped,
)
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.reception import Datagram
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import State
from tests.sim.book import Book
from tests.sim.scenario import LATENESS
from tests.sim.seat import Seat

if TYPE_CHECKING:
    from tests.sim.world import World

QUEUE = 200
"""Packets that a socket holds for a process that does not read."""


def _nothing() -> None: ...


class Host:
    """One director. Times are real ones; only its elections see the host's own clock."""

    def __init__(self, world: World, index: int, members: Iterable[Settings], drift: float) -> None:
        """``members``: of its group, one for each family."""
        self.world = world
        self.index = index
        self.seats = [Seat(self, number, one) for number, one in enumerate(members)]
        self._rate = 1 + drift
        self._offset = world.random.uniform(0, 1e6)
        self.group: SyncGroup | None = None
        self.stalled = False
        """Its process does not run; packets wait in its socket."""
        self.frozen = False
        """It does not run at all; packets are lost."""
        self.ready = False
        self.linked = True
        self._settings = self.seats[0].settings
        self.priority = self._settings.priority
        """As its controller says."""
        self.book = Book([seat.name for seat in self.seats])
        self._steps: float = inf
        """So many more are done by its process before it dies."""
        self._death: Callable[[], None] = _nothing
        self._spoke = False
        """Since it began to do what it does."""
        self._queue: list[tuple[int, Datagram, int]] = []
        self._wake_at = inf
        self._wake_number = 0

    # What it is.

    @property
    def awake(self) -> bool:
        """Whether its elections run now."""
        return self.group is not None and not self.stalled and not self.frozen

    @property
    def holds(self) -> bool:
        """Whether it has any addresses."""
        return any(seat.holds for seat in self.seats)

    @property
    def state(self) -> State:
        """Of its first election; a process that is not there is INIT."""
        return self.seats[0].state

    def clock(self) -> float:
        """Its monotonic clock now."""
        return self._offset + self.world.now * self._rate

    # What happens to it.

    def boot(self, *, ready_in: float | None, hold: float) -> None:
        """Start its process, which may hold its preemption back. It is ready after some seconds,
        or, None, as its controller said last."""
        now = self.clock()
        settings = {seat.name: seat.settings for seat in self.seats}
        group = self.group = SyncGroup(settings, ready=self.ready, kind=self.world.kind)
        for name in settings:
            group.link(name, self.linked, now)
            group.set_priority(name, self.priority, now)
        if hold:
            group.hold_preempt(True, now, now + hold)
        group.start(
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
        for seat in self.seats:
            seat.holds = False
        self.frozen = self.ready = False
        self.priority = self._settings.priority
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
        self.group = None
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
        if self.group is not None and self.awake:
            for seat in self.seats:
                self.group.set_priority(seat.name, priority, self.clock())
            self.settle()

    def stop(self) -> None:
        """Its process is asked to leave as planned."""
        if self.group is not None:
            self.group.stop(self.clock())
            self.settle()

    def hold_preempt(self, hold: bool) -> None:
        """It is to leave a lower priority alone, or no longer."""
        if self.group is not None and self.awake:
            self.group.hold_preempt(hold, self.clock())
            self.settle()

    def fail_over(self) -> bool:
        """It is asked to give up mastership; whether it had it."""
        given = self.group is not None and self.group.failover(self.clock())
        self._note_aside()
        return given

    def resume(self) -> None:
        """It may preempt again."""
        if self.group is not None:
            self.group.resume(self.clock())
            self._note_aside()

    def _note_aside(self) -> None:
        self.settle()
        if self.group is not None:
            for name, one in self.group.members.items():
                self.book.stand_aside(name, one.aside)

    def set_ready(self, ready: bool) -> None:
        """Its controller says so, also to a process that stalls: it is told when it runs."""
        self.ready = ready
        if self.group is not None and self.awake:
            self.group.set_ready(ready, self.clock())
            self.settle()

    def set_link(self, up: bool) -> None:
        """Its interface loses or regains the link."""
        self.linked = up
        if self.group is not None and self.awake:
            self._tell_links(self.group)
            self.settle()

    def _tell_links(self, group: SyncGroup) -> None:
        for seat in self.seats:
            group.link(seat.name, self.linked, self.clock())

    # Its process.

    def arrive(self, number: int, datagram: Datagram, sender: int) -> None:
        """A packet for one of its seats has come."""
        if self.group is None or self.frozen or not self.linked:
            return
        if self.stalled:
            if len(self._queue) < QUEUE:
                self._queue.append((number, datagram, sender))
            return
        self._hear(number, datagram, sender)
        self.settle()

    def _hear(self, number: int, datagram: Datagram, sender: int) -> None:
        seat = self.seats[number]
        advert = seat.believe(datagram, sender)
        if advert is None:
            self.world.count("rejected")
        elif self.group is not None:
            self.group.receive(seat.name, advert, datagram.source, self.clock())

    def wake(self, number: int) -> None:
        """A timer of its process has fired."""
        if number == self._wake_number:
            self._wake_at = inf
            if self.awake:
                self._run()

    def _run(self) -> None:
        """One turn of the process: read the socket empty, then the timer."""
        group = self.group
        if group is None:
            return
        if self._queue:
            for waiting in self._queue:
                self._hear(*waiting)
            self._queue.clear()
        # What its controller and its kernel told it meanwhile.
        one = group.members[self.seats[0].name]
        if one.contends != (self.ready or self._settings.unready_drop is not None):
            group.set_ready(self.ready, self.clock())
        if self.linked is (one.state is State.FAULT):
            self._tell_links(group)
        due, now = group.timer(), self.clock()
        # By the rounding between the clocks it may seem not yet due.
        if due is not None and due <= now + 1e-7:
            group.expire(max(due, now))
            again = group.timer()
            if again is not None and again <= due:
                self.world.watch.violate(f"director {self.index}'s timer stays at {again}")
        self.settle()

    def settle(self) -> None:
        """Do what the elections ask for, and set the timer."""
        group = self.group
        if group is None:
            return
        self._spoke = False
        actions = group.actions()
        for name, action in actions:
            self._do(self._seat(name), action)
            if self.group is None:
                break
        changed = any(not isinstance(action, Send) for _, action in actions)
        for seat in self.seats:
            if seat.holds and self.group is not None and group.members[seat.name].lets_go:
                self._do(seat, RemoveAddresses())
                changed = True
        if changed:
            self.world.look()
        if self.group is not None:
            self._set_timer(self.group)

    def _seat(self, name: str) -> Seat:
        return next(seat for seat in self.seats if seat.name == name)

    def _do(self, seat: Seat, action: Action) -> None:
        if isinstance(action, Send):
            if self._lives():
                self._send(seat, action.advert)
            if self._lives():
                self.book.spoke(seat.name, action.advert, self.clock())
        elif isinstance(action, AddAddresses):
            seat.holds = seat.holds or self._lives()
        elif isinstance(action, RemoveAddresses):
            if self._lives():
                self.book.left(seat.name)
            if self._lives():
                seat.holds = False
        elif isinstance(action, RoleChanged):
            self.world.tell(
                self, f"IPv{seat.name}: {action.before} -> {action.after}: {action.cause}"
            )
        elif isinstance(action, Conflict):
            self.world.count("conflicts")
        elif isinstance(action, Stopped) and all(one.state is State.INIT for one in self.seats):
            self._end()
            self.ready = False

    def _lives(self) -> bool:
        """Whether its process comes to the next step."""
        if self.group is not None:
            self._steps -= 1
            if self._steps < 0:
                if self._spoke:
                    self.world.watch.interrupted()
                self._death()
                self.world.look()
        return self.group is not None

    def _set_timer(self, group: SyncGroup) -> None:
        due = group.timer()
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

    def _send(self, seat: Seat, advert: Advert) -> None:
        self._spoke = True
        if self.linked:
            self.world.send(seat.octets(advert), self.index, seat.number)
