"""Whatever agents say beside whatever facts: they never make a realserver better than it is."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.core.agent import Agent, AgentSpec, Mode, Standing, unanswered
from lvsguard.core.config import RealserverConfig
from lvsguard.core.health import Verdict
from lvsguard.core.model import WEIGHT_MAX
from lvsguard.core.placement import Facts, placement
from tests.property.core.test_desired import members
from tests.support.examples import examples
from tests.support.fact_strategies import facts

shares = st.sampled_from((0.0, 0.01, 0.5, 1.0, 3.0, 10.0))
standings = st.builds(
    Standing,
    tried=st.booleans(),
    heard=st.booleans(),
    share=shares,
    asked=shares,
    mode=st.sampled_from(Mode),
    down=st.booleans(),
    silent=st.sampled_from(("", "L4CON connection refused")),
)
AGENT = AgentSpec()
_BAD = {Verdict.UP: 0, Verdict.UNKNOWN: 1, Verdict.DOWN: 2}


def with_agent(realserver: RealserverConfig) -> tuple[RealserverConfig, Agent]:
    agent = Agent(realserver.key.address, 9100, realserver.weight, AGENT)
    return replace(realserver, agent=agent), agent


@settings(deadline=None, max_examples=examples(100))
@given(facts(), standings)
def test_it_is_at_best_what_its_checks_find_it(facts: Facts, said: Standing) -> None:
    for service, realserver in members(facts):
        asked, agent = with_agent(realserver)
        without = placement(service, realserver, facts)
        placed = placement(service, asked, replace(facts, agents={agent: said}))
        assert _BAD[placed.verdict] >= _BAD[without.verdict]
        assert placed.admin is without.admin
        assert placed.weight is None or 0 <= placed.weight <= WEIGHT_MAX
        if without.verdict is Verdict.DOWN:
            assert (placed.weight, placed.verdict) == (without.weight, without.verdict)
        if said.down and without.verdict is not Verdict.DOWN:
            assert not placed.weight
        if without.verdict is Verdict.UP and said.tried and said.mode is not Mode.READY:
            assert not placed.weight


@settings(deadline=None, max_examples=examples(60))
@given(facts(), standings)
def test_its_silence_changes_nothing_once_it_was_asked(facts: Facts, said: Standing) -> None:
    said = replace(said, tried=True)
    for service, realserver in members(facts):
        asked, agent = with_agent(realserver)
        spoke = placement(service, asked, replace(facts, agents={agent: said}))
        fell = replace(facts, agents={agent: unanswered(said, "L4TOUT no answer")})
        silent = placement(service, asked, fell)
        assert replace(silent, reason="") == replace(spoke, reason="")


@settings(deadline=None, max_examples=examples(60))
@given(facts())
def test_one_that_never_answers_is_as_good_as_none(facts: Facts) -> None:
    for service, realserver in members(facts):
        asked, agent = with_agent(realserver)
        never = unanswered(Standing(), "L4CON connection refused")
        placed = placement(service, asked, replace(facts, agents={agent: never}))
        assert replace(placed, reason="") == replace(
            placement(service, realserver, facts), reason=""
        )
