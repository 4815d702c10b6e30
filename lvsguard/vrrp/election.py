"""ELECTS: one VRRP instance (RFC 9568 section 6.4; RFC 3768 for version 2). Pure.

The caller has the socket, the timer and the kernel. It calls ``start``, ``receive``, ``expire``
(when ``timer`` is due), ``stop`` and the inputs, each with the monotonic time in seconds, and does
after each what ``actions`` holds, in that order. **It reads its socket empty, calling ``receive``
for each advert, before it calls ``expire``**: an advert that lies there is not a missing one.

Processes stall and hosts are paused, so beyond the RFC: a backup does not count time in which it
did not run (listening.py); a master that has not spoken for three intervals may have been replaced,
so it steps back before it speaks, and listens for two intervals; and a master that leaves as
planned keeps its addresses until it hears its successor. When what happens is decided here; what
then happens stands in the table of transitions.py.
"""

from __future__ import annotations

from math import inf
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.core.snapshot import Role
from lvsguard.vrrp.action import (
    Action,
    AddAddresses,
    Announce,
    Handover,
    HoldLapsed,
    MasterResigned,
    Occasion,
    RemoveAddresses,
    RoleChanged,
    Stage,
    Stalled,
    Stopped,
)
from lvsguard.vrrp.advert import OWNER, RESIGN, Advert
from lvsguard.vrrp.contest import Contest, Tie
from lvsguard.vrrp.listening import Listening
from lvsguard.vrrp.preemption import Preemption
from lvsguard.vrrp.rating import Rating
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.speaking import Speaking
from lvsguard.vrrp.timing import DOWN_ADVERTS, longest_master_down
from lvsguard.vrrp.transitions import HOLDING, ROLES, TABLE, Effect, State, Trigger

_LEAVING: Final = frozenset({State.YIELDING, State.STOPPING})


class Election:
    """One instance. Not ready until ``set_ready`` says so.

    In a sync group (``grouped``) it does not take over by itself but ``wants`` to, and does not
    end a handover that nobody claimed; the group decides for all members (group.py).
    """

    def __init__(
        self, settings: Settings, *, ready: bool = False, link: bool = True, grouped: bool = False
    ) -> None:
        self.settings = settings
        self._grouped = grouped
        self._state = State.INIT
        self._since = 0.0
        self._actions: list[Action] = []
        self._rating = Rating(settings, ready=ready)
        self._preemption = Preemption(settings)
        self._link = link
        self.local = settings.local
        """The address by which it is known to others: what it speaks from where its VIPs stand."""
        self._keep = False
        self._ear = Listening(settings.version, settings.interval)
        self._contest: Contest | None = None
        self._tie: Tie | None = None
        self._deadline = inf
        """End of the start delay, or of the wait for a successor."""
        self._unclaimed = False
        self._voice = Speaking(settings, self._rating.priority)

    # What it is.

    @property
    def state(self) -> State:
        """What it does now."""
        return self._state

    @property
    def role(self) -> Role:
        """The same as an operator sees it."""
        return ROLES[self._state]

    @property
    def since(self) -> float:
        """Monotonic time of the last transition."""
        return self._since

    @property
    def priority(self) -> int:
        """With readiness taken into account: what its adverts say."""
        return self._voice.priority

    @property
    def master(self) -> IPAddress | None:
        """Who is master as far as known; its own address if it is."""
        if self.role is Role.MASTER:
            return self.local
        return None if self._ear.silent else self._ear.master

    @property
    def aside(self) -> bool:
        """Whether a failover keeps it from preempting."""
        return self._preemption.aside

    @property
    def held_until(self) -> float | None:
        """Until when it leaves a lower priority alone; None: nobody asks for that."""
        return self._preemption.held_until

    @property
    def wants(self) -> bool:
        """Whether a backup would take over now, were it allowed to."""
        return self._state is State.BACKUP and self._ear.wants is not None

    @property
    def contends(self) -> bool:
        """Whether it may be master at all."""
        return self._rating.contends

    @property
    def lets_go(self) -> bool:
        """Whether addresses that still stand, from before its start or because they could not be
        removed, are to go: another one is master, or this one cannot be."""
        followed = self._state is State.BACKUP and self._ear.master is not None
        return followed or self._state is State.FAULT

    @property
    def unclaimed(self) -> bool:
        """Whether a handover has found no successor, and the group has to decide."""
        return self._unclaimed

    def timer(self) -> float | None:
        """When to call ``expire``, monotonic seconds; None: not before something else happens."""
        state = self._state
        if state is State.BACKUP:
            return self._ear.due
        if state is State.MASTER:
            return min(self._voice.due, self._contest.due) if self._contest else self._voice.due
        due = min(self._deadline, self._voice.due)
        return None if due == inf else due

    def actions(self) -> list[Action]:
        """What is to be done since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    # Commands and inputs.

    def start(
        self, now: float, *, resumed: bool = False, going_on: bool = False, aside: bool = False
    ) -> None:
        """Take part, when the start delay is over.

        ``resumed``: the addresses still stand, for the process or its config was replaced while
        it was master. It listens briefly, so that it speaks before a backup misses it; the caller
        keeps the addresses until ``lets_go``. ``going_on``: the same, and its last
        advert is so fresh that nobody can have taken over: it speaks at once, if it may.
        ``aside``: a failover before its start keeps it from preempting.
        """
        self._preemption.aside = aside
        if self._state is State.INIT and going_on and self._link and self.contends:
            self._deadline = inf
            self._move(Trigger.WENT_ON, now)
        elif self._state is State.INIT and resumed:
            self._move(Trigger.RESUMED if self._link else Trigger.LINK_LOST, now)
        elif self._state is State.INIT:
            self._deadline = now + self.settings.start_delay
            if self.settings.start_delay <= 0:
                self._enter(Trigger.STARTED, Trigger.OWNER_STARTED, now)

    def stop(self, now: float, *, keep: bool = False) -> None:
        """Leave; a master keeps addresses until a successor is heard. ``Stopped`` ends it.

        ``keep``: with no successor the addresses stay for good.
        """
        self._keep = keep
        if self._state is State.INIT:
            self._rest()
        elif self._state is not State.STOPPING:
            self._move(Trigger.STOPPED, now)

    def failover(self, now: float) -> bool:
        """Give up mastership and stay; False if there is none to give.

        It does not preempt its successor until ``resume`` or until that one leaves. If nobody
        comes it remains master: nothing is interrupted.
        """
        if self._state is not State.MASTER:
            return False
        self._preemption.aside = True
        self._move(Trigger.FAILOVER, now)
        return True

    def resume(self, now: float) -> None:
        """Preempt again after a failover, at once if a lower priority is master."""
        self._preemption.aside = False
        self._preempt_soon(now)

    def hold_preempt(self, hold: bool, now: float, until: float = inf) -> None:
        """Leave a lower-priority master alone (until a deadline), or stop doing so.

        A silent or resigning master is replaced all the same. When released, preemption follows
        after the skew time: what was waited for is fresh.
        """
        self._preemption.hold(until if hold else None)
        if not hold:
            self._preempt_soon(now)

    def set_priority(self, priority: int, now: float) -> None:
        """Change the configured priority, 1 to 255 (others are taken as the nearest of these)."""
        self._rating.configure(priority)
        if self._voice.set_priority(self._rating.priority) and self._state is State.MASTER:
            self._answer(now)

    def set_ready(self, ready: bool, now: float) -> None:
        """Say whether this director can serve; see ``Settings.unready_drop``."""
        could, self._rating.ready = self.contends, ready
        changed = self._voice.set_priority(self._rating.priority)
        if self._state is State.MASTER and could and not self.contends:
            self._move(Trigger.NOT_READY, now)
        elif self._state is State.MASTER and changed:
            self._answer(now)
        if not self._grouped:
            self.take(now)

    def link(self, up: bool, now: float) -> None:
        """Say whether interface and own address are there."""
        self._link = up
        if up and self._state is State.FAULT:
            self._enter(Trigger.LINK_BACK, Trigger.OWNER_BACK, now)
        elif not up and self._state not in (State.FAULT, State.INIT):
            self._move(Trigger.LINK_LOST, now)

    # Decisions of the group.

    def take(self, now: float) -> None:
        """Become master if it wants to and may."""
        if self._state is State.BACKUP and self._ear.wants is not None and self.contends:
            self._move(self._ear.wants, now)

    def leave(self, now: float) -> None:
        """Follow the group, which has another master."""
        if self._state is State.MASTER:
            self._move(Trigger.GROUP_LEFT, now)

    def was_late(self, now: float) -> bool:
        """Whether it is a master that has not spoken for so long that it may have been replaced."""
        return self._state is State.MASTER and self._voice.was_late(now)

    def step_back(self, now: float) -> None:
        """Be backup before it speaks again, for a member of the group was late."""
        if self._state is State.MASTER:
            self._step_back(now)

    def conclude(self, resume: bool, now: float) -> None:
        """End a handover that nobody claimed: as master again, or without addresses."""
        if self._unclaimed:
            self._actions.append(Handover(Stage.NOBODY, Trigger.NOBODY_CAME))
            self._move(Trigger.NOBODY_CAME if resume else Trigger.GROUP_LEFT, now)
            if not resume:
                # Nobody spoke for as long as a backup waits: should the group's other master die,
                # there is nothing more to wait for here.
                self._ear.deadline = now
                self._ear.expire(now)

    # From the network.

    def receive(self, advert: Advert, source: IPAddress, now: float, *, led: bool = False) -> None:
        """Hear an advert that the codec believed. ``source``: who says it, whichever path it came
        by; the own address if it is an own advert that came back. ``led``: another member of its
        group leads, and decides who does when priorities are the same."""
        if source == self.local or advert.vrid != self.settings.vrid or advert.interval <= 0:
            return
        if self._state is State.MASTER and self._voice.was_late(now):
            self._step_back(now)
        if self._state is State.BACKUP:
            self._wake(now)
            self._hear_as_backup(advert, source, now)
        elif self._state is State.MASTER:
            self._hear_as_master(advert, source, now, led=led)
        elif self._state in _LEAVING and advert.priority != RESIGN:
            self._actions.append(Handover(Stage.HEARD, Trigger.SUCCESSOR_HEARD, source))
            self._move(Trigger.SUCCESSOR_HEARD, now)
            self._ear.follow(advert, source, self.priority, now)

    def _hear_as_backup(self, advert: Advert, source: IPAddress, now: float) -> None:
        if advert.priority == RESIGN:
            if self._ear.hear_resign(source, self.priority, now):
                self._actions.append(MasterResigned(source))
            return
        lower = advert.priority < self.priority
        self._preemption.hear(lower=lower, now=now)
        if lower and self._may_preempt(now):
            self._ear.disregard(advert, source)
        else:
            self._ear.follow(advert, source, self.priority, now)

    def _may_preempt(self, now: float) -> bool:
        """Whether a master of lower priority is to be replaced."""
        return self.contends and self._preemption.allowed(now)

    def _preempt_soon(self, now: float) -> None:
        if self._state is State.BACKUP and self._may_preempt(now):
            self._ear.preempt_soon(self.priority, now)

    def _hear_as_master(self, advert: Advert, source: IPAddress, now: float, *, led: bool) -> None:
        tie = advert.priority == self.priority and source.packed > self.local.packed
        if advert.priority > self.priority:
            self._move(Trigger.HIGHER_PRIORITY, now)
        elif tie and not (led and self._undecided(advert, now)):
            self._move(Trigger.GREATER_ADDRESS, now)
        else:
            if advert.priority != RESIGN:
                self._contested(advert, source, now)
            self._answer(now)
            return
        self._ear.follow(advert, source, self.priority, now)

    def _undecided(self, advert: Advert, now: float) -> bool:
        """Whether the member that decides ties may still do so. If it has not by the time in which
        three adverts had come, it does not hear the other director."""
        interval = max(advert.interval, self.settings.interval)
        if self._tie is None or now - self._tie.heard > DOWN_ADVERTS * interval:
            self._tie = Tie(now, now)
        self._tie.heard = now
        return now - self._tie.began < DOWN_ADVERTS * interval

    def _contested(self, advert: Advert, source: IPAddress, now: float) -> None:
        interval = max(advert.interval, self.settings.interval)
        if self._contest:
            self._contest.hear(interval, now)
        elif now - self._since >= interval:
            # Before, it is the last word of the master that was replaced.
            self._contest, actions = Contest.begin(source, advert.priority, interval, now)
            self._actions += actions

    # From the clock.

    def expire(self, now: float) -> None:
        """Do what is due. Read the socket first."""
        state = self._state
        if state is State.BACKUP:
            self._wake(now)
            if self._ear.expire(now) and not self._grouped:
                self.take(now)
        elif state is State.MASTER:
            self._expire_as_master(now)
        elif state is State.INIT:
            if now >= self._deadline:
                self._enter(Trigger.STARTED, Trigger.OWNER_STARTED, now)
        elif state in _LEAVING:
            self._expire_while_leaving(now)

    def _wake(self, now: float) -> None:
        stalled = self._ear.wake(self.priority, now)
        if stalled:
            self._actions.append(Stalled(stalled))
        if self._preemption.lapsed(now):
            self._actions.append(HoldLapsed())
            self.hold_preempt(False, now)

    def _step_back(self, now: float) -> None:
        if self._voice.was_late(now):
            self._actions.append(Stalled(now - min(self._voice.due, self._deadline)))
        self._move(Trigger.WAS_LATE, now)

    def _expire_as_master(self, now: float) -> None:
        if self._voice.was_late(now):
            self._step_back(now)
            return
        if now >= self._voice.due:
            self._actions.append(self._voice.say(now))
        if self._contest and now >= self._contest.due:
            self._actions += self._contest.expire(now)
            if now >= self._contest.ends:
                self._contest = None

    def _expire_while_leaving(self, now: float) -> None:
        if self._state is State.YIELDING and not self._unclaimed and self._voice.was_late(now):
            self._step_back(now)
            return
        if now >= self._voice.due:
            # Again, since it may have been lost.
            self._actions.append(self._voice.resign(now))
        if now < self._deadline:
            return
        self._deadline = self._voice.due = inf
        if self._state is State.STOPPING:
            self._actions.append(Handover(Stage.NOBODY, Trigger.NOBODY_CAME))
            self._move(Trigger.NOBODY_CAME, now)
            return
        self._unclaimed = True
        if not self._grouped:
            self.conclude(resume=True, now=now)

    # Transitions.

    def _enter(self, usual: Trigger, as_owner: Trigger, now: float) -> None:
        """Begin to take part as a backup, which an owner does not stay."""
        self._deadline = inf
        if not self._link:
            if self._state is State.INIT:
                self._move(Trigger.LINK_LOST, now)
            return
        self._move(usual, now)
        if self.priority == OWNER and self._preemption.free:
            self._ear.lead(as_owner)
            if not self._grouped:
                self.take(now)

    def _move(self, trigger: Trigger, now: float) -> None:
        """Make a transition of the table: its effects in order, then what it is told by."""
        before, transition = self._state, TABLE[self._state, trigger]
        self._state, self._since = transition.after, now
        self._contest, self._tie, self._unclaimed = None, None, False
        self._deadline = self._deadline if transition.after in _LEAVING else inf
        if Effect.WAIT in transition.effects:
            self._actions.append(Handover(Stage.BEGUN, trigger))
        if transition.after is State.MASTER:
            self._preemption.aside = False
        for effect in transition.effects:
            self._do(effect, now)
        if transition.after not in HOLDING:
            self._voice.due = inf
        if ROLES[before] is not self.role:
            self._actions.append(RoleChanged(ROLES[before], self.role, trigger))
        if self._state is State.INIT:
            self._rest()

    def _do(self, effect: Effect, now: float) -> None:
        settings = self.settings
        match effect:
            case Effect.ADD:
                self._actions.append(AddAddresses())
            case Effect.ANNOUNCE:
                self._actions.append(Announce(Occasion.TAKEOVER))
            case Effect.SEND:
                self._actions.append(self._voice.say(now))
            case Effect.RESIGN:
                self._actions.append(self._voice.resign(now))
            case Effect.WAIT:
                self._deadline = now + longest_master_down(settings.version, settings.interval)
            case Effect.REMOVE:
                self._actions.append(RemoveAddresses())
            case Effect.REMOVE_UNLESS_KEPT:
                if not self._keep:
                    self._actions.append(RemoveAddresses())
            case Effect.LISTEN | Effect.LISTEN_BRIEFLY:
                self._preemption.begin()
                briefly = effect is Effect.LISTEN_BRIEFLY
                self._ear.begin(self.priority, settings.interval, now, briefly=briefly)

    def _rest(self) -> None:
        self._deadline = self._voice.due = inf
        self._actions.append(Stopped())

    def _answer(self, now: float) -> None:
        answer = self._voice.answer(now)
        if answer is not None:
            self._actions.append(answer)
