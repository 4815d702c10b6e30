"""One service as it is published, from the facts and from what the kernel holds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lvsguard.core.agent import NOT_ASKED, Agent, state
from lvsguard.core.config import Check, RealserverConfig, ServiceConfig
from lvsguard.core.health import FailureClass, Health, Verdict
from lvsguard.core.memory import NEW
from lvsguard.core.model import Counters, Observation, RealserverKey, ServiceKey, VirtualService
from lvsguard.core.occupancy import waits_for
from lvsguard.core.placement import UNCHECKED, Facts, Placement, placements
from lvsguard.core.rules import decide
from lvsguard.core.snapshot import AgentStatus, CheckStatus, RealserverStatus, ServiceStatus

NOTHING = Counters()

Wall = Callable[[float], float]
"""Monotonic seconds to wall clock."""
Suspicion = Callable[[ServiceKey, RealserverKey], str]
"""How clients fare badly at a realserver; empty: they do not."""


def service_status(
    service: ServiceConfig,
    facts: Facts,
    entry: VirtualService | None,
    read: Observation,
    *,
    wall: Wall,
    suspicion: Suspicion = lambda service, realserver: "",
    brief: bool = False,
) -> ServiceStatus:
    """``entry``: what the kernel holds of it; None: nothing. ``read``: the kernel's last read.
    ``brief``: as ``core.snapshot.View.services`` has it."""
    own = placements(service, facts)
    decision = decide(service, own, facts)
    realservers = tuple(
        _realserver(service, one, placed, alone.weight, entry, facts, read, wall, suspicion, brief)
        for one, placed, alone in zip(service.realservers, decision.placements, own, strict=True)
    )
    present = entry is not None
    return ServiceStatus(
        service.name,
        service.key,
        service.scheduler,
        service.forwarding,
        present,
        decision.live,
        decision.need,
        read.counters.get((service.key, None), NOTHING),
        realservers,
        present and decision.panic,
        None if service.sorry_server is None else service.sorry_server.key,
        present and decision.sorry,
        decision.rising,
        decision.why if present else (),
        waits_for(service, facts.config.ipvs),
        service.key in read.services,
    )


def _realserver(
    service: ServiceConfig,
    realserver: RealserverConfig,
    placed: Placement,
    full: int | None,
    entry: VirtualService | None,
    facts: Facts,
    read: Observation,
    wall: Wall,
    suspicion: Suspicion,
    brief: bool,
) -> RealserverStatus:
    key: RealserverKey = realserver.key
    held = entry.realservers.get(key) if entry is not None else None
    bad = "" if brief else suspicion(service.key, key)
    seen = read.services.get(service.key)
    entry_read = seen.realservers.get(key) if seen is not None else None
    return RealserverStatus(
        realserver.name,
        key,
        realserver.forwarding,
        placed.verdict,
        placed.admin,
        held.weight if held is not None else None,
        realserver.weight,
        placed.kept or wall(placed.since),
        f"{placed.reason}; clients fare badly: {bad}" if bad else placed.reason,
        read.counters.get((service.key, key), NOTHING),
        tuple(
            _check(check, facts, wall)
            for check in realserver.checks
            if check.spec.path is not None or not brief
        ),
        # Asked for 37,000 realservers a scrape: what is rare must cost nothing where it is not.
        facts.overrides
        and tuple(o for o in facts.overrides if o.target.matches(service.name, key)),
        None if realserver.agent is None else _agent(realserver.agent, facts),
        () if brief else _unasked(realserver.checks),
        placed.weight,
        _whole_in(service, key, placed, facts),
        full,
        entry_read.weight if entry_read is not None else None,
    )


def _whole_in(
    service: ServiceConfig, key: RealserverKey, placed: Placement, facts: Facts
) -> float | None:
    began = facts.memory.get(service.key, NEW).rising.get(key)
    if began is None or placed.verdict is not Verdict.UP or not placed.weight:
        return None
    return max(began + service.slow_start - facts.now, 0.0)


def _check(check: Check, facts: Facts, wall: Wall) -> CheckStatus:
    health = facts.health.get(check, UNCHECKED)
    result = health.result
    reason = result.reason if result else "not probed yet"
    return CheckStatus(
        check.spec.kind,
        health.verdict,
        health.kept or wall(health.since),
        result.code if result else "",
        f"{reason}; {health.note}" if health.note else reason,
        result.duration if result else 0.0,
        None if check.spec.path is None else _vip_answers(health),
        check,
        health,
    )


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
        said.why,
    )


def _unasked(checks: Iterable[Check]) -> tuple[str, ...]:
    """Why a realserver's host is not asked by ARP."""
    for check in checks:
        arp = check.spec.arp
        if arp is not None and not arp.interface:
            return ("not asked by ARP: on no link of this director",)
    return ()
