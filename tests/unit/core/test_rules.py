"""What realservers of a service mean for each other: one rule a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import pytest

from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    Config,
    OnFailure,
    RealserverConfig,
    ServiceConfig,
    SorryServer,
)
from lvsguard.core.desired import virtual_service
from lvsguard.core.health import FailureClass, Health, Result, Verdict
from lvsguard.core.memory import NEW, Memory
from lvsguard.core.model import Realserver, RealserverKey
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.core.placement import Facts, placements
from lvsguard.core.rules import PANIC_REST_S, Decision, decide, needed, remember
from tests.unit.core.sample import ONE, THREE, TWO, WEB

CHECKS = {key: Check(key.address, 80, CheckSpec(CheckKind.HTTP)) for key in (ONE, TWO, THREE)}
SORRY = SorryServer(RealserverKey(ONE.address + 100, 80))
POOL = ServiceConfig(
    "web",
    WEB,
    tuple(RealserverConfig(str(key), key, 10, checks=(CHECKS[key],)) for key in CHECKS),
)

UP = Health(Verdict.UP, 1.0, 2, 0, Result(True, "L7OK", "200 OK"))
_BAD = Result(False, "L7STS", "503", failure=FailureClass.WRONG)
DOWN = Health(Verdict.DOWN, 1.0, 0, 2, _BAD, _BAD)
_NOBODY = Result(False, "L4CON", "refused", failure=FailureClass.REFUSED)
DEAD = Health(Verdict.DOWN, 1.0, 0, 2, _NOBODY, _NOBODY)
UNKNOWN = Health()


def facts(
    service: ServiceConfig,
    *health: Health,
    overrides: tuple[Override, ...] = (),
    found: Mapping[RealserverKey, int] | None = None,
    memory: Memory = NEW,
    now: float = 100.0,
) -> Facts:
    """Facts of one service, with a verdict for each realserver in turn."""
    keys = [r.key for r in service.realservers]
    return Facts(
        Config("director1", "eth0", (), (service,), "0123456789ab"),
        {CHECKS[key]: one for key, one in zip(keys, health, strict=True)},
        overrides,
        {} if found is None else {WEB: found},
        memory={WEB: memory},
        now=now,
    )


def after(given: Facts) -> Facts:
    """The same facts with what is remembered of them."""
    (service,) = given.config.services
    own = placements(service, given)
    return replace(given, memory={WEB: remember(service, own, given.memory[WEB], given.now)})


def decided(given: Facts) -> Decision:
    (service,) = given.config.services
    return decide(service, placements(service, given), given)


def weights(given: Facts) -> list[int | None]:
    return [placed.weight for placed in decided(given).placements]


def override(
    kind: OverrideKind, key: RealserverKey = ONE, weight: Weight | None = None
) -> Override:
    return Override(Target(key.address), kind, "alice", 0.0, "upgrade", weight)


DRAIN = override(OverrideKind.DRAIN)
DISABLE = override(OverrideKind.DISABLE)

# -- quorum ------------------------------------------------------------------------------------

BAND = replace(POOL, quorum=15, quorum_hysteresis=5)
"""Lost below 10, back at 20."""


@pytest.mark.parametrize(
    ("lost", "need"), [(None, 15), (False, 10), (True, 20)], ids=["new", "kept", "lost"]
)
def test_more_is_needed_to_have_a_quorum_back_than_to_keep_it(lost: bool | None, need: int) -> None:
    assert needed(BAND, lost) == need


@pytest.mark.parametrize(
    ("before", "up", "lost"),
    [
        (False, 1, False),
        (False, 0, True),
        (True, 1, True),
        (True, 2, False),
        (None, 1, True),
        (None, 2, False),
    ],
)
def test_a_quorum_is_lost_below_the_band_and_back_above_it(
    before: bool | None, up: int, lost: bool
) -> None:
    health = [UP] * up + [DOWN] * (3 - up)
    memory = after(facts(BAND, *health, memory=Memory(before))).memory[WEB]
    assert memory.lost is lost


def test_a_quorum_is_not_lost_at_a_start_before_the_verdicts_that_could_make_it() -> None:
    assert after(facts(POOL, DEAD, DEAD, UNKNOWN)).memory[WEB].lost is None
    assert after(facts(POOL, DEAD, DEAD, DEAD)).memory[WEB].lost is True
    assert after(facts(BAND, DEAD, DEAD, UNKNOWN)).memory[WEB].lost is True


def test_adopted_weight_keeps_the_quorum_until_the_verdicts() -> None:
    given = facts(POOL, UNKNOWN, UNKNOWN, UNKNOWN, found={ONE: 10})
    assert after(given).memory[WEB].lost is False


@pytest.mark.parametrize("asked", [DRAIN, DISABLE, override(OverrideKind.WEIGHT, weight=Weight(0))])
def test_what_an_operator_takes_out_does_not_count(asked: Override) -> None:
    given = facts(POOL, UP, DOWN, DOWN, overrides=(asked,), memory=Memory(False))
    assert (decided(given).live, after(given).memory[WEB].lost) == (0, True)


def test_without_a_sorry_server_what_is_live_goes_on_without_a_quorum() -> None:
    given = facts(BAND, UP, DOWN, DOWN, memory=Memory(True))
    assert weights(given) == [10, 0, 0]
    assert not decided(given).sorry


# -- sorry server ------------------------------------------------------------------------------

SORROW = replace(BAND, sorry_server=SORRY)


def test_the_sorry_server_is_in_exactly_while_the_quorum_is_lost() -> None:
    lost = facts(SORROW, DOWN, DOWN, DOWN, memory=Memory(True))
    assert virtual_service(SORROW, lost).realservers[SORRY.key] == Realserver(1)
    for kept in (None, False):
        has = facts(SORROW, DOWN, DOWN, DOWN, memory=Memory(kept))
        assert SORRY.key not in virtual_service(SORROW, has).realservers


def test_while_the_sorry_server_is_in_live_realservers_keep_their_connections_at_weight_0() -> None:
    given = facts(SORROW, UP, DOWN, DEAD, memory=Memory(True))
    decision = decided(given)
    assert weights(given) == [0, 0, None]
    assert decision.placements[0].reason == (
        "weight 0 while the sorry server is in: up: L7OK 200 OK"
    )
    assert decision.placements[1].reason == "down: L7STS 503"
    assert decision.why == ("sorry server 10.0.0.142:80 has all new connections: quorum is lost",)
    assert (decision.live, decision.need) == (10, 20)


def test_the_sorry_server_leaves_when_what_waits_at_weight_0_makes_the_quorum() -> None:
    given = after(facts(SORROW, UP, UP, DOWN, memory=Memory(True)))
    assert weights(given) == [10, 10, 0]
    assert SORRY.key not in virtual_service(SORROW, given).realservers


def test_a_drain_of_everything_calls_the_sorry_server() -> None:
    drains = tuple(override(OverrideKind.DRAIN, key) for key in CHECKS)
    given = after(facts(SORROW, UP, UP, UP, overrides=drains, memory=Memory(False)))
    assert decided(given).sorry


def test_a_restart_that_finds_the_sorry_server_in_leaves_all_as_it_is() -> None:
    given = after(
        facts(SORROW, *[UNKNOWN] * 3, found={ONE: 0, SORRY.key: 1}, memory=Memory(lost=True))
    )
    assert virtual_service(SORROW, given).realservers == {
        ONE: Realserver(0),
        SORRY.key: Realserver(1),
    }


# -- panic -------------------------------------------------------------------------------------

FEARFUL = replace(POOL, panic_below=0.5)


@pytest.mark.parametrize("bad", [DOWN, DEAD])
@pytest.mark.parametrize("on_failure", OnFailure)
def test_below_the_share_all_go_back_in(bad: Health, on_failure: OnFailure) -> None:
    given = facts(replace(FEARFUL, on_failure=on_failure), UP, bad, bad)
    assert weights(given) == [10, 10, 10]
    assert decided(given).panic


def test_panic_tells_the_share_and_the_evidence() -> None:
    decision = decided(facts(FEARFUL, UP, DOWN, DEAD))
    told = "33.3% of the weight is live, less than 50%"
    assert decision.why == (f"PANIC: {told}: realservers that are down are in all the same",)
    assert [placed.reason for placed in decision.placements] == [
        "up: L7OK 200 OK",
        f"panic, {told}: in though down: L7STS 503",
        f"panic, {told}: in though down, removed: L4CON refused",
    ]
    assert decision.live == 10


def test_at_the_share_the_checks_are_believed() -> None:
    third = replace(POOL, panic_below=1 / 3)
    assert weights(facts(third, UP, DOWN, DOWN)) == [10, 0, 0]
    assert weights(facts(third, DOWN, DOWN, DOWN)) == [10, 10, 10]


def test_panic_is_off_unless_it_is_asked_for() -> None:
    assert weights(facts(POOL, DOWN, DOWN, DOWN)) == [0, 0, 0]


def test_panic_respects_what_an_operator_took_out() -> None:
    for asked, weight in ((DRAIN, 0), (DISABLE, None)):
        given = facts(FEARFUL, UP, UP, DOWN, overrides=(asked,))
        assert weights(given) == [weight, 10, 10]


def test_a_drain_counts_as_absent_for_panic() -> None:
    assert not decided(facts(FEARFUL, UP, UP, DOWN)).panic
    assert decided(facts(FEARFUL, UP, UP, DOWN, overrides=(DRAIN,))).panic


def test_drains_alone_are_no_panic() -> None:
    drains = tuple(override(OverrideKind.DRAIN, key) for key in (ONE, TWO))
    assert not decided(facts(FEARFUL, UP, UP, UP, overrides=drains)).panic


def test_an_operator_who_lowers_all_weights_causes_no_panic() -> None:
    low = tuple(override(OverrideKind.WEIGHT, key, Weight(1)) for key in CHECKS)
    assert weights(facts(FEARFUL, UP, UP, DOWN, overrides=low)) == [1, 1, 0]
    assert weights(facts(FEARFUL, UP, DOWN, DOWN, overrides=low)) == [1, 1, 1]


def test_at_a_start_verdicts_that_are_awaited_are_no_panic() -> None:
    given = facts(FEARFUL, DOWN, DOWN, UNKNOWN)
    assert not decided(facts(FEARFUL, DOWN, UNKNOWN, UNKNOWN)).panic
    assert decided(given).panic


def test_a_restart_in_panic_keeps_what_it_finds_until_all_have_a_verdict() -> None:
    found = dict.fromkeys(CHECKS, 10)
    given = facts(FEARFUL, DOWN, UNKNOWN, UNKNOWN, found=found)
    assert weights(given) == [10, 10, 10]
    assert not decided(given).panic
    assert decided(given).placements[0].reason == (
        "down: L7STS 503; keeps its weight until the others have a verdict"
    )
    assert weights(facts(FEARFUL, DOWN, UP, UP, found=found)) == [0, 10, 10]


def test_a_lost_quorum_with_a_sorry_server_comes_before_panic() -> None:
    both = replace(SORROW, panic_below=0.5)
    assert weights(facts(both, DOWN, DOWN, DOWN, memory=Memory(True))) == [0, 0, 0]
    assert weights(facts(both, DOWN, DOWN, UP, memory=Memory(False))) == [10, 10, 10]


# -- slow start --------------------------------------------------------------------------------

SLOW = replace(POOL, slow_start=90.0)


def test_after_down_the_weight_rises_from_1_to_its_own() -> None:
    given = after(facts(SLOW, DOWN, UP, UP))
    given = after(replace(given, health={**given.health, CHECKS[ONE]: UP}))
    seen = []
    for step in range(10):
        given = after(replace(given, now=100.0 + 10 * step))
        seen.append(weights(given)[0])
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert given.memory[WEB] == Memory(False)
    assert weights(given) == [10, 10, 10]


def test_a_slow_start_tells_how_far_it_is_and_when_it_goes_on() -> None:
    decision = decided(facts(SLOW, UP, UP, UP, memory=Memory(False, rising={ONE: 75.0})))
    assert decision.placements[0].reason == ("up: L7OK 200 OK; slow start: 3 of 10, whole in 65 s")
    assert (decision.rising, decision.step_at, decision.live) == (1, 105.0, 30)


@pytest.mark.parametrize("found", [None, {ONE: 3}])
def test_a_first_verdict_gives_the_whole_weight(found: Mapping[RealserverKey, int] | None) -> None:
    given = after(facts(SLOW, UNKNOWN, UNKNOWN, UNKNOWN, found=found))
    up = after(replace(given, health=dict.fromkeys(given.health, UP)))
    assert weights(up) == [10, 10, 10]


@pytest.mark.parametrize("asked", [DRAIN, DISABLE, override(OverrideKind.WEIGHT, weight=Weight(0))])
def test_what_an_operator_puts_back_in_rises_too(asked: Override) -> None:
    given = after(facts(SLOW, UP, UP, UP, overrides=(asked,)))
    assert weights(after(replace(given, overrides=()))) == [1, 10, 10]


def test_it_rises_to_the_weight_that_an_operator_asked_for() -> None:
    four = override(OverrideKind.WEIGHT, weight=Weight(4))
    memory = Memory(False, rising={ONE: 0.0})
    at = [
        weights(facts(SLOW, UP, UP, UP, overrides=(four,), memory=memory, now=now))[0]
        for now in (0.0, 30.0, 60.0, 90.0)
    ]
    assert at == [1, 2, 3, 4]


def test_going_down_ends_it_and_coming_up_begins_anew() -> None:
    given = facts(SLOW, DOWN, UP, UP, memory=Memory(False, rising={ONE: 20.0}))
    assert after(given).memory[WEB] == Memory(False, frozenset({ONE}))


def test_a_reload_that_changes_the_checks_does_not_cut_it_short() -> None:
    given = facts(SLOW, UP, UP, UP, memory=Memory(False, rising={ONE: 75.0}))
    assert weights(given) == [3, 10, 10]
    changed = facts(
        SLOW, UNKNOWN, UP, UP, found={ONE: 3, TWO: 10, THREE: 10}, memory=given.memory[WEB]
    )
    waits = after(replace(changed, now=105.0))
    assert weights(waits) == [3, 10, 10]
    assert weights(after(replace(waits, health=given.health))) == [4, 10, 10]


def test_who_was_in_by_panic_has_its_whole_weight_when_it_comes_up() -> None:
    brave = replace(SLOW, panic_below=0.5)
    given = after(facts(brave, DOWN, DOWN, UP, memory=Memory(False, frozenset({ONE, TWO}))))
    assert weights(given) == [10, 10, 10]
    up = after(replace(given, health={**given.health, CHECKS[ONE]: UP}))
    assert weights(up) == [10, 10, 10]
    rested = after(replace(up, now=up.now + PANIC_REST_S))
    assert weights(rested) == [10, 0, 10]


def test_panic_rests_before_it_is_over_so_that_who_comes_back_last_was_never_out() -> None:
    """A hundred hosts come back one by one from a moment's silence."""
    brave = replace(POOL, panic_below=0.5)
    given = after(facts(brave, DEAD, DEAD, DEAD))
    for key in (ONE, TWO):
        given = after(replace(given, health={**given.health, CHECKS[key]: UP}))
        decision = decided(given)
        assert weights(given) == [10, 10, 10]
        assert decision.panic
    assert decision.step_at == given.now + PANIC_REST_S
    assert "66.7% of the weight is live, 50% or more, for less than 3 s" in decision.why[0]
    all_up = after(replace(given, health={**given.health, CHECKS[THREE]: UP}))
    assert not decided(all_up).panic, "there is nobody left whom it keeps in"
    late = after(replace(given, now=given.now + PANIC_REST_S))
    assert weights(late) == [10, 10, None]
    assert decided(late).step_at is None
    again = after(replace(given, now=given.now + 1, health={**given.health, CHECKS[TWO]: DEAD}))
    assert decided(again).step_at is None, "too little is live again: it has no end"


@pytest.mark.parametrize("until", [inf, 101.0])
@pytest.mark.parametrize("closed", [False, True])
def test_a_reload_that_takes_the_reason_away_ends_a_panic(closed: bool, until: float) -> None:
    """All weights 0: it is closed on purpose. Or the rule is gone."""
    members = tuple(replace(r, weight=0) for r in POOL.realservers)
    service = replace(POOL, panic_below=0.5, realservers=members) if closed else POOL
    given = facts(service, DEAD, DEAD, UP, memory=Memory(False, panic=until))
    assert not decided(given).panic, "whoever looks decides before it is remembered"
    assert after(given).memory[WEB].panic == 0.0
    assert not decided(after(given)).panic


def test_who_joins_in_a_panic_does_not_end_it() -> None:
    """By a reload, say: what its verdict will be is not known."""
    brave = replace(POOL, panic_below=0.5)
    given = after(facts(brave, DEAD, DEAD, UP))
    joined = after(replace(given, health={**given.health, CHECKS[THREE]: UNKNOWN}))
    assert decided(joined).panic


def test_a_slow_start_counts_whole_for_the_quorum() -> None:
    slow = replace(SLOW, quorum=30)
    given = facts(slow, UP, UP, UP, memory=Memory(True, rising={ONE: 100.0}))
    assert after(given).memory[WEB].lost is False


def test_a_slow_start_goes_on_while_the_sorry_server_is_in() -> None:
    slow = replace(SLOW, quorum=30, sorry_server=SORRY)
    given = after(facts(slow, UP, UP, DOWN, memory=Memory(True, rising={ONE: 95.0})))
    assert weights(given) == [0, 0, 0]
    assert given.memory[WEB].rising == {ONE: 95.0}
