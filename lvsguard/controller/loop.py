"""The loop: wake, read, desired, plan, apply, publish.

An input changes a fact and wakes; it never carries the work. A full pass reads the kernel; a
quick one, woken by a verdict or an override, plans against what the last pass left behind: every
step sets absolute values, and a step that finds the table different makes the next pass read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from lvsguard import __version__
from lvsguard.controller.apply import apply, begin
from lvsguard.controller.factbook import FactBook
from lvsguard.controller.intake import Intake
from lvsguard.controller.metered import Metered
from lvsguard.controller.passive import GiveHint, Passive
from lvsguard.controller.pulse import Pulse
from lvsguard.controller.report import Reporter, realserver_names, reloaded
from lvsguard.controller.rhythm import FLOOR_S, Rhythm, more_come
from lvsguard.controller.settings import Settings
from lvsguard.controller.since import Since
from lvsguard.controller.sync import wanted_sync
from lvsguard.core.agent import Agent, Standing
from lvsguard.core.config import Check, Config
from lvsguard.core.drift import drifts
from lvsguard.core.event import Event, OverrideIdle, Started
from lvsguard.core.health import Health
from lvsguard.core.model import (
    KernelState,
    Observation,
    ServiceKey,
    VipAddress,
    VirtualService,
)
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.plan import owned_part, plan
from lvsguard.core.snapshot import SyncStatus, TransferStatus
from lvsguard.core.step import Step, Subject
from lvsguard.kernel.port import Ipvs, KernelError
from lvsguard.vrrp.ownership import AddressOwner

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Before the pass after the first, second, ... pass that could not ask the kernel."""


class Controller:
    """Owns the facts and the IPVS table."""

    def __init__(
        self,
        config: Config,
        *,
        open_ipvs: Callable[[], Awaitable[Ipvs]],
        owner: AddressOwner,
        settings: Settings,
        emit: Callable[[Event], None],
        latency: Callable[[Sequence[float]], None] = lambda seconds: None,
        passed: Callable[[float], None] = lambda seconds: None,
        give_hint: GiveHint = lambda checks, hint: None,
        recorded: Collection[ServiceKey] = (),
        recorded_addresses: Collection[VipAddress] = (),
        since: Since | None = None,
    ) -> None:
        """``latency`` gets the seconds from each verdict to the kernel, ``passed`` those of each
        pass, ``give_hint`` hands a hint to the probers.

        ``recorded`` and ``recorded_addresses``: what an earlier run owned; those that the config
        no longer names are removed by the first pass. ``since`` knows since when verdicts hold;
        None: nothing is known of before.
        """
        self.book = FactBook(config)
        self.pulse = Pulse()
        self.observation = Observation()
        self.owned: frozenset[ServiceKey] = frozenset(recorded) | _keys(config)
        self.report = Reporter(emit, self.book.name_of)
        self.passive = Passive(give_hint)
        self.programmed = asyncio.Event()
        """Set once the first pass has left the kernel as wanted."""
        self.review: Callable[[], None] = lambda: None
        """Called before each decision: who sets overrides by the facts looks at them."""
        self._open_ipvs = open_ipvs
        self._ipvs: Ipvs | None = None
        self._owner = owner
        self._settings = settings
        self._emit = emit
        self._passed = passed
        self._wake = asyncio.Event()
        self._intake = Intake(
            self.book,
            self.report,
            links=lambda: owner.links,
            emit=emit,
            latency=latency,
            wake=self._wake.set,
            since=since or Since({}),
        )
        self._read_next = True
        self._busy = asyncio.Lock()
        self._left: KernelState | None = None
        self._recorded = frozenset(recorded_addresses) - _elected(config)
        self._uncertain = False  # a pass broke off: what it left behind is not known
        self._rhythm = Rhythm()
        owner.watch(config.interfaces)

    @property
    def writes(self) -> int:
        """Messages sent to IPVS so far that change something."""
        return 0 if self._ipvs is None else self._ipvs.writes

    @property
    def owned_addresses(self) -> frozenset[VipAddress]:
        """VIPs that the config names, and those that still stand because of this director."""
        return self.book.addresses | self._owner.held | self._recorded

    def left(self, key: ServiceKey) -> VirtualService | None:
        """A service as the last pass left it in the kernel."""
        return None if self._left is None else self._left.services.get(key)

    # -- facts come in ---------------------------------------------------------------------

    def record(self, check: Check, health: Health) -> None:
        """Take a verdict from a prober."""
        self._intake.record(check, health)

    def hear(self, agent: Agent, standing: Standing) -> None:
        """Take what is known of an agent from a prober."""
        self._intake.hear(agent, standing)

    def override(self, override: Override) -> None:
        """Set an override."""
        self._intake.override(override)

    def clear(
        self, target: Target, kind: OverrideKind, actor: str, reason: str = ""
    ) -> Override | None:
        """Clear an override; None when there was none."""
        return self._intake.clear(target, kind, actor, reason)

    def claim(self, services: Iterable[ServiceKey], addresses: Iterable[VipAddress]) -> None:
        """Own these too: an earlier run did. What the config does not name is removed."""
        self.owned |= frozenset(services)
        self._recorded |= frozenset(addresses) - _elected(self.book.config)
        self.look()

    def look(self) -> None:
        """Ask for a full pass soon (an address or link changed)."""
        self._read_next = True
        self._wake.set()

    # -- the loop --------------------------------------------------------------------------

    async def run(self) -> None:
        """Pass after pass until cancelled."""
        while True:
            await self._sleep(await self.turn())

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0.0:  # verdicts that keep coming must not keep a read from its turn
            self._read_next = True
            return
        step = self.book.rules.wait(time.monotonic())
        try:
            async with asyncio.timeout(min(seconds, step)):
                await self._wake.wait()
        except TimeoutError:
            self._read_next |= seconds <= step
            return
        begun = time.monotonic()
        await asyncio.sleep(self._rhythm.gather(begun))
        came = self._intake.flips
        while more_come(came, time.monotonic() - begun):
            before = self._intake.flips
            await asyncio.sleep(FLOOR_S)
            came = self._intake.flips - before

    async def turn(self) -> float:
        """One pass; the seconds until the next reading one is due, however many quick ones come."""
        try:
            async with self._busy:
                self._wake.clear()
                await self._pass()
        except KernelError as error:
            self._kernel_failed(error)
            pause = BACKOFF_S[min(self.pulse.failed_passes, len(BACKOFF_S)) - 1]
            # While the kernel does not answer, a wake must not turn the backoff into a spin.
            await asyncio.sleep(pause)
            return 0.0
        self.report.recovered(self.pulse.failed_passes)
        self.pulse.failed_passes = 0
        return self._rhythm.until_read(time.monotonic())

    def _kernel_failed(self, error: KernelError) -> None:
        self.pulse.failed_passes += 1
        self.pulse.programmed, self.pulse.refused = False, frozenset()
        self._read_next = self._uncertain = True
        self.report.kernel_failed(error)

    async def _pass(self) -> None:
        begun = time.monotonic()
        for _ in range(3):  # a step that found the table changed asks for one more read
            if self._read_next or self._left is None:
                await self._full()
            else:
                await self._quick()
            if not self._read_next:
                break
        self.pulse.passes += 1
        self.pulse.last_pass = time.time()
        self.pulse.pass_seconds = time.monotonic() - begun
        self._passed(self.pulse.pass_seconds)

    async def _full(self) -> None:
        ipvs = await self._ready_ipvs()
        self._read_next = False
        begun = time.monotonic()
        self.report.tick(begun)
        addresses = await self._read(ipvs, begun)
        self._owner.adopt(addresses & self._recorded)
        self._recorded = frozenset()
        self._intake.look_out(addresses, begun)
        self.report.services(self.passive.look(self.book.config, self.observation, begun))
        self.report.settings(await self._settings.hold(ipvs))
        table = owned_part(self.observation.services, self.owned)
        found = KernelState(table, addresses & (self.book.addresses | self._owner.held))
        first = self._left is None
        self._owner.adopt(found.addresses & self.book.addresses)
        if self._left is None:
            adopted = self.book.adopt(table)
            self._left = found
        before = {} if first or self._uncertain else self._left.services
        self.report.drifted(drifts(before, table) if before else (), len(before), len(table))
        self._left, self._uncertain = found, False
        self.report.foreign(self.observation.services.keys() - self.owned)
        self.book.part(self.observation, begun)
        self._intake.expire(time.time())
        wanted, anew = self._decide()
        steps = plan(wanted, found)
        await self._converge(ipvs, steps, whole=True)
        self._rhythm.whole(len(anew), first=self.book.awaits_first_verdicts)
        if not steps:
            self.book.settle(found)
        self._forget_leftovers()
        if first:
            self._emit(Started(__version__, adopted, ipvs.writes))

    async def _read(self, ipvs: Ipvs, begun: float) -> frozenset[VipAddress]:
        """Read the table and the addresses; when to do so again follows from what it took."""
        table = Metered(ipvs.read())
        self.observation = await table
        addresses = Metered(self._owner.read({a.interface for a in self._recorded}))
        found = await addresses
        ended, cpu = time.monotonic(), table.seconds + addresses.seconds
        self.pulse.read(ended, ended - begun, cpu)
        self._rhythm.read(begun, ended, cpu, self.book.config.resync)
        return found

    async def _quick(self) -> None:
        ipvs = await self._ready_ipvs()
        self._intake.expire(time.time())
        begun = time.monotonic()
        wanted, anew = self._decide()
        left = self._left
        if left is None or not anew:
            self._rhythm.quick(begun, begun, 0, first=False)
            return
        part = KernelState({k: wanted.services[k] for k in anew if k in wanted.services})
        have = KernelState({k: left.services[k] for k in part.services if k in left.services})
        await self._converge(ipvs, plan(part, have), whole=False)
        first = self.book.awaits_first_verdicts
        self._rhythm.quick(begun, time.monotonic(), len(anew), first=first)

    def _decide(self) -> tuple[KernelState, frozenset[ServiceKey]]:
        self.review()
        decided = self.book.decide(time.monotonic())
        self.report.services(self.book.rules.news())
        return decided

    async def _ready_ipvs(self) -> Ipvs:
        if self._ipvs is None:
            self._ipvs = await self._open_ipvs()
        return self._ipvs

    # -- steps go out ----------------------------------------------------------------------

    async def _converge(self, ipvs: Ipvs, steps: tuple[Step, ...], *, whole: bool) -> bool:
        """Apply a plan; whether nothing was refused. ``whole``: the plan is about everything that
        is owned, so that its success says that all is well."""
        if self._left is None:
            raise AssertionError("steps are only made from what was read")
        progress = begin(self._left)
        try:
            await apply(steps, progress, ipvs, self._owner)
        finally:
            self._left = progress.left
        causes = self._intake.applied()
        now = time.monotonic()
        self.report.applied(
            progress.done, progress.failures, progress.held, now, causes, whole=whole
        )
        if whole or not progress.well:
            self.pulse.programmed = progress.well
            before = frozenset[Subject]() if whole else self.pulse.refused
            self.pulse.refused = before | progress.lacking
        if whole and progress.well:
            self.programmed.set()
        if progress.stale:
            self._read_next = True
        return progress.well

    def _forget_leftovers(self) -> None:
        if self._left is not None and self.pulse.programmed:
            self.owned = _keys(self.book.config)

    def sync(self, transfer: TransferStatus | None) -> SyncStatus | None:
        """How connections are kept in step; ``transfer``: the last of the whole table."""
        return self._settings.sync.status(transfer)

    # -- the operator ----------------------------------------------------------------------

    async def reload(self, config: Config, actor: str = "") -> int:
        """Put a checked config in force; the count of kernel steps it took so far. ``actor``: who
        asked for it.

        A kernel that does not answer does not undo it: the passes that follow try again.
        """
        async with self._busy:
            idle, named = self.book.idle, realserver_names(self.book.config)
            self.owned |= _keys(config)
            self.book.configure(config, time.monotonic())
            self._settings.configure(config.ipvs, wanted_sync(config))
            self._owner.let_go(_elected(config))
            self._owner.watch(config.interfaces)
            before = self.report.steps
            self._read_next = True
            try:
                await self._pass()
            except KernelError as error:
                # The config is in force; the next pass brings it to the kernel.
                self._kernel_failed(error)
            count = self.report.steps - before
        self._emit(reloaded(config, count, actor, named))
        for override in self.book.idle:
            if override not in idle:
                self._emit(OverrideIdle(override))
        return count

    async def preview(self, config: Config) -> tuple[Step, ...]:
        """The steps that this config would take now. Writes nothing."""
        async with self._busy:
            ipvs = await self._ready_ipvs()
            observation = await ipvs.read()
            addresses = await self._owner.read()
        book = self.book.preview(config, time.monotonic())
        wanted, _ = book.decide(time.monotonic())
        owned = self.owned | _keys(config)
        found = KernelState(
            owned_part(observation.services, owned),
            addresses & (config.lone_addresses | self._owner.held),
        )
        return plan(wanted, found)

    async def release(self) -> None:
        """Take everything that is owned out of the kernel. KernelError when something stayed."""
        async with self._busy:
            ipvs = await self._ready_ipvs()
            observation = await ipvs.read()
            addresses = await self._owner.read()
            found = KernelState(
                owned_part(observation.services, self.owned),
                addresses & (self.book.addresses | self._owner.held),
            )
            self._left = found
            troubles = await self._settings.release(ipvs)
            if not await self._converge(ipvs, plan(KernelState(), found), whole=True):
                troubles += self.report.trouble()
            if troubles:
                raise KernelError(
                    "not everything could be taken out of the kernel: " + "; ".join(troubles)
                )

    async def close(self) -> None:
        """Give the kernel's sockets back; the kernel keeps what it has."""
        if self._ipvs is not None:
            await self._ipvs.close()


def _keys(config: Config) -> frozenset[ServiceKey]:
    return frozenset(service.key for service in config.services)


def _elected(config: Config) -> frozenset[VipAddress]:
    """VIP addresses that the VRRP process owns."""
    return config.addresses - config.lone_addresses
