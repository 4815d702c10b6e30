"""Whether one service has its quorum, asked of the facts, for services that a priority depends on.

Only a service that is asked for is looked at, and no further than it takes to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lvsguard.controller.factbook import FactBook
from lvsguard.core.config import ServiceConfig
from lvsguard.core.health import Verdict
from lvsguard.core.memory import NEW
from lvsguard.core.placement import Facts, live_weight, placement
from lvsguard.core.rules import needed
from lvsguard.serving import Slices


@dataclass(frozen=True, slots=True)
class Quorum:
    """Of one service."""

    have: int
    """Live weight; counted up to ``need`` only."""
    need: int
    unknown: int
    """Realservers without a verdict, as far as it was counted."""


AskQuorum = Callable[[str], Awaitable[Quorum | None]]
"""The quorum of a service by its name; None: there is no such service now."""


async def quorum(service: ServiceConfig, facts: Facts, slices: Slices | None = None) -> Quorum:
    """Count the weights that are decided, whether or not they are in the kernel yet: what the
    kernel lacks is another reason for an election."""
    slices = slices or Slices()
    need = needed(service, facts.memory.get(service.key, NEW).lost)
    have = unknown = 0
    for realserver in service.realservers:
        if have >= need:
            break
        placed = placement(service, realserver, facts)
        have += live_weight(placed)
        unknown += placed.verdict is Verdict.UNKNOWN
        if slices.due():
            await slices.rest()
    return Quorum(have, need, unknown)


def asking(book: FactBook) -> AskQuorum:
    """Ask the facts, as they are at that moment."""

    async def ask(name: str) -> Quorum | None:
        facts = book.facts
        service = next((one for one in facts.config.services if one.name == name), None)
        return None if service is None else await quorum(service, facts)

    return ask
