"""How fit a director is: what it depends on, what that costs, and what is said at a start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.controller import tracks
from lvsguard.controller.factbook import FactBook
from lvsguard.controller.footing import NOBODY_S, STEADY_S
from lvsguard.controller.pulse import Pulse
from lvsguard.controller.standing import LATELY, UNPROGRAMMED, Standing, Standings
from lvsguard.controller.tracks import FIRST_VERDICTS_S
from lvsguard.core.config import Config, ServiceConfig, VipConfig
from lvsguard.core.health import Health, Verdict
from lvsguard.core.model import (
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    VirtualService,
)
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.step import Subject
from lvsguard.core.track import Finding
from lvsguard.core.vrrp import Track, TrackKind, VrrpConfig
from tests.support.rig import RS1, RS2, VIP, WEB, WRONG, config, realserver, service

QUICK = 0.02
QUORUM = Track(TrackKind.SERVICE, "web", interval=QUICK, rise=1, fall=1)


def elected(*vips: VipConfig, services: tuple[ServiceConfig, ...] = ()) -> Config:
    return replace(config(*services), vips=vips)


def vip(
    *track: Track, name: str = "web", group: str | None = None, priority: int = 150
) -> VipConfig:
    return VipConfig(name, (VIP,), VrrpConfig(51, priority, sync_group=group, track=track))


def verdict(book: FactBook, key: RealserverKey, what: Verdict) -> None:
    check = next(check for check in book.checks if check.address == key.address)
    book.record(check, Health(what, 1.0, result=WRONG))


class Bench:
    """Standings over a book of facts, looked at as often as it takes."""

    def __init__(self, given: Config, *, fresh: bool = False) -> None:
        """``fresh``: no realserver has a verdict yet; else the first is up."""
        self.book = FactBook(given)
        if not fresh:
            verdict(self.book, RS1, Verdict.UP)
        self.pulse = Pulse(programmed=True)
        self.standings = Standings(given, self.book, self.pulse)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bench]:
        task = asyncio.create_task(self.standings.run())
        try:
            yield self
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def look(self, now: float = 0.0, led: Collection[str] = ()) -> Standing | None:
        self.book.decide(now)  # the controller's pass
        return self.standings.look(now, led).get("web")

    async def until(self, ready: bool, priority: int) -> Standing:
        for _ in range(300):
            found = self.look()
            if found is not None and (found.ready, found.priority) == (ready, priority):
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.look()} after 3 s; awaited: {self.standings.awaited}")


def refuse(bench: Bench, *what: Subject) -> None:
    bench.pulse.programmed, bench.pulse.refused = False, frozenset(what)


def mend(bench: Bench) -> None:
    bench.pulse.programmed, bench.pulse.refused = True, frozenset()


def test_nothing_is_said_before_the_kernel_could_be_asked_once() -> None:
    """It may have no table at all, and then a VIP here would be worth nothing."""
    bench = Bench(elected(vip()))
    bench.pulse.programmed = False
    assert bench.look(0.0) is None
    assert bench.look(100.0) is None
    assert bench.standings.awaited == {"web": "IPVS is not programmed yet"}
    mend(bench)
    assert bench.look(100.0) == Standing(True, 150)


def test_what_the_kernel_refuses_at_a_start_is_left_to_whoever_leads_but_not_to_nobody() -> None:
    bench = Bench(elected(vip()))
    refuse(bench, VIP.address)
    assert bench.look(0.0) is None
    assert bench.look(NOBODY_S - 1) is None
    assert bench.standings.awaited == {"web": "IPVS is not programmed yet"}
    assert bench.look(NOBODY_S, {"web"}) is None
    assert bench.look(NOBODY_S + 1) is None
    why = f"{UNPROGRAMMED}; nobody else leads: priority 1"
    assert bench.look(2 * NOBODY_S + 1) == Standing(True, 1, (why,), why)
    found = bench.look(2 * NOBODY_S + 2, {"web"})
    assert found == Standing(False, 150, (UNPROGRAMMED,), UNPROGRAMMED), "who leads is better"
    mend(bench)
    assert bench.look(2 * NOBODY_S + 3, {"web"}) == Standing(True, 150, news="all is well again")


def test_a_backup_whose_kernel_refuses_something_contends_when_nobody_else_leads() -> None:
    bench = Bench(elected(vip()))
    assert bench.look(0.0, {"web"}) == Standing(True, 150)
    refuse(bench, VIP.address)
    bench.look(1.0, {"web"})
    for now in (1.0 + STEADY_S, 100.0, 100.0 + NOBODY_S - 1):
        found = bench.look(now, {"web"} if now < 100 else ())
        assert found is not None
        assert not found.ready
    found = bench.look(100.0 + NOBODY_S)
    assert found is not None
    assert (found.ready, found.priority) == (True, 1)


def test_who_contends_though_it_cannot_serve_keeps_the_priority_that_the_config_wants() -> None:
    dropping = VipConfig("web", (VIP,), VrrpConfig(51, 150, unready_drop=60))
    bench = Bench(elected(dropping))
    refuse(bench, VIP.address)
    assert bench.look(0.0) is None
    assert bench.look(NOBODY_S) == Standing(False, 150, (UNPROGRAMMED,), UNPROGRAMMED)


def test_a_vip_group_waits_only_for_services_on_its_own_addresses() -> None:
    mail = replace(VIP, address=VIP.address + 1)
    other = VipConfig("mail", (mail,), VrrpConfig(52, 150))
    bench = Bench(elected(vip(), other))
    refuse(bench, mail.address)
    assert bench.look(0.0) == Standing(True, 150)
    assert bench.standings.awaited == {"mail": "IPVS is not programmed yet"}
    refuse(bench, ServiceKey.marked(7))
    bench.look(1.0)
    found = bench.look(1.0 + STEADY_S)
    assert found is not None
    assert not found.ready, "nobody knows by which address marked packets come"


def test_groups_that_move_together_lead_together_for_want_of_anybody_else() -> None:
    mail = VipConfig(
        "mail", (replace(VIP, address=VIP.address + 1),), VrrpConfig(52, 150, sync_group="both")
    )
    bench = Bench(elected(vip(group="both"), mail))
    refuse(bench, VIP.address)
    assert bench.look(0.0) is None
    assert bench.look(NOBODY_S) is not None
    stand = {name: (s.ready, s.priority) for name, s in bench.standings.now.items()}
    assert stand == {"web": (True, 1), "mail": (True, 1)}


def test_a_kernel_that_refuses_for_a_moment_costs_nothing() -> None:
    bench = Bench(elected(vip()))
    assert bench.look(0.0) == Standing(True, 150)
    refuse(bench, VIP.address)
    assert bench.look(1.0) == Standing(True, 150)
    after = bench.look(1.0 + STEADY_S)
    assert after == Standing(False, 150, (UNPROGRAMMED,), UNPROGRAMMED)
    mend(bench)
    assert bench.look(9.0) == Standing(False, 150, (LATELY,))
    assert bench.look(9.0 + STEADY_S) == Standing(True, 150, news="all is well again")


def test_a_kernel_that_refuses_now_and_then_moves_a_vip_once() -> None:
    bench = Bench(elected(vip()))
    ready = []
    for second in range(60):
        if second % 5 == 4:
            mend(bench)
        else:
            refuse(bench, VIP.address)
        found = bench.look(float(second), {"web"} if second else ())
        ready.append(found is not None and found.ready)
    changes = [at for at in range(1, 60) if ready[at] != ready[at - 1]]
    assert len(changes) == 2, f"it came once and went once, not at {changes}"
    assert not ready[-1]


async def test_a_service_that_loses_its_quorum_has_the_director_stand_back() -> None:
    bench = Bench(elected(vip(QUORUM)))
    for key in (RS1, RS2):
        verdict(bench.book, key, Verdict.UP)
    async with bench.running():
        await bench.until(True, 150)
        for key in (RS1, RS2):
            verdict(bench.book, key, Verdict.DOWN)
        found = await bench.until(False, 150)
        assert found.why == ("service web has lost its quorum (live weight 0, needs 1)",)
        verdict(bench.book, RS2, Verdict.UP)
        assert (await bench.until(True, 150)).news == "all is well again"


async def test_a_drained_service_has_no_quorum() -> None:
    bench = Bench(elected(vip(QUORUM)))
    for key in (RS1, RS2):
        verdict(bench.book, key, Verdict.UP)
        bench.book.put(Override(Target(key.address), OverrideKind.DRAIN, "alice", 0.0))
    async with bench.running():
        await bench.until(False, 150)


async def test_a_start_says_nothing_before_the_first_verdicts() -> None:
    bench = Bench(elected(vip(QUORUM)), fresh=True)
    async with bench.running():
        await asyncio.sleep(5 * QUICK)
        assert bench.look() is None
        assert bench.standings.awaited == {"web": "the first verdicts of service web are awaited"}
        verdict(bench.book, RS1, Verdict.DOWN)
        await asyncio.sleep(5 * QUICK)
        assert bench.look() is None
        verdict(bench.book, RS2, Verdict.UP)
        await bench.until(True, 150)


async def test_a_start_with_all_realservers_down_stands_back() -> None:
    bench = Bench(elected(vip(QUORUM)), fresh=True)
    async with bench.running():
        for key in (RS1, RS2):
            verdict(bench.book, key, Verdict.DOWN)
        found = await bench.until(False, 150)
        assert found.news == "service web has lost its quorum (live weight 0, needs 1)"


async def test_verdicts_are_not_awaited_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "FIRST_VERDICTS_S", 0.1)
    bench = Bench(elected(vip(QUORUM)), fresh=True)
    async with bench.running():
        await asyncio.sleep(0.3)
        assert bench.look(0.0) is None
        assert bench.look(FIRST_VERDICTS_S) is not None
        assert not bench.standings.now["web"].ready


def test_a_start_waits_for_a_realserver_though_nothing_is_tracked() -> None:
    """A director that returns would else preempt one that forwards, with weights that are all 0."""
    bench = Bench(elected(vip()), fresh=True)
    assert bench.look(0.0) is None
    assert bench.standings.awaited == {"web": "the first verdicts of service web are awaited"}
    verdict(bench.book, RS1, Verdict.DOWN)
    assert bench.look(0.1) is None
    verdict(bench.book, RS2, Verdict.UP)
    assert bench.look(0.2) == Standing(True, 150)


def test_what_the_kernel_held_before_a_start_is_not_waited_for() -> None:
    bench = Bench(elected(vip()), fresh=True)
    bench.book.adopt({WEB: VirtualService("rr", realservers={RS1: Realserver(1)})})
    assert bench.look(0.0) == Standing(True, 150)


def test_the_first_verdicts_are_not_waited_for_once_they_are_there_or_too_late() -> None:
    bench = Bench(elected(vip()), fresh=True)
    assert bench.look(0.0) is None
    assert bench.look(FIRST_VERDICTS_S) == Standing(True, 150)
    down = Bench(elected(vip()), fresh=True)
    for key in (RS1, RS2):
        verdict(down.book, key, Verdict.DOWN)
    assert down.look(0.0) == Standing(True, 150)


def test_for_want_of_verdicts_a_vip_is_left_to_whoever_leads_but_not_to_nobody() -> None:
    bench = Bench(elected(vip()), fresh=True)
    assert bench.look(0.0) is None
    assert bench.look(10 * FIRST_VERDICTS_S, {"web"}) is None
    assert bench.standings.awaited == {"web": "the first verdicts of service web are awaited"}
    assert bench.look(10 * FIRST_VERDICTS_S) == Standing(True, 150)


def test_services_on_addresses_of_others_are_not_waited_for() -> None:
    elsewhere = ServiceKey.at(Protocol.TCP, VIP.address + 1, 80)
    bench = Bench(elected(vip(), services=(replace(service(), key=elsewhere),)), fresh=True)
    assert bench.look(0.0) == Standing(True, 150)
    marked = replace(service(), key=ServiceKey.marked(7))
    bench = Bench(elected(vip(), services=(marked,)), fresh=True)
    assert bench.look(0.0) is None


async def test_a_reload_that_renews_every_check_does_not_depose_a_master() -> None:
    bench = Bench(elected(vip(QUORUM)))
    for key in (RS1, RS2):
        verdict(bench.book, key, Verdict.UP)
    async with bench.running():
        await bench.until(True, 150)
        third = RealserverKey(RS1.address + 10, 80)
        fresh = replace(service(), realservers=(realserver(third),))
        changed = elected(vip(QUORUM), services=(fresh,))
        bench.book.configure(changed, 0.0)
        bench.standings.configure(changed)
        for _ in range(10):
            assert bench.look() == Standing(True, 150)
            await asyncio.sleep(QUICK)
        assert bench.book.checks == {c for r in fresh.realservers for c in r.checks}


async def test_a_file_lowers_the_priority_as_long_as_it_is_there(tmp_path: Path) -> None:
    switch = tmp_path / "maintenance"
    track = Track(TrackKind.FILE, str(switch), drop=60, interval=QUICK)
    bench = Bench(elected(vip(track)))
    async with bench.running():
        await bench.until(True, 150)
        switch.touch()
        found = await bench.until(True, 90)
        assert found.why == (f"file {switch} is there: priority -60",)
        switch.unlink()
        await bench.until(True, 150)


async def test_a_command_that_fails_counts() -> None:
    track = Track(TrackKind.COMMAND, "/bin/false", 20, ("/bin/false",), interval=QUICK)
    bench = Bench(elected(vip(track)))
    async with bench.running():
        found = await bench.until(True, 130)
        assert found.why == ("command /bin/false ended with status 1: priority -20",)


async def test_an_interface_that_is_not_there_counts() -> None:
    here = Track(TrackKind.INTERFACE, "lo", interval=QUICK)
    gone = Track(TrackKind.INTERFACE, "no-such-link", 10, interval=QUICK)
    bench = Bench(elected(vip(here, gone)))
    async with bench.running():
        found = await bench.until(True, 140)
        assert found.why == ("interface no-such-link is not there: priority -10",)


async def test_drops_add_up_and_leave_1(tmp_path: Path) -> None:
    one = Track(TrackKind.FILE, str(tmp_path), 100, interval=QUICK)
    two = Track(TrackKind.FILE, "/", 100, interval=QUICK)
    bench = Bench(elected(vip(one, two)))
    async with bench.running():
        assert len((await bench.until(True, 1)).why) == 2


async def test_one_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    slow = Track(TrackKind.COMMAND, "sleep", None, ("/bin/sleep", "60"), QUICK, timeout=0.5)
    quick = Track(TrackKind.FILE, str(tmp_path / "x"), interval=QUICK)
    bench = Bench(elected(vip(slow), vip(quick, name="mail")))
    async with bench.running():
        await asyncio.sleep(0.1)
        assert bench.look() is None
        assert bench.standings.now == {"mail": Standing(True, 150)}
        await bench.until(False, 150)


async def test_groups_that_move_together_are_ready_together(tmp_path: Path) -> None:
    back = Track(TrackKind.FILE, str(tmp_path), interval=QUICK)
    bench = Bench(elected(vip(group="both"), vip(back, name="mail", group="both"), vip(name="x")))
    async with bench.running():
        found = await bench.until(False, 150)
        assert found.why == ("it moves together with mail, which may not be master here",)
        assert bench.standings.now["x"].ready


async def test_a_track_that_a_reload_adds_holds_nothing_back(tmp_path: Path) -> None:
    bench = Bench(elected(vip()))
    async with bench.running():
        await bench.until(True, 150)
        slow = Track(TrackKind.COMMAND, "sleep", 50, ("/bin/sleep", "60"), QUICK, timeout=0.3)
        bench.standings.configure(elected(vip(slow)))
        assert bench.look() == Standing(True, 150)
        await bench.until(True, 100)
        bench.standings.configure(elected(vip()))
        await bench.until(True, 150)


async def test_a_quorum_is_counted_no_further_than_it_takes() -> None:
    """Of ten thousand realservers that are well the first is enough."""
    many = tuple(realserver(RealserverKey(RS1.address + number, 80)) for number in range(10_000))
    given = elected(vip(QUORUM), services=(replace(service(), realservers=many),))
    bench = Bench(given)
    verdict(bench.book, RS1, Verdict.UP)
    async with bench.running():
        await bench.until(True, 150)


async def test_a_peer_that_sees_more_lowers_the_priority_with_hysteresis() -> None:
    track = Track(TrackKind.PEER, "web", 60, interval=QUICK, rise=3, fall=3)
    said = [Finding(True)]
    looks = 0

    async def ask(name: str) -> Finding:
        nonlocal looks
        assert name == "web"
        looks += 1
        return said[0]

    bench = Bench(elected(vip(track)))
    bench.standings = Standings(bench.book.config, bench.book, bench.pulse, peer=ask)
    async with bench.running():
        await bench.until(True, 150)
        before = looks
        said[0] = Finding(False, "director director2 sees more")
        found = await bench.until(True, 90)
        assert looks - before >= track.fall
        assert found.why == ("director director2 sees more: priority -60",)
        said[0] = Finding(True)
        await bench.until(True, 150)
