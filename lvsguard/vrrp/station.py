"""All instances of this director: what they hear, what is due, and what they ask to be done.

The heart of the VRRP process. It is called when a descriptor is readable or a time has come, reads
everything that waits before it acts on a timer, and has the addresses written by their owner. It
knows nothing of sockets between processes.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import inf

from lvsguard.core.event import Event
from lvsguard.core.model import VipAddress
from lvsguard.core.vrrp_event import VipConflict
from lvsguard.vrrp import packet
from lvsguard.vrrp.action import (
    Action,
    AddAddresses,
    Announce,
    Conflict,
    Handover,
    Occasion,
    RemoveAddresses,
    Send,
    Stopped,
)
from lvsguard.vrrp.action import RoleChanged as RoleAction
from lvsguard.vrrp.advert import Advert
from lvsguard.vrrp.announce import Cause
from lvsguard.vrrp.announcing import Announcing
from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.hands import Hands
from lvsguard.vrrp.instance import Instance, families
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.lateness import Lateness
from lvsguard.vrrp.logbook import Logbook
from lvsguard.vrrp.message import Put, SyncTarget
from lvsguard.vrrp.party import Party, assorted, unchanged
from lvsguard.vrrp.paths import Paths
from lvsguard.vrrp.reception import Rejected
from lvsguard.vrrp.tables import Tables
from lvsguard.vrrp.telling import Telling
from lvsguard.vrrp.timing import DOWN_ADVERTS
from lvsguard.vrrp.transitions import HOLDING, State
from lvsguard.vrrp.watch import Claim

RETRY_S = 1.0
"""Until addresses that could not be added are tried again."""
_CAUSE = {Occasion.TAKEOVER: Cause.MASTER, Occasion.CONTESTED: Cause.CONTESTED}


class Station:
    """Instances by name, in their parties."""

    def __init__(
        self,
        paths: Paths,
        keeper: Keeper,
        tables: Tables,
        book: Logbook,
        *,
        emit: Callable[[Event], None],
        stopped: Callable[[tuple[str, ...]], None],
    ) -> None:
        """``stopped`` gets the VIP groups of a party that has left."""
        self.paths = paths
        self.lateness = Lateness()
        self.announcing = Announcing()
        self.tables = tables
        self._keeper = keeper
        self._book = book
        self._telling = Telling(emit)
        self._stopped = stopped
        self.puts: dict[str, Put] = {}
        self.parties: dict[str, Party] = {}
        self.instances: dict[str, Instance] = {}
        self.touched: set[str] = set()
        """VIP groups that something happened to; whoever shows them clears it."""
        self._standings: dict[str, tuple[bool, int]] = {}
        self._by_vip: dict[str, Party] = {}
        self._by_vrid: dict[tuple[str, int, int], Instance] = {}
        self._late: dict[str, float] = {}
        """When an advert was due that is being sent."""
        self._left = False

    # -- what the controller says ----------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether addresses are being written."""
        return self._keeper.busy or any(party.hands.busy for party in self.parties.values())

    async def rest(self) -> None:
        """Wait until no addresses are being written."""
        for party in list(self.parties.values()):
            await party.hands.rest()
        await self._keeper.rest()

    def configure(self, puts: Mapping[str, Put], sync: SyncTarget | None, now: float) -> None:
        """Take part for exactly these. Parties that did not change go on as they are. Not to be
        called while ``busy``: a write for an instance that is replaced would come too late."""
        before = dict(self.instances)
        wanted = assorted(puts.values())
        leaving: list[Party] = []
        for key, party in list(self.parties.items()):
            if unchanged(party, wanted.get(key, ()), self.puts):
                del wanted[key]
            else:
                leaving += self._replace(key, party, puts)
        self.puts = dict(puts)
        self._standings = {n: said for n, said in self._standings.items() if n in puts}
        fresh = [self._begin(key, members, before) for key, members in wanted.items()]
        self._map(now)
        self.tables.configure(sync, self.instances.values(), now)
        self._drop(before.values())
        for party in fresh:
            self._start(party)
        for party in leaving:
            self._leave(party, now, keep=False)

    def _replace(self, key: str, party: Party, puts: Mapping[str, Put]) -> list[Party]:
        """Make room for a party's successor; what is to leave, of VIP groups no longer there."""
        going = {name for name in party.vips if name not in puts}
        if len(going) == len(party.vips):
            return [] if party.leaving else [party]
        left: list[Party] = []
        if going:
            names = {n for n in party.group.members if self.instances[n].vip in going}
            parted = Party(party.group.split(names), Hands(self._do), tuple(sorted(going)))
            self.parties[f"left {key} {min(going)}"] = parted
            self._by_vip.update(dict.fromkeys(going, parted))
            left.append(parted)
        self._forget(key)
        return left

    def _begin(self, key: str, members: tuple[Put, ...], before: Mapping[str, Instance]) -> Party:
        made = [Instance(put, family) for put in members for family in families(put)]
        for one in made:
            self.instances[one.name] = one
            if one.name in before:
                one.inherit(before[one.name])
        group = SyncGroup({one.name: one.settings for one in made})
        party = Party(group, Hands(self._do), tuple(put.name for put in members))
        self.parties[key] = party
        self._by_vip.update(dict.fromkeys(party.vips, party))
        return party

    def _start(self, party: Party) -> None:
        now = time.monotonic()  # to prepare the others may have taken a while
        mine = [self.instances[name] for name in party.group.members]
        for one in mine:
            self._keeper.adopt(one)
        self._rate(party, now)
        party.group.start(
            now,
            resumed=any(map(self._keeper.holds, mine)),
            going_on=all(now < self._book.until(one.place) for one in mine),
        )
        self._after(party)

    def _forget(self, key: str) -> None:
        party = self.parties.pop(key)
        for name in party.group.members:
            del self.instances[name]
            self.announcing.stop(name)
        for vip in party.vips:
            if self._by_vip.get(vip) is party:
                del self._by_vip[vip]
        gone = party.group.members.keys()
        self._by_vrid = {at: one for at, one in self._by_vrid.items() if one.name not in gone}

    def _leave(self, party: Party, now: float, *, keep: bool) -> None:
        party.leaving, party.keep = True, keep
        party.group.stop(now, keep=keep)
        self._after(party)

    def _map(self, now: float) -> None:
        instances = self.instances.values()
        self._by_vrid = {
            (path, one.family, one.settings.vrid): one for one in instances for path in one.paths
        }
        self.paths.configure(instances, now)
        self.announcing.keep(instances)
        self._telling.keep(self.instances)
        self._keeper.watch({a.interface for one in instances for a in one.addresses})
        self._links(now)

    def _drop(self, before: Iterable[Instance]) -> None:
        """Take off what no instance has any more."""
        old, now = list(before), self.instances.values()
        self._keeper.drop(
            {a for one in old for a in one.addresses} - {a for one in now for a in one.addresses},
            {one.virtual for one in old if one.virtual} - {one.virtual for one in now},
        )

    def standing(self, vip: str, *, ready: bool, priority: int, now: float) -> None:
        """Say whether this director can serve a VIP group, and its priority; also before the group
        is configured."""
        self._standings[vip] = ready, priority
        if vip in self._by_vip:
            self._rate(self._by_vip[vip], now)

    def _rate(self, party: Party, now: float) -> None:
        """A party can serve when all its VIP groups can."""
        for name in party.group.members:
            said = self._standings.get(self.instances[name].vip)
            if said is not None:
                party.group.set_priority(name, said[1], now)
        ready = all(self._standings.get(vip, (False, 0))[0] for vip in party.vips)
        party.group.set_ready(ready, now)
        self._after(party)

    def unready(self, now: float) -> None:
        """The controller has been gone for too long: nobody vouches for the IPVS table."""
        self._standings = {vip: (False, said[1]) for vip, said in self._standings.items()}
        for party in list(self.parties.values()):
            self._rate(party, now)

    def failover(self, vip: str, now: float) -> None:
        """Give up mastership of a VIP group and its party."""
        if vip in self._by_vip:
            self._by_vip[vip].group.failover(now)
            self._after(self._by_vip[vip])

    def resume(self, vip: str, now: float) -> None:
        """Preempt again."""
        if vip in self._by_vip:
            self._by_vip[vip].group.resume(now)
            self._after(self._by_vip[vip])

    def hold(self, vip: str, seconds: float, now: float) -> None:
        """Leave a lower priority alone for a while."""
        if vip in self._by_vip:
            self._by_vip[vip].group.hold_preempt(seconds > 0, now, now + seconds)
            self._after(self._by_vip[vip])

    def leave(self, now: float, *, keep: bool) -> None:
        """Hand everything over. ``stopped`` is called for each party when it is done. Said again,
        the last ``keep`` counts."""
        for party in list(self.parties.values()):
            self._leave(party, now, keep=keep)

    # -- what happens ----------------------------------------------------------------------

    def timer(self) -> float:
        """When to call ``wake`` at the latest, monotonic."""
        due = [self.announcing.due, *(party.due for party in self.parties.values())]
        due += [at for party in self.parties.values() for at in party.broken.values()]
        due += [at for at in (self.paths.timer(), self.tables.timer()) if at is not None]
        return min(due)

    def wake(self, now: float) -> None:
        """Read what came, then do what is due."""
        self._look(now)
        expired = [party for party in self.parties.values() if party.due <= now]
        self._hear(now, urgent=bool(expired))
        for claim in self.paths.claimed():
            self._claimed(claim, now)
        for party in expired:
            if party.due <= now:
                for name, election in party.group.members.items():
                    due = election.timer()
                    if election.state is State.MASTER and due is not None and due <= now:
                        self._late[name] = due
                party.group.expire(now)
                self._after(party)
        self._mend(now)
        self.tables.wake(now)
        self._announce(now)

    def _look(self, now: float) -> None:
        """Take in what became of the interfaces."""
        changed, back, troubles = self.paths.look(now)
        self._telling.trouble("", troubles, now)
        if changed:
            self._links(now)
        for party in self.parties.values() if back else ():
            for name, election in party.group.members.items():
                # A link came back: the switch has forgotten where the addresses are.
                if self.instances[name].interface in back and election.state in HOLDING:
                    self.announcing.begin(self.instances[name], Cause.LINK, now)

    def _hear(self, now: float, *, urgent: bool) -> None:
        wall = time.time()
        for datagram in self.paths.read(now, urgent=urgent):
            vrid = packet.vrid_of(datagram.payload)
            mine = self._by_vrid.get((datagram.interface, datagram.source.version, vrid or 0))
            if mine is None:
                continue
            heard = mine.hear(datagram, wall)
            if isinstance(heard, Rejected):
                self._telling.rejected(mine, str(datagram.source), heard, now)
                continue
            link = self.paths.links[datagram.interface]
            party = self._by_vip[mine.vip]
            election = party.group.members[mine.name]
            local = link.source_for(mine.destination)
            party.group.receive(mine.name, heard.advert, datagram.source, now, local)
            if election.master == datagram.source:
                link.trust(datagram)
                if election.state is State.BACKUP:
                    self.tables.master_heard(mine, datagram.source, datagram.interface, now)
            self._after(party)

    def _links(self, now: float) -> None:
        """Tell the elections which of them can take part."""
        for party in list(self.parties.values()):
            for name, election in party.group.members.items():
                mine = self.instances[name]
                link = self.paths.links[mine.interface]
                source = link.source_for(mine.destination)
                if source is not None:
                    election.set_local(source)
                well = not link.problem(mine.family) and name not in party.broken
                party.group.link(name, well, now)
            self._after(party)

    def _mend(self, now: float) -> None:
        """Try again where addresses could not be added a while ago."""
        again = False
        for party in self.parties.values():
            for name in [name for name, at in party.broken.items() if at <= now]:
                del party.broken[name]
                again = True
        if again:
            self._links(now)

    def tidy(self) -> None:
        """Hold the addresses against the roles: whatever went wrong before is put right. And give
        back what parties used that have left."""
        if self._left:
            self._left = False
            self._map(time.monotonic())
        for party in list(self.parties.values()):
            for name, election in party.group.members.items():
                mine = self.instances[name]
                if election.state in HOLDING and not self._keeper.holds_all(mine):
                    self._want(party, name, AddAddresses())
        self._links(time.monotonic())

    def _let_go(self, party: Party) -> None:
        """Addresses that were taken up at the start, or could not be removed, go when another one
        is master, and when this director cannot be it."""
        for name, election in party.group.members.items():
            fault = election.state is State.FAULT
            followed = election.state is State.BACKUP and election.master is not None
            if (fault or followed) and self._keeper.holds(self.instances[name]):
                self._want(party, name, RemoveAddresses())

    def _want(self, party: Party, name: str, action: Action) -> None:
        if not party.hands.busy:  # else it is under way, or looked after later
            party.hands.take([(name, action)])

    def _claimed(self, claim: Claim, now: float) -> None:
        for party in self.parties.values():
            for name, election in party.group.members.items():
                mine = self.instances[name]
                ours = any(one.address == claim.address for one in mine.addresses)
                settled = election.state is State.MASTER and now - election.since > RETRY_S
                if ours and settled:
                    mine.claims += 1
                    how = "arp" if mine.family == 4 else "nd"
                    event = VipConflict(mine.vip, claim.mac, how, str(claim.address))
                    self._telling.once(event, now)
                    self.announcing.begin(mine, Cause.CONTESTED, now)

    # -- what is asked for -----------------------------------------------------------------

    def _after(self, party: Party) -> None:
        """After anything that concerns a party: have done what it asks for."""
        actions = party.group.actions()
        if actions:
            party.hands.take(actions)
        if party.gone:
            party.due = inf
            return
        self._let_go(party)
        party.note_timer()
        self.touched.update(party.vips)

    def _do(self, name: str, action: Action) -> Awaitable[None] | None:
        mine = self.instances[name]
        now = time.monotonic()
        match action:
            case Send(advert):
                self._send(mine, advert, now)
            case AddAddresses():
                return self._add(mine)
            case RemoveAddresses():
                self.announcing.stop(name)
                self._book.note(mine.place, 0.0)
                self._late.pop(name, None)
                return self._remove(mine)
            case Announce(occasion):
                self.announcing.begin(mine, _CAUSE[occasion], now, ask=True)
                self._announce(now)
            case Stopped():
                self._gone(mine)
            case _:
                self._tell(mine, action, now)
        return None

    def _send(self, mine: Instance, advert: Advert, now: float) -> None:
        links = [self.paths.links[path] for path in mine.paths]
        self._telling.trouble(mine.vip, mine.say(advert, links, time.time()), now)
        fresh = now + DOWN_ADVERTS * advert.interval
        self._book.note(mine.place, fresh if advert.priority else 0.0)
        due = self._late.pop(mine.name, None)
        if due is not None:
            self.lateness.note(now - due)

    async def _add(self, mine: Instance) -> None:
        troubles = await self._keeper.add(mine)
        now = time.monotonic()
        party = self._by_vip[mine.vip]
        self.touched.update(party.vips)
        if not troubles:
            party.why_broken = ""
            if mine.virtual is not None:
                self._look(now)  # its interface has come, to announce from
            return
        # Who has not got the addresses says nothing of them.
        party.hands.forget(lambda _, waiting: _takes(waiting))
        party.why_broken = troubles[0]
        party.broken[mine.name] = now + RETRY_S
        self._telling.trouble(mine.vip, troubles, now)
        self._links(now)

    async def _remove(self, mine: Instance) -> None:
        troubles = await self._keeper.remove(mine)
        self._telling.trouble(mine.vip, troubles, time.monotonic())
        self.touched.update(self._by_vip[mine.vip].vips)

    def _gone(self, mine: Instance) -> None:
        party = self._by_vip[mine.vip]
        party.stopped.add(mine.name)
        if not party.gone:
            return
        before = [self.instances[name] for name in party.group.members]
        self._forget(next(key for key, one in self.parties.items() if one is party))
        self._left = True
        if not party.keep:
            self._drop(before)
        self._stopped(party.vips)

    def _announce(self, now: float) -> None:
        self._telling.trouble("", self.announcing.send(self.paths.frames, now), now)

    def _tell(self, mine: Instance, action: Action, now: float) -> None:
        match action:
            case RoleAction(before, after, cause):
                self.tables.changed(mine, before, after, cause, now)
            case Handover(stage):
                self.tables.handover(mine, stage, now)
            case Conflict():
                mine.conflicts += 1
            case _:
                pass
        election = self._by_vip[mine.vip].group.members[mine.name]
        self._telling.action(mine, action, str(election.master or ""))

    # -- how it stands ---------------------------------------------------------------------

    def party(self, vip: str) -> Party | None:
        """The party of a VIP group."""
        return self._by_vip.get(vip)

    def members(self, vip: str) -> list[Instance]:
        """The instances of a VIP group."""
        party = self._by_vip.get(vip)
        names = party.group.members if party is not None else ()
        return [one for one in map(self.instances.__getitem__, names) if one.vip == vip]

    def held(self, members: Iterable[Instance]) -> list[VipAddress]:
        """Their addresses that stand on their interface."""
        return [address for one in members for address in self._keeper.held(one)]

    def problem(self, party: Party) -> str:
        """Why a party cannot take part now; empty: it can."""
        mine = (self.instances[name] for name in party.group.members)
        problems = (self.paths.links[one.interface].problem(one.family) for one in mine)
        return next(filter(None, problems), "") or (party.why_broken if party.broken else "")

    def idle(self) -> bool:
        """Whether this director neither has an address nor would take one."""
        held = any(self._keeper.holds(one) for one in self.instances.values())
        return not held and all(party.idle for party in self.parties.values())


def _takes(action: Action) -> bool:
    """Whether it belongs to taking the addresses."""
    said = isinstance(action, Send) and action.advert.priority > 0
    return said or isinstance(action, AddAddresses | Announce)
