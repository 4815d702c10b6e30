"""A party: VIP groups that move together, as they are run. A VIP group alone is a party, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from msgspec.structs import replace

from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.hands import Hands
from lvsguard.vrrp.message import Put
from lvsguard.vrrp.transitions import HOLDING


@dataclass(slots=True)
class Party:
    """A sync group, its hands, and the VIP groups in it."""

    group: SyncGroup
    hands: Hands
    vips: tuple[str, ...]
    leaving: bool = False
    keep: bool = False
    """Whether addresses that nobody takes stay when it leaves."""
    stopped: set[str] = field(default_factory=set)
    """Instances that have nothing more to do, of a party that leaves."""
    broken: dict[str, float] = field(default_factory=dict)
    """Instances whose addresses could not be added, and when to try again."""
    why_broken: str = ""
    due: float = inf
    """When its elections have something to do."""

    @property
    def gone(self) -> bool:
        """Whether it has left, and all that it asked for is done."""
        return self.leaving and self.stopped >= self.group.members.keys()

    @property
    def idle(self) -> bool:
        """Whether it holds nothing and would take over nothing."""
        members = self.group.members.values()
        return not any(one.state in HOLDING or one.contends for one in members)

    def note_timer(self) -> None:
        """Remember when to come back."""
        due = self.group.timer()
        self.due = inf if due is None else due


def assorted(puts: Iterable[Put]) -> dict[str, tuple[Put, ...]]:
    """VIP groups by the sync group that they are in, or alone."""
    found: dict[str, tuple[Put, ...]] = {}
    for put in puts:
        key = f"group {put.sync_group}" if put.sync_group else f"vip {put.name}"
        found[key] = (*found.get(key, ()), put)
    return found


def unchanged(party: Party, members: Iterable[Put], before: Mapping[str, Put]) -> bool:
    """Whether a party is what these ask for. Priorities are no part of that: a director's standing
    says them, and another one begins no new election. Nor is a failover of before, which counts at
    the beginning."""
    wanted = {put.name: _lasting(put) for put in members}
    now = {name: _lasting(before[name]) for name in party.vips if name in before}
    return not party.leaving and wanted == now and wanted.keys() == set(party.vips)


def _lasting(put: Put) -> Put:
    return replace(put, priority=0, aside=False)
