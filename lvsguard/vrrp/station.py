"""All instances of this director: what they hear, what is due, and what they ask to be done.

The heart of the VRRP process. It is called when a descriptor is readable or a time has come, reads
everything that waits before it acts on a timer, and has the addresses written by their owner. It
speaks to the controller through ``Tell`` and knows nothing of sockets between processes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from lvsguard.core.event import Event
from lvsguard.core.model import VipAddress
from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp_event import (
    AdvertRejected,
    HandoverStage,
    RoleChanged,
    VipConflict,
    VipConflictOver,
    VrrpStalled,
    VrrpTold,
)
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp import packet
from lvsguard.vrrp.action import (
    Action,
    AddAddresses,
    Announce,
    Conflict,
    ConflictOver,
    Handover,
    HoldLapsed,
    MasterResigned,
    Occasion,
    RemoveAddresses,
    Send,
    Stalled,
    Stopped,
)
from lvsguard.vrrp.action import RoleChanged as RoleAction
from lvsguard.vrrp.announce import Announcement, Announcer, Cause, Rhythm
from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.hands import Hands
from lvsguard.vrrp.instance import Instance, families
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.lateness import Lateness
from lvsguard.vrrp.message import Put, SyncTarget
from lvsguard.vrrp.paths import Paths
from lvsguard.vrrp.reception import Rejected
from lvsguard.vrrp.tables import Tables
from lvsguard.vrrp.transitions import HOLDING, State
from lvsguard.vrrp.watch import QUESTIONS, Claim

RETRY_S = 1.0
"""Until addresses that could not be added are tried again."""
REPEAT_S = 60.0
"""Between two events that say the same."""
_CAUSE = {Occasion.TAKEOVER: Cause.MASTER, Occasion.CONTESTED: Cause.CONTESTED}


@dataclass(slots=True)
class Party:
    """A sync group, its hands, and the VIP groups in it. A VIP group alone is a party, too."""

    group: SyncGroup
    hands: Hands
    vips: tuple[str, ...]
    leaving: bool = False
    broken: dict[str, float] = field(default_factory=dict)
    """Instances whose addresses could not be added, and when to try again."""


class Station:
    """Instances by name, in their parties."""

    def __init__(
        self,
        paths: Paths,
        keeper: Keeper,
        tables: Tables,
        *,
        emit: Callable[[Event], None],
        stopped: Callable[[tuple[str, ...]], None],
    ) -> None:
        """``stopped`` gets the VIP groups of a party that has left."""
        self.paths = paths
        self.lateness = Lateness()
        self._keeper = keeper
        self.tables = tables
        self._emit = emit
        self._stopped = stopped
        self.puts: dict[str, Put] = {}
        self.parties: dict[str, Party] = {}
        self.instances: dict[str, Instance] = {}
        self._announcers: dict[Rhythm, Announcer] = {}
        """One for all VIP groups of the same rhythm, so that they take turns."""
        self._questions = Announcer(QUESTIONS)
        self.announced = 0
        """Frames sent."""
        self._by_vrid: dict[tuple[str, int, int], Instance] = {}
        self._told: dict[tuple[str, ...], float] = {}

    # -- what the controller says ----------------------------------------------------------

    def configure(self, puts: Mapping[str, Put], sync: SyncTarget | None, now: float) -> None:
        """Take part for exactly these. Parties that did not change go on as they are."""
        wanted = _parties(puts.values())
        before = frozenset(a for one in self.instances.values() for a in one.addresses)
        for key, party in list(self.parties.items()):
            members = wanted.get(key, ())
            same = {one.name: one for one in members} == {
                name: self.puts[name] for name in party.vips if name in self.puts
            } and {one.name for one in members} == set(party.vips)
            if same and not party.leaving:
                wanted.pop(key)
            elif not members:
                self._leave(party, now, keep=False)
            else:
                self._forget(key)
        self.puts = dict(puts)
        fresh = [self._begin(key, members) for key, members in wanted.items()]
        self._map(now)
        self.tables.configure(sync, self.instances.values())
        after = frozenset(a for one in self.instances.values() for a in one.addresses)
        self._keeper.drop(before - after)
        for party in fresh:
            for name in party.group.members:
                self._keeper.adopt(self.instances[name])
            holds = any(self._keeper.holds(self.instances[n]) for n in party.group.members)
            party.group.start(time.monotonic(), resumed=holds)
        self._act(now)

    def _begin(self, key: str, members: tuple[Put, ...]) -> Party:
        made = [Instance(put, family) for put in members for family in families(put)]
        for one in made:
            self.instances[one.name] = one
        group = SyncGroup({one.name: one.settings for one in made})
        party = Party(group, Hands(self._do), tuple(put.name for put in members))
        self.parties[key] = party
        return party

    def _forget(self, key: str) -> None:
        """Drop a party whose addresses the next of that name takes up."""
        party = self.parties.pop(key)
        for name in party.group.members:
            self._keeper.retire(self.instances.pop(name))
            self._quiet(name)

    def _leave(self, party: Party, now: float, *, keep: bool) -> None:
        party.leaving = True
        party.group.stop(now, keep=keep)

    def _map(self, now: float) -> None:
        self._by_vrid = {
            (path, one.family, one.settings.vrid): one
            for one in self.instances.values()
            for path in one.paths
        }
        self.paths.configure(self.instances.values(), now)
        self._keeper.watch({a.interface for one in self.instances.values() for a in one.addresses})
        self._links(now)

    def standing(self, vip: str, *, ready: bool, priority: int, now: float) -> None:
        """Say whether this director can serve a VIP group, and its priority."""
        for party in self._of(vip):
            for name in party.group.members:
                if self.instances[name].vip == vip:
                    party.group.set_priority(name, priority, now)
            party.group.set_ready(ready, now)
        self._act(now)

    def unready(self, now: float) -> None:
        """The controller has been gone for too long: nobody vouches for the IPVS table."""
        for party in self.parties.values():
            party.group.set_ready(False, now)
        self._act(now)

    def failover(self, vip: str, now: float) -> None:
        """Give up mastership of a VIP group and its party."""
        for party in self._of(vip):
            party.group.failover(now)
        self._act(now)

    def resume(self, vip: str, now: float) -> None:
        """Preempt again."""
        for party in self._of(vip):
            party.group.resume(now)
        self._act(now)

    def hold(self, vip: str, seconds: float, now: float) -> None:
        """Leave a lower priority alone for a while."""
        for party in self._of(vip):
            party.group.hold_preempt(seconds > 0, now, now + seconds)
        self._act(now)

    def leave(self, now: float, *, keep: bool) -> None:
        """Hand everything over. ``stopped`` is called for each party when it is done."""
        for party in self.parties.values():
            if not party.leaving:
                self._leave(party, now, keep=keep)
        self._act(now)

    def _of(self, vip: str) -> list[Party]:
        return [party for party in self.parties.values() if vip in party.vips]

    # -- what happens ----------------------------------------------------------------------

    def timer(self) -> float:
        """When to call ``wake`` at the latest, monotonic."""
        due = [party.group.timer() for party in self.parties.values()]
        due += [announcer.timer() for announcer in self._announcers.values()]
        due += [at for party in self.parties.values() for at in party.broken.values()]
        due += [self._questions.timer(), self.paths.timer(), self.tables.timer()]
        return min((at for at in due if at is not None), default=inf)

    def wake(self, now: float) -> None:
        """Read what came, then do what is due."""
        changed, troubles = self.paths.look(now)
        self._trouble("", troubles, now)
        if changed:
            self._links(now)
            self._return(changed, now)
        expired = [p for p in self.parties.values() if (p.group.timer() or inf) <= now]
        self._hear(now, urgent=bool(expired))
        for claim in self.paths.claimed():
            self._claimed(claim, now)
        for party in expired:
            due = party.group.timer()
            if due is not None and due <= now:
                speaks = any(one.state is State.MASTER for one in party.group.members.values())
                if speaks:
                    self.lateness.note(now - due)
                party.group.expire(now)
        self._mend(now)
        self.tables.wake(now)
        self._act(now)
        self._announce(now)

    def _hear(self, now: float, *, urgent: bool) -> None:
        wall = time.time()
        for datagram in self.paths.read(now, urgent=urgent):
            vrid = packet.vrid_of(datagram.payload)
            instance = self._by_vrid.get((datagram.interface, datagram.source.version, vrid or 0))
            if instance is None:
                continue
            heard = instance.hear(datagram, wall)
            if isinstance(heard, Rejected):
                self._rejected(instance, str(datagram.source), heard, now)
                continue
            link = self.paths.links[datagram.interface]
            local = link.source_for(instance.destination)
            for party in self._of(instance.vip):
                party.group.receive(instance.name, heard.advert, datagram.source, now, local)
                election = party.group.members[instance.name]
                if election.master == datagram.source:
                    link.trust(datagram)
                    if election.state is State.BACKUP:
                        self.tables.master_heard(instance, datagram.source, now)
                self._let_go(party)

    def _let_go(self, party: Party) -> None:
        """A party that took up addresses at its start, and then heard a master, drops them."""
        for name, election in party.group.members.items():
            mine = self.instances[name]
            if election.state is State.BACKUP and election.master and self._keeper.holds(mine):
                party.hands.take([(name, RemoveAddresses())])

    def _links(self, now: float) -> None:
        """Tell the elections which of them can take part."""
        for party in self.parties.values():
            for name, election in party.group.members.items():
                mine = self.instances[name]
                link = self.paths.links[mine.interface]
                source = link.source_for(mine.destination)
                if source is not None:
                    election.set_local(source)
                well = not link.problem(mine.family) and name not in party.broken
                party.group.link(name, well, now)

    def _return(self, changed: Iterable[str], now: float) -> None:
        """A link came back: the switch has forgotten where the addresses are."""
        for party in self.parties.values():
            for name, election in party.group.members.items():
                mine = self.instances[name]
                back = mine.interface in changed and self.paths.up(mine.interface)
                if back and election.state in HOLDING:
                    self._begin_announcing(mine, Cause.LINK, now)

    def _mend(self, now: float) -> None:
        for party in self.parties.values():
            due = [name for name, at in party.broken.items() if at <= now]
            for name in due:
                del party.broken[name]
            if due:
                self._links(now)

    def _claimed(self, claim: Claim, now: float) -> None:
        for party in self.parties.values():
            for name, election in party.group.members.items():
                mine = self.instances[name]
                ours = any(one.address == claim.address for one in mine.addresses)
                settled = election.state is State.MASTER and now - election.since > RETRY_S
                if ours and settled:
                    mine.claims += 1
                    how = "arp" if mine.family == 4 else "nd"
                    self._once(VipConflict(mine.vip, claim.mac, how, str(claim.address)), now)
                    self._begin_announcing(mine, Cause.CONTESTED, now)

    # -- what is asked for -----------------------------------------------------------------

    def _act(self, now: float) -> None:
        for party in list(self.parties.values()):
            actions = party.group.actions()
            if actions:
                party.hands.take(actions)

    def _do(self, name: str, action: Action) -> Awaitable[None] | None:
        mine = self.instances.get(name)
        if mine is None:
            return None  # its party was replaced by one of another config
        now = time.monotonic()
        match action:
            case Send(advert):
                links = [self.paths.links[path] for path in mine.paths]
                self._trouble(mine.vip, mine.say(advert, links, time.time()), now)
            case AddAddresses():
                return self._add(mine)
            case RemoveAddresses():
                self._quiet(name)
                return self._remove(mine)
            case Announce(occasion):
                self._begin_announcing(mine, _CAUSE[occasion], now)
                self._questions.announce(name, self._items(mine), Cause.MASTER, now)
                self._announce(now)
            case Stopped():
                self._gone(name)
            case _:
                self._tell(mine, action, now)
        return None

    async def _add(self, mine: Instance) -> None:
        troubles = await self._keeper.add(mine)
        if troubles:
            now = time.monotonic()
            self._trouble(mine.vip, troubles, now)
            for party in self._of(mine.vip):
                party.broken[mine.name] = now + RETRY_S
            self._links(now)
            self._act(now)

    async def _remove(self, mine: Instance) -> None:
        self._trouble(mine.vip, await self._keeper.remove(mine), time.monotonic())

    def _quiet(self, name: str) -> None:
        for announcer in self._announcers.values():
            announcer.stop(name)
        self._questions.stop(name)

    def _gone(self, name: str) -> None:
        for key, party in list(self.parties.items()):
            if name not in party.group.members or not party.leaving:
                continue
            if all(one.state is State.INIT for one in party.group.members.values()):
                self._forget(key)
                self._stopped(party.vips)
                self._map(time.monotonic())

    def _items(self, mine: Instance) -> list[Announcement]:
        return [Announcement(one.interface, one.address) for one in mine.addresses]

    def _begin_announcing(self, mine: Instance, cause: Cause, now: float) -> None:
        announcer = self._announcers.setdefault(mine.rhythm, Announcer(mine.rhythm))
        announcer.announce(mine.name, self._items(mine), cause, now)

    def _announce(self, now: float) -> None:
        """Send a slice of what is due."""
        for announcer in self._announcers.values():
            for interface, address in announcer.take(now):
                try:
                    self.paths.frames[interface].announce(address)
                    self.announced += 1
                except KernelError as error:
                    self._trouble("", [str(error)], now)
        for interface, address in self._questions.take(now):
            try:
                self.paths.frames[interface].ask(address)
            except KernelError as error:
                self._trouble("", [str(error)], now)

    # -- what is told ----------------------------------------------------------------------

    def _tell(self, mine: Instance, action: Action, now: float) -> None:
        election = next(p.group.members[mine.name] for p in self._of(mine.vip))
        match action:
            case RoleAction(before, after, cause):
                master = str(election.master or "")
                self._emit(RoleChanged(mine.vip, str(before), str(after), str(cause), master))
                self.tables.changed(mine, before, after, cause, now)
            case Handover(stage, _, source):
                self.tables.handover(mine, stage, now)
                self._emit(HandoverStage(mine.vip, str(stage), str(source or "")))
            case Conflict(source, priority):
                mine.conflicts += 1
                self._emit(VipConflict(mine.vip, str(source), "advert", f"priority {priority}"))
            case ConflictOver(source, seconds):
                self._emit(VipConflictOver(mine.vip, str(source), seconds))
            case Stalled(seconds):
                self._emit(VrrpStalled(mine.vip, seconds))
            case MasterResigned(source):
                self._emit(VrrpTold(mine.vip, f"the master {source} leaves as planned"))
            case HoldLapsed():
                text = "what preemption was held back for did not come in time: it may preempt now"
                self._emit(VrrpTold(mine.vip, text))
            case _:
                pass

    def _rejected(self, mine: Instance, source: str, why: Rejected, now: float) -> None:
        self._once(AdvertRejected(mine.vip, source, str(why.reason), str(why)), now)

    def _trouble(self, vip: str, texts: Iterable[str], now: float) -> None:
        for text in texts:
            self._once(VrrpTold(vip or "all", text), now)

    def _once(self, event: Event, now: float) -> None:
        """Tell, unless the same was told a short while ago."""
        key = (event.kind, *_subject(event))
        if now - self._told.get(key, -inf) < REPEAT_S:
            return
        if len(self._told) > 1000:
            self._told.clear()
        self._told[key] = now
        self._emit(event)

    def problem(self, name: str) -> str:
        """Why an instance cannot take part now; empty: it can."""
        mine = self.instances[name]
        return self.paths.links[mine.interface].problem(mine.family)

    def held(self, vip: str) -> frozenset[VipAddress]:
        """Addresses of a VIP group that stand on their interface."""
        ours = (one for one in self.instances.values() if one.vip == vip)
        return frozenset(a for one in ours for a in self._keeper.held(one))

    def roles(self) -> Counter[Role]:
        """How many instances have which role."""
        return Counter(e.role for p in self.parties.values() for e in p.group.members.values())


def _parties(puts: Iterable[Put]) -> dict[str, tuple[Put, ...]]:
    """VIP groups by the sync group that they are in, or alone."""
    found: dict[str, tuple[Put, ...]] = {}
    for put in puts:
        key = f"group {put.sync_group}" if put.sync_group else f"vip {put.name}"
        found[key] = (*found.get(key, ()), put)
    return found


def _subject(event: Event) -> tuple[str, ...]:
    match event:
        case AdvertRejected(vip, source, reason, _):
            return (vip, source, reason)
        case VipConflict(vip, other, how, _):
            return (vip, other, how)
        case VrrpTold(vip, text):
            return (vip, text)
        case _:
            return (str(event),)
