"""The lines of the status on another director."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lvsguard.cli.text import ago, printable
from lvsguard.core.fitness import Why
from lvsguard.core.peer import TOLD_MAX, shortened
from lvsguard.core.snapshot import Role

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import PeerReply


def peer(other: PeerReply, now: float) -> Iterator[tuple[str, str]]:
    """One line, and one for each thing that is not as it should be; each with its style."""
    head = f"PEER  {printable(other.name)}  {printable(other.address)}  "
    if not other.heard:
        never = "never heard" if other.last is None else f"NOT HEARD for {ago(other.last, now)}"
        why = f": {printable(other.problem)}" if other.problem else ""
        yield f"{head}{never}{why}", "yellow"
        return
    words = [f"heard for {ago(other.since, now)}"]
    words += [f"{one.role} of {one.name}" for one in other.vips]
    if other.same_config:
        words.append("same config")
    if other.same_overrides:
        words.append("same overrides")
    if other.same_health:
        words.append("sees the same health")
    words += _fitness(other)
    yield f"{head}{printable(', '.join(words))}", "dim"
    for remark in _remarks(other):
        yield f"  {printable(remark)}", "yellow"


def _fitness(other: PeerReply) -> Iterator[str]:
    """A word on its fitness, unless it leads already or there is nothing to lead."""
    if any(one.role != Role.MASTER for one in other.vips):
        yield "fit to take over" if other.fit else "NOT FIT to take over"
    elif other.vips and not other.fit:
        yield "NOT WELL"


def _remarks(other: PeerReply) -> Iterator[str]:
    reasons = {one.why for one in other.unfit}
    yield from (one.text for one in other.unfit)
    if other.same_config is False and Why.CONFIG not in reasons:
        keys = shortened(other.config_differs) or "the order of its keys"
        yield f"its config is another one, {other.config_hash}, of no matter here: {keys}"
    others = [] if Why.CHECKS in reasons else other.differs
    for line in others[:TOLD_MAX]:
        yield f"sees another health: {line}"
    if len(others) > TOLD_MAX:
        yield f"and of {len(others) - TOLD_MAX} more services"
