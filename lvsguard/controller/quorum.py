"""Whether one service has its quorum, asked of the facts, for services that a priority depends on.

Only a service that is asked for is looked at, and no further than it takes to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lvsguard.controller.factbook import FactBook
from lvsguard.core.config import ServiceConfig
from lvsguard.core.desired import Facts, placement
from lvsguard.core.health import Verdict
from lvsguard.core.override import Admin
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


def live_weight(weight: int | None, verdict: Verdict, admin: Admin) -> int:
    """What a realserver adds to the live weight of its service; one that was adopted and has no
    verdict yet serves, and counts."""
    return weight if weight and verdict is not Verdict.DOWN and admin is Admin.READY else 0


async def quorum(service: ServiceConfig, facts: Facts, slices: Slices | None = None) -> Quorum:
    """Count the weights that are decided, whether or not they are in the kernel yet: what the
    kernel lacks is another reason for an election."""
    slices = slices or Slices()
    have = unknown = 0
    for realserver in service.realservers:
        if have >= service.quorum:
            break
        placed = placement(service, realserver, facts)
        have += live_weight(placed.weight, placed.verdict, placed.admin)
        unknown += placed.verdict is Verdict.UNKNOWN
        if slices.due():
            await slices.rest()
    return Quorum(have, service.quorum, unknown)


def asking(book: FactBook) -> AskQuorum:
    """Ask the facts, as they are at that moment."""

    async def ask(name: str) -> Quorum | None:
        facts = book.facts
        service = next((one for one in facts.config.services if one.name == name), None)
        return None if service is None else await quorum(service, facts)

    return ask
