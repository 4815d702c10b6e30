"""The states of an instance and every way from one to another: the one table of the election.

The election looks up here what a trigger does; the page docs/reference/vrrp-states.md is made from
the same rows (``diagram``). When a trigger happens is election's business, not the table's. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lvsguard.core.snapshot import Role


class State(StrEnum):
    """What an instance does (RFC 9568 section 6.4, with two states for leaving gently)."""

    INIT = "init"
    """Not started, or stopped."""
    BACKUP = "backup"
    """Listens, and holds no address."""
    MASTER = "master"
    """Holds the addresses and says so."""
    YIELDING = "yielding"
    """Asked others to take over; still holds the addresses and forwards."""
    STOPPING = "stopping"
    """The same, and ends afterwards."""
    FAULT = "fault"
    """Cannot take part: its link is down, or that of a member of its group."""


class Trigger(StrEnum):
    """Why an instance goes from one state to another: the ``cause`` that operators read."""

    STARTED = "started"
    OWNER_STARTED = "owner started"
    RESUMED = "started with its addresses in place"
    WENT_ON = "goes on where it was"
    MASTER_SILENT = "master silent"
    MASTER_RESIGNED = "master resigned"
    PREEMPTS = "preempts a lower priority"
    HIGHER_PRIORITY = "higher priority heard"
    GREATER_ADDRESS = "equal priority from a greater address heard"
    WAS_LATE = "own adverts were late"
    FAILOVER = "failover asked for"
    NOT_READY = "not ready"
    GROUP_LEFT = "group has another master"
    SUCCESSOR_HEARD = "successor heard"
    NOBODY_CAME = "nobody took over"
    LINK_LOST = "link lost"
    LINK_BACK = "link back"
    OWNER_BACK = "link of the owner back"
    STOPPED = "stopped"


class Effect(StrEnum):
    """What a transition does, in the order of its row."""

    ADD = "add addresses"
    ANNOUNCE = "announce"
    SEND = "send an advert"
    RESIGN = "send priority 0"
    WAIT = "wait for a successor"
    REMOVE = "remove addresses"
    REMOVE_UNLESS_KEPT = "remove addresses unless they are to be kept"
    LISTEN = "listen for a master-down interval"
    LISTEN_BRIEFLY = "listen for two intervals and the skew time"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: where it leads and what it does."""

    after: State
    effects: tuple[Effect, ...]
    when: str
    """For the documentation: what must have happened."""


ROLES: Final[Mapping[State, Role]] = {
    State.INIT: Role.INIT,
    State.BACKUP: Role.BACKUP,
    State.MASTER: Role.MASTER,
    # Who still holds the addresses and forwards is the master to everybody who looks.
    State.YIELDING: Role.MASTER,
    State.STOPPING: Role.MASTER,
    State.FAULT: Role.FAULT,
}
HOLDING: Final = frozenset({State.MASTER, State.YIELDING, State.STOPPING})
"""The states in which the addresses are there."""

# Addresses before their announcement: an answer to ARP must find somebody who takes the packets.
# The announcement before the advert: the old master lets go when it hears the advert.
_TAKE: Final = (Effect.ADD, Effect.ANNOUNCE, Effect.SEND)
_DROP: Final = (Effect.REMOVE, Effect.LISTEN)
_OFFER: Final = (Effect.RESIGN, Effect.WAIT)

TABLE: Final[Mapping[tuple[State, Trigger], Transition]] = {
    (State.INIT, Trigger.STARTED): Transition(
        State.BACKUP, (Effect.LISTEN,), "start, and the start delay is over"
    ),
    (State.INIT, Trigger.RESUMED): Transition(
        State.BACKUP,
        (Effect.LISTEN_BRIEFLY,),
        "the same, and it was master a moment ago: its addresses are still there",
    ),
    (State.INIT, Trigger.WENT_ON): Transition(
        State.MASTER, _TAKE, "the same, and its last advert is less than three intervals old"
    ),
    (State.INIT, Trigger.LINK_LOST): Transition(
        State.FAULT, (), "the interface has no link or lost its address"
    ),
    (State.BACKUP, Trigger.MASTER_SILENT): Transition(
        State.MASTER, _TAKE, "no advert for a master-down interval during which it was awake"
    ),
    (State.BACKUP, Trigger.MASTER_RESIGNED): Transition(
        State.MASTER, _TAKE, "priority 0 from the master, and nobody else within the skew time"
    ),
    (State.BACKUP, Trigger.PREEMPTS): Transition(
        State.MASTER, _TAKE, "only lower priorities for a master-down interval, and it may preempt"
    ),
    (State.BACKUP, Trigger.OWNER_STARTED): Transition(
        State.MASTER, _TAKE, "at once after its start: priority 255, ready and not held back"
    ),
    (State.BACKUP, Trigger.OWNER_BACK): Transition(
        State.MASTER, _TAKE, "the same once link and address are back"
    ),
    (State.BACKUP, Trigger.LINK_LOST): Transition(
        State.FAULT, (), "the interface has no link or lost its address"
    ),
    (State.BACKUP, Trigger.STOPPED): Transition(State.INIT, (), "stop"),
    (State.MASTER, Trigger.HIGHER_PRIORITY): Transition(
        State.BACKUP, _DROP, "an advert with a higher priority"
    ),
    (State.MASTER, Trigger.GREATER_ADDRESS): Transition(
        State.BACKUP, _DROP, "an advert with the same priority from a greater address"
    ),
    (State.MASTER, Trigger.WAS_LATE): Transition(
        State.BACKUP,
        (Effect.REMOVE, Effect.LISTEN_BRIEFLY),
        "it could not speak for three intervals: a backup may have taken over",
    ),
    (State.MASTER, Trigger.FAILOVER): Transition(State.YIELDING, _OFFER, "lvsguard failover"),
    (State.MASTER, Trigger.NOT_READY): Transition(
        State.YIELDING, _OFFER, "the controller says not ready, and no lower priority is configured"
    ),
    (State.MASTER, Trigger.GROUP_LEFT): Transition(
        State.YIELDING, _OFFER, "another member of the sync group is no longer master"
    ),
    (State.MASTER, Trigger.STOPPED): Transition(State.STOPPING, _OFFER, "stop"),
    (State.MASTER, Trigger.LINK_LOST): Transition(
        State.FAULT,
        (Effect.RESIGN, Effect.REMOVE),
        "the interface has no link or lost its address; another path may carry the priority 0",
    ),
    (State.YIELDING, Trigger.SUCCESSOR_HEARD): Transition(
        State.BACKUP, _DROP, "the successor's first advert"
    ),
    (State.YIELDING, Trigger.NOBODY_CAME): Transition(
        State.MASTER, (Effect.SEND,), "no successor within the longest master-down interval"
    ),
    (State.YIELDING, Trigger.GROUP_LEFT): Transition(
        State.BACKUP, _DROP, "the same, but other members of the sync group have a successor"
    ),
    (State.YIELDING, Trigger.WAS_LATE): Transition(
        State.BACKUP,
        (Effect.REMOVE, Effect.LISTEN_BRIEFLY),
        "it could not listen for three intervals",
    ),
    (State.YIELDING, Trigger.STOPPED): Transition(State.STOPPING, (), "stop"),
    (State.YIELDING, Trigger.LINK_LOST): Transition(
        State.FAULT, (Effect.REMOVE,), "the interface has no link or lost its address"
    ),
    (State.STOPPING, Trigger.SUCCESSOR_HEARD): Transition(
        State.INIT, (Effect.REMOVE,), "the successor's first advert"
    ),
    (State.STOPPING, Trigger.NOBODY_CAME): Transition(
        State.INIT,
        (Effect.REMOVE_UNLESS_KEPT,),
        "no successor within the longest master-down interval",
    ),
    (State.STOPPING, Trigger.LINK_LOST): Transition(
        State.INIT, (Effect.REMOVE,), "the interface has no link or lost its address"
    ),
    (State.FAULT, Trigger.LINK_BACK): Transition(
        State.BACKUP, (Effect.LISTEN,), "link and address are there, for the whole sync group"
    ),
    (State.FAULT, Trigger.STOPPED): Transition(State.INIT, (), "stop"),
}
