"""`why` names what was really done to a realserver, and the id of a verdict leads to the kernel.

What it says of each failure is kept in tests/golden/why-lab, here and wherever else the lab plays
one: `grep -rn check_why tests/lab`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.canary_watch import wait_for_canary
from tests.support.director import wall
from tests.support.director_config import Service, Setup
from tests.support.why_transcript import after_all, check_why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsguard.admin.why_reply import WhyAnswer
    from tests.support.director import Director
    from tests.support.director_seed import Seed
    from tests.support.golden import Golden

RARE = '{ kind = "http", path = "/health", interval = "60s", down_interval = "1s", timeout = "1s" }'
"""No probe is due while a realserver fails: whatever else sees it is the first."""

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


def why(director: Director, target: str) -> WhyAnswer:
    (answer,) = director.client.why(target).answers
    return answer


def said(answer: WhyAnswer) -> str:
    return " ".join(answer.sentences)


def rarely_asked(seed: Seed) -> float:
    """Have probes be rare and canaries stand; now, to give as `since`."""
    seed.director.configure(Setup(services=(Service(check=RARE),)))
    seed.director.client.reload()
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    for host in seed.network.realservers:
        wait_for_canary(seed.director.host, host)
    time.sleep(1)  # each has answered by ARP
    return wall()


@contextlib.contextmanager
def looking_away(director: Director) -> Iterator[None]:
    """Have the probers stand still. A kernel closes what a dying process had one by one, so that a
    probe may come in between, which is reset, and only the next one refused."""
    probers = director.probers()
    for prober in probers:
        os.kill(prober, signal.SIGSTOP)
    try:
        yield
    finally:
        for prober in probers:
            os.kill(prober, signal.SIGCONT)


def test_why_names_a_killed_server_an_unwell_one_and_the_quorum_they_leave(
    seed: Seed, golden: Golden
) -> None:
    director, since = seed.director, rarely_asked(seed)
    assert why(director, "10.0.0.42").state == "up"
    with looking_away(director):
        seed.webs[0].kill()
    director.wait_for_weights(3, rs1=None, rs2=1)
    director.wait_for_verdicts(rs1="down", rs2="up")
    killed = why(director, "10.0.0.42")
    assert (killed.state, killed.serves) == ("down", False)
    check_why(golden, director, "killed", "10.0.0.42", since)

    director.configure(Setup())
    director.client.reload()
    director.wait_for_verdicts(rs1="down", rs2="up")
    since = after_all()
    seed.webs[1].set_health(well=False)
    director.wait_for_weights(3, rs1=None, rs2=0)
    director.wait_for_verdicts(rs1="down", rs2="down")
    unwell = why(director, "10.0.0.43:80")
    assert (unwell.state, unwell.serves) == ("down", False)
    check_why(golden, director, "503", "10.0.0.43:80", since)
    (_, whole), *_ = [(a.kind, a) for a in director.client.why("10.0.0.8:80").answers]
    assert whole.state == "quorum-lost"
    check_why(golden, director, "quorum-lost", "web", since)


def test_why_names_a_dead_host(seed: Seed, golden: Golden) -> None:
    director, since = seed.director, rarely_asked(seed)
    seed.network.unplug(seed.network.rs1)
    director.wait_for_weights(5, rs1=None, rs2=1)
    director.wait_for_verdicts(rs1="down", rs2="up")
    check_why(golden, director, "host-dead", "10.0.0.42", since)
    seed.network.plug(seed.network.rs1)
    director.wait_for_weights(5, rs1=1, rs2=1)


def test_why_names_who_did_it_and_what_it_advises_helps(seed: Seed, golden: Golden) -> None:
    director, since = seed.director, rarely_asked(seed)
    director.run("drain", "10.0.0.42", "--reason", "kernel update", "--ticket", "OPS-1")
    director.wait_for_weights(1, rs1=0, rs2=1)
    drained = why(director, "10.0.0.42")
    assert drained.state == "drained"
    assert "root (uid 0) drained it" in said(drained)
    assert "reason: kernel update; ticket OPS-1" in said(drained)
    check_why(golden, director, "drained", "10.0.0.42", since)
    (remedy,) = drained.remedies
    director.run(*remedy.removeprefix("run: lvsguard ").split())
    director.wait_for_weights(1, rs1=1, rs2=1)
    assert "root (uid 0) ended the drain" in said(why(director, "10.0.0.42"))
    check_why(golden, director, "undrained", "10.0.0.42", since)

    one = replace(Service(), realservers={"10.0.0.42": 1})
    director.configure(Setup(services=(one,)))
    director.run("reload")
    gone = why(director, "10.0.0.43")
    assert (gone.kind, gone.state) == ("gone", "not-configured")
    assert "A reload by root (uid 0)" in said(gone)
    director.wait_for_weights(rs1=1, rs2=None)
    check_why(golden, director, "removed-by-config", "10.0.0.43", since)


def test_the_id_of_a_verdict_leads_from_the_probe_to_the_kernel(seed: Seed) -> None:
    director, since = seed.director, wall()
    seed.webs[0].kill()
    director.wait_for_weights(3, rs1=None, rs2=1)
    (down,) = director.events("health", since)
    trace = down.data["trace"]
    assert isinstance(trace, str)
    lines = director.run("events", "--id", trace, "--json").stdout.splitlines()
    health, applied = map(json.loads, lines)
    assert (health["kind"], applied["kind"]) == ("health", "applied")
    assert applied["data"]["command"] == "ipvsadm -d -t 10.0.0.8:80 -r 10.0.0.42:80"
    assert 0 < applied["data"]["latency"] < 0.5
    assert director.text().count(f"[{trace}]") == 2
    only = ("events", "--target", "10.0.0.42:80", "--kind", "applied", "--since", "10s")
    assert f"[{trace}]" in director.run(*only).stdout.splitlines()[-1]


def test_the_log_is_quiet_while_nothing_happens(seed: Seed) -> None:
    before = seed.director.text()
    time.sleep(3)
    assert seed.director.text() == before
