"""`why` names what was really done to a realserver, and the id of a verdict leads to the kernel."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.director import wall
from tests.support.director_config import Service, Setup

if TYPE_CHECKING:
    from lvsguard.admin.why_reply import WhyAnswer
    from tests.support.director import Director
    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


def why(director: Director, target: str) -> WhyAnswer:
    (answer,) = director.client.why(target).answers
    return answer


def said(answer: WhyAnswer) -> str:
    return " ".join(answer.sentences)


def test_why_names_what_was_done(seed: Seed) -> None:
    director = seed.director
    assert why(director, "10.0.0.42").state == "up"

    seed.webs[0].kill()
    seed.webs[1].set_health(well=False)
    director.wait_for_weights(3, rs1=None, rs2=0)
    killed, unwell = why(director, "10.0.0.42"), why(director, "10.0.0.43:80")
    assert (killed.state, killed.serves) == ("down", False)
    assert "nothing listens there" in said(killed)
    assert (unwell.state, unwell.serves) == ("down", False)
    assert "503 Service" in said(unwell)
    (_, whole), *_ = [(a.kind, a) for a in director.client.why("10.0.0.8:80").answers]
    assert whole.state == "quorum-lost"

    seed.webs[0].start()
    seed.webs[1].set_health(well=True)
    director.wait_for_weights(5, rs1=1, rs2=1)
    seed.network.unplug(seed.network.rs1)
    director.wait_for_weights(5, rs1=None, rs2=1)
    dead = why(director, "10.0.0.42")
    assert "not even on its own link" in said(dead)
    assert "arp saw it first" in said(dead)
    seed.network.plug(seed.network.rs1)
    director.wait_for_weights(5, rs1=1, rs2=1)


def test_why_names_who_did_it_and_what_it_advises_helps(seed: Seed) -> None:
    director = seed.director
    director.run("drain", "10.0.0.42", "--reason", "kernel update", "--ticket", "OPS-1")
    director.wait_for_weights(1, rs1=0, rs2=1)
    drained = why(director, "10.0.0.42")
    assert drained.state == "drained"
    assert "root (uid 0) drained it" in said(drained)
    assert "reason: kernel update; ticket OPS-1" in said(drained)
    (remedy,) = drained.remedies
    director.run(*remedy.removeprefix("run: lvsguard ").split())
    director.wait_for_weights(1, rs1=1, rs2=1)
    assert "root (uid 0) ended the drain" in said(why(director, "10.0.0.42"))

    one = replace(Service(), realservers={"10.0.0.42": 1})
    director.configure(Setup(services=(one,)))
    director.run("reload")
    gone = why(director, "10.0.0.43")
    assert (gone.kind, gone.state) == ("gone", "not-configured")
    assert "A reload by root (uid 0)" in said(gone)


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
