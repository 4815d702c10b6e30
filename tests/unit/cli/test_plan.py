"""plan: text, commands, JSON, exit status."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

from lvsguard.admin.steps import tell
from lvsguard.cli.plan import NOTHING, text
from lvsguard.core.model import Realserver, RealserverKey, ServiceKey
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
)
from tests.support.golden import Golden
from tests.support.published import VIP, WEB, seed_steps
from tests.unit.cli.conftest import Run, Served

RS = [RealserverKey(ip_address(f"10.0.0.{n}"), 80) for n in (42, 43, 44, 45)]


def test_text_groups_by_service_with_signs_and_why(golden: Golden) -> None:
    steps = [
        *seed_steps(),
        EditRealserver(WEB, RS[1], Realserver(0), Realserver(1)),
        DeleteRealserver(WEB, RS[2]),
        DeleteService(ServiceKey.marked(7)),
        AddAddress(VIP),
        AddRealserver(WEB, RS[3], Realserver(1)),
    ]
    reasons = {(WEB, RS[1]): "L4CON connection refused \x1b[2J"}
    told = [tell(step, {WEB: "web"}, reasons) for step in steps]
    golden.check("cli/plan.txt", "\n".join(text(told, colours=False)) + "\n")
    assert "\x1b[32m+\x1b[0m" in "\n".join(text(told, colours=True))


def test_nothing_to_do_is_said() -> None:
    assert text([], colours=False) == [NOTHING]


def test_the_daemon_is_asked_about_its_own_file(run: Run, served: Served) -> None:
    done = run("plan", "--socket", str(served.socket))
    assert (done.status, served.desk.plans) == (0, [None])
    assert "Plan: 2 to add, 0 to change, 0 to remove." in done.out


def test_another_file_is_sent_to_the_daemon(run: Run, served: Served, tmp_path: Path) -> None:
    (tmp_path / "new.toml").write_text("# new\n")
    done = run("plan", "-c", str(tmp_path / "new.toml"), "--socket", str(served.socket))
    assert (done.status, served.desk.plans) == (0, ["# new\n"])


def test_ipvsadm_format_is_the_commands_alone(run: Run, served: Served) -> None:
    done = run("plan", "--format", "ipvsadm", "--socket", str(served.socket))
    assert done.out == (
        "ipvsadm -A -t 10.0.0.8:80 -s rr\nipvsadm -a -t 10.0.0.8:80 -r 10.0.0.42:80 -g -w 0\n"
    )


def test_json_has_steps_and_sums(run: Run, served: Served) -> None:
    done = run("plan", "--format", "json", "--socket", str(served.socket))
    document = json.loads(done.out)
    assert document["summary"] == {"add": 2, "change": 0, "remove": 0}
    assert document["steps"][1]["subject"] == "10.0.0.42:80"


def test_exit_code_tells_pending_steps_on_request(run: Run, served: Served) -> None:
    assert run("plan", "--exit-code", "--socket", str(served.socket)).status == 4


def test_a_bad_config_is_told_problem_by_problem(run: Run, served: Served) -> None:
    served.desk.problems = ("config.toml:3: weight: too big", "config.toml:9: port: missing")
    done = run("plan", "--socket", str(served.socket))
    assert done.status == 2
    assert done.err.splitlines()[1:] == list(served.desk.problems)


def test_a_file_that_cannot_be_read_is_bad_usage(run: Run, served: Served) -> None:
    done = run("plan", "-c", "/nonexistent.toml", "--socket", str(served.socket))
    assert (done.status, served.desk.plans) == (2, [])
    assert "name the configuration with --config" in done.err


def test_a_socket_that_was_named_must_answer(run: Run) -> None:
    assert run("plan", "--socket", "/nonexistent/lvsguard.sock").status == 3
