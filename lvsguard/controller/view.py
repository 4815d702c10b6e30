"""The published picture, read from the controller as it is at that moment.

Made on demand and service by service, so that nobody pays for what nobody reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from lvsguard import __version__
from lvsguard.controller.loop import Controller
from lvsguard.controller.service_view import service_status
from lvsguard.controller.standing import Seen
from lvsguard.core.config import ServiceConfig, VipConfig
from lvsguard.core.model import Counters
from lvsguard.core.override import Override
from lvsguard.core.placement import Facts
from lvsguard.core.snapshot import (
    ConflictStatus,
    ForeignStatus,
    Loop,
    PathStatus,
    PeerStatus,
    Role,
    ServiceStatus,
    SyncStatus,
    TransferStatus,
    VipStatus,
)
from lvsguard.core.standstill import standstill
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp.message import vip_address
from lvsguard.vrrp.ownership import AddressOwner

NOTHING = Counters()
STEP_S = 0.5
"""Seconds by which the clock must have been set for times to follow it."""


class LiveView:
    """Implements ``core.snapshot.View`` over a running controller."""

    def __init__(
        self,
        controller: Controller,
        owner: AddressOwner,
        *,
        config_path: str,
        probers: Callable[[], tuple[int, int]],
        troubles: Callable[[], tuple[str, ...]] = tuple,
        elections: Callable[[], Mapping[str, Seen]] = dict,
        transfer: Callable[[], TransferStatus | None] = lambda: None,
        conflicts: Callable[[str], tuple[ConflictStatus, ...]] = lambda vip: (),
        peers: Callable[[], tuple[PeerStatus, ...]] = tuple,
        cluster: Callable[[], bool | None] = lambda: None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``probers`` gives (alive, wanted); ``troubles`` what others than the controller know;
        ``elections`` what is known of the election of each VIP group; ``transfer`` the last time
        that a connection table was sent or received; ``conflicts`` who claims a VIP group;
        ``peers`` the other directors; ``cluster`` whether what they meet by can be asked.
        ``clock`` is the wall's, ``steady`` the one of verdicts."""
        self.director = controller.book.config.director
        self.version = __version__
        self.config_path = config_path
        self.started = clock()
        self.reloaded = self.started
        self.reload_ok = True
        self._clock = clock
        self._steady = steady
        self._epoch = clock() - steady()
        self._controller = controller
        self._owner = owner
        self._probers = probers
        self._probers_there = self.started
        self._troubles = troubles
        self._elections = elections
        self._transfer = transfer
        self._conflicts = conflicts
        self._peers = peers
        self._cluster = cluster

    @property
    def config_digest(self) -> str:
        """Of the configuration in force."""
        return self._controller.book.config.digest

    @property
    def served_digest(self) -> str:
        """Of what it says is served, and how."""
        return self._controller.book.config.served

    def loop(self) -> Loop:
        """How the controller does."""
        pulse = self._controller.pulse
        alive, wanted = self._probers()
        if alive >= wanted:
            self._probers_there = time.time()
        links = tuple(
            f"interface {name} is down: look at its cable and `ip link show {name}`"
            for name, up in self._owner.links.items()
            if not up
        )
        rest = self._controller.book.config.resync
        stuck = standstill(pulse.last_pass, self.started, rest, self._clock())
        return Loop(
            pulse.passes,
            pulse.last_pass,
            pulse.pass_seconds,
            pulse.read_seconds,
            pulse.reads,
            pulse.read_cpu_seconds,
            pulse.programmed,
            (
                *self._controller.report.trouble(),
                *((stuck,) if stuck else ()),
                *links,
                *self._troubles(),
            ),
            alive,
            wanted,
            self._controller.writes,
            self._probers_there,
            pulse.last_read,
            rest,
        )

    def vips(self) -> tuple[VipStatus, ...]:
        """VIP groups; without VRRP this director is master of all that it holds."""
        elections = self._elections()
        shown = (
            self._lone(vip)
            if vip.vrrp is None
            else elected_status(vip, vip.vrrp, elections.get(vip.name, Seen()))
            for vip in self._controller.book.config.vips
        )
        return tuple(replace(one, conflicts=self._conflicts(one.name)) for one in shown)

    def sync(self) -> SyncStatus | None:
        """How connections are kept in step with the other directors."""
        return self._controller.sync(self._transfer())

    def peers(self) -> tuple[PeerStatus, ...]:
        """The other directors, where there is a channel to them."""
        return self._peers()

    def cluster(self) -> bool | None:
        """Whether what directors meet by can be asked; None: they need nothing to meet."""
        return self._cluster()

    def _lone(self, vip: VipConfig) -> VipStatus:
        held = self._owner.held
        whole = held.issuperset(vip.addresses)
        return VipStatus(
            vip.name,
            vip.addresses,
            held & frozenset(vip.addresses),
            Role.MASTER if whole else Role.INIT,
            self.started,
            master=self.director if whole else None,
        )

    def services(self, *, brief: bool = False) -> Iterator[ServiceStatus]:
        """Configured services, made one at a time."""
        self._anchor()
        book = self._controller.book
        facts = book.facts
        for service in book.config.services:
            yield self._service(service, facts, brief)

    def foreign(self) -> tuple[ForeignStatus, ...]:
        """Services in the kernel that are not the director's own."""
        owned = self._controller.owned
        return tuple(
            ForeignStatus(
                key, service.scheduler, {k: r.weight for k, r in service.realservers.items()}
            )
            for key, service in self._controller.observation.services.items()
            if key not in owned
        )

    def overrides(self) -> tuple[Override, ...]:
        """Overrides in force."""
        return self._controller.book.overrides

    def _service(self, service: ServiceConfig, facts: Facts, brief: bool) -> ServiceStatus:
        return service_status(
            service,
            facts,
            self._controller.left(service.key),
            self._controller.observation,
            wall=self._wall,
            suspicion=self._controller.passive.suspicion,
            brief=brief,
        )

    def _anchor(self) -> None:
        """Follow a clock that was set: at a boot with a wrong one, or after a pause of a virtual
        machine. Not what slews it, and not the jitter of two readings, which would make every time
        of a change another one at each look."""
        epoch = self._clock() - self._steady()
        if abs(epoch - self._epoch) > STEP_S:
            self._epoch = epoch

    def _wall(self, monotonic: float) -> float:
        if monotonic == 0.0:
            return self.started
        return self._epoch + monotonic


def elected_status(vip: VipConfig, vrrp: VrrpConfig, seen: Seen) -> VipStatus:
    """A VIP group as the VRRP process said last; init as long as it has not spoken."""
    standing, state = seen.standing, seen.state
    ready = standing is not None and standing.ready
    why = standing.why if standing is not None else (seen.awaited,) if seen.awaited else ()
    if state is None:
        priority = standing.priority if standing is not None else vrrp.priority
        return VipStatus(
            vip.name,
            vip.addresses,
            frozenset(),
            Role.INIT,
            0.0,
            vrrp.vrid,
            priority,
            ready=ready,
            why=why,
            problem="the VRRP process has not reported: lvsguard events tells what it does",
        )
    held = {vip_address(one).address for one in state.held}
    return VipStatus(
        vip.name,
        vip.addresses,
        frozenset(one for one in vip.addresses if one.address in held),
        Role(state.role),
        state.since,
        vrrp.vrid,
        state.priority,
        state.master or None,
        ready=ready,
        why=why,
        problem=state.problem,
        held_back=state.held_back,
        paths=tuple(PathStatus(name, p.heard, p.problem) for name, p in state.paths.items()),
    )
