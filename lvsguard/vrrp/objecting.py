"""What a master does about others who claim its VIPs: wait for their advert, tell, announce anew.

How long a claim waits is ``overheard``'s, whether it is objected to ``objections``'. Meanwhile
nothing that was announced before is repeated: had the neighbours just turned to the next master, a
repetition that happens to be due would turn them back, and a master does not announce again soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lvsguard.vrrp.announce import Cause
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


class Objecting:
    """For all instances of a roster that are masters. Times are monotonic."""

    def __init__(self, roster: Roster, announcing: Announcing, telling: Telling) -> None:
        self._roster = roster
        self._announcing = announcing
        self._telling = telling
        self._overheard = Overheard()
        self._objections = Objections()

    @property
    def due(self) -> float | None:
        """When ``act`` has something next."""
        return self._overheard.due

    def note(self, claims: Iterable[Claim], now: float) -> None:
        """Somebody claims a VIP."""
        for claim in claims:
            self._overheard.note(claim, now)
            for mine, _ in self._concerned(claim):
                until = self._objections.waits_until(mine, claim, now) + ADVERT_S
                self._announcing.hold(mine.name, until)

    def act(self, now: float) -> None:
        """Object to the claims that have waited, where that is still ours to do."""
        for claim in self._overheard.take(now):
            for mine, election in self._concerned(claim):
                self._object(mine, election, claim, now)

    def _concerned(self, claim: Claim) -> Iterator[tuple[Instance, Election]]:
        for mine in self._roster.instances.values():
            election = self._roster.party_of(mine).group.members[mine.name]
            if election.state is State.MASTER and claim.address in mine.settings.addresses:
                yield mine, election

    def _object(self, mine: Instance, election: Election, claim: Claim, now: float) -> None:
        if now - election.since > RETRY_S:
            mine.claims += 1
            self._telling.claim(mine.vip, claim, now)
            if self._objections.due(mine, claim, now):
                self._announcing.begin(mine, Cause.CONTESTED, now)
        elif not claim.asked:
            # The old master's, said before it let go: the neighbours heard it last.
            self._announcing.begin(mine, Cause.CONTESTED, now)
