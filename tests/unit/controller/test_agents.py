"""What agents say, in the loop: weights in the kernel, events, status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lvsguard.controller.view import LiveView
from lvsguard.core.agent import MISSES, Agent, AgentKind, AgentSpec, Mode, Standing, unanswered
from lvsguard.core.agent_event import AGENT, AgentChanged
from lvsguard.core.health import Verdict
from lvsguard.core.snapshot import AgentStatus, RealserverStatus
from tests.support.rig import RS1, RS2, WRONG, Rig, config, realserver, service

ONE = Agent(RS1.address, 9100, 20, AgentSpec())
HEARD = Standing(tried=True, heard=True)
MEMBERS = (replace(realserver(RS1, 20), agent=ONE), realserver(RS2, 20))


def shown(rig: Rig) -> RealserverStatus:
    view = LiveView(rig.controller, rig.owner, config_path="c", probers=lambda: (1, 1))
    (one,) = view.services()
    return one.realservers[0]


def told(rig: Rig) -> list[str]:
    return [str(e) for e in rig.events if isinstance(e, AGENT)]


async def begun(path: Path) -> Rig:
    rig = Rig(config(service(*MEMBERS)), path)
    await rig.settled()
    rig.controller.hear(ONE, HEARD)
    await rig.turn()
    return rig


async def test_a_word_is_a_weight_in_the_kernel_with_its_reason(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    assert rig.weights() == {"10.0.0.42": 20, "10.0.0.43": 20}
    rig.controller.hear(ONE, replace(HEARD, share=0.25, asked=0.25))
    await rig.turn()
    assert rig.weights()["10.0.0.42"] == 5
    one = shown(rig)
    assert one.reason == "up: L7OK 200; agent: weight 25%"
    assert one.agent == AgentStatus(AgentKind.TEXT, 9100, "ready", 0.25, 0.25, "", "")
    rig.controller.hear(ONE, replace(HEARD, down=True, why="disk"))
    await rig.turn()
    assert rig.weights()["10.0.0.42"] == 0
    assert shown(rig).verdict is Verdict.DOWN


async def test_before_its_first_answer_a_realserver_waits_and_nothing_is_elected(
    tmp_path: Path,
) -> None:
    rig = Rig(config(service(MEMBERS[0])), tmp_path)
    await rig.settled(RS1)
    assert rig.weights() == {"10.0.0.42": 0}
    (web,) = rig.controller.book.config.services
    assert rig.controller.book.awaits_verdicts(web)
    rig.controller.hear(ONE, unanswered(Standing(), "L4CON connection refused"))
    await rig.turn()
    assert rig.weights() == {"10.0.0.42": 20}
    assert not rig.controller.book.awaits_verdicts(web)


async def test_it_does_not_bring_back_one_whose_check_fails(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    rig.verdict(RS1, Verdict.DOWN, WRONG)
    await rig.turn()
    rig.controller.hear(ONE, replace(HEARD, since=5.0, share=2.0, asked=2.0))
    await rig.turn()
    assert rig.weights()["10.0.0.42"] == 0


async def test_events_tell_states_and_silence_but_not_each_weight(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    assert told(rig) == ["agent 10.0.0.42:9100 says ready (was unknown)"]
    rig.events.clear()
    rig.controller.hear(ONE, replace(HEARD, share=0.5, asked=0.5))
    rig.controller.hear(ONE, drained := replace(HEARD, mode=Mode.DRAIN))
    silent = drained
    for _ in range(MISSES + 2):
        silent = unanswered(silent, "L4CON connection refused")
        rig.controller.hear(ONE, silent)
    rig.controller.hear(ONE, drained)
    rig.controller.hear(replace(ONE, port=9), HEARD)
    assert told(rig) == [
        "agent 10.0.0.42:9100 says drain (was ready)",
        "agent 10.0.0.42:9100 does not answer: L4CON connection refused; what it said last stands,"
        " look whether it runs",
        "agent 10.0.0.42:9100 answers",
    ]


async def test_a_change_carries_its_evidence(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    down = replace(HEARD, down=True, why="disk", line="down#disk", duration=0.002)
    rig.controller.hear(ONE, down)
    (event,) = [e for e in rig.events if isinstance(e, AgentChanged) and e.after == "down"]
    assert (event.detector, event.code, event.seen, event.duration) == (
        "agent",
        "L7STS",
        "down#disk",
        0.002,
    )


async def test_a_single_question_without_an_answer_is_not_told(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    rig.events.clear()
    for _ in range(5):
        rig.controller.hear(ONE, unanswered(HEARD, "L4TOUT no connection within 1 s"))
        rig.controller.hear(ONE, HEARD)
    assert told(rig) == []


async def test_silence_moves_no_weight(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    writes = rig.ipvs.writes
    rig.controller.hear(ONE, unanswered(HEARD, "L4CON connection refused"))
    await rig.turn()
    assert rig.ipvs.writes == writes
    assert "its last word stands" in shown(rig).reason


async def test_an_agent_that_is_asked_in_another_way_has_said_what_it_said(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    down = replace(HEARD, share=0.75, asked=0.75, down=True, why="disk")
    rig.controller.hear(ONE, down)
    await rig.turn()
    rig.events.clear()
    other = replace(ONE, weight=30, spec=replace(ONE.spec, interval=5.0))
    members = (replace(realserver(RS1, 30), agent=other), MEMBERS[1])
    await rig.controller.reload(config(service(*members), digest="other"))
    assert rig.weights()["10.0.0.42"] == 0
    assert rig.controller.book.heard == {other: down}
    assert shown(rig).reason == "down: L7OK 200; agent: down, disk, weight 75%"
    rig.controller.hear(ONE, up := replace(down, down=False, why=""))
    assert rig.controller.book.heard == {other: up}, "the prober did not know of the reload yet"
    await rig.turn()
    assert rig.weights()["10.0.0.42"] == 22
    assert told(rig) == ["agent 10.0.0.42:9100 says ready (was down)"]
    elsewhere = replace(other, spec=replace(ONE.spec, kind=AgentKind.HTTP))
    members = (replace(members[0], agent=elsewhere), MEMBERS[1])
    await rig.controller.reload(config(service(*members)))
    assert rig.controller.book.heard == {}


async def test_a_reload_forgets_the_agents_that_are_gone_only(tmp_path: Path) -> None:
    rig = await begun(tmp_path)
    low = replace(HEARD, share=0.5, asked=0.5)
    rig.controller.hear(ONE, low)
    await rig.turn()
    await rig.controller.reload(config(service(*MEMBERS), digest="other"))
    assert rig.weights()["10.0.0.42"] == 10
    await rig.controller.reload(config(service(realserver(RS1, 20), MEMBERS[1])))
    assert rig.weights()["10.0.0.42"] == 20
    assert not rig.controller.book.heard
    assert shown(rig).agent is None
    await rig.controller.reload(config(service(*MEMBERS)))
    assert rig.weights()["10.0.0.42"] == 20, "keeps its weight until the agent was asked"
