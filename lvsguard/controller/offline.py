"""What a start would do now: config against kernel, without a daemon. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from lvsguard.controller.factbook import FactBook
from lvsguard.core.config import Config
from lvsguard.core.model import KernelState
from lvsguard.core.override import Override
from lvsguard.core.plan import owned_part, plan
from lvsguard.core.step import Step
from lvsguard.kernel.port import Addresses, Ipvs


async def offline_plan(
    config: Config, ipvs: Ipvs, addresses: Addresses, overrides: Iterable[Override] = ()
) -> tuple[Step, ...]:
    """The first pass's steps: no verdict is known, so what is in the kernel keeps its weight.

    Raises KernelError.
    """
    observation = await ipvs.read()
    present = await addresses.read({a.interface for a in config.addresses})
    book = FactBook(config)
    for override in overrides:
        book.put(override)
    table = owned_part(observation.services, [s.key for s in config.services])
    book.adopt(table)
    wanted, _ = book.decide(0.0)
    return plan(wanted, KernelState(table, present & config.lone_addresses))
