"""Agents on real realservers: what they say is a weight in the kernel, and what they never do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.why_transcript import after_all, check_why

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.director_seed import Seed
    from tests.support.golden import Golden
    from tests.support.processes import Process

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

AGENT = """\
import socket, sys
listener = socket.create_server(("0.0.0.0", 9100), backlog=64)
while True:
    taken, _ = listener.accept()
    with taken:
        try:
            taken.sendall(open(sys.argv[1], "rb").read())
        except OSError:
            pass
"""
TWO = {"10.0.0.42": 20, "10.0.0.43": 20}
SOON_S = 5.0
"""An interval of 0.3 s, the pass, and the slack of a slow guest."""


class Script:
    """An agent on rs1 that says what is in a file."""

    def __init__(self, seed: Seed, folder: Path) -> None:
        self._seed = seed
        self._file = folder / "says"
        self._process: Process | None = None

    def say(self, line: str) -> None:
        """Answer so from now on."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(line + "\n")
        fresh.rename(self._file)

    def start(self) -> None:
        """Listen."""
        host = self._seed.webs[0].host
        self._process = host.start("agent", "python3", "-c", AGENT, str(self._file))

    def stop(self) -> None:
        """Listen no more."""
        if self._process is not None:
            self._process.kill()
            self._process = None


@pytest.fixture
def agent(seed: Seed, tmp_path: Path) -> Iterator[Script]:
    """The seed with an agent on rs1, which says 50%."""
    script = Script(seed, tmp_path)
    script.say("50%")
    script.start()
    more = 'agent = { port = 9100, interval = "300ms", timeout = "300ms" }'
    seed.director.configure(Setup(services=(Service(realservers=TWO, more=more),)))
    seed.director.client.reload()
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    seed.director.wait_for_weights(SOON_S, rs1=10, rs2=20)
    yield script
    script.stop()


def test_what_it_says_is_a_weight_in_the_kernel(seed: Seed, agent: Script, golden: Golden) -> None:
    """rs2 has no agent: it is asked in vain, and that is not down."""
    director, since = seed.director, wall()
    agent.say("75%")
    took_s = director.wait_for_weights(SOON_S, rs1=15, rs2=20)
    assert director.realserver("10.0.0.42").reason.endswith("; agent: weight 75%")
    asked = after_all()
    agent.say("drain")
    director.wait_for_weights(SOON_S, rs1=0, rs2=20)
    check_why(golden, director, "agent-drain", "10.0.0.42", asked)
    assert {seed.client.get(VIP)[1] for _ in range(4)} == {"rs2"}
    agent.say("ready 100% maxconn:3")
    director.wait_for_weights(SOON_S, rs1=20, rs2=20)
    asked = after_all()
    agent.say("down#disk full")
    director.wait_for_weights(SOON_S, rs1=0, rs2=20)
    one = director.realserver("10.0.0.42")
    assert (one.verdict, one.reason.endswith("; agent: down, disk full")) == ("down", True)
    assert one.agent is not None
    assert (one.agent.state, one.agent.port) == ("down", 9100)
    check_why(golden, director, "agent-down", "10.0.0.42", asked)
    agent.say("up")
    director.wait_for_weights(SOON_S, rs1=20, rs2=20)
    said = [e.text for e in director.events("agent", since) if "10.0.0.42:9100 says" in e.text]
    assert [text.split(" says ")[1] for text in said] == [
        "drain (was ready)",
        "ready (was drain)",
        "down (was ready): disk full",
        "ready (was down)",
    ]
    assert (
        director.metric("realserver_agent_answering", service="web", realserver="10.0.0.43:80") == 0
    )
    assert (
        director.metric("realserver_agent_weight_ratio", service="web", realserver="10.0.0.42:80")
        == 1
    )
    assert director.realserver("10.0.0.43").verdict == "up"
    tell("agent", to_kernel_s=took_s)


def test_its_silence_moves_nothing_and_survives_a_restart(seed: Seed, agent: Script) -> None:
    director, since = seed.director, wall()
    agent.stop()
    wait_until(
        lambda: any("10.0.0.42:9100" in e.text for e in director.events("agent-silent", since)),
        SOON_S,
        "the silence is told",
    )
    assert director.weights()["rs1"] == 10
    assert "its last word stands" in director.realserver("10.0.0.42").reason
    agent.start()
    wait_until(lambda: bool(director.events("agent-back", since)), SOON_S, "it is heard")
    before = director.host.ipvs()
    director.kill()
    director.start()
    director.wait_for_verdicts(rs1="up", rs2="up")
    director.wait_for_passes(2)
    assert (director.writes(), director.host.ipvs()) == (0, before)


def test_it_never_brings_back_one_whose_check_fails(seed: Seed, agent: Script) -> None:
    director = seed.director
    agent.say("up ready 100%")
    director.wait_for_weights(SOON_S, rs1=20, rs2=20)
    seed.webs[0].set_health(well=False)
    director.wait_for_weights(SOON_S, rs1=0, rs2=20)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:  # several answers
        assert director.weights()["rs1"] == 0
        time.sleep(0.05)
    assert director.realserver("10.0.0.42").verdict == "down"
    seed.webs[0].set_health(well=True)
    director.wait_for_weights(SOON_S, rs1=20, rs2=20)
