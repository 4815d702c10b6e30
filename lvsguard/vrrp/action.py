"""What the election asks of the process that runs it, in the order to be done. Pure values.

Most of them are orders (send, add, remove, announce); the others tell what happened and are for
events, metrics and the table transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lvsguard.core.model import IPAddress
from lvsguard.core.snapshot import Role
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.transitions import Trigger


class Occasion(StrEnum):
    """Why the addresses are announced."""

    TAKEOVER = "takeover"
    """This director became master."""
    CONTESTED = "contested"
    """Another one said that it is the master, too: its announcements must be undone."""


class Stage(StrEnum):
    """How far a handover is, seen from who gives: each wants the connection table sent again."""

    BEGUN = "begun"
    HEARD = "heard"
    """The successor has spoken; the addresses are removed next."""
    NOBODY = "nobody"
    """No successor came."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send an advert, now, on every path of the instance."""

    advert: Advert


@dataclass(frozen=True, slots=True)
class AddAddresses:
    """Put the addresses of the instance on its interface."""


@dataclass(frozen=True, slots=True)
class RemoveAddresses:
    """Take the addresses of the instance off its interface."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the neighbours by ARP or ND where the addresses are."""

    occasion: Occasion


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """The role is another one; every order that belongs to it came before."""

    before: Role
    after: Role
    cause: Trigger


@dataclass(frozen=True, slots=True)
class Handover:
    """A planned handover began or ended."""

    stage: Stage
    cause: Trigger
    source: IPAddress | None = None
    """The successor, when heard."""


@dataclass(frozen=True, slots=True)
class MasterResigned:
    """The master leaves as planned: this director may become master within the skew time."""

    source: IPAddress


@dataclass(frozen=True, slots=True)
class Conflict:
    """While this director is master another one says so, too, and does not win by the rules."""

    source: IPAddress
    priority: int


@dataclass(frozen=True, slots=True)
class ConflictOver:
    """The other master has fallen silent."""

    source: IPAddress
    seconds: float
    """From its first advert heard to its last."""


@dataclass(frozen=True, slots=True)
class Stalled:
    """The process did not run when it should have."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HoldLapsed:
    """Preemption was held back until the deadline: whatever it waited for did not come."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stop is complete: nothing more will be asked."""


Action = (
    Send
    | AddAddresses
    | RemoveAddresses
    | Announce
    | RoleChanged
    | Handover
    | MasterResigned
    | Conflict
    | ConflictOver
    | Stalled
    | HoldLapsed
    | Stopped
)
