"""Joins the controller with the VRRP process: what it tells becomes events, and what the controller
knows of itself becomes this director's standing in each election.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import inf

from lvsguard.controller.standing import Standings
from lvsguard.controller.sync import wanted_sync
from lvsguard.core.config import Config, OnStop
from lvsguard.core.election_status import ElectionCounts, ElectionStatus
from lvsguard.core.event import Event, KernelFailed, Repaired
from lvsguard.core.step import AddAddress
from lvsguard.core.vrrp_event import PriorityChanged, VrrpProcessDied
from lvsguard.vrrp.client import VrrpClient
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


class Elections:
    """All elections of one director."""

    def __init__(
        self, config: Config, standings: Standings, *, emit: Callable[[Event], None]
    ) -> None:
        """``standings`` says how fit this director is; nothing is said before it knows."""
        self._config = config
        self._standings = standings
        self._emit = emit
        self._there = time.time()
        self.client = VrrpClient(told=self._told, changed=self._changed, died=self._died)

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

    async def leave(self, on_stop: OnStop) -> None:
        """Hand over what this director is master of."""
        await self.client.leave(keep=on_stop is OnStop.KEEP)

    def status(self) -> ElectionStatus | None:
        """How the VRRP process does, for metrics and health; None: no VIP group has an election."""
        wanted = [vip.name for vip in self._config.vips if vip.vrrp is not None]
        client = self.client
        if client.alive or not wanted:
            self._there = time.time()
        if not wanted:
            return None
        known = self._standings.now
        ready = {name: name in known and known[name].ready for name in wanted}
        counts = _counts(client.counts) if client.counts is not None else None
        return ElectionStatus(client.alive, self._there, client.pid, ready, counts)

    async def _stand(self) -> None:
        while True:
            for name, standing in self._standings.look(time.monotonic()).items():
                self.client.stand(name, ready=standing.ready, priority=standing.priority)
                if standing.news:
                    self._emit(
                        PriorityChanged(name, standing.priority, standing.ready, standing.news)
                    )
            await asyncio.sleep(LOOK_S)

    def _told(self, message: Told | Mended | Failed) -> None:
        match message:
            case Told():
                self._emit(event_of(message))
            case Mended(address):
                there = vip_address(address)
                step = AddAddress(there)
                self._emit(
                    Repaired("address", str(there), "it was removed by somebody else", (step,))
                )
            case Failed(text):
                self._emit(KernelFailed(text))

    def _changed(self, state: State) -> None:
        """Status and metrics read the client's states; nothing is kept here."""

    def _died(self, how: str) -> None:
        self._emit(VrrpProcessDied(how))


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
    )
