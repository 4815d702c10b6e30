"""What agents say: how it is folded, and what it may do to a realserver. One rule a test."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.core.agent import (
    NOT_ASKED,
    SHARE_MAX,
    Agent,
    AgentSpec,
    Answer,
    Mode,
    Standing,
    answered,
    state,
    unanswered,
    weight_of,
    words,
)
from lvsguard.core.config import OnFailure, ServiceConfig
from lvsguard.core.health import Health, Verdict
from lvsguard.core.model import RealserverKey
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.core.placement import Placement, placement
from tests.unit.core.sample import ONE, WEB
from tests.unit.core.test_rules import DEAD, DOWN, POOL, UNKNOWN, UP, after, decided, facts

AGENT = Agent(ip_address("10.0.0.42"), 9100, 20, AgentSpec())
STEPS = replace(AGENT, spec=AgentSpec(step=0.25))
HEARD = Standing(tried=True, heard=True)


def said(*answers: Answer, agent: Agent = AGENT) -> Standing:
    standing = NOT_ASKED
    for now, answer in enumerate(answers, 1):
        standing = answered(standing, answer, agent, float(now))
    return standing


def test_what_an_answer_does_not_say_stays_as_it_was() -> None:
    standing = said(Answer(mode=Mode.DRAIN), Answer(percent=50), Answer(up=False, why="disk"))
    assert (standing.mode, standing.share, standing.down) == (Mode.DRAIN, 0.5, True)
    assert (standing.why, standing.since) == ("disk", 3.0)
    later = answered(standing, Answer(percent=50), AGENT, 9.0)
    assert (later.down, later.why, later.since) == (True, "disk", 3.0)
    back = answered(later, Answer(up=True, mode=Mode.READY), AGENT, 10.0)
    assert (back.down, back.why, back.since, back.mode) == (False, "", 10.0, Mode.READY)


def test_an_absolute_weight_is_a_share_of_the_configured_one() -> None:
    assert said(Answer(weight=5)).share == 0.25
    assert weight_of(said(Answer(weight=5)), 20) == 5
    assert said(Answer(weight=5), agent=replace(AGENT, weight=0)).share == 1


def test_nobody_asks_for_more_than_ten_times_the_configured_weight() -> None:
    assert said(Answer(weight=10**9)).share == SHARE_MAX
    assert said(Answer(percent=999999)).share == SHARE_MAX


def test_the_first_answer_counts_whole_and_each_later_one_a_step() -> None:
    standing = said(Answer(percent=100), agent=STEPS)
    shares = []
    for _ in range(5):
        standing = answered(standing, Answer(percent=10), STEPS, 2.0)
        shares.append(round(standing.share, 3))
    assert shares == [0.75, 0.5, 0.25, 0.1, 0.1]
    assert said(Answer(percent=10), agent=STEPS).share == 0.1
    assert words(said(Answer(percent=100), Answer(percent=10), agent=STEPS)) == (
        "agent: weight 75% on its way to 10%"
    )


def test_only_zero_becomes_zero() -> None:
    assert weight_of(said(Answer(percent=0.1)), 20) == 1
    assert weight_of(said(Answer(percent=0)), 20) == 0
    assert weight_of(said(Answer(percent=50)), 0) == 0
    assert weight_of(said(Answer(percent=1000)), 65535) == 65535


def test_silence_changes_nothing_that_was_said() -> None:
    before = said(Answer(percent=30, up=False, why="disk"))
    silent = unanswered(before, "L4CON connection refused")
    assert replace(silent, silent="", missed=0) == before
    assert not silent.mute
    assert unanswered(unanswered(silent, "L4TOUT"), "L4TOUT").mute
    assert silent.decides == before.decides
    assert words(silent) == (
        "agent: down, disk, weight 30%, no answer, L4CON connection refused; its last word stands"
    )
    assert state(unanswered(NOT_ASKED, "L4TOUT")) == "unknown"
    assert answered(silent, Answer(), AGENT, 9.0) == before


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (NOT_ASKED, "unknown"),
        (HEARD, "ready"),
        (replace(HEARD, mode=Mode.DRAIN), "drain"),
        (replace(HEARD, mode=Mode.MAINT), "maint"),
        (replace(HEARD, mode=Mode.DRAIN, down=True), "down"),
    ],
)
def test_its_state_is_one_word(standing: Standing, expected: str) -> None:
    assert state(standing) == expected


# -- beside the checks ---------------------------------------------------------------------------

WITH = replace(
    POOL, realservers=(replace(POOL.realservers[0], weight=20, agent=AGENT), *POOL.realservers[1:])
)


def placed(
    health: Health,
    standing: Standing | None,
    *overrides: Override,
    service: ServiceConfig = WITH,
    found: dict[RealserverKey, int] | None = None,
) -> Placement:
    given = facts(service, health, UP, UP, overrides=overrides, found=found)
    if standing is not None:
        given = replace(given, agents={AGENT: standing})
    return placement(service, service.realservers[0], given)


def test_a_weight_is_a_share_of_the_configured_one_and_says_so() -> None:
    one = placed(UP, replace(HEARD, share=0.75, asked=0.75))
    assert (one.weight, one.verdict) == (15, Verdict.UP)
    assert one.reason == "up: L7OK 200 OK; agent: weight 75%"


@pytest.mark.parametrize("mode", [Mode.DRAIN, Mode.MAINT])
def test_drain_and_maint_leave_it_up_at_weight_0(mode: Mode) -> None:
    one = placed(UP, replace(HEARD, mode=mode))
    assert (one.weight, one.verdict, one.reason) == (
        0,
        Verdict.UP,
        f"up: L7OK 200 OK; agent: {mode}",
    )


def test_down_is_a_verdict_that_keeps_the_connections() -> None:
    standing = replace(HEARD, down=True, why="disk full", since=7.0)
    one = placed(UP, standing)
    assert (one.weight, one.verdict, one.since) == (0, Verdict.DOWN, 7.0)
    assert one.reason == "down: L7OK 200 OK; agent: down, disk full"
    removing = replace(WITH, on_failure=OnFailure.REMOVE)
    assert placed(UP, standing, service=removing).weight is None


@pytest.mark.parametrize("health", [DOWN, DEAD])
def test_it_never_makes_one_up_whose_checks_fail(health: Health) -> None:
    without = placed(health, None)
    loud = placed(health, said(Answer(percent=100, up=True, mode=Mode.READY)))
    assert (loud.weight, loud.verdict) == (without.weight, Verdict.DOWN)


def test_silence_is_not_down() -> None:
    one = placed(UP, unanswered(NOT_ASKED, "L4CON connection refused"))
    assert (one.weight, one.verdict) == (20, Verdict.UP)
    assert one.reason == "up: L7OK 200 OK; agent: no answer, L4CON connection refused"


def test_until_it_was_asked_the_weight_found_in_the_kernel_stays() -> None:
    one = placed(UP, None, found={ONE: 7})
    assert (one.weight, one.verdict) == (7, Verdict.UNKNOWN)
    assert one.reason == "no answer of its agent yet: keeps the weight found in the kernel"
    assert placed(UP, None).weight == 0
    assert placed(UNKNOWN, HEARD).reason == "no verdict yet: enters at weight 0"


def test_its_first_answer_is_awaited_before_a_quorum_counts_as_lost() -> None:
    strict = replace(WITH, quorum=40)
    begun = after(facts(strict, UP, UP, UP))
    assert begun.memory[WEB].lost is None
    heard = after(replace(begun, agents={AGENT: replace(HEARD, share=0.5, asked=0.5)}))
    assert heard.memory[WEB].lost is True
    assert decided(heard).live == 30


def test_an_operators_weight_outranks_its_weight_but_not_its_drain() -> None:
    asked = Override(Target(ONE.address), OverrideKind.WEIGHT, "alice", 0.0, weight=Weight(9))
    assert placed(UP, replace(HEARD, share=0.5, asked=0.5), asked).weight == 9
    assert placed(UP, replace(HEARD, mode=Mode.DRAIN), asked).weight == 0


def test_an_operators_drain_outranks_whatever_it_says() -> None:
    drain = Override(Target(ONE.address), OverrideKind.DRAIN, "alice", 0.0)
    assert placed(UP, said(Answer(percent=100, up=True)), drain).weight == 0


def test_one_that_its_agent_drained_comes_back_by_slow_start() -> None:
    slow = replace(WITH, slow_start=10.0)
    drained = after(
        replace(facts(slow, UP, UP, UP), agents={AGENT: replace(HEARD, mode=Mode.DRAIN)})
    )
    back = after(replace(drained, agents={AGENT: HEARD}))
    assert decided(back).placements[0].weight == 1
    assert decided(back).rising == 1
