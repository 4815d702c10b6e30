"""How a service is, and what of it is out and why, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lvsguard.admin import why_realserver, why_refusal
from lvsguard.admin.entry import Entry
from lvsguard.admin.why_reply import WhyAnswer
from lvsguard.core.snapshot import ServiceStatus

NAMED = 10
"""Realservers that are named one by one."""


def explain(service: ServiceStatus, history: Sequence[Entry], now: float) -> WhyAnswer:
    """How a service is. ``history``: entries about it, oldest first; ``now``: wall clock."""
    out = [one for one in service.realservers if not one.weight]
    has = len(service.realservers) - len(out)
    fit = service.quorum_have >= service.quorum_need
    sentences = [
        f"{has} of {len(service.realservers)} realservers of {service.name} ({service.key}) are in"
        f" rotation; live weight {service.quorum_have}, needs {service.quorum_need}:"
        f" {_standing(service, fit)}."
    ]
    sentences += [f"{why}." for why in service.why]
    if not service.present:
        sentences.append(why_refusal.of(history, now, service.name) or "lvsguard status says why.")
    sentences += [f"{why_realserver.name(one)}: {one.reason}." for one in out[:NAMED]]
    if len(out) > NAMED:
        sentences.append(f"{len(out) - NAMED} more are out.")
    return WhyAnswer(
        kind="service",
        subject=f"service {service.name} ({service.key})",
        service=service.name,
        state=_state(service, fit),
        serves=service.present and bool(has or service.sorry),
        since=None,
        sentences=sentences,
        remedies=list(_remedies(service, fit)),
    )


def _standing(service: ServiceStatus, fit: bool) -> str:
    if not service.present:
        return "IT IS NOT IN THE KERNEL"
    return "it serves" if fit else "ITS QUORUM IS LOST"


def _state(service: ServiceStatus, fit: bool) -> str:
    if not service.present:
        return "not-programmed"
    if service.sorry:
        return "sorry"
    if service.panic:
        return "panic"
    return "serves" if fit else "quorum-lost"


def _remedies(service: ServiceStatus, fit: bool) -> Iterator[str]:
    if not fit:
        missing = service.quorum_need - service.quorum_have
        yield f"live weight {missing} more: lvsguard why REALSERVER says what one of them lacks"
    if service.panic:
        yield "look at the checks and at what they ask: they may be what is wrong"
