"""Whether another director sees more healthy realservers than this one."""

from __future__ import annotations

from dataclasses import replace

from lvsguard.controller.ahead import FIRST_WORD_S, LINGER_S, Ahead, services_on
from lvsguard.controller.factbook import FactBook
from lvsguard.controller.tracks import FIRST_VERDICTS_S
from lvsguard.core.config import Config, VipConfig
from lvsguard.core.health import Health, Verdict
from lvsguard.core.model import RealserverKey, ServiceKey, VipAddress
from lvsguard.core.peer import ServiceHealth
from lvsguard.core.track import Finding
from lvsguard.core.vrrp import VrrpConfig
from tests.support.peer_pair import seen
from tests.support.rig import OK, RS1, RS2, VIP, WEB, WRONG, config, service

OTHER = VipAddress("eth0", VIP.address + 1, 24)


class Bench:
    """A book of facts beside what other directors say."""

    def __init__(self, given: Config | None = None) -> None:
        self.book = FactBook(given or config())
        self.others: dict[str, dict[str, ServiceHealth]] | None = {}
        self.ahead = Ahead(self.book, lambda: self.others)

    def verdict(self, key: RealserverKey, what: Verdict) -> None:
        for check in self.book.checks:
            if check.address == key.address:
                result = OK if what is Verdict.UP else WRONG
                self.book.record(check, Health(what, 1.0, result=result))

    def look(self, now: float = 100.0, vip: str = "web") -> Finding:
        self.book.decide(now)
        return self.ahead.at(vip, now)


def well(up: int = 2) -> Bench:
    """So many of two realservers are up, the others down."""
    bench = Bench()
    for number, key in enumerate((RS1, RS2)):
        bench.verdict(key, Verdict.UP if number < up else Verdict.DOWN)
    return bench


def test_who_sees_fewer_is_not_well_and_says_why() -> None:
    bench = well(up=1)
    bench.others = {"director2": seen(web=2)}
    assert bench.look() == Finding(
        False,
        "director director2 sees more healthy realservers"
        " (web: 2 of 2 healthy there, 1 here (10.0.0.43 down here))",
    )


def test_who_sees_as_many_or_more_is_well() -> None:
    bench = well()
    for theirs in (0, 1, 2):
        bench.others = {"director2": seen(web=theirs)}
        assert bench.look() == Finding(True)


def test_two_that_see_one_each_are_both_well() -> None:
    bench = well(up=1)
    bench.others = {"director2": seen(web=1)}
    assert bench.look() == Finding(True)


def test_of_several_the_one_that_sees_most_is_named() -> None:
    bench = well(up=0)
    bench.others = {"director2": seen(web=1), "director3": seen(web=2)}
    assert "director3" in bench.look().why


def test_a_first_word_is_awaited_for_a_moment_and_a_later_silence_means_nothing() -> None:
    bench = well(up=0)
    awaited = Finding(None, "a word of the other directors is awaited")
    assert bench.look(100.0) == awaited
    assert bench.look(99.9 + FIRST_WORD_S) == awaited
    assert bench.look(100.0 + FIRST_WORD_S) == Finding(True)
    bench.others = {"director2": seen(web=2)}
    assert bench.look(110.0).well is False
    bench.others = {}
    assert bench.look(111.0).well is None, "it may be starting anew"
    assert bench.look(110.0 + LINGER_S) == Finding(True)


def test_while_nobody_can_be_asked_it_stays_as_it_is() -> None:
    """Neither an own loss since then nor an older one of the other is compared with old sights."""
    for up in (2, 1):
        bench = well(up)
        bench.others = {"director2": seen(web=2)}
        assert bench.look(100.0).well is (up == 2)
        bench.others = None
        bench.verdict(RS1, Verdict.DOWN)
        for now in (101.0, 100.0 + LINGER_S, 100_000.0):
            assert bench.look(now).well is None
        bench.others = {}
        assert bench.look(100_001.0).well is None, "they may come back a moment later"
        bench.others = {"director2": seen(web=1)}
        assert bench.look(100_002.0).well is (up == 2)


def test_who_could_never_ask_anybody_is_well() -> None:
    bench = well(up=1)
    bench.others = None
    assert bench.look(100.0).well is None
    assert bench.look(100.0 + FIRST_WORD_S) == Finding(True)


def test_verdicts_that_the_other_lacks_are_awaited_too() -> None:
    bench = well(1)
    bench.others = {"director2": {"web": ServiceHealth(0, 2, 2, 0)}}
    assert bench.look(100.0).well is None
    assert bench.look(100.0 + FIRST_VERDICTS_S).well is True


def test_each_vip_group_waits_for_itself() -> None:
    here, there = service(), service(name="mail", key=replace(WEB, address=OTHER.address))
    vips = (VipConfig("web", (VIP,), VrrpConfig(51)), VipConfig("mail", (OTHER,), VrrpConfig(52)))
    bench = Bench(replace(config(here, there), vips=vips))
    unknown, known = ServiceHealth(0, 2, 2, 0), ServiceHealth(0, 0, 2, 0)
    bench.verdict(RS1, Verdict.UP)
    bench.verdict(RS2, Verdict.UP)
    bench.others = {"director2": {"web": known, "mail": unknown}}
    for second in range(int(FIRST_VERDICTS_S) + 1):
        bench.look(100.0 + second, "web")
        last = bench.look(100.0 + second, "mail")
    assert last.well is True


def test_own_first_verdicts_are_awaited_but_not_for_ever() -> None:
    bench = Bench()
    bench.verdict(RS1, Verdict.UP)
    bench.others = {"director2": seen(web=2)}
    assert bench.look(100.0).well is None
    assert bench.look(100.0 + FIRST_VERDICTS_S).well is False
    bench.verdict(RS2, Verdict.UP)
    assert bench.look(111.0) == Finding(True)


def test_services_elsewhere_do_not_count() -> None:
    here, there = service(), service(name="mail", key=replace(WEB, address=OTHER.address))
    marked = service(name="marked", key=ServiceKey.marked(7))
    vips = (VipConfig("web", (VIP,), VrrpConfig(51)), VipConfig("mail", (OTHER,), VrrpConfig(52)))
    given = replace(config(here, there, marked), vips=vips)
    assert services_on(given, "web") == ("web", "marked")
    assert services_on(given, "mail") == ("mail", "marked")
    grouped = tuple(
        replace(vip, vrrp=VrrpConfig(51 + number, sync_group="both"))
        for number, vip in enumerate(vips)
    )
    assert services_on(replace(given, vips=grouped), "web") == ("web", "mail", "marked")
    bench = Bench(given)
    for key in (RS1, RS2):
        bench.verdict(key, Verdict.UP)
    bench.others = {"director2": {"mail": ServiceHealth(9, 0, 9, 9)}}
    assert bench.look() == Finding(True)
