"""The lines on another director: of the status, and the one of ``status --watch``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lvsguard.cli.text import ago, printable
from lvsguard.core.fitness import Why
from lvsguard.core.peer import TOLD_MAX, shortened
from lvsguard.core.snapshot import Role
from lvsguard.core.table_digest import OTHER_TABLE

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import PeerReply

FIT, UNFIT = "fit", "NOT FIT"
WELL, UNWELL = "well", "NOT WELL"


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
    word = fitness(other)
    if word in (FIT, UNFIT):
        yield f"{word} to take over"
    elif word == UNWELL and other.vips:
        yield word


def fitness(other: PeerReply) -> str:
    """Whether it is fit to take over what it does not lead; of one that leads all, whether it is
    as it should be."""
    if any(one.role != Role.MASTER for one in other.vips):
        return FIT if other.fit else UNFIT
    return WELL if other.fit else UNWELL


def brief(other: PeerReply, now: float) -> tuple[str, str, str]:
    """One that is heard, in words for a line that may be cut off at its end: the verdict, what
    goes with it, and the style of the verdict."""
    reasons = [one.why for one in other.unfit]
    word = fitness(other)
    words = [f"{word}: {', '.join(dict.fromkeys(reasons))}" if reasons else word]
    alike = (
        ("config", other.same_config, Why.CONFIG),
        ("health", other.same_health, Why.CHECKS),
        ("overrides", other.same_overrides, Why.OVERRIDES),
    )
    unlike = [what for what, same, why in alike if same is False and why not in reasons]
    if unlike:
        words.append(f"OTHER {' AND '.join(unlike).upper()}")
    style = "green" if word in (FIT, WELL) and not unlike else "yellow"
    roles = [f"{one.role} of {one.name}" for one in other.vips] or ["no VIP"]
    rest = [*roles, f"heard for {ago(other.since, now)}"]
    return ", ".join(words), ", ".join(rest), "bold red" if word in (UNFIT, UNWELL) else style


def _remarks(other: PeerReply) -> Iterator[str]:
    reasons = {one.why for one in other.unfit}
    yield from (one.text for one in other.unfit)
    if other.same_config is False and Why.CONFIG not in reasons:
        keys = shortened(other.config_differs) or "the order of its keys"
        yield f"its config is another one, {other.config_hash}, of no matter here: {keys}"
    if other.other_table:
        yield OTHER_TABLE
    others = [] if Why.CHECKS in reasons else other.differs
    for line in others[:TOLD_MAX]:
        yield f"sees another health: {line}"
    if len(others) > TOLD_MAX:
        yield f"and of {len(others) - TOLD_MAX} more services"
