"""Since when a verdict holds, through restarts of the daemon: what is shown, kept and told."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.controller.since import Since
from lvsguard.controller.view import LiveView
from lvsguard.core.agent import Agent, AgentSpec, Standing
from lvsguard.core.begun import Begun, Lasting
from lvsguard.core.config import Check, Config
from lvsguard.core.event import HealthChanged
from lvsguard.core.health import Health, Timing, Verdict
from lvsguard.core.snapshot import RealserverStatus
from tests.support.rig import HTTP, OK, RS1, RS2, WRONG, Rig, config, realserver, service

DAY = 86400.0
AGENT = Agent(RS1.address, 9100, 1, AgentSpec())
HEARD = Standing(tried=True, heard=True)
ASKED = config(service(replace(realserver(RS1), agent=AGENT), realserver(RS2)))
CHECK = realserver(RS1).checks[0]


class Journal(dict[Lasting, Begun]):
    """What is kept, and each time that something was."""

    def __init__(self) -> None:
        self.writes = 0

    def keep(self, lasting: Lasting, begun: Begun) -> None:
        self.writes += 1
        self[lasting] = begun


@pytest.fixture
def journal() -> Journal:
    return Journal()


def start(path: Path, journal: Journal, given: Config | None = None) -> Rig:
    """A daemon that starts with this journal; the kernel is empty again, as after a reboot."""
    return Rig(given or config(), path, since=Since(journal, journal.keep))


def shown(rig: Rig) -> RealserverStatus:
    view = LiveView(rig.controller, rig.owner, config_path="c", probers=lambda: (1, 1))
    (one,) = view.services()
    return one.realservers[0]


async def test_a_verdict_that_is_found_again_goes_on(tmp_path: Path, journal: Journal) -> None:
    now = time.time()
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    rig = start(tmp_path, journal)
    await rig.settled()
    one = shown(rig)
    assert one.since == one.checks[0].since == now - 3 * DAY
    assert journal[CHECK.lasting] == Begun(Verdict.UP, now - 3 * DAY)


async def test_it_is_the_time_of_one_run_after_the_other(tmp_path: Path, journal: Journal) -> None:
    first = start(tmp_path, journal)
    await first.settled()
    since = shown(first).since
    second = start(tmp_path, journal)
    await second.settled()
    third = start(tmp_path, journal)
    await third.settled()
    assert shown(second).since == shown(third).since == pytest.approx(since, abs=0.05)
    assert journal.writes == 2, "one for each realserver, in the first run"


async def test_another_verdict_begins_anew_and_is_kept(tmp_path: Path, journal: Journal) -> None:
    now = time.time()
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    rig = start(tmp_path, journal)
    await rig.turn()
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    await rig.turn()
    assert now - 1 < shown(rig).since <= time.time()
    assert journal[CHECK.lasting].verdict is Verdict.DOWN
    assert journal[CHECK.lasting].at == pytest.approx(now, abs=1)


async def test_a_change_ends_what_went_on(tmp_path: Path, journal: Journal) -> None:
    now = time.time()
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    rig = start(tmp_path, journal)
    await rig.settled()
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    rig.up(RS1)
    await rig.turn()
    assert shown(rig).verdict is Verdict.UP
    assert now - 1 < shown(rig).since <= time.time()
    assert journal[CHECK.lasting].at == pytest.approx(now, abs=1)


@pytest.mark.parametrize("ahead", [DAY, -50 * 365 * DAY])
async def test_a_time_of_another_clock_is_ignored(
    tmp_path: Path, journal: Journal, ahead: float
) -> None:
    journal[CHECK.lasting] = Begun(Verdict.UP, time.time() + ahead)
    rig = start(tmp_path, journal)
    await rig.settled()
    assert shown(rig).since == pytest.approx(time.time(), abs=1)
    assert journal[CHECK.lasting].at == pytest.approx(time.time(), abs=1)


async def test_only_changes_are_kept_and_no_probe(tmp_path: Path, journal: Journal) -> None:
    journal[CHECK.lasting] = Begun(Verdict.UP, time.time() - DAY)
    rig = start(tmp_path, journal)
    await rig.settled(RS1)
    since = shown(rig).since
    for number in range(10):
        rig.verdict(RS1, Verdict.UP, replace(OK, reason=f"20{number}"))
    await rig.turn()
    assert journal.writes == 0
    assert shown(rig).since == since


async def test_the_first_verdict_of_a_start_is_told_once(tmp_path: Path, journal: Journal) -> None:
    journal[CHECK.lasting] = Begun(Verdict.UP, time.time() - DAY)
    rig = start(tmp_path, journal)
    await rig.turn()
    for _ in range(3):
        rig.up(RS1)
        await rig.turn()
    told = [e for e in rig.told(HealthChanged) if str(RS1) in str(e)]
    assert [str(one) for one in told] == [
        "realserver 10.0.0.42:80 is up (was unknown): http L7OK 200"
    ]
    assert len(rig.latencies) == 1, (
        "and it is as young as the prober says, for the way to the kernel"
    )
    assert rig.latencies[0] < 60


async def test_a_reload_keeps_it_however_often_is_asked_then(
    tmp_path: Path, journal: Journal
) -> None:
    journal[CHECK.lasting] = Begun(Verdict.UP, time.time() - DAY)
    rig = start(tmp_path, journal)
    await rig.settled()
    since = shown(rig).since
    slower = replace(HTTP, timing=Timing(interval=5.0))
    members = (realserver(RS1, spec=slower), realserver(RS2))
    await rig.controller.reload(config(service(*members), digest="other"))
    rig.up(RS1)
    await rig.turn()
    assert shown(rig).since == since


async def test_a_late_word_on_a_check_that_is_gone_is_not_kept(
    tmp_path: Path, journal: Journal
) -> None:
    rig = start(tmp_path, journal)
    await rig.settled()
    journal.clear()
    health = rig.controller.book.health[CHECK]
    await rig.controller.reload(config(service(realserver(RS2)), digest="other"))
    rig.controller.record(CHECK, replace(health, verdict=Verdict.DOWN, result=WRONG))
    assert not journal


async def test_of_several_checks_that_pass_the_last_to_do_so_made_it_up(
    tmp_path: Path, journal: Journal
) -> None:
    now = time.time()
    other = Check(RS1.address, 8080, HTTP)
    both = replace(realserver(RS1), checks=(CHECK, other))
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    journal[other.lasting] = Begun(Verdict.UP, now - DAY)
    rig = start(tmp_path, journal, config(service(both, realserver(RS2))))
    await rig.settled()
    assert shown(rig).since == now - DAY
    rig.controller.record(other, Health(Verdict.DOWN, time.monotonic(), result=WRONG))
    rig.controller.record(other, Health(Verdict.UP, time.monotonic(), result=OK))
    await rig.turn()
    assert shown(rig).since == pytest.approx(now, abs=1)
    assert shown(rig).reason == "up: L7OK 200"


# -- agents --------------------------------------------------------------------------------------


async def test_an_agent_that_says_down_still_does_since_then(
    tmp_path: Path, journal: Journal
) -> None:
    now = time.time()
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    journal[AGENT.lasting] = Begun(Verdict.DOWN, now - DAY)
    rig = start(tmp_path, journal, ASKED)
    await rig.settled()
    rig.controller.hear(AGENT, replace(HEARD, down=True, since=time.monotonic()))
    await rig.turn()
    assert (shown(rig).verdict, shown(rig).since) == (Verdict.DOWN, now - DAY)
    assert journal.writes == 1, "of the other realserver"


async def test_an_agent_that_was_down_before_the_start_has_changed_at_it(
    tmp_path: Path, journal: Journal
) -> None:
    now = time.time()
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    journal[AGENT.lasting] = Begun(Verdict.DOWN, now - DAY)
    rig = start(tmp_path, journal, ASKED)
    await rig.settled()
    rig.controller.hear(AGENT, HEARD)
    await rig.turn()
    changed = shown(rig).since
    assert shown(rig).verdict is Verdict.UP
    assert changed == pytest.approx(now, abs=1)
    again = start(tmp_path, journal, ASKED)
    await again.settled()
    again.controller.hear(AGENT, HEARD)
    again.controller.hear(AGENT, replace(HEARD, share=0.5))
    await again.turn()
    assert shown(again).since == changed


async def test_an_agent_that_never_changed_anything_has_no_time(
    tmp_path: Path, journal: Journal
) -> None:
    now = time.time()
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    rig = start(tmp_path, journal, ASKED)
    await rig.settled()
    rig.controller.hear(AGENT, HEARD)
    await rig.turn()
    assert shown(rig).since == now - 3 * DAY
    assert AGENT.lasting not in journal


async def test_of_checks_and_agent_the_later_change_counts(
    tmp_path: Path, journal: Journal
) -> None:
    now = time.time()
    journal[CHECK.lasting] = Begun(Verdict.UP, now - 3 * DAY)
    journal[AGENT.lasting] = Begun(Verdict.UP, now - DAY)
    rig = start(tmp_path, journal, ASKED)
    await rig.settled()
    rig.controller.hear(AGENT, HEARD)
    await rig.turn()
    assert shown(rig).since == now - DAY
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    rig.up(RS1)
    await rig.turn()
    assert shown(rig).since == pytest.approx(now, abs=1)
    at = time.monotonic()
    rig.controller.hear(AGENT, replace(HEARD, down=True, since=at))
    rig.controller.hear(AGENT, replace(HEARD, since=at + 0.001))
    await rig.turn()
    assert journal[AGENT.lasting].verdict is Verdict.UP
    assert shown(rig).since == pytest.approx(journal[AGENT.lasting].at, abs=0.05)
