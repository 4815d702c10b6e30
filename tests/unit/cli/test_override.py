"""drain, undrain, disable, enable, weight."""

from __future__ import annotations

import json
import os
import pwd
import re
from ipaddress import ip_address

import pytest

from lvsguard.admin.operations import Kept
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from tests.support.golden import Golden
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


def drained_by_alice(served: Served) -> None:
    """For a disk, until it is replaced."""
    end = NOON + 100 * 365 * 86400
    held = Override(RS1, OverrideKind.DRAIN, "alice (uid 7)", NOON, "disk broken", None, end, "O-1")
    served.desk.picture.kept[held.key] = held


def steady(said: str) -> str:
    """The same each time."""
    said = re.sub(r" \(\w+ ago\)", "", said.replace(me(), "ME"))
    return re.sub(r"\w+(?= (ago|to go)\b)", "T", said)


def me() -> str:
    return f"{pwd.getpwuid(os.getuid()).pw_name} (uid {os.getuid()})"


def test_whose_drain_it_replaces_and_ends_is_told(run: Run, served: Served, golden: Golden) -> None:
    """Alice has drained it for its disk; a deploy script of bob's drains it once more."""
    drained_by_alice(served)
    socket = ("--socket", str(served.socket))
    said = [run("drain", "10.0.0.42", "--reason", "release 4.2", "--for", "10m", *socket)]
    drained_by_alice(served)
    said += [run("undrain", "10.0.0.42", *socket), run("undrain", "10.0.0.42", *socket)]
    assert [one.status for one in said] == [0, 0, 0]
    assert all(one.err == "" for one in said)
    golden.check("cli/drain-of-another.txt", steady("".join(one.out for one in said)))


def test_mine_leaves_another_s_drain_and_fails(run: Run, served: Served, golden: Golden) -> None:
    drained_by_alice(served)
    socket = ("--mine", "--socket", str(served.socket))
    said = [
        run("drain", "10.0.0.42", *socket),
        run("undrain", "10.0.0.42", *socket),
        run("undrain", "10.0.0.42", "--wait", *socket),
    ]
    assert [one.status for one in said] == [1, 1, 1]
    (held,) = served.desk.picture.overrides()
    assert held.actor == "alice (uid 7)"
    text = "".join(f"{one.out}{one.err}" for one in said)
    golden.check("cli/drain-of-another-mine.txt", steady(text))


def test_json_has_whose_it_was(run: Run, served: Served) -> None:
    drained_by_alice(served)
    socket = ("--json", "--socket", str(served.socket))
    left = run("undrain", "10.0.0.42", "--mine", *socket)
    assert left.status == 1
    assert [one["reason"] for one in json.loads(left.out)["left"]] == ["disk broken"]
    replaced = json.loads(run("drain", "10.0.0.42", *socket).out)["replaced"]
    assert [one["actor"] for one in replaced] == ["alice (uid 7)"]
    ended = json.loads(run("undrain", "10.0.0.42", "--mine", *socket).out)["ended"]
    assert [one["actor"] for one in ended] == [me()]


def test_whose_disable_or_weight_it_was_is_told_too(run: Run, served: Served) -> None:
    kept = served.desk.picture.kept
    for kind, weight in ((OverrideKind.DISABLE, None), (OverrideKind.WEIGHT, Weight(5))):
        held = Override(RS1, kind, "alice (uid 7)", NOON, weight=weight)
        kept[held.key] = held
    socket = ("--socket", str(served.socket))
    assert run("disable", "10.0.0.42", "--mine", *socket).status == 1
    assert run("weight", "10.0.0.42", "7", "--mine", *socket).status == 1
    assert run("weight", "10.0.0.42", "reset", "--mine", *socket).status == 1
    assert len(kept) == 2
    ended = steady(run("enable", "10.0.0.42", *socket).out).splitlines()[-1]
    assert ended == "  ended: disable of 10.0.0.42 by alice (uid 7), T ago, without a reason"
    assert "replaced: weight 5 of 10.0.0.42 by" in run("weight", "10.0.0.42", "7", *socket).out
    assert "ended: weight 7 of 10.0.0.42 by" in run("weight", "10.0.0.42", "reset", *socket).out


def test_mine_is_not_for_a_share(run: Run) -> None:
    done = run("drain", "--percent", "20", "--service", "web", "--mine")
    assert (done.status, "--mine goes with a TARGET" in done.err) == (2, True)


def test_a_service_that_is_empty_ends_nothing(run: Run, served: Served) -> None:
    drained_by_alice(served)
    done = run("undrain", "10.0.0.42", "--service", "", "--socket", str(served.socket))
    assert done.status == 2
    assert len(served.desk.picture.overrides()) == 1


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
