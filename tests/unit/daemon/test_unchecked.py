"""What the journal forgets: verdicts of what the config does not check any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from lvsguard.admin.journal import Journal
from lvsguard.core.agent import Agent, AgentSpec
from lvsguard.core.begun import Begun
from lvsguard.core.health import Verdict
from lvsguard.daemon.unchecked import SLICE, forget_unchecked
from tests.support.rig import RS1, RS2, RS3, Rig, config, realserver, service

UP = Begun(Verdict.UP, 1_800_000_000.0)
AGENT = Agent(RS1.address, 9100, 1, AgentSpec())
GIVEN = config(service(replace(realserver(RS1), agent=AGENT), realserver(RS2)))
ONE, TWO, THREE = (realserver(key).checks[0].lasting for key in (RS1, RS2, RS3))


async def test_what_is_not_checked_any_more_is_forgotten(tmp_path: Path) -> None:
    rig, journal = Rig(GIVEN, tmp_path), Journal(None, lambda trouble: None)
    many = [("10.0.0.99", port, "tcp", "") for port in range(3 * SLICE)]
    for lasting in (ONE, TWO, AGENT.lasting, THREE, *many):
        journal.set_verdict(lasting, UP)
    assert await forget_unchecked(rig.controller.book, journal)
    assert journal.verdicts == {ONE: UP, TWO: UP, AGENT.lasting: UP}


async def test_a_reload_meanwhile_has_the_last_word(tmp_path: Path) -> None:
    rig, journal = Rig(GIVEN, tmp_path), Journal(None, lambda trouble: None)
    for lasting in (ONE, THREE):
        journal.set_verdict(lasting, UP)
    forgetting = asyncio.create_task(forget_unchecked(rig.controller.book, journal))
    await asyncio.sleep(0)
    rig.controller.book.configure(config(service(realserver(RS3))), 0.0)
    assert not await forgetting
    assert THREE in journal.verdicts
    assert await forget_unchecked(rig.controller.book, journal)
    assert journal.verdicts == {THREE: UP}
