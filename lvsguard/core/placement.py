"""What is to become of one realserver by itself: overrides, verdict, what was adopted.

What the realservers of a service mean for each other comes after it, in ``rules``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lvsguard.core import agent as agents
from lvsguard.core.agent import NOT_ASKED, Agent, Mode, Standing
from lvsguard.core.config import Check, Config, OnFailure, RealserverConfig, ServiceConfig
from lvsguard.core.health import CUT, Health, Result, Verdict
from lvsguard.core.memory import Memory
from lvsguard.core.model import RealserverKey, ServiceKey, VipAddress
from lvsguard.core.override import (
    Admin,
    Override,
    OverrideKind,
    admin_state,
    deciding_weight,
)

Adopted = Mapping[ServiceKey, Mapping[RealserverKey, int]]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that decides. The mappings belong to the controller, which is their only writer."""

    config: Config
    health: Mapping[Check, Health] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    adopted: Adopted = field(default_factory=dict)
    """Weights found in the kernel, by service; they stand until the first verdict. A service
    that is listed here without a realserver did not have it."""
    addresses: frozenset[VipAddress] = frozenset()
    """The VIP addresses that this director holds by its role."""
    memory: Mapping[ServiceKey, Memory] = field(default_factory=dict)
    """What the rules of each service go by besides the facts of this moment."""
    now: float = 0.0
    """Monotonic seconds: how far a slow start is."""
    agents: Mapping[Agent, Standing] = field(default_factory=dict)
    """What the realservers' agents say."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What is to become of one realserver in one service, and why."""

    weight: int | None
    """None: not in the table."""
    verdict: Verdict
    admin: Admin
    since: float
    """Monotonic, of the last change of verdict."""
    reason: str
    kept: float = 0.0
    """Wall clock of it, where it was in an earlier run; 0: in this one."""


def placement(service: ServiceConfig, realserver: RealserverConfig, facts: Facts) -> Placement:
    """Decide one realserver: overrides first, then the verdict, then what was adopted.

    Its agent can make it down, or have it wait, but never better than its checks find it.
    """
    worst = worst_health(realserver.checks, facts.health)
    said = None if realserver.agent is None else facts.agents.get(realserver.agent, NOT_ASKED)
    verdict, begun = _judged(worst, realserver.checks, facts.health, said)
    evidence = _evidence(worst)
    if said is not None and (words := agents.words(said)):
        evidence = f"{evidence}; {words}"
    overrides = (
        [o for o in facts.overrides if o.target.matches(service.name, realserver.key)]
        if facts.overrides
        else []
    )
    admin = admin_state(overrides, service.name, realserver.key) if overrides else Admin.READY
    weight: int | None
    if admin is Admin.DISABLED:
        weight, reason = None, _because(overrides, OverrideKind.DISABLE)
    elif verdict is Verdict.DOWN and cuts(service, realserver, facts.health):
        weight, reason = None, f"down, removed: {evidence}"
    elif admin is Admin.DRAIN:
        weight = None if _waits(verdict, service, realserver, facts.adopted) else 0
        reason = _because(overrides, OverrideKind.DRAIN)
    elif verdict is Verdict.DOWN:
        weight, reason = 0, f"down: {evidence}"
    elif verdict is Verdict.UNKNOWN:
        awaited = "verdict" if worst.verdict is Verdict.UNKNOWN else "answer of its agent"
        weight, reason = _unknown(service, realserver, facts.adopted, awaited)
        if worst.note and worst.verdict is Verdict.UNKNOWN:
            reason = f"{reason}; {worst.note}"
    elif said is not None and said.mode is not Mode.READY:
        weight, reason = 0, f"up: {evidence}"
    else:
        full = realserver.weight
        weight = full if said is None else agents.weight_of(said, full)
        reason = f"up: {evidence}"
        asked = deciding_weight(overrides, service.name, realserver.key)
        if asked is not None and asked.weight is not None:
            weight, reason = asked.weight.of(full), _words(asked)
    return Placement(weight, verdict, admin, begun.since, reason, begun.kept)


def _judged(
    worst: Health, checks: tuple[Check, ...], health: Mapping[Check, Health], said: Standing | None
) -> tuple[Verdict, Health | Standing]:
    """The verdict of checks and agent together, and whose time is that of its last change."""
    if worst.verdict is Verdict.DOWN:
        return Verdict.DOWN, worst
    if said is not None and said.down:
        return Verdict.DOWN, said
    if worst.verdict is Verdict.UNKNOWN or (said is not None and not said.tried):
        return Verdict.UNKNOWN, worst
    latest: Health | Standing = worst
    if len(checks) > 1:  # the last that passed made it up
        latest = max((health[check] for check in checks), key=_order)
    if said is not None and (said.since or said.kept):  # else it has changed nothing in any run
        latest = max(latest, said, key=_order)
    return Verdict.UP, latest


def _order(one: Health | Standing) -> tuple[bool, float]:
    """What came in an earlier run is before what came in this one."""
    return not one.kept, one.kept or one.since


def placements(service: ServiceConfig, facts: Facts) -> tuple[Placement, ...]:
    """Of each realserver of a service by itself, in the order of the config."""
    return tuple(placement(service, realserver, facts) for realserver in service.realservers)


def live_weight(placed: Placement) -> int:
    """What a realserver adds to the live weight of its service; one that was adopted and has no
    verdict yet serves, and counts."""
    if placed.weight and placed.verdict is not Verdict.DOWN and placed.admin is Admin.READY:
        return placed.weight
    return 0


def _unknown(
    service: ServiceConfig, realserver: RealserverConfig, adopted: Adopted, what: str = "verdict"
) -> tuple[int | None, str]:
    found = adopted.get(service.key)
    if found is None:
        return 0, f"no {what} yet: enters at weight 0"
    weight = found.get(realserver.key)
    if weight is None:
        return None, f"no {what} yet: was not in the kernel at start"
    return weight, f"no {what} yet: keeps the weight found in the kernel"


def _waits(
    verdict: Verdict, service: ServiceConfig, realserver: RealserverConfig, adopted: Adopted
) -> bool:
    """Whether it stays out until its first verdict, as it was found."""
    return verdict is Verdict.UNKNOWN and _unknown(service, realserver, adopted)[0] is None


ALWAYS_UP = Health(Verdict.UP)


def worst_health(checks: tuple[Check, ...], health: Mapping[Check, Health]) -> Health:
    """The one that decides: dead over down over unknown over up. Without checks: always up."""
    worst = ALWAYS_UP
    for check in checks:
        one = health.get(check, UNCHECKED)
        if worst is ALWAYS_UP or severity(one) > severity(worst):
            worst = one
    return worst


UNCHECKED = Health()
_SEVERITY = {Verdict.UP: 0, Verdict.UNKNOWN: 1, Verdict.DOWN: 2}


def severity(health: Health) -> int:
    """Which of two checks decides: the greater one."""
    return _SEVERITY[health.verdict] + _dead(health)


def _dead(health: Health) -> bool:
    cause = _telling(health)
    return health.verdict is Verdict.DOWN and cause is not None and cause.failure in CUT


def _telling(health: Health) -> Result | None:
    """The result that explains the verdict."""
    return health.cause or health.result


def cuts(
    service: ServiceConfig, realserver: RealserverConfig, health: Mapping[Check, Health]
) -> bool:
    """Whether a realserver that is down leaves the table, so that its clients reconnect."""
    if service.on_failure is not OnFailure.AUTO:
        return service.on_failure is OnFailure.REMOVE
    return any(_dead(health.get(check, UNCHECKED)) for check in realserver.checks)


def _evidence(health: Health) -> str:
    result = _telling(health)
    if result is None:
        return "no check configured" if health is ALWAYS_UP else "not probed yet"
    line = f"{result.code} {result.reason}"
    return f"{line}; {health.note}" if health.note else line


def _because(overrides: list[Override], kind: OverrideKind) -> str:
    return next((_words(override) for override in overrides if override.kind is kind), "")


def _words(override: Override) -> str:
    what = f"weight {override.weight}" if override.weight else _PARTICIPLE[override.kind]
    why = f": {override.reason}" if override.reason else ""
    return f"{what} by {override.actor}{why}"


_PARTICIPLE = {
    OverrideKind.DRAIN: "drained",
    OverrideKind.DISABLE: "disabled",
    OverrideKind.WEIGHT: "weighted",
}
