"""Joins the controller with the other directors: what this one tells of itself, and what it makes
of what they tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from math import inf

from lvsguard import __version__
from lvsguard.admin.etcd_channel import EtcdChannel
from lvsguard.admin.peer_channel import PeerChannel
from lvsguard.admin.peer_message import TROUBLE_MAX
from lvsguard.admin.peer_session import Peer
from lvsguard.controller import Controller
from lvsguard.controller.ahead import Heard
from lvsguard.controller.standing import Seen
from lvsguard.core.config import Config
from lvsguard.core.event import Event
from lvsguard.core.fitness import Reason, Why
from lvsguard.core.model import ServiceKey, VirtualService
from lvsguard.core.peer import Account, VipPart, compare, shortened
from lvsguard.core.peer_event import PeerDiffers
from lvsguard.core.snapshot import PeerStatus, Role, SyncStatus
from lvsguard.core.table_digest import TableDigest
from lvsguard.daemon.fitness import Fitness
from lvsguard.daemon.sharing import Sharing
from lvsguard.daemon.turns import turn
from lvsguard.kernel.module_list import lacking
from lvsguard.kernel.port import SyncRole

FROZEN = "etcd cannot be asked, so what other directors hold is shown as it was known last"
NOBODY = (
    "no other director is known in etcd, so nobody knows whether one could take over: see that"
    " lvsguard runs on the other one, and that its [cluster] is the same and etcd answers it"
    " (lvsguard status there)"
)
LOOK_S = 0.25
"""Rhythm of the looks at what is to be told."""
DIFFERING_MAX = 1000
"""Keys that differ which the status names."""
WATCH_S = 1.0
"""Rhythm of the looks at how fit others are: with ten thousand services one takes milliseconds."""
PATIENCE_S = 2.0
"""How long a failover waits for the other director to become fit."""
TABLE_S = 60.0
"""How long two directors that should do the same may do otherwise before the status says so."""
ROLLOUT_S = 60.0
"""How long two directors may have different configurations before it is told: somebody copies a
file to one after the other."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How this director does, as far as neither controller nor elections know it."""

    trouble: tuple[str, ...] = ()
    probers_lacking: int = 0
    table_lacks: str = ""


class Peers:
    """The other directors, on behalf of the controller."""

    def __init__(
        self,
        config: Config,
        controller: Controller,
        sharing: Sharing,
        *,
        elections: Callable[[], Mapping[str, Seen]],
        emit: Callable[[Event], None],
        condition: Callable[[], Condition] = Condition,
    ) -> None:
        """``elections``: what is known of the election of each VIP group; ``condition``: what only
        the other parts of this director know of how it does."""
        self._controller = controller
        self._elections = elections
        self._emit = emit
        self._sharing = sharing
        self._condition = condition
        self._fitness = Fitness(controller, sharing, emit)
        self._by_etcd = None
        self._channel: PeerChannel | EtcdChannel
        if config.etcd is not None:
            self._by_etcd = EtcdChannel(config.director, sharing, emit, config.etcd)
            self._channel = self._by_etcd
        else:
            self._channel = PeerChannel(config.director, sharing, emit)
            self._channel.configure(config.peer)
        sharing.told = self._channel.news
        self._table, self._table_now = TableDigest(), ""
        self._own = _own(config)
        self._other_table: dict[str, float] = {}
        """Since when (monotonic) others have another table, though they should not."""
        self._other_since: dict[str, float] = {}
        self._told: dict[str, str] = {}

    def configure(self, config: Config) -> None:
        """Put a new config in force."""
        self._own = _own(config)
        if isinstance(self._channel, PeerChannel):
            self._channel.configure(config.peer)

    @property
    def cluster(self) -> bool | None:
        """Whether etcd can be asked; None: directors do not meet there."""
        return None if self._by_etcd is None else not self._by_etcd.trouble

    @property
    def trouble(self) -> str:
        """Why etcd cannot be asked, and what follows; empty: nothing is wrong."""
        if self._by_etcd is None or not self._by_etcd.trouble:
            return ""
        return f"{FROZEN}: {self._by_etcd.trouble}"

    def turn(self) -> AbstractAsyncContextManager[tuple[str, ...]]:
        """A turn of this director, so that nobody else chooses meanwhile; gives a line for each of
        the others that it goes without."""
        return turn(self._channel, self._sharing, lost=bool(self.trouble))

    async def run(self) -> None:
        """Talk until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._channel.run(), name="peer-channel")
            group.create_task(self._tell(), name="peer-account")
            group.create_task(self._sharing.run(), name="sharing")

    async def _tell(self) -> None:
        watched = 0.0
        while True:
            if self._channel.peers or self._by_etcd is not None:
                self._channel.tell(self._account())
                self._watch_configs(time.monotonic())
                if (now := time.monotonic()) >= watched + WATCH_S:
                    watched = now
                    self._table_now = self._table.of(self._shared_table())
                    self._watch_tables(now)
                    self._fitness.watch(self._channel.peers.values(), now)
            await asyncio.sleep(LOOK_S)

    def _shared_table(self) -> Mapping[ServiceKey, VirtualService]:
        wanted = self._controller.book.wanted
        if not self._own:
            return wanted
        return {key: service for key, service in wanted.items() if key not in self._own}

    def _account(self) -> Account:
        book = self._controller.book
        programmed = self._controller.pulse.programmed
        condition = self._condition()
        return Account(
            version=__version__,
            config=book.config.digest,
            programmed=programmed,
            vips=tuple(_part(name, seen) for name, seen in self._elections().items()),
            services=book.sights,
            keys=book.config.keys,
            trouble=condition.trouble[:TROUBLE_MAX],
            probers_lacking=condition.probers_lacking,
            modules_lacking=() if programmed else lacking(_modules(book.config)),
            sync_lacking=_sync_lacking(self._controller.sync(None)),
            table=self._table_now,
            table_lacks=condition.table_lacks,
        )

    def _watch_tables(self, now: float) -> None:
        """Keep in mind since when whose table is another one for no reason that is known."""
        other = {p.name for p in self._channel.peers.values() if self._does_otherwise(p)}
        self._other_table = {name: self._other_table.get(name, now) for name in other}

    def _does_otherwise(self, peer: Peer) -> bool:
        beat, book = peer.beat, self._controller.book
        if peer.silent or beat is None or self.trouble or not beat.table or not self._table_now:
            return False
        return (
            beat.table != self._table_now
            and beat.programmed
            and self._controller.pulse.programmed
            and beat.config == book.config.digest
            and beat.overrides == self._sharing.fingerprint
            and not compare(book.sights, peer.services).differs
        )

    def _watch_configs(self, now: float) -> None:
        """Tell once of a configuration that stays another one, and of its end."""
        mine = self._controller.book.config.digest
        for name, peer in self._channel.peers.items():
            if peer.silent or peer.beat is None:
                continue
            theirs = peer.beat.config
            if theirs == mine:
                self._other_since.pop(name, None)
                if self._told.pop(name, ""):
                    self._emit(PeerDiffers(name, theirs, mine))
            elif now - self._other_since.setdefault(name, now) >= ROLLOUT_S:
                if name not in self._told:
                    keys = self._differing(peer)
                    self._emit(PeerDiffers(name, theirs, mine, shortened(keys)))
                self._told[name] = theirs

    def heard(self) -> Heard | None:
        """How each director that is heard sees the services; None while etcd cannot be asked, for
        what is known is as old as its loss."""
        if self.trouble:
            return None
        peers = self._channel.peers.values()
        return {peer.name: peer.services for peer in peers if not peer.silent}

    def status(self) -> tuple[PeerStatus, ...]:
        """The other directors, for the status."""
        return tuple(self._status(peer) for peer in self._channel.peers.values())

    def _status(self, peer: Peer) -> PeerStatus:
        beat = None if peer.silent else peer.beat
        book = self._controller.book
        found = compare(book.sights, peer.services)
        return PeerStatus(
            name=peer.name,
            address=peer.address,
            heard=not peer.silent,
            since=peer.since,
            last=peer.last,
            version="" if beat is None else beat.version,
            config="" if beat is None else beat.config,
            same_config=None if beat is None else beat.config == book.config.digest,
            programmed=None if beat is None else beat.programmed,
            same_overrides=None if beat is None else beat.overrides == self._sharing.fingerprint,
            refused="" if beat is None else peer.refused,
            differs=() if beat is None else found.differs,
            vips=() if beat is None else peer.vips,
            problem=peer.problem if peer.silent else "",
            unfit=(*self._frozen(), *self._fitness.unfit(peer)),
            config_differs=() if beat is None else self._differing(peer),
            clock=None if beat is None else peer.clock.read(time.monotonic()),
            other_table=time.monotonic() - self._other_table.get(peer.name, inf) >= TABLE_S,
        )

    def _frozen(self) -> tuple[Reason, ...]:
        """That nothing is known of how others do now."""
        return (Reason(Why.SILENT, self.trouble),) if self.trouble else ()

    def _differing(self, peer: Peer) -> tuple[str, ...]:
        return tuple(map(str, (self._fitness.differing(peer) or ())[:DIFFERING_MAX]))

    async def objections(self, vips: Collection[str]) -> tuple[str, ...]:
        """Why these VIP groups should not be left to another director, after a moment in which
        what was just changed gets through; empty: nothing is known against it."""
        until = time.monotonic() + PATIENCE_S
        while True:
            found = tuple(map(str, self._frozen()))
            if self._by_etcd is not None and not found and not self._channel.peers:
                found += (NOBODY,)
            found += self._fitness.objections(self._channel.peers.values(), vips)
            if not found or time.monotonic() >= until:
                return found
            await asyncio.sleep(LOOK_S / 2)


def _part(name: str, seen: Seen) -> VipPart:
    state, standing = seen.state, seen.standing
    role = str(Role.INIT) if state is None else state.role
    if standing is None:
        return VipPart(name, role, False, why=seen.awaited)
    problem = "" if state is None else state.problem
    why = problem or next(iter(standing.why), "")
    return VipPart(name, role, standing.ready, standing.priority, why)


def _modules(config: Config) -> Iterator[str]:
    """The kernel modules that a configuration needs."""
    yield "ip_vs"
    for service in config.services:
        yield f"ip_vs_{service.scheduler}"
        if service.persistence is not None and service.persistence.engine:
            yield f"ip_vs_pe_{service.persistence.engine}"


def _sync_lacking(status: SyncStatus | None) -> tuple[str, ...]:
    if status is None:
        return ()
    return tuple(str(role) for role in SyncRole if role not in status.daemons)


def _own(config: Config) -> frozenset[ServiceKey]:
    """Services of which directors may have another table though their config is the same."""
    return frozenset(service.key for service in config.services if service.per_director)
