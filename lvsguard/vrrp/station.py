"""All instances of this director: what they hear, what is due, and what they ask to be done.

The heart of the VRRP process. It is called when a descriptor is readable or a time has come, reads
everything that waits before it acts on a timer, and has the addresses written by their owner. It
knows nothing of sockets between processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from math import inf

from lvsguard.core.event import Event
from lvsguard.core.model import VipAddress
from lvsguard.vrrp import packet
from lvsguard.vrrp.action import Action, AddAddresses, RemoveAddresses
from lvsguard.vrrp.announce import Cause
from lvsguard.vrrp.doing import Doing
from lvsguard.vrrp.hands import Hands
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.logbook import Logbook
from lvsguard.vrrp.message import Put, SyncTarget
from lvsguard.vrrp.objecting import Objecting
from lvsguard.vrrp.party import Party
from lvsguard.vrrp.paths import Paths
from lvsguard.vrrp.reception import Rejected
from lvsguard.vrrp.roster import Roster
from lvsguard.vrrp.tables import Tables
from lvsguard.vrrp.telling import Telling
from lvsguard.vrrp.transitions import HOLDING, State


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
        self.tables = tables
        self._keeper = keeper
        self._book = book
        self._telling = Telling(emit)
        self._stopped = stopped
        self.doing = Doing(paths, keeper, tables, book, self._telling)
        self.roster = Roster(lambda: Hands(self._do))
        self._do = self.doing.bind(self.roster, self)
        self.touched: set[str] = set()
        """VIP groups that something happened to; whoever shows them clears it."""
        self._standings: dict[str, tuple[bool, int]] = {}
        self._held: dict[str, float] = {}
        """Until when a VIP group leaves a lower priority alone."""
        self._objecting = Objecting(self.roster, self.doing.announcing, self._telling)
        self._unmapped = False
        """Whether somebody has left whose sockets are still there."""

    # -- what the controller says ----------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether addresses are being written."""
        return self._keeper.busy or any(party.hands.busy for party in self.roster.parties.values())

    async def rest(self) -> None:
        """Wait until no addresses are being written."""
        for party in list(self.roster.parties.values()):
            await party.hands.rest()
        await self._keeper.rest()

    def configure(self, puts: Mapping[str, Put], sync: SyncTarget | None, now: float) -> None:
        """Take part for exactly these. Parties that did not change go on as they are. Not to be
        called while ``busy``: a write for an instance that is replaced would come too late."""
        before = list(self.roster.instances.values())
        fresh, leaving = self.roster.configure(puts, self._delays(now))
        self._standings = {n: said for n, said in self._standings.items() if n in puts}
        self._held = {n: until for n, until in self._held.items() if n in puts}
        for name in {one.name for one in before}:
            if self.roster.instances.get(name) not in before:
                self.doing.announcing.stop(name)
        self._map(now)
        self.tables.configure(sync, self.roster.instances.values(), now)
        self._drop(before)
        for party in fresh:
            self._start(party)
        for party in leaving:
            self._leave(party, now, keep=False)

    def _delays(self, now: float) -> dict[str, float]:
        """What is left of the start delay of each VIP group that is here."""
        left: dict[str, float] = {}
        for party in self.roster.parties.values():
            for name, one in () if party.leaving else party.group.members.items():
                due = one.timer() if one.state is State.INIT else None
                left[self.roster.instances[name].vip] = 0.0 if due is None else max(0.0, due - now)
        return left

    def _start(self, party: Party) -> None:
        now = time.monotonic()  # to prepare the others may have taken a while
        mine = self.roster.of(party)
        for one in mine:
            self._keeper.adopt(one)
        self._rate(party, now)
        party.group.start(
            now,
            resumed=any(map(self._keeper.holds, mine)),
            going_on=all(now < self._book.until(one.place) for one in mine),
            aside=any(self._book.aside(one.place) or self._aside(one) for one in mine),
        )
        self._after(party)
        self._note_aside(party)

    def _aside(self, mine: Instance) -> bool:
        """Whether the controller remembers a failover: of before a stop, or a reboot."""
        return self.roster.puts[mine.vip].aside

    def _leave(self, party: Party, now: float, *, keep: bool) -> None:
        party.leaving, party.keep = True, keep
        party.group.stop(now, keep=keep)
        self._after(party)

    def _map(self, now: float) -> None:
        instances = self.roster.instances.values()
        self.paths.configure(instances, now)
        self.doing.announcing.keep(instances)
        self._telling.keep(self.roster.instances)
        self._keeper.watch({a.interface for one in instances for a in one.addresses})
        self._links(now)

    def _drop(self, before: Iterable[Instance]) -> None:
        """Take off what no instance has any more."""
        old, now = list(before), self.roster.instances.values()
        self._keeper.drop(
            {a for one in old for a in one.addresses} - {a for one in now for a in one.addresses},
            {one.virtual for one in old if one.virtual} - {one.virtual for one in now},
        )

    def standing(self, vip: str, *, ready: bool, priority: int, now: float) -> None:
        """Say whether this director can serve a VIP group, and its priority; also before the group
        is configured."""
        self._standings[vip] = ready, priority
        party = self.roster.party(vip)
        if party is not None:
            self._rate(party, now)

    def _rate(self, party: Party, now: float) -> None:
        """A party can serve when all its VIP groups can."""
        for name in party.group.members:
            said = self._standings.get(self.roster.instances[name].vip)
            if said is not None:
                party.group.set_priority(name, said[1], now)
        ready = all(self._standings.get(vip, (False, 0))[0] for vip in party.vips)
        party.group.set_ready(ready, now)
        self._after(party)

    def unready(self, now: float) -> None:
        """The controller has been gone for too long: nobody vouches for the IPVS table."""
        self._standings = {vip: (False, said[1]) for vip, said in self._standings.items()}
        for party in list(self.roster.parties.values()):
            self._rate(party, now)

    def failover(self, vip: str, now: float) -> None:
        """Give up mastership of a VIP group and its party."""
        party = self.roster.party(vip)
        if party is not None:
            party.group.failover(now)
            self._after(party)
            self._note_aside(party)

    def resume(self, vip: str, now: float) -> None:
        """Preempt again."""
        party = self.roster.party(vip)
        if party is not None:
            party.group.resume(now)
            self._after(party)
            self._note_aside(party)

    def _note_aside(self, party: Party) -> None:
        for one in self.roster.of(party):
            self._book.stand_aside(one.place, party.group.members[one.name].aside)

    def hold(self, vip: str, seconds: float, now: float) -> None:
        """Leave a lower priority alone for a while."""
        self._held[vip] = now + seconds
        party = self.roster.party(vip)
        if party is not None:
            # Each VIP group asks its own master: one that gets no table must not end the wait of
            # the others that move with it.
            until = max(self._held.get(one, now) for one in party.vips)
            party.group.hold_preempt(until > now, now, until)
            self._after(party)

    def leave(self, now: float, *, keep: bool) -> None:
        """Hand everything over. ``stopped`` is called for each party when it is done. Said again,
        the last ``keep`` counts."""
        for party in list(self.roster.parties.values()):
            self._leave(party, now, keep=keep)

    # -- what happens ----------------------------------------------------------------------

    def timer(self) -> float:
        """When to call ``wake`` at the latest, monotonic."""
        due = [self.doing.announcing.due, *(party.due for party in self.roster.parties.values())]
        due += [at for party in self.roster.parties.values() for at in party.broken.values()]
        timers = (self.paths.timer(), self.tables.timer(), self._telling.due, self._objecting.due)
        due += [at for at in timers if at is not None]
        return min(due)

    def wake(self, now: float) -> None:
        """Read what came, then do what is due."""
        self._look(now)
        expired = [party for party in self.roster.parties.values() if party.due <= now]
        self._hear(now, urgent=bool(expired))
        self._objecting.note(self.paths.claimed(), now)
        self._objecting.act(now)
        self._telling.expire(now)
        for party in expired:
            if party.due <= now:
                for name, election in party.group.members.items():
                    due = election.timer()
                    if election.state is State.MASTER and due is not None and due <= now:
                        self.doing.late[name] = due
                party.group.expire(now)
                self._after(party)
        self._mend(now)
        self.tables.wake(now)
        self.doing.announce(now)

    def _look(self, now: float) -> None:
        """Take in what became of the interfaces."""
        changed, back, troubles = self.paths.look(now)
        self._telling.trouble("", troubles, now)
        if changed:
            self._links(now)
        for party in self.roster.parties.values() if back else ():
            for name, election in party.group.members.items():
                # The link was gone so shortly that no election saw it, but the switch did: it has
                # forgotten where the addresses are.
                if self.roster.instances[name].interface in back and election.state in HOLDING:
                    self.doing.announcing.begin(self.roster.instances[name], Cause.LINK, now)

    def _hear(self, now: float, *, urgent: bool) -> None:
        wall = time.time()
        for datagram in self.paths.read(now, urgent=urgent):
            vrid = packet.vrid_of(datagram.payload)
            mine = self.roster.at(datagram.interface, datagram.source.version, vrid or 0)
            if mine is None:
                continue
            heard = mine.hear(datagram, wall)
            if isinstance(heard, Rejected):
                self._telling.rejected(mine, str(datagram.source), heard, now)
                continue
            mine.hearing.heard(datagram.interface, heard.advert.interval, now)
            party = self.roster.party_of(mine)
            election = party.group.members[mine.name]
            speaker = heard.speaker or datagram.source
            party.group.receive(mine.name, heard.advert, speaker, now)
            if election.master == speaker:
                self.paths.links[datagram.interface].trust(datagram)
                if election.state is State.BACKUP:
                    self.tables.master_heard(mine, datagram.source, datagram.interface, now)
            self._after(party)

    def _links(self, now: float) -> None:
        """Tell the elections which of them can take part."""
        for party in list(self.roster.parties.values()):
            for name, election in party.group.members.items():
                mine = self.roster.instances[name]
                link = self.paths.links[mine.interface]
                source = link.source_for(mine.destination)
                if source is not None:
                    election.local = source
                problem = link.problem(mine.family, mine.destination)
                well = not problem and name not in party.broken
                party.group.link(name, well, now)
            self._after(party)

    def _mend(self, now: float) -> None:
        """Try again where addresses could not be added a while ago."""
        again = False
        for party in self.roster.parties.values():
            for name in [name for name, at in party.broken.items() if at <= now]:
                del party.broken[name]
                again = True
        if again:
            self._links(now)

    def tidy(self) -> None:
        """Hold the addresses against the roles: whatever went wrong before is put right. And give
        back what parties used that have left."""
        if self._unmapped:
            self._unmapped = False
            self._map(time.monotonic())
        for party in list(self.roster.parties.values()):
            holding = {n for n, one in party.group.members.items() if one.state in HOLDING}
            lacking = [one for one in self.roster.of(party) if not self._keeper.holds_all(one)]
            self._want(party, [one.name for one in lacking if one.name in holding], AddAddresses())
        self._links(time.monotonic())

    def _let_go(self, party: Party) -> None:
        """Take off what a member was found with, when it is not to have it."""
        surplus = [name for name, one in party.group.members.items() if one.lets_go]
        held = [name for name in surplus if self._keeper.holds(self.roster.instances[name])]
        self._want(party, held, RemoveAddresses())

    def _want(self, party: Party, names: list[str], action: Action) -> None:
        if not party.hands.busy:  # else it is under way, or looked after later
            party.hands.take([(name, action) for name in names])

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

    def added(self, party: Party, mine: Instance, now: float) -> None:
        """See ``Caller``."""
        self.touched.update(party.vips)
        if mine.name in party.broken:
            self._links(now)
        elif mine.virtual is not None:
            self._look(now)  # its interface has come, to announce from

    def removed(self, party: Party) -> None:
        """See ``Caller``."""
        self.touched.update(party.vips)

    def left(self, party: Party) -> None:
        """See ``Caller``."""
        before = self.roster.of(party)
        self.roster.drop(party)
        self._unmapped = True
        for one in before:
            self.doing.announcing.stop(one.name)
            self._book.note(one.place, 0.0)
        if not party.keep:
            self._drop(before)
        self._stopped(party.vips)

    # -- how it stands ---------------------------------------------------------------------

    def held(self, members: Iterable[Instance]) -> list[VipAddress]:
        """Their addresses that stand on their interface."""
        return [address for one in members for address in self._keeper.held(one)]

    def problem(self, party: Party) -> str:
        """Why a party cannot take part now; empty: it can."""
        mine = self.roster.of(party)
        links = self.paths.links
        problems = (links[one.interface].problem(one.family, one.destination) for one in mine)
        return next(filter(None, problems), "") or (party.why_broken if party.broken else "")

    def idle(self) -> bool:
        """Whether this director neither has an address nor would take one."""
        held = any(self._keeper.holds(one) for one in self.roster.instances.values())
        return not held and all(party.idle for party in self.roster.parties.values())
