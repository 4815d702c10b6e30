"""Why a realserver is in rotation or not, in sentences, and what would bring it back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lvsguard.admin import why_checks, why_refusal
from lvsguard.admin.entry import Entry
from lvsguard.admin.protocol import moment
from lvsguard.admin.target import parse_endpoint
from lvsguard.admin.why_reply import WhyAnswer
from lvsguard.core.event import OverrideCleared
from lvsguard.core.health import Verdict
from lvsguard.core.moment import span, when
from lvsguard.core.override import CONFLICT, Admin, Override, OverrideKind, Target, deciding_weight
from lvsguard.core.snapshot import AgentStatus, RealserverStatus, ServiceStatus

_SET = {OverrideKind.DRAIN: "drained it", OverrideKind.DISABLE: "disabled it"}
_UNDO = {OverrideKind.DRAIN: "undrain", OverrideKind.DISABLE: "enable"}


@dataclass(slots=True)
class _Draft:
    """An answer that is being written."""

    state: str
    since: float | None = None
    sentences: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)


def explain(
    service: ServiceStatus, realserver: RealserverStatus, history: Sequence[Entry], now: float
) -> WhyAnswer:
    """Why one realserver is as it is in one service. ``history``: entries about it, oldest first;
    ``now``: wall clock."""
    draft = _decided(service, realserver, history, now)
    draft.sentences[:0] = [_head(service, realserver, draft, now)]
    draft.sentences += _besides(service, realserver, history, now)
    if _unlike(realserver) and why_refusal.of(history, now, service.name, str(realserver.key)):
        draft.remedies.append("mend what the kernel refuses: it is tried again by itself")
    return WhyAnswer(
        kind="realserver",
        subject=name(realserver),
        service=service.name,
        state=draft.state,
        serves=bool(realserver.weight),
        since=moment(draft.since),
        sentences=draft.sentences,
        remedies=draft.remedies,
    )


def name(realserver: RealserverStatus) -> str:
    """Such as ``rs1 10.0.0.42:80``."""
    where = str(realserver.key)
    return where if realserver.name == str(realserver.key.address) else f"{realserver.name} {where}"


def _head(service: ServiceStatus, one: RealserverStatus, draft: _Draft, now: float) -> str:
    begun = "" if draft.since is None else f", since {when(draft.since, now)}"
    subject = f"{name(one)} is"
    if one.weight:
        full = "" if one.weight == one.configured_weight else f" of {one.configured_weight}"
        return f"{subject} in rotation in {service.name}, with weight {one.weight}{full}{begun}."
    if one.weight is None:
        return f"{subject} not in rotation in {service.name}, and not in the kernel's table{begun}."
    count = one.counters.active
    going = f"; {count} of its connections {'is' if count == 1 else 'are'} active" if count else ""
    return f"{subject} not in rotation in {service.name}: its weight is 0{begun}{going}."


def _decided(
    service: ServiceStatus, one: RealserverStatus, history: Sequence[Entry], now: float
) -> _Draft:
    """In the order in which ``core.placement`` and ``core.rules`` decide."""
    check = why_checks.deciding(one.checks)
    checked_down = check is not None and check.verdict is Verdict.DOWN
    if one.admin is Admin.DISABLED:
        draft = _overridden(one, OverrideKind.DISABLE, "disabled", now)
    elif one.verdict is Verdict.DOWN and one.admin is Admin.READY:
        draft = _down(service, one, history, now)
    elif one.admin is Admin.DRAIN:
        draft = _overridden(one, OverrideKind.DRAIN, "drained", now)
    elif one.verdict is Verdict.UNKNOWN:
        draft = _unknown(one, history)
    else:
        draft = _up(service, one, history, now)
    if one.admin is not Admin.READY and checked_down and check is not None:
        draft.sentences += ["Without that it would be out as well.", *_said(one, history, now)]
        draft.remedies += why_checks.remedies(check)
    return draft


# -- by an operator ------------------------------------------------------------------------------


def _overridden(one: RealserverStatus, kind: OverrideKind, state: str, now: float) -> _Draft:
    held = [o for o in one.overrides if o.kind is kind]
    draft = _Draft(state, min((o.since for o in held), default=None))
    for override in held:
        draft.sentences.append(told(override, now))
        draft.remedies.append(_end(override))
    return draft


def _end(override: Override) -> str:
    """What ends a drain or a disable."""
    if override.actor == CONFLICT:
        return (
            "have it answer for the VIP no more (run there: lvsguard realserver check):"
            " the drain ends by itself then"
        )
    return f"run: lvsguard {_UNDO[override.kind]} {_target(override)}"


def told(override: Override, now: float) -> str:
    """Who asked for an override, when, why, and until when."""
    what = _SET.get(override.kind, f"gave it weight {override.weight}")
    words = [f"{override.actor} {what} at {when(override.since, now)}"]
    words.append(f"reason: {override.reason}" if override.reason else "without a reason")
    if override.ticket:
        words.append(f"ticket {override.ticket}")
    if override.expires is not None:
        words.append(f"it ends by itself at {when(override.expires, now)}")
    return f"{'; '.join(words)}."


def _target(override: Override) -> str:
    target = override.target
    where = str(type(target)(target.address, target.port))
    return where if target.service is None else f"{where} --service {target.service}"


# -- by its checks -------------------------------------------------------------------------------


def _said(one: RealserverStatus, history: Sequence[Entry], now: float) -> Iterator[str]:
    checks = [c for c in one.checks if c.verdict is one.verdict or c.verdict is Verdict.DOWN]
    for check in checks:
        yield from why_checks.sentences(check, history, now)


def _down(
    service: ServiceStatus, one: RealserverStatus, history: Sequence[Entry], now: float
) -> _Draft:
    check = why_checks.deciding(one.checks)
    by_agent = one.agent is not None and one.agent.state == "down"
    if check is None or check.verdict is not Verdict.DOWN:
        draft = _Draft("agent-down", one.since, [_agent(one.agent), *_said(one, history, now)])
        draft.remedies = ["it comes back when its agent says up or ready"]
    else:
        draft = _Draft("down", check.since, list(_said(one, history, now)))
        if by_agent:
            draft.sentences.append(_agent(one.agent))
        for each in one.checks:
            if each.verdict is Verdict.DOWN:
                draft.remedies += why_checks.remedies(each)
    if service.panic and one.weight:
        draft.state = "panic"
        draft.sentences.append(
            "It is in all the same, by panic: so little of the service is live that its checks are"
            " not believed. Clients that reach it may fail."
        )
    elif one.weight and one.wanted:
        draft.state = "kept"
        draft.sentences.append("It keeps its weight until the others have a verdict.")
    elif one.weight is None and check is not None and why_checks.dead(check):
        draft.sentences.append(
            "Nobody is left there to serve its connections, so it was taken out of the table and"
            " its clients connect anew elsewhere."
        )
    return draft


def _unknown(one: RealserverStatus, history: Sequence[Entry]) -> _Draft:
    agent = one.agent is not None and one.agent.state == "unknown" and not one.agent.silent
    checked = all(check.verdict is not Verdict.UNKNOWN for check in one.checks)
    awaited = "its agent was not asked yet" if agent and checked else "it was not probed yet"
    draft = _Draft("adopted" if one.weight else "unprobed")
    _, _, what = one.reason.partition("yet: ")
    draft.sentences.append(f"There is no verdict, for {awaited}: it {what}.")
    draft.remedies.append(
        "its first answer decides"
        if one.weight
        else "its first good answer brings it in, within a second or so"
    )
    return draft


def _up(
    service: ServiceStatus, one: RealserverStatus, history: Sequence[Entry], now: float
) -> _Draft:
    draft = _Draft("up", one.since, list(_said(one, history, now)))
    if not one.checks:
        draft.sentences.append("No check is configured, so it counts as up.")
    ended = next((e for e in reversed(history) if _let_in(e, service, one)), None)
    if ended is not None and ended.at > one.since:
        draft.since = ended.at
        why = f"; reason: {ended.data['reason']}" if ended.data.get("reason") else ""
        draft.sentences.append(f"{_ended(ended)} at {when(ended.at, now)}{why}.")
    weighted = deciding_weight(one.overrides, service.name, one.key)
    if service.sorry and not one.weight:
        draft.state, draft.since = "sorry", None
        draft.sentences += [f"But {why}." for why in service.why]
        draft.remedies.append(
            f"its service needs live weight {service.quorum_need} and has {service.quorum_have}:"
            " then the sorry server goes out and this one comes in"
        )
    elif one.agent is not None and one.agent.state in ("drain", "maint"):
        draft.state, draft.since = f"agent-{one.agent.state}", None
        draft.sentences.append(_agent(one.agent))
        draft.remedies.append("it comes back when its agent says ready")
    elif weighted is not None:
        draft.state = "weighted"
        draft.sentences.append(told(weighted, now))
        draft.remedies.append(f"run: lvsguard weight {_target(weighted)} reset")
        draft.since = max(weighted.since, one.since)
    elif not one.configured_weight:
        draft.state = "weight-0"
        draft.sentences.append("Its configured weight is 0.")
        draft.remedies.append("give it a weight in the configuration and reload")
    elif one.agent is not None and one.agent.share < 1:
        draft.state, draft.since = "agent-weight", None
        draft.sentences.append(_agent(one.agent))
        draft.remedies.append("its weight follows what its agent asks for")
    if one.whole_in is not None and draft.state == "up":
        draft.state = "slow-start"
        draft.sentences.append(
            f"It came up lately and is in slow start: it has its whole weight"
            f" ({one.configured_weight}) in {span(one.whole_in)}."
        )
    return draft


def _let_in(entry: Entry, service: ServiceStatus, one: RealserverStatus) -> bool:
    """Whether it tells of the end of an override that kept this realserver out of this service."""
    held = entry.data.get("override")
    if entry.kind != OverrideCleared.kind or not isinstance(held, dict):
        return False
    out = held.get("kind") in _SET or held.get("weight") in ("0", "0%")
    where, _, within = str(held.get("target")).partition(" in ")
    place = parse_endpoint(where)
    return (
        out and place is not None and Target(*place, within or None).matches(service.name, one.key)
    )


def _ended(entry: Entry) -> str:
    """Who ended which override."""
    override, actor = entry.data.get("override"), str(entry.data.get("actor"))
    held = override if isinstance(override, dict) else {}
    if actor == "expiry":
        return f"The time of the {held.get('kind')} by {held.get('actor')} was over"
    return f"{actor} ended the {held.get('kind')} by {held.get('actor')}"


def _agent(agent: AgentStatus | None) -> str:
    if agent is None:
        return ""
    says = f"Its agent ({agent.kind} on port {agent.port}) says {agent.state}"
    if agent.share != 1 or agent.asked != agent.share:
        says += f", and weight {agent.asked:.0%} of the configured (in force: {agent.share:.0%})"
    return f"{says}: {agent.why}." if agent.why else f"{says}."


# -- besides -------------------------------------------------------------------------------------


def _unlike(one: RealserverStatus) -> bool:
    """Whether the kernel holds another weight than is decided."""
    return one.weight != one.wanted and one.wanted is not None


def _besides(
    service: ServiceStatus, one: RealserverStatus, history: Sequence[Entry], now: float
) -> Iterator[str]:
    """What else is worth knowing."""
    if _unlike(one):
        yield (
            f"The kernel holds {'nothing' if one.weight is None else f'weight {one.weight}'} where"
            f" weight {one.wanted} is decided."
        )
        refused = why_refusal.of(history, now, service.name, str(one.key))
        if refused is None and not service.present:
            yield f"It lacks the whole service: lvsguard why {service.name} says why."
        else:
            yield refused or "lvsguard status says what it refuses."
    if one.agent is not None and one.agent.silent:
        yield f"Its agent does not answer ({one.agent.silent}); its last word stands."
    _, bad, what = one.reason.partition("; clients fare badly: ")
    if bad:
        yield f"Its checks pass, yet its clients fare badly: {what}."
    for note in one.notes:
        yield f"It is {note}."
