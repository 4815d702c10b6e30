"""Passive signs in the loop: windows, hints, their pauses, events and status."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from lvsguard.controller.passive import Passive
from lvsguard.controller.view import LiveView
from lvsguard.core.config import Check, Config
from lvsguard.core.health import Hint
from lvsguard.core.model import CounterKey, Counters, Observation, RealserverKey, VirtualService
from lvsguard.core.passive import FORGET_S, PAUSES_S, WINDOW_MAX_S, WINDOW_S
from lvsguard.core.service_event import ClientsFareBadly
from tests.support.rig import RS1, RS2, RS3, WEB, Rig, config, realserver, service
from tests.unit.core.sample import serving

MEMBERS = (realserver(RS1), realserver(RS2), realserver(RS3))
WATCHED = config(replace(service(*MEMBERS), passive=True))


class Watch:
    """Passive over counters that the test sets."""

    def __init__(self, configured: Config = WATCHED) -> None:
        self.hints: list[tuple[Check, Hint]] = []
        self.passive = Passive(lambda checks, hint: self.hints.extend((c, hint) for c in checks))
        self.config = configured
        self.rig_table = {WEB: _table(1)}
        self.now = 100.0
        self.totals = {key: Counters() for key in (RS1, RS2, RS3)}
        self.look()

    def look(self) -> list[ClientsFareBadly]:
        came = sum(one.connections for one in self.totals.values())
        counters: dict[CounterKey, Counters] = {(WEB, None): Counters(came)}
        counters |= {(WEB, key): one for key, one in self.totals.items()}
        return self.passive.look(self.config, Observation(self.rig_table, counters), self.now)

    def window(
        self, *each: float, connections: int = 100, seconds: float = WINDOW_S
    ) -> list[ClientsFareBadly]:
        """So many packets for each connection at RS1, RS2, RS3; what is told."""
        for key, packets in zip(self.totals, each, strict=True):
            before = self.totals[key]
            self.totals[key] = Counters(
                before.connections + connections,
                before.in_packets + int(connections * packets),
            )
        self.now += seconds
        return self.look()


def _table(weight: int) -> VirtualService:
    return serving({RS1: weight, RS2: 1, RS3: 1})


def test_a_suspect_is_told_and_its_checks_are_hinted_at() -> None:
    watch = Watch()
    assert watch.window(6, 6, 6) == []
    (told,) = watch.window(1, 6, 6)
    assert str(told) == (
        "service web: clients of realserver 10.0.0.42:80 fare badly: connections do not establish:"
        " 1.0 packets each, 100 connections in 2 s; probing it, look at its VIP and firewall if its"
        " checks pass"
    )
    assert [(c.address, h.detector, h.at) for c, h in watch.hints] == [
        (RS1.address, "passive", watch.now)
    ]
    assert watch.passive.suspicion(WEB, RS1).startswith("connections do not establish")
    assert watch.passive.suspicion(WEB, RS2) == ""


def test_hints_come_more_seldom_while_it_goes_on() -> None:
    watch = Watch()
    hinted = [watch.now for _ in range(300) if watch.window(1, 6, 6)]
    pauses = [b - a for a, b in pairwise(hinted)]
    assert pauses[:6] == list(PAUSES_S[:6])


def test_one_that_is_well_again_is_no_suspect_and_its_pause_is_forgotten() -> None:
    watch = Watch()
    assert watch.window(1, 6, 6)
    assert not watch.window(6, 6, 6)
    assert watch.passive.suspicion(WEB, RS1) == ""
    assert watch.window(1, 6, 6)


def test_one_that_nobody_can_judge_any_more_is_no_suspect_for_ever() -> None:
    watch = Watch()
    assert watch.window(1, 6, 6)
    begun = watch.now
    while watch.now + WINDOW_MAX_S < begun + FORGET_S:
        watch.window(1, 6, 6, connections=1, seconds=WINDOW_MAX_S)
        assert watch.passive.suspicion(WEB, RS1)
    watch.window(1, 6, 6, connections=1, seconds=WINDOW_MAX_S)
    assert watch.passive.suspicion(WEB, RS1) == ""


def test_one_that_goes_on_looking_bad_stays_a_suspect() -> None:
    watch = Watch()
    for _ in range(int(2 * FORGET_S / WINDOW_MAX_S)):
        watch.window(1, 6, 6, seconds=WINDOW_MAX_S)
        assert watch.passive.suspicion(WEB, RS1)


def test_one_at_weight_0_is_no_suspect() -> None:
    watch = Watch()
    assert watch.window(1, 6, 6)
    watch.rig_table = {WEB: _table(0)}
    watch.window(0, 6, 6, connections=0, seconds=WINDOW_MAX_S)
    assert watch.passive.suspicion(WEB, RS1) == ""


def test_when_all_look_bad_it_is_the_clients_and_one_is_probed() -> None:
    watch = Watch()
    (told,) = watch.window(1.2, 1.0, 1.1)
    assert told.realserver == "10.0.0.43:80"


def test_a_window_is_as_long_as_it_takes() -> None:
    watch = Watch()
    assert watch.window(1, 6, 6, connections=5) == []
    assert watch.window(1, 6, 6, connections=5) == []
    assert watch.window(1, 6, 6, connections=15), "the earlier connections are in it"
    slow = Watch()
    assert slow.window(1, 6, 6, connections=1, seconds=WINDOW_MAX_S) == []
    assert slow.window(1, 6, 6, connections=3, seconds=WINDOW_S) == []


def test_within_two_seconds_the_kernel_has_not_counted_anew() -> None:
    watch = Watch()
    assert watch.window(1, 6, 6, seconds=WINDOW_S / 2) == []
    assert watch.window(1, 6, 6, seconds=WINDOW_S / 2)


def test_counters_that_begin_anew_and_weight_0_are_no_sign() -> None:
    watch = Watch()
    watch.window(6, 6, 6)
    watch.totals[RS1] = Counters()
    assert watch.window(1, 6, 6) == []
    drained = Watch()
    drained.rig_table = {WEB: _table(0)}
    assert drained.window(1, 6, 6) == []


def test_a_large_table_is_judged_in_turn() -> None:
    """Four services of 200 realservers: each look takes some, and each gets its turn."""
    keys = [RealserverKey(RS1.address + number, 80) for number in range(200)]
    names = [replace(WEB, port=port) for port in range(4)]
    large = config(*(replace(service(*(realserver(k) for k in keys), key=name)) for name in names))
    entry = serving(dict.fromkeys(keys, 1))
    told, passive = Counter[str](), Passive()
    for turn in range(12):
        counters: dict[CounterKey, Counters] = {}
        for name in names:
            counters[name, None] = Counters(20_000 * turn)
            counters |= {(name, k): Counters(100 * turn, 100 * turn) for k in keys[:1]}
            counters |= {(name, k): Counters(100 * turn, 600 * turn) for k in keys[1:]}
        table = dict.fromkeys(names, entry)
        events = passive.look(large, Observation(table, counters), 100 + turn * WINDOW_S)
        assert len(events) <= 3
        told.update(str(passive.suspicion(name, keys[0]) != "") for name in names)
    assert all(passive.suspicion(name, keys[0]) for name in names)
    assert told["False"] > 4


def test_a_service_that_is_not_watched_is_not_looked_at() -> None:
    assert Watch(config(replace(service(*MEMBERS), passive=False))).window(1, 6, 6) == []


def test_what_a_reload_drops_is_forgotten() -> None:
    watch = Watch()
    assert watch.window(1, 6, 6)
    watch.config = config(replace(service(*MEMBERS[1:]), passive=True))
    watch.window(1, 6, 6)
    assert watch.passive.suspicion(WEB, RS1) == ""


async def test_it_moves_no_weight_and_shows_in_status(tmp_path: Path) -> None:
    rig = Rig(config(replace(service(*MEMBERS), passive=True)), tmp_path)
    await rig.settled(RS1, RS2, RS3)
    rig.controller.passive = Passive(lambda checks, hint: None)
    now, before = 100.0, rig.weights()
    for turn in range(2):
        for key, packets in _COUNTED[turn].items():
            rig.ipvs.count(WEB, key, Counters(100 * turn, packets))
        rig.ipvs.count(WEB, None, Counters(300 * turn))
        observation = await rig.ipvs.read()
        rig.controller.passive.look(rig.controller.book.config, observation, now + 2 * turn)
    await rig.turn()
    assert rig.weights() == before
    view = LiveView(rig.controller, rig.owner, config_path="c", probers=lambda: (1, 1))
    (web,) = view.services()
    assert web.realservers[0].reason == (
        "up: L7OK 200; clients fare badly: connections do not establish: 1.0 packets each,"
        " 100 connections in 2 s"
    )


_COUNTED: tuple[dict[RealserverKey, int], ...] = (
    {RS1: 0, RS2: 0, RS3: 0},
    {RS1: 100, RS2: 600, RS3: 600},
)
