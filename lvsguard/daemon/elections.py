"""Joins the controller with the VRRP process: what it tells becomes events, and what the controller
knows of itself becomes this director's standing in each election.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf

from lvsguard.controller.standing import Seen, Standings
from lvsguard.controller.sync import wanted_sync
from lvsguard.core.config import Config, OnStop
from lvsguard.core.election_status import ElectionCounts, ElectionStatus
from lvsguard.core.event import Event, KernelFailed, Repaired
from lvsguard.core.snapshot import Role, TransferStatus
from lvsguard.core.step import AddAddress
from lvsguard.core.vrrp_event import (
    PriorityChanged,
    RoleChanged,
    TableFailed,
    TableReceived,
    TableSent,
    VrrpProcessDied,
    VrrpTold,
)
from lvsguard.daemon.failover import Failovers
from lvsguard.kernel.port import Addresses, KernelError
from lvsguard.vrrp.client import COMMAND, VrrpClient
from lvsguard.vrrp.leftover import take_off
from lvsguard.vrrp.message import (
    LATENESS,
    Counts,
    Failed,
    Mended,
    State,
    Told,
    event_of,
    vip_address,
)

LOOK_S = 0.25
"""Rhythm of the looks at what the priority depends on."""
LACKS_S = 900.0
"""After a time as long as the kernel keeps an idle connection (its default), the sync daemons have
told of all that live."""
SPLIT_S = 60.0
"""VIP groups that are led by several directors for so long are not just being handed over."""
QUICK_S, PLAIN_QUICK_S = 0.1, 1.0
"""Intervals below which timers that are late may be taken for a dead master: anywhere, and in a
process without real-time priority (its lateness reaches 92 ms under load, against 11 ms)."""


class Elections:
    """All elections of one director."""

    def __init__(
        self,
        config: Config,
        standings: Standings,
        addresses: Addresses,
        *,
        emit: Callable[[Event], None],
        aside: Iterable[str] = (),
        keep_aside: Callable[[frozenset[str]], None] = lambda names: None,
        command: Sequence[str] = COMMAND,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``standings`` says how fit this director is; nothing is said before it knows.
        ``addresses`` of VIPs are taken off here only at a stop, when there is no VRRP process that
        would do it. ``aside``: VIP groups that a failover kept from preempting in an earlier run;
        ``keep_aside`` gets those of now. ``command`` starts that process. ``clock`` is the
        wall's."""
        self._config = config
        self._standings = standings
        self._addresses = addresses
        self._emit = emit
        self._clock = clock
        self._there = clock()
        self.transfer: TransferStatus | None = None
        """The last time that a connection table was sent or received."""
        self._lacks: dict[str, tuple[str, float]] = {}
        """VIP groups whose table did not come, why, and when (monotonic)."""
        self._warned: set[tuple[str, str]] = set()
        self._split_since: float | None = None
        """When the VIP groups began to be led by several directors, monotonic."""
        self.client = VrrpClient(
            told=self._told, changed=self._changed, died=self._died, command=command
        )
        self.client.aside = frozenset(aside)
        self._keep_aside = keep_aside
        self.failovers = Failovers(self.client, emit=emit)
        self.failovers.configure(config)

    async def run(self) -> None:
        """Keep the VRRP process fed until cancelled."""
        self.client.configure(self._config, wanted_sync(self._config))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.client.run(), name="vrrp")
            group.create_task(self._stand(), name="standing")
            group.create_task(self._standings.run(), name="tracks")

    def configure(self, config: Config) -> None:
        """Put a new config in force."""
        self._config = config
        self._standings.configure(config)
        self.client.configure(config, wanted_sync(config))
        self._keep_aside(self.client.aside)
        self.failovers.configure(config)

    def seen(self) -> dict[str, Seen]:
        """What is known of the election of each VIP group, for the status."""
        states = self.client.states
        return {
            vip.name: self._standings.seen(vip.name, states.get(vip.name))
            for vip in self._config.vips
            if vip.vrrp is not None
        }

    def troubles(self) -> Iterator[str]:
        """What is wrong with the VRRP process and with paths of adverts, one line each."""
        yield from filter(None, (self.client.trouble, self.trouble))
        for name, state in self.client.states.items():
            yield from (f"VIP {name}: {p.problem}" for p in state.paths.values() if p.problem)

    @property
    def table_lacks(self) -> str:
        """Why this director may not know all connections; empty: it does."""
        limit = time.monotonic() - LACKS_S
        lacks = (why for why, at in self._lacks.values() if at > limit)
        return next(lacks, "")

    def left_by(self, on_stop: OnStop) -> tuple[str, ...]:
        """The VIP groups that a stop leaves to another director."""
        if on_stop is OnStop.KEEP:
            return ()
        return tuple(vip.name for vip in self._config.vips if vip.vrrp is not None)

    async def leave(self, on_stop: OnStop) -> None:
        """Hand over what this director is master of."""
        gone = await self.client.leave(keep=on_stop is OnStop.KEEP)
        if gone and on_stop is not OnStop.KEEP:
            await self._take_off()

    async def _take_off(self) -> None:
        """Where the VRRP process is gone and did not hand over: as long as nobody else can have
        taken over the addresses stay, and then they go."""
        await asyncio.sleep(self.client.reign_ends() - time.monotonic())
        try:
            left = await take_off(self.client.puts, self._addresses)
        except KernelError as error:
            self._emit(KernelFailed(str(error)))
            return
        for name, troubles in left.items():
            text = "; ".join(troubles) or "its addresses were taken off"
            self._emit(VrrpTold(name, f"no VRRP process was there to hand over: {text}"))

    def status(self) -> ElectionStatus | None:
        """How the VRRP process does, for metrics and health; None: no VIP group has an election."""
        wanted = [vip.name for vip in self._config.vips if vip.vrrp is not None]
        client = self.client
        if client.alive or not wanted:
            self._there = self._clock()
        if not wanted:
            return None
        known = self._standings.now
        ready = {name: name in known and known[name].ready for name in wanted}
        counts = _counts(client.counts) if client.counts is not None else None
        return ElectionStatus(client.alive, self._there, client.pid, ready, counts)

    @property
    def trouble(self) -> str:
        """What to know of a VRRP process that is gone; empty while there is one, or none is
        needed. The same words as long as it lasts: who watches is told once."""
        status = self.status()
        if status is None or not status.away(self._clock()):
            return ""
        return (
            "the VRRP process is gone: its VIPs stand as they did, nobody speaks for them, and the"
            " roles that are shown are its last; see the log"
        )

    async def _stand(self) -> None:
        while True:
            states = self.client.states.values()
            led = {one.name for one in states if one.role == Role.BACKUP and one.master}
            for name, standing in self._standings.look(time.monotonic(), led).items():
                self.client.stand(name, ready=standing.ready, priority=standing.priority)
                if standing.news:
                    self._emit(
                        PriorityChanged(name, standing.priority, standing.ready, standing.news)
                    )
            self._warn()
            self._warn_of_marks(time.monotonic())
            await asyncio.sleep(LOOK_S)

    def _warn(self) -> None:
        """Tell once of intervals that this host may not keep, when it is known how it runs."""
        if self.client.counts is None:
            return
        real_time = self.client.counts.real_time
        for vip in self._config.vips:
            text = "" if vip.vrrp is None else daring(vip.vrrp.interval, real_time=real_time)
            if text and (vip.name, text) not in self._warned:
                self._warned.add((vip.name, text))
                self._emit(VrrpTold(vip.name, text))

    def _warn_of_marks(self, now: float) -> None:
        """Tell once of what is not handed over while several directors lead."""
        roles = {name: state.role for name, state in self.client.states.items()}
        text = unsent(self._config, roles)
        if not text:
            self._split_since = None
            return
        self._split_since = self._split_since or now
        if now - self._split_since >= SPLIT_S and ("all", text) not in self._warned:
            self._warned.add(("all", text))
            self._emit(VrrpTold("all", text))

    def _told(self, message: Told | Mended | Failed) -> None:
        match message:
            case Told():
                event = event_of(message)
                self._emit(event)
                self.failovers.told(event)
                self._note_table(event)
                if isinstance(event, TableSent | TableReceived):
                    received = isinstance(event, TableReceived)
                    self.transfer = TransferStatus(
                        time.time(), event.entries, event.seconds, event.peer, received
                    )
            case Mended(address):
                there = vip_address(address)
                step = AddAddress(there)
                self._emit(
                    Repaired("address", str(there), "it was removed by somebody else", (step,))
                )
            case Failed(text):
                self._emit(KernelFailed(text))

    def _note_table(self, event: Event) -> None:
        match event:
            case TableFailed(vip=vip, received=True, peer=peer, why=why):
                self._lacks[vip] = (f"no table came from {peer}: {why}", time.monotonic())
            case TableReceived(vip=vip) | RoleChanged(vip=vip, after="master"):
                self._lacks.pop(vip, None)

    def _changed(self, state: State) -> None:
        """Status and metrics read the client's states; of them only a failover is kept, for it
        holds until it is ended, through stops and reboots."""
        self._keep_aside(self.client.aside)
        self.failovers.changed()

    def _died(self, how: str) -> None:
        self._emit(VrrpProcessDied(how))
        self.failovers.changed()


def daring(interval: float, *, real_time: bool) -> str:
    """Why adverts at this interval (seconds) may be late enough for a false failover; empty when
    they are safe."""
    if interval < QUICK_S:
        return (
            f"adverts every {interval:g} s: below {QUICK_S:g} s a host that is late for a moment"
            f" looks dead; set interval to {QUICK_S:g} s or more unless you have measured"
            " lvsguard_vrrp_timer_lateness_seconds"
        )
    if interval < PLAIN_QUICK_S and not real_time:
        return (
            f"adverts every {interval:g} s, and the VRRP process has no real-time priority: under"
            " load it may look dead; allow it (AmbientCapabilities=CAP_SYS_NICE in the unit) or set"
            f" interval to {PLAIN_QUICK_S:g} s"
        )
    return ""


def unsent(config: Config, roles: Mapping[str, str]) -> str:
    """What a director that leads only some of its VIP groups does not send to a successor or one
    that joins, and what to do; empty: nothing. ``roles`` by VIP group."""
    marked = [s.name for s in config.services if s.key.fwmark and s.persistence is not None]
    if not marked or wanted_sync(config) is None:
        return ""
    if not {Role.MASTER, Role.BACKUP} <= set(roles.values()):
        return ""
    return (
        f"directors lead some VIP groups each, so the persistence templates of {', '.join(marked)}"
        " (firewall mark) are not among the connections that are sent at a handover: a mark"
        " belongs to no VIP, so nobody knows whose are fresh; put the VIP groups into one"
        " sync_group to have them sent"
    )


def _counts(told: Counts) -> ElectionCounts:
    return ElectionCounts(
        sent=told.sent,
        received=told.received,
        rejected=told.rejected,
        discarded=told.discarded,
        announced=told.announced,
        conflicts=told.conflicts,
        claims=told.claims,
        lateness=dict(zip((*LATENESS, inf), told.lateness, strict=True)),
        lateness_sum=told.lateness_sum,
        real_time=told.real_time,
        resigned=told.resigned,
        resignations=told.resignations,
        late=told.late,
    )
