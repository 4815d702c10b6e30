"""The lines of the status on another director."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lvsguard.cli.text import ago, printable
from lvsguard.core.peer import TOLD_MAX

if TYPE_CHECKING:
    from lvsguard.admin.protocol import PeerReply


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
    yield f"{head}{printable(', '.join(words))}", "dim"
    for remark in _remarks(other):
        yield f"  {printable(remark)}", "yellow"


def _remarks(other: PeerReply) -> Iterator[str]:
    unfit = [one.name for one in other.vips if not one.ready]
    if unfit:
        yield f"it stands back: VIP {', '.join(unfit)} (lvsguard status there tells why)"
    if other.programmed is False:
        yield "its kernel does not hold all that it should (lvsguard status there tells why)"
    if other.same_config is False:
        yield (
            f"its config is another one, {other.config_hash}: make the files the same and reload"
        )
    if other.refused:
        yield f"its overrides were not taken: {other.refused}"
    elif other.same_overrides is False:
        yield "it does not know the same overrides yet"
    for line in other.differs[:TOLD_MAX]:
        yield f"sees another health: {line}"
    if len(other.differs) > TOLD_MAX:
        yield f"and of {len(other.differs) - TOLD_MAX} more services"
