"""The published picture, read from the controller as it is at that moment.

Made on demand and service by service, so that nobody pays for what nobody reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from lvsguard import __version__
from lvsguard.controller.loop import Controller
from lvsguard.controller.standing import Seen
from lvsguard.core.agent import NOT_ASKED, Agent, state
from lvsguard.core.config import Check, RealserverConfig, ServiceConfig, VipConfig
from lvsguard.core.health import FailureClass, Health, Verdict
from lvsguard.core.model import Counters, RealserverKey, VirtualService
from lvsguard.core.override import Override
from lvsguard.core.placement import UNCHECKED, Facts, Placement, placements
from lvsguard.core.rules import decide
from lvsguard.core.snapshot import (
    AgentStatus,
    CheckStatus,
    ConflictStatus,
    ForeignStatus,
    Loop,
    PeerStatus,
    RealserverStatus,
    Role,
    ServiceStatus,
    SyncStatus,
    TransferStatus,
    VipStatus,
)
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp.message import vip_address
from lvsguard.vrrp.ownership import AddressOwner

NOTHING = Counters()


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
    ) -> None:
        """``probers`` gives (alive, wanted); ``troubles`` what others than the controller know;
        ``elections`` what is known of the election of each VIP group; ``transfer`` the last time
        that a connection table was sent or received; ``conflicts`` who claims a VIP group;
        ``peers`` the other directors; ``cluster`` whether what they meet by can be asked."""
        self.director = controller.book.config.director
        self.version = __version__
        self.config_path = config_path
        self.started = time.time()
        self.reloaded = self.started
        self.reload_ok = True
        self._epoch = time.time() - time.monotonic()
        self._controller = controller
        self._owner = owner
        self._probers = probers
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

    def loop(self) -> Loop:
        """How the controller does."""
        pulse = self._controller.pulse
        alive, wanted = self._probers()
        links = tuple(
            f"interface {name} is down: look at its cable and `ip link show {name}`"
            for name, up in self._owner.links.items()
            if not up
        )
        return Loop(
            pulse.passes,
            pulse.last_pass,
            pulse.pass_seconds,
            pulse.read_seconds,
            pulse.reads,
            pulse.read_cpu_seconds,
            pulse.programmed,
            (*self._controller.report.trouble(), *links, *self._troubles()),
            alive,
            wanted,
            self._controller.writes,
        )

    def vips(self) -> tuple[VipStatus, ...]:
        """VIP groups; without VRRP this director is master of all that it holds."""
        elections = self._elections()
        shown = (
            self._lone(vip)
            if vip.vrrp is None
            else _elected(vip, vip.vrrp, elections.get(vip.name, Seen()))
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

    def services(self) -> Iterator[ServiceStatus]:
        """Configured services, made one at a time."""
        book = self._controller.book
        facts = book.facts
        for service in book.config.services:
            yield self._service(service, facts)

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

    def _service(self, service: ServiceConfig, facts: Facts) -> ServiceStatus:
        entry = self._controller.left(service.key)
        counters = self._controller.observation.counters.get((service.key, None), NOTHING)
        decision = decide(service, placements(service, facts), facts)
        realservers = tuple(
            self._realserver(service, realserver, placed, entry, facts)
            for realserver, placed in zip(service.realservers, decision.placements, strict=True)
        )
        return ServiceStatus(
            service.name,
            service.key,
            service.scheduler,
            service.forwarding,
            entry is not None,
            decision.live,
            decision.need,
            counters,
            realservers,
            decision.panic,
            None if service.sorry_server is None else service.sorry_server.key,
            decision.sorry,
            decision.rising,
            decision.why,
        )

    def _realserver(
        self,
        service: ServiceConfig,
        realserver: RealserverConfig,
        placed: Placement,
        entry: VirtualService | None,
        facts: Facts,
    ) -> RealserverStatus:
        key: RealserverKey = realserver.key
        held = entry.realservers.get(key) if entry is not None else None
        bad = self._controller.passive.suspicion(service.key, key)
        return RealserverStatus(
            realserver.name,
            key,
            realserver.forwarding,
            placed.verdict,
            placed.admin,
            held.weight if held is not None else None,
            realserver.weight,
            self._wall(placed.since),
            f"{placed.reason}; clients fare badly: {bad}" if bad else placed.reason,
            self._controller.observation.counters.get((service.key, key), NOTHING),
            tuple(self._check(check, facts) for check in realserver.checks),
            tuple(o for o in facts.overrides if o.target.matches(service.name, key)),
            None if realserver.agent is None else _agent(realserver.agent, facts),
            tuple(dict.fromkeys(filter(None, map(_unasked, realserver.checks)))),
        )

    def _check(self, check: Check, facts: Facts) -> CheckStatus:
        health = facts.health.get(check, UNCHECKED)
        result = health.result
        reason = result.reason if result else "not probed yet"
        return CheckStatus(
            check.spec.kind,
            health.verdict,
            self._wall(health.since),
            result.code if result else "",
            f"{reason}; {health.note}" if health.note else reason,
            result.duration if result else 0.0,
            None if check.spec.path is None else _vip_answers(health),
        )

    def _wall(self, monotonic: float) -> float:
        if monotonic == 0.0:
            return self.started
        return self._epoch + monotonic


def _vip_answers(health: Health) -> bool:
    cause = health.cause or health.result
    lacks = cause is not None and cause.failure is FailureClass.VIP_PATH
    return not (health.verdict is Verdict.DOWN and lacks)


def _agent(agent: Agent, facts: Facts) -> AgentStatus:
    said = facts.agents.get(agent, NOT_ASKED)
    return AgentStatus(
        agent.spec.kind,
        agent.port,
        state(said),
        said.share,
        said.asked,
        said.silent,
        said.note,
    )


def _unasked(check: Check) -> str:
    """Why a realserver's host is not asked by ARP."""
    arp = check.spec.arp
    if arp is None or arp.interface:
        return ""
    return "not asked by ARP: on no link of this director"


def _elected(vip: VipConfig, vrrp: VrrpConfig, seen: Seen) -> VipStatus:
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
    )
