"""Since when a verdict holds, through the journal's real file, after a daemon that was killed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.admin.journal import FILE, Journal
from lvsguard.controller.since import Since
from lvsguard.controller.view import LiveView
from lvsguard.core.event import StateTrouble
from lvsguard.core.health import Verdict
from tests.support.rig import OK, RS1, RS2, WRONG, Rig, config


class Daemon:
    """The parts of one that come to verdicts, keep and show them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.reports: list[StateTrouble] = []
        self.journal = Journal(place / "state", self.reports.append)

    async def start(self) -> None:
        await self.journal.open()
        since = Since(self.journal.verdicts, self.journal.set_verdict)
        self.rig = Rig(config(), self.place, since=since)
        await self.rig.turn()

    def since(self) -> list[float]:
        view = LiveView(
            self.rig.controller, self.rig.owner, config_path="c", probers=lambda: (1, 1)
        )
        (web,) = view.services()
        return [one.since for one in web.realservers]

    async def killed(self, to: Path) -> None:
        """As its files are at this moment: nothing was closed."""
        await self.journal.flush()
        (to / "state").mkdir(parents=True)
        for name in (FILE, f"{FILE}-wal"):
            shutil.copy(self.place / "state" / name, to / "state" / name)


async def test_a_daemon_that_was_killed_goes_on_at_the_time_that_it_had(tmp_path: Path) -> None:
    first = Daemon(tmp_path / "first")
    second = Daemon(tmp_path / "second")
    third = Daemon(tmp_path / "third")
    try:
        await first.start()
        await first.rig.settled()
        first.rig.verdict(RS1, Verdict.DOWN, WRONG)
        await first.rig.turn()
        down, up = first.since()
        await first.killed(second.place)
        await second.start()
        second.rig.verdict(RS1, Verdict.DOWN, replace(WRONG, reason="500, expected 200"))
        second.rig.up(RS2)
        await second.rig.turn()
        held = list(second.journal.verdicts.values())
        assert second.since() == [one.at for one in sorted(held, key=lambda one: -one.at)]
        assert second.since() == [pytest.approx(down, abs=0.05), pytest.approx(up, abs=0.05)]
        second.rig.verdict(RS1, Verdict.UP, OK)
        await second.rig.turn()
        changed, same = second.since()
        assert changed > down
        await second.killed(third.place)
        await third.start()
        await third.rig.settled()
        assert third.since()[1] == same
        assert abs(third.since()[0] - changed) < 0.05
    finally:
        for one in (first, second, third):
            await one.journal.close()
    assert [*first.reports, *second.reports, *third.reports] == []
