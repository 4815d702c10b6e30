"""What a master does about others who claim its VIPs: wait for their advert, tell, announce anew.

How long a claim waits is ``overheard``'s, whether it is objected to ``objections``'. Meanwhile
nothing that was announced before is repeated: had the neighbours just turned to the next master, a
repetition that happens to be due would turn them back, and a master does not announce again soon.

Anybody can send claims, as many as the link carries. So only what is claimed is announced, and once
in a while; what was claimed in between is announced at the end of the pause, for the last word
shall be the master's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.announcing import Announcing
from lvsguard.vrrp.doing import RETRY_S
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.objections import Objections
from lvsguard.vrrp.overheard import ADVERT_S, Overheard
from lvsguard.vrrp.roster import Roster
from lvsguard.vrrp.telling import Telling
from lvsguard.vrrp.transitions import State
from lvsguard.vrrp.watch import Claim

PAUSE_S: Final = 1.0
"""Between two announcements of one instance because of claims."""


class Objecting:
    """For all instances of a roster that are masters. Times are monotonic."""

    def __init__(self, roster: Roster, announcing: Announcing, telling: Telling) -> None:
        self._roster = roster
        self._announcing = announcing
        self._telling = telling
        self._overheard = Overheard()
        self._objections = Objections()
        self._owed: dict[str, set[IPAddress]] = {}
        """Addresses of instances that are to be announced."""
        self._last: dict[str, float] = {}
        self._held: dict[str, float] = {}
        """Since when a stranger's claims hold back what is announced of an instance."""
        self._patient: dict[str, float] = {}
        """Until when the advert of another router of an instance is waited for."""

    @property
    def due(self) -> float | None:
        """When ``act`` has something next."""
        owed = (self._free_at(name) for name in self._owed)
        heard = self._overheard.due
        due = min((*owed, inf if heard is None else heard), default=inf)
        return None if due == inf else due

    def _free_at(self, name: str) -> float:
        last, patient = self._last.get(name, -inf), self._patient.get(name, -inf)
        return max(last + PAUSE_S, patient)

    def note(self, claims: Iterable[Claim], now: float) -> None:
        """Somebody claims a VIP."""
        for claim in claims:
            self._overheard.note(claim, now)
            for mine, _ in self._concerned(claim):
                until = self._objections.waits_until(mine, claim, now)
                if until > now:
                    self._patient[mine.name] = until
                elif not self._may_hold(mine.name, now):
                    continue
                self._announcing.hold(mine.name, until + ADVERT_S)

    def _may_hold(self, name: str, now: float) -> bool:
        """Strangers may hold back what is announced half of the time: a stream of claims of one
        address must not stop the refresh of all others."""
        since = self._held.setdefault(name, now)
        if now >= since + 2 * PAUSE_S:
            since = self._held[name] = now
        return now < since + PAUSE_S

    def act(self, now: float) -> None:
        """Object to the claims that have waited, where that is still ours to do."""
        for claim in self._overheard.take(now):
            for mine, election in self._concerned(claim):
                self._object(mine, election, claim, now)
        for name in [name for name in self._owed if self._free_at(name) <= now]:
            addresses = self._owed.pop(name)
            one = self._roster.instances.get(name)
            if one is not None and self._election(one).state is State.MASTER:
                self._last[name] = now
                self._announcing.object(one, addresses, now)

    def _election(self, mine: Instance) -> Election:
        return self._roster.party_of(mine).group.members[mine.name]

    def _concerned(self, claim: Claim) -> Iterator[tuple[Instance, Election]]:
        for mine in self._roster.instances.values():
            election = self._election(mine)
            if election.state is State.MASTER and claim.address in mine.settings.addresses:
                yield mine, election

    def _object(self, mine: Instance, election: Election, claim: Claim, now: float) -> None:
        if now - election.since > RETRY_S:
            mine.claims += 1
            self._telling.claim(mine.vip, claim, now)
            if self._objections.due(mine, claim, now):
                self._owe(mine, claim)
        elif not claim.asked:
            # The old master's, said before it let go: the neighbours heard it last.
            self._owe(mine, claim)

    def _owe(self, mine: Instance, claim: Claim) -> None:
        self._owed.setdefault(mine.name, set()).add(claim.address)
