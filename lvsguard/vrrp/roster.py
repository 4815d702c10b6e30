"""Who takes part: the parties of this director and their instances, as the config has them.

It makes and forgets them; what they do is the station's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.hands import Hands
from lvsguard.vrrp.instance import Instance, families
from lvsguard.vrrp.message import Put
from lvsguard.vrrp.party import Party, assorted, unchanged


class Roster:
    """Parties by key, instances by name."""

    def __init__(self, hands: Callable[[], Hands]) -> None:
        """``hands`` makes those of a new party."""
        self._hands = hands
        self.puts: dict[str, Put] = {}
        self.parties: dict[str, Party] = {}
        self.instances: dict[str, Instance] = {}
        self._by_vip: dict[str, Party] = {}
        self._by_vrid: dict[tuple[str, int, int], Instance] = {}

    def configure(
        self, puts: Mapping[str, Put], delays: Mapping[str, float]
    ) -> tuple[list[Party], list[Party]]:
        """Have parties for exactly these. Those that did not change stay as they are. Returns the
        ones that are to begin, and the ones that are to leave. ``delays``: what is left of the
        start delay, seconds, of VIP groups that are here; others wait for all of theirs."""
        before = dict(self.instances)
        wanted = assorted(puts.values())
        leaving: list[Party] = []
        for key, party in list(self.parties.items()):
            if unchanged(party, wanted.get(key, ()), self.puts):
                del wanted[key]
            else:
                leaving += self._replace(key, party, puts)
        self.puts = dict(puts)
        fresh = [
            self._make(key, _in_time(members, delays), before) for key, members in wanted.items()
        ]
        self._by_vrid = {
            (path, one.family, one.settings.vrid): one
            for one in self.instances.values()
            for path in one.paths
        }
        return fresh, leaving

    def _replace(self, key: str, party: Party, puts: Mapping[str, Put]) -> list[Party]:
        """Make room for a party's successor; what is to leave, of VIP groups no longer there."""
        going = {name for name in party.vips if name not in puts}
        if len(going) == len(party.vips):
            return [] if party.leaving else [party]
        left: list[Party] = []
        if going:
            names = {n for n in party.group.members if self.instances[n].vip in going}
            parted = Party(party.group.split(names), self._hands(), tuple(sorted(going)))
            self._add(f"left {key} {min(going)}", parted)
            left.append(parted)
        self._forget(key)
        return left

    def _make(self, key: str, members: tuple[Put, ...], before: Mapping[str, Instance]) -> Party:
        made = [Instance(put, family) for put in members for family in families(put)]
        for one in made:
            self.instances[one.name] = one
            if one.name in before:
                one.inherit(before[one.name])
        group = SyncGroup({one.name: one.settings for one in made})
        party = Party(group, self._hands(), tuple(put.name for put in members))
        self._add(key, party)
        return party

    def _add(self, key: str, party: Party) -> None:
        self.parties[key] = party
        self._by_vip.update(dict.fromkeys(party.vips, party))

    def drop(self, party: Party) -> None:
        """A party has left."""
        self._forget(next(key for key, one in self.parties.items() if one is party))

    def _forget(self, key: str) -> None:
        party = self.parties.pop(key)
        gone = party.group.members.keys()
        for name in gone:
            del self.instances[name]
        self._by_vrid = {at: one for at, one in self._by_vrid.items() if one.name not in gone}
        for vip in party.vips:
            if self._by_vip.get(vip) is party:
                del self._by_vip[vip]

    def party(self, vip: str) -> Party | None:
        """The party of a VIP group."""
        return self._by_vip.get(vip)

    def party_of(self, mine: Instance) -> Party:
        """The party of an instance that is there."""
        return self._by_vip[mine.vip]

    def members(self, vip: str) -> list[Instance]:
        """The instances of a VIP group."""
        party = self._by_vip.get(vip)
        return [one for one in self.of(party) if one.vip == vip] if party is not None else []

    def of(self, party: Party) -> list[Instance]:
        """The instances of a party."""
        return [self.instances[name] for name in party.group.members]

    def at(self, interface: str, family: int, vrid: int) -> Instance | None:
        """The instance that an advert on an interface is for."""
        return self._by_vrid.get((interface, family, vrid))


def _in_time(members: tuple[Put, ...], delays: Mapping[str, float]) -> tuple[Put, ...]:
    """A party as it begins: with one of its VIP groups there, none of them waits longer than it."""
    known = [delays[put.name] for put in members if put.name in delays]
    return tuple(replace(put, start_delay=min(known)) for put in members) if known else members
