"""What is told of agents: one line each that a person can act on."""

from __future__ import annotations

import pytest

from lvsguard.core.agent_event import AGENT, AgentBack, AgentChanged, AgentSilent
from lvsguard.core.event import Event, Level

WHERE = "10.0.0.42:9100"
HAPPENED: list[tuple[Event, str]] = [
    (
        AgentChanged(WHERE, "ready", "down", "disk full"),
        "agent 10.0.0.42:9100 says down (was ready): disk full",
    ),
    (AgentChanged(WHERE, "drain", "ready"), "agent 10.0.0.42:9100 says ready (was drain)"),
    (
        AgentSilent(WHERE, "L4CON connection refused"),
        "agent 10.0.0.42:9100 does not answer: L4CON connection refused; what it said last stands,"
        " look whether it runs",
    ),
    (AgentBack(WHERE), "agent 10.0.0.42:9100 answers"),
]


@pytest.mark.parametrize(("event", "line"), HAPPENED)
def test_it_prints_as_one_line(event: Event, line: str) -> None:
    assert str(event) == line


def test_none_is_left_out_and_only_silence_is_a_warning() -> None:
    assert {type(event) for event, _ in HAPPENED} == set(AGENT)
    assert [kind for kind in AGENT if kind.level is Level.WARNING] == [AgentSilent]
