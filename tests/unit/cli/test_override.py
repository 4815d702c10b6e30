"""drain, undrain, disable, enable, weight."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from lvsguard.admin.operations import Kept
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from tests.support.published import NOON
from tests.unit.cli.conftest import Run, Served

RS1 = Target(ip_address("10.0.0.42"))


def test_a_drain_tells_what_it_concerns(run: Run, served: Served) -> None:
    done = run(
        "drain", "10.0.0.42", "--reason", "kernel update", "--for", "2h",
        "--socket", str(served.socket),
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    assert done.out == "10.0.0.42: drained for 2h00m\n  10.0.0.42:80 in web\n"
    (override,) = served.desk.picture.overrides()
    assert (override.target, override.reason) == (RS1, "kernel update")
    assert override.expires is not None


@pytest.mark.parametrize(
    ("setting", "clearing", "kind"),
    [("drain", "undrain", OverrideKind.DRAIN), ("disable", "enable", OverrideKind.DISABLE)],
)
def test_what_is_set_can_be_ended(
    run: Run, served: Served, setting: str, clearing: str, kind: OverrideKind
) -> None:
    socket = ("--socket", str(served.socket))
    assert run(setting, "rs2", "--service", "web", *socket).status == 0
    (override,) = served.desk.picture.overrides()
    assert (str(override.target), override.kind) == ("10.0.0.43 in web", kind)
    assert run(clearing, "10.0.0.43", *socket).status == 0
    assert served.desk.picture.overrides() == ()
    again = run(clearing, "10.0.0.43", *socket)
    assert (again.status, again.out) == (0, f"10.0.0.43: there was no {kind} to end\n")


def test_a_weight_is_set_and_reset(run: Run, served: Served) -> None:
    socket = ("--socket", str(served.socket))
    done = run("weight", "10.0.0.42:80", "50%", *socket)
    assert done.out == "10.0.0.42:80: weight 50%\n  10.0.0.42:80 in web\n"
    (override,) = served.desk.picture.overrides()
    assert override.weight == Weight(50, percent=True)
    assert run("weight", "10.0.0.42:80", "reset", *socket).status == 0
    assert served.desk.picture.overrides() == ()


def test_json_is_the_daemons_answer(run: Run, served: Served) -> None:
    done = run("drain", "10.0.0.42", "--json", "--socket", str(served.socket))
    assert json.loads(done.out)["targets"] == ["10.0.0.42"]


def test_an_override_that_is_not_kept_is_done_with_a_warning(run: Run, served: Served) -> None:
    served.desk.durable = Kept(False, "/var/lib/lvsguard/journal.db: disk full: make space")
    done = run("drain", "10.0.0.42", "--socket", str(served.socket))
    assert done.status == 0
    assert done.err == (
        "lvsguard: in force, but not kept: /var/lib/lvsguard/journal.db: disk full: make space\n"
    )


def test_a_target_that_means_nothing_is_bad_usage_and_told_what_there_is(
    run: Run, served: Served
) -> None:
    done = run("drain", "rs9", "--socket", str(served.socket))
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "lvsguard: no realserver is 'rs9': give an address, address:port or a name from the "
        "config\nthere is:\n  10.0.0.42:80 in web\n  rs2 10.0.0.43:80 in web\n"
    )


def test_a_wider_override_is_named(run: Run, served: Served) -> None:
    held = Override(RS1, OverrideKind.DRAIN, "alice (uid 7)", NOON)
    served.desk.picture.kept[held.key] = held
    done = run("undrain", "10.0.0.42:80", "--socket", str(served.socket))
    assert done.status == 1
    assert "end that one instead (target 10.0.0.42)" in done.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("weight", "10.0.0.42", "many"), "give 0 to 65535, or 0% to 100%"),
        (("drain", "10.0.0.42", "--for", "soon"), "give a time such as 90s"),
        (("drain", "10.0.0.42", "--for", "0"), "between 1s and 366d"),
        (("drain",), "TARGET"),
        (("drain", "10.0.0.42", "--serv", "web"), "unrecognized arguments"),
    ],
)
def test_bad_usage_says_what_is_allowed(
    run: Run, served: Served, argv: tuple[str, ...], says: str
) -> None:
    done = run(*argv, "--socket", str(served.socket))
    assert done.status == 2
    assert says in done.err


def test_without_a_daemon_there_is_a_status_of_its_own(run: Run) -> None:
    done = run("drain", "10.0.0.42", "--socket", "/nonexistent/lvsguard.sock")
    assert done.status == 3
    assert done.err == (
        "lvsguard: no lvsguard listens on /nonexistent/lvsguard.sock: start it "
        "(systemctl start lvsguard), or name its socket with --socket\n"
    )
