"""failover: hand VIPs over, and preempt again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lvsguard.core.snapshot import Role, VipStatus
from lvsguard.core.vrrp_event import FailoverAsked
from tests.support.published import NOON, UNFIT, VIP
from tests.unit.cli.conftest import Run, Served

WEB = VipStatus("web", (VIP,), frozenset({VIP}), Role.MASTER, NOON, 51, 150, ready=True)


@pytest.fixture
def elected(served: Served) -> Served:
    """A director that is master of a VIP group with an election."""
    served.desk.picture = replace(served.desk.picture, groups=(WEB,))
    return served


def test_it_tells_who_has_taken_over_and_in_how_long(run: Run, elected: Served) -> None:
    elected.desk.heirs["web"] = "10.0.0.40"
    done = run("failover", "--socket", str(elected.socket))
    assert (done.status, done.err) == (0, "")
    assert done.out == "VIP web: after 0.02 s: 10.0.0.40 has taken over\n"


def test_who_asked_is_in_the_history(run: Run, elected: Served) -> None:
    elected.desk.heirs["web"] = "10.0.0.40"
    run("failover", "web", "--socket", str(elected.socket))
    (line,) = elected.desk.history_kept
    assert line.kind == FailoverAsked.kind
    assert str(line.data["actor"]).endswith(")")
    assert "uid " in str(line.data["actor"])


def test_that_nobody_came_is_a_failure(run: Run, elected: Served) -> None:
    done = run("failover", "--socket", str(elected.socket))
    assert (done.status, done.out) == (1, "")
    assert done.err == "lvsguard: VIP web: after 0.02 s: nobody took over\n"


def test_a_director_that_is_not_master_refuses(run: Run, elected: Served) -> None:
    elected.desk.picture = replace(elected.desk.picture, groups=(replace(WEB, role=Role.BACKUP),))
    done = run("failover", "--socket", str(elected.socket))
    assert (done.status, done.out) == (1, "")
    assert "this director is backup" in done.err


def test_a_vip_that_does_not_exist_is_bad_usage_and_told_what_there_is(
    run: Run, elected: Served
) -> None:
    done = run("failover", "wbe", "--socket", str(elected.socket))
    assert (done.status, done.out) == (2, "")
    assert done.err == "lvsguard: no VIP is named 'wbe'\nthere is:\n  web\n"


def test_resume_ends_it(run: Run, elected: Served) -> None:
    elected.desk.picture = replace(
        elected.desk.picture, groups=(replace(WEB, role=Role.BACKUP, held_back=True),)
    )
    done = run("failover", "--resume", "--socket", str(elected.socket))
    assert (done.status, done.out) == (0, "VIP web: after 0.02 s: it preempts again\n")
    (line,) = elected.desk.history_kept
    assert line.data["resume"] is True


def test_json_is_the_daemons_answer(run: Run, elected: Served) -> None:
    done = run("failover", "--json", "--socket", str(elected.socket))
    assert done.status == 1
    (one,) = json.loads(done.out)["vips"]
    assert (one["vip"], one["outcome"], one["successor"]) == ("web", "nobody", "")


def test_without_a_daemon_there_is_a_status_of_its_own(run: Run) -> None:
    done = run("failover", "--socket", "/nonexistent/lvsguard.sock")
    assert done.status == 3


def test_an_unfit_successor_is_named_with_its_reasons(run: Run, elected: Served) -> None:
    elected.desk.heirs = {"web": "10.0.0.40"}
    elected.desk.picture.others = (UNFIT,)
    done = run("failover", "--socket", str(elected.socket))
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("lvsguard: nobody is fit:\n")
    assert "its config differs in service.web.scheduler" in done.err
    done = run("failover", "--force", "--socket", str(elected.socket))
    assert (done.status, done.err) == (0, "")
    assert "10.0.0.40 has taken over" in done.out
