"""What the journal keeps of realservers that nobody checks any more, and its end."""

from __future__ import annotations

import asyncio
from typing import Final

from lvsguard.admin.journal import Journal
from lvsguard.controller.factbook import FactBook
from lvsguard.core.begun import Lasting
from lvsguard.probes.message import chunks
from lvsguard.probes.worker import Job

SLICE: Final = 500
"""Checks that are looked at without a pause for others."""


async def forget_unchecked(book: FactBook, journal: Journal) -> bool:
    """Have the journal forget the verdicts of what the config does not check. Whether that is done:
    another config may be in force before the end, and what it checks must not be taken for gone."""
    config, checked = book.config, set[Lasting]()
    jobs: list[Job] = [*book.checks, *book.agents]
    for some in chunks(jobs, SLICE):
        checked.update(one.lasting for one in some)
        await asyncio.sleep(0)
    for held in chunks(list(journal.verdicts), SLICE):
        if book.config is not config:
            return False
        journal.forget_verdicts(one for one in held if one not in checked)
        await asyncio.sleep(0)
    return book.config is config
