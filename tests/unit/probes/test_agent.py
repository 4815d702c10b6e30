"""When agents are asked, on real sockets of the loopback, under a clock that the test sets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lvsguard.core.agent import Agent, AgentSpec, Mode, Standing
from lvsguard.probes.engine import Engine
from lvsguard.probes.prober import Prober
from tests.unit.probes.realserver import LOCALHOST
from tests.unit.probes.test_engine import Clock


class Scene:
    """A prober that asks one agent, whose connections the test serves."""

    def __init__(self, limit: int = 1000) -> None:
        self.clock = Clock()
        self.engine = Engine(self.clock)
        self.said: list[tuple[int, Standing]] = []
        self.prober = Prober(
            self.engine,
            lambda number, health: None,
            say=lambda number, standing: self.said.append((number, standing)),
            limit=limit,
        )
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.listener.setblocking(False)
        self.reply: bytes | None = b"50%\n"
        self.asked: list[float] = []
        self.kept: list[socket.socket] = []

    def agent(self, interval: float = 2.0, timeout: float = 0.5, step: float = 1.0) -> Agent:
        port: int = self.listener.getsockname()[1]
        spec = AgentSpec(interval=interval, timeout=timeout, step=step)
        return Agent(LOCALHOST, port, 20, spec)

    def serve(self) -> None:
        if self.listener.fileno() < 0:
            return
        with suppress(BlockingIOError):
            while True:
                sock, _ = self.listener.accept()
                self.asked.append(self.clock.now)
                if self.reply is None:
                    self.kept.append(sock)
                else:
                    sock.sendall(self.reply)
                    sock.close()

    def pass_time(self, seconds: float, step: float = 0.005) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(self.clock.now + step, end)
            self.engine.select(0)
            self.serve()
            self.engine.select(0)

    def close(self) -> None:
        self.prober.close()
        self.engine.close()
        self.listener.close()
        for sock in self.kept:
            sock.close()

    @property
    def last(self) -> Standing:
        return self.said[-1][1]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.close()


def test_it_is_asked_at_once_and_then_at_its_interval(scene: Scene) -> None:
    begun = scene.clock.now
    scene.prober.agents.add(7, scene.agent())
    scene.pass_time(0.1)
    assert [(n, s.share) for n, s in scene.said] == [(7, 0.5)]
    assert scene.asked[0] - begun < 0.1
    scene.pass_time(20.0)
    assert 10 <= len(scene.asked) <= 12
    pauses = [b - a for a, b in zip(scene.asked[1:], scene.asked[2:], strict=False)]
    assert all(1.9 < pause < 2.1 for pause in pauses)
    assert len(scene.said) == 1, "the same answer is no news"


def test_each_change_is_told(scene: Scene) -> None:
    scene.prober.agents.add(1, scene.agent(interval=0.1, timeout=0.1))
    scene.pass_time(0.3)
    scene.reply = b"drain\n"
    scene.pass_time(0.3)
    scene.reply = b"ready maxconn:3\n"
    scene.pass_time(0.3)
    assert [s.mode for _, s in scene.said] == [Mode.READY, Mode.DRAIN, Mode.READY]
    assert scene.last.note == "ignored: maxconn:3"
    assert {s.share for _, s in scene.said} == {0.5}


def test_the_answer_that_changed_it_is_its_evidence(scene: Scene) -> None:
    scene.prober.agents.add(1, scene.agent(interval=0.1, timeout=0.1))
    scene.pass_time(0.3)
    scene.reply = b"50% # the same with other words\n"
    scene.pass_time(0.3)
    assert [s.line for _, s in scene.said] == ["50%"]
    scene.reply = b"down#disk\x1b\n"
    scene.pass_time(0.3)
    assert (scene.last.line, scene.last.down) == ("down#disk?", True)
    assert scene.last.duration < 0.1


def test_steps_come_with_the_answers(scene: Scene) -> None:
    scene.prober.agents.add(1, scene.agent(interval=0.2, timeout=0.1, step=0.1))
    scene.pass_time(0.1)
    scene.reply = b"20%\n"
    scene.pass_time(2.0)
    assert [round(s.share, 2) for _, s in scene.said] == [0.5, 0.4, 0.3, 0.2]


def test_one_that_hangs_costs_a_timeout_and_its_last_word_stands(scene: Scene) -> None:
    scene.prober.agents.add(1, scene.agent(interval=0.5, timeout=0.5))
    scene.pass_time(0.1)
    scene.reply = None
    scene.pass_time(1.6)
    assert scene.last.share == 0.5
    assert scene.last.silent == "L7TOUT connected, but no answer within 500 ms"
    assert scene.prober.in_flight <= 1
    scene.reply = b"50%\n"
    scene.pass_time(1.6)
    assert (scene.last.silent, scene.last.share) == ("", 0.5)


def test_one_that_drips_has_no_more_time_than_one_that_hangs(scene: Scene) -> None:
    scene.reply = None
    scene.prober.agents.add(1, scene.agent(interval=1.0, timeout=0.5))
    for _ in range(12):
        scene.pass_time(0.05)
        for sock in scene.kept:
            with suppress(OSError):
                sock.send(b"7")
    assert scene.last.silent == "L7TOUT connected, but no answer within 500 ms"


def test_one_that_is_not_there_is_silent_and_not_down(scene: Scene) -> None:
    agent = scene.agent()
    scene.listener.close()
    scene.prober.agents.add(1, agent)
    scene.pass_time(0.1)
    assert (scene.last.tried, scene.last.heard, scene.last.down) == (True, False, False)
    assert scene.last.silent == "L4CON connection refused"


def test_after_a_restart_of_the_prober_it_goes_on_from_what_was_said(scene: Scene) -> None:
    known = Standing(tried=True, heard=True, share=1.0, asked=1.0)
    scene.prober.agents.add(1, scene.agent(step=0.25), known)
    for _ in range(42):  # its phase is anywhere in the interval of 2 s
        if not scene.said:
            scene.pass_time(0.05)
    assert [s.share for _, s in scene.said] == [0.75]


def test_one_that_is_removed_is_asked_no_more(scene: Scene) -> None:
    scene.reply = None
    scene.prober.agents.add(1, scene.agent())
    scene.pass_time(0.1)
    assert scene.prober.in_flight == 1
    scene.prober.remove(1)
    assert scene.prober.in_flight == 0
    scene.pass_time(5.0)
    assert (len(scene.asked), scene.said) == (1, [])


def test_where_files_are_short_agents_wait_for_their_turn() -> None:
    scene = Scene(limit=2)
    try:
        for number in range(10):
            scene.prober.agents.add(number, scene.agent(interval=60.0))
        scene.pass_time(0.5)
        assert {number for number, _ in scene.said} == set(range(10))
        assert scene.prober.in_flight == 0
    finally:
        scene.close()


def test_a_number_is_given_once(scene: Scene) -> None:
    scene.prober.agents.add(1, scene.agent())
    with pytest.raises(ValueError, match="asked already: remove it first"):
        scene.prober.agents.add(1, scene.agent())
