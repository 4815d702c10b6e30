"""What the realservers of a service mean for each other: quorum, sorry server, panic, slow start.

Pure, and after each realserver was placed by itself. Where two rules meet: a lost quorum with a
sorry server comes first, then panic, then slow start; an operator's drain or disable before all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import inf

from lvsguard.core.config import RealserverConfig, ServiceConfig
from lvsguard.core.health import Verdict
from lvsguard.core.memory import NEW, Memory
from lvsguard.core.model import RealserverKey
from lvsguard.core.override import Admin, wanted_weight
from lvsguard.core.placement import Facts, Placement, live_weight
from lvsguard.core.slow_start import next_step, risen


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of one service."""

    placements: tuple[Placement, ...]
    """Of its realservers, in the order of the config."""
    live: int
    """Live weight. A realserver in slow start counts whole; one that only panic put in does not
    count."""
    need: int
    """Live weight that it needs: more to have the quorum back than to keep it."""
    panic: bool = False
    sorry: bool = False
    """Whether the sorry server is in."""
    rising: int = 0
    """Realservers in slow start."""
    step_at: float | None = None
    """When (monotonic) the weight of one of them rises next, or panic ends."""
    why: tuple[str, ...] = ()
    """What the rules do to it, one line each."""


# -- quorum ------------------------------------------------------------------------------------


def needed(service: ServiceConfig, lost: bool | None) -> int:
    """Live weight that keeps the quorum, or has it back. As in keepalived: lost below quorum -
    hysteresis, back at quorum + hysteresis."""
    if lost is None:
        return service.quorum
    if lost:
        return service.quorum + service.quorum_hysteresis
    return max(service.quorum - service.quorum_hysteresis, 1)


def _lost(service: ServiceConfig, own: tuple[Placement, ...], before: bool | None) -> bool | None:
    """Whether the quorum is lost. At first that is open as long as verdicts that are awaited
    could make it: no sorry server for the second of a start."""
    live = sum(map(live_weight, own))
    if live >= needed(service, before):
        return False
    if before is None:
        pairs = zip(service.realservers, own, strict=True)
        live += sum(max(r.weight - live_weight(p), 0) for r, p in pairs if _awaited(p))
        if live >= service.quorum:
            return None
    return True


def _awaited(placed: Placement) -> bool:
    return placed.verdict is Verdict.UNKNOWN and placed.admin is Admin.READY


# -- panic -------------------------------------------------------------------------------------


PANIC_REST_S = 3.0
"""Panic lasts for so long after enough is live. Hosts that were all silent for a moment come back
one by one: who is last must not be out, and lose its connections, because others were first."""


class _Panic(Enum):
    OFF = auto()
    OPEN = auto()
    """What is known to be live is too little; verdicts that are awaited decide."""
    ON = auto()


def _knows_panic(service: ServiceConfig) -> bool:
    """Not one whose weights are all 0: it is closed on purpose."""
    return service.panic_below > 0 and any(r.weight for r in service.realservers)


def _panic(service: ServiceConfig, own: tuple[Placement, ...]) -> _Panic:
    if not _knows_panic(service):
        return _Panic.OFF
    pairs = tuple(zip(service.realservers, own, strict=True))
    limit = service.panic_below * sum(r.weight for r in service.realservers) * (1 - 1e-9)
    sure = sum(r.weight for r, p in pairs if p.verdict is Verdict.UP and live_weight(p))
    awaited = sum(r.weight for r, p in pairs if _awaited(p))
    if sure >= limit or not any(r.weight and _failed(p) for r, p in pairs):
        return _Panic.OFF
    return _Panic.OPEN if sure + awaited >= limit else _Panic.ON


def _panic_until(
    service: ServiceConfig, own: tuple[Placement, ...], before: Memory, now: float
) -> float:
    """See ``Memory.panic``. What is awaited while it is on does not end it."""
    if not _knows_panic(service):  # any more: the config is another one
        return 0.0
    panic, on = _panic(service, own), before.panic == inf
    if panic is _Panic.ON or (panic is _Panic.OPEN and on):
        return inf
    if on:
        return now + PANIC_REST_S
    return before.panic if before.panic > now else 0.0


def _failed(placed: Placement) -> bool:
    """Whether it is out because it is down, and for nothing that an operator asked."""
    return placed.verdict is Verdict.DOWN and placed.admin is Admin.READY


def _share(service: ServiceConfig, own: tuple[Placement, ...]) -> str:
    total = sum(r.weight for r in service.realservers)
    pairs = zip(service.realservers, own, strict=True)
    live = sum(r.weight for r, p in pairs if live_weight(p))
    share = f"{100 * live / total:.3g}% of the weight is live"
    if live < service.panic_below * total:
        return f"{share}, less than {_percent(service)}"
    return f"{share}, {_percent(service)} or more"


def _percent(service: ServiceConfig) -> str:
    return f"{100 * service.panic_below:.3g}%"


# -- from one decision to the next -------------------------------------------------------------


def remember(
    service: ServiceConfig, own: tuple[Placement, ...], before: Memory, now: float
) -> Memory:
    """What to remember, once the facts are as ``own`` says. ``now`` is monotonic."""
    lost = _lost(service, own, before.lost)
    until = _panic_until(service, own, before, now)
    if not service.slow_start:
        same = lost is before.lost and until == before.panic and not before.out
        return before if same else Memory(lost, panic=until)
    panic = until > now
    out, rising = set[RealserverKey](), dict[RealserverKey, float]()
    for realserver, placed in zip(service.realservers, own, strict=True):
        key = realserver.key
        if panic and placed.admin is Admin.READY:
            continue  # in at its whole weight, whatever its verdict
        if placed.verdict is Verdict.DOWN or placed.admin is not Admin.READY:
            out.add(key)
        elif placed.verdict is Verdict.UNKNOWN:  # a reload has changed its checks
            out.update({key} & before.out)
            if key in before.rising:
                rising[key] = before.rising[key]
        elif not placed.weight:
            out.update({key} if realserver.weight else ())  # an operator asked for weight 0
        elif key in before.out:
            rising[key] = now
        elif key in before.rising:
            rising[key] = before.rising[key]
    return Memory(lost, frozenset(out), _unfinished(service, own, rising, now), until)


def _unfinished(
    service: ServiceConfig,
    own: tuple[Placement, ...],
    rising: Mapping[RealserverKey, float],
    now: float,
) -> dict[RealserverKey, float]:
    if not rising:
        return {}
    full = {
        r.key: r.weight if p.verdict is Verdict.UNKNOWN else p.weight or 0
        for r, p in zip(service.realservers, own, strict=True)
    }
    return {
        key: began
        for key, began in rising.items()
        if next_step(full[key], began, service.slow_start, now) is not None
    }


# -- the decision ------------------------------------------------------------------------------


def decide(service: ServiceConfig, own: tuple[Placement, ...], facts: Facts) -> Decision:
    """Decide a service whose realservers were placed by themselves as ``own`` says."""
    memory = facts.memory.get(service.key, NEW)
    live = sum(map(live_weight, own))
    plain = Decision(own, live, needed(service, memory.lost))
    if service.sorry_server is not None and memory.lost:
        return _relieved(service, plain)
    panic = _panic(service, own)
    if panic is _Panic.ON:
        return _opened(service, plain, facts, inf)
    rests = memory.panic > facts.now and _knows_panic(service)
    if rests and any(map(_failed, own)):
        return _opened(service, plain, facts, memory.panic)
    if panic is _Panic.OPEN:
        return replace(plain, placements=tuple(_held(service, own, facts)))
    return _slowed(service, plain, memory, facts.now) if memory.rising else plain


def _relieved(service: ServiceConfig, plain: Decision) -> Decision:
    """The sorry server has the new connections; those that stand stay where they are."""
    placed = tuple(
        replace(p, weight=0, reason=f"weight 0 while the sorry server is in: {p.reason}")
        if p.weight
        else p
        for p in plain.placements
    )
    why = f"sorry server {service.sorry_server} has all new connections: quorum is lost"
    return replace(plain, placements=placed, sorry=True, why=(why,))


def _opened(service: ServiceConfig, plain: Decision, facts: Facts, until: float) -> Decision:
    """Panic: whoever is down is in all the same."""
    share = _share(service, plain.placements)
    if until < inf:
        share = f"{share}, for less than {PANIC_REST_S:g} s"
    placed = tuple(
        replace(p, weight=_whole(service, r, facts), reason=f"panic, {share}: in though {p.reason}")
        if _failed(p)
        else p
        for r, p in zip(service.realservers, plain.placements, strict=True)
    )
    why = f"PANIC: {share}: realservers that are down are in all the same"
    ends = None if until == inf else until
    return replace(plain, placements=placed, panic=True, step_at=ends, why=(why,))


def _whole(service: ServiceConfig, realserver: RealserverConfig, facts: Facts) -> int:
    return wanted_weight(facts.overrides, service.name, realserver.key, realserver.weight)


def _held(service: ServiceConfig, own: tuple[Placement, ...], facts: Facts) -> Iterator[Placement]:
    """Whoever is down keeps what was found in the kernel at start: it may have been panic."""
    found = facts.adopted.get(service.key, {})
    for realserver, placed in zip(service.realservers, own, strict=True):
        weight = found.get(realserver.key)
        if weight and _failed(placed):
            reason = f"{placed.reason}; keeps its weight until the others have a verdict"
            yield replace(placed, weight=weight, reason=reason)
        else:
            yield placed


def _slowed(service: ServiceConfig, plain: Decision, memory: Memory, now: float) -> Decision:
    placed, steps = list(plain.placements), list[float]()
    for index, (realserver, own) in enumerate(zip(service.realservers, placed, strict=True)):
        began = memory.rising.get(realserver.key)
        if began is None or own.verdict is not Verdict.UP or not live_weight(own):
            continue
        full = live_weight(own)
        step_at = next_step(full, began, service.slow_start, now)
        if step_at is None:
            continue
        steps.append(step_at)
        weight = risen(full, began, service.slow_start, now)
        left = max(began + service.slow_start - now, 0)
        reason = f"{own.reason}; slow start: {weight} of {full}, whole in {left:.3g} s"
        placed[index] = replace(own, weight=weight, reason=reason)
    return replace(
        plain, placements=tuple(placed), rising=len(steps), step_at=min(steps, default=None)
    )
