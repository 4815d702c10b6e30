"""When a verdict of this run is taken for the one that an earlier run kept."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.core.agent import Agent, AgentKind, AgentSpec
from lvsguard.core.begun import EARLIEST, Begun, continued
from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, VipPath
from lvsguard.core.health import Timing, Verdict

NOW = 1_800_000_000.0
RS1 = ip_address("10.0.0.42")
HTTP = CheckSpec(CheckKind.HTTP, http=HttpSpec(path="/health"))
CHECK = Check(RS1, 80, HTTP)
AGENT = Agent(RS1, 9100, 1, AgentSpec())


def test_the_same_verdict_goes_on_from_the_time_that_was_kept() -> None:
    assert continued(Begun(Verdict.UP, NOW - 86400), Verdict.UP, NOW) == NOW - 86400
    assert continued(Begun(Verdict.DOWN, NOW), Verdict.DOWN, NOW) == NOW


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (None, "nothing was kept"),
        (Begun(Verdict.DOWN, NOW - 86400), "another verdict"),
        (Begun(Verdict.UP, NOW + 0.1), "the clock went backwards"),
        (Begun(Verdict.UP, 86400.0), "the clock was not set then"),
        (Begun(Verdict.UP, EARLIEST - 1), "nor then"),
        (Begun(Verdict.UP, float("nan")), "no time at all"),
    ],
)
def test_anything_else_begins_anew(kept: Begun | None, why: str) -> None:
    assert continued(kept, Verdict.UP, NOW) is None, why


@pytest.mark.parametrize(
    "same",
    [
        replace(HTTP, timing=Timing(interval=5.0, fall=9)),
        replace(HTTP, source=ip_address("10.0.0.41")),
        replace(HTTP, http=HttpSpec(path="/health", expect_status=frozenset({204}))),
    ],
)
def test_a_check_is_the_same_however_often_it_asks_and_whatever_it_takes(same: CheckSpec) -> None:
    assert Check(RS1, 80, same).lasting == CHECK.lasting


@pytest.mark.parametrize(
    "other",
    [
        Check(RS1, 81, HTTP),
        Check(ip_address("10.0.0.43"), 80, HTTP),
        Check(RS1, 80, replace(HTTP, kind=CheckKind.HTTPS)),
        Check(RS1, 80, replace(HTTP, path=VipPath(ip_address("10.0.0.8"), 80))),
        Check(RS1, 80, replace(HTTP, http=HttpSpec(path="/ready"))),
        Check(RS1, 80, replace(HTTP, http=HttpSpec(path="/health", host="www.example.org"))),
        Check(RS1, 80, CheckSpec(CheckKind.TCP)),
    ],
)
def test_a_check_that_asks_somebody_or_something_else_is_another_one(other: Check) -> None:
    assert other.lasting != CHECK.lasting


def test_an_agent_is_the_same_however_it_is_asked() -> None:
    assert replace(AGENT, weight=9, spec=AgentSpec(interval=9.0)).lasting == AGENT.lasting
    assert replace(AGENT, spec=AgentSpec(AgentKind.HTTP)).lasting != AGENT.lasting
    assert AGENT.lasting != Check(RS1, 9100, CheckSpec(CheckKind.TCP)).lasting
