"""drain and undrain: several targets, shares, and waits as they are told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.core.health import Verdict
from lvsguard.core.model import Counters
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.snapshot import ServiceStatus
from tests.support.published import NOON, Picture, realserver, service
from tests.unit.cli.conftest import Run, Served


@pytest.fixture
def five(served: Served) -> Served:
    """Five realservers that serve; rs1 has no connection, each further one has one more."""
    served.desk.picture.shown = (
        service(
            *(
                realserver(f"10.0.0.{41 + n}", name=f"rs{n}", counters=Counters(active=n - 1))
                for n in range(1, 6)
            ),
            need=3,
        ),
    )
    return served


def drained(served: Served) -> list[str]:
    return sorted(f"{o.kind} {o.target}" for o in served.desk.picture.overrides())


def test_one_that_is_empty_is_told_at_once(run: Run, five: Served) -> None:
    done = run("drain", "rs1", "--wait", "--socket", str(five.socket))
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "10.0.0.42: drained\n  10.0.0.42:80 in web\n   0s  nothing is left\nempty after 0s\n"
    )


def test_one_that_is_not_ends_with_4_and_says_what_to_do(run: Run, five: Served) -> None:
    argv = ("drain", "rs2", "--wait", "--timeout", "0.1s", "--socket", str(five.socket))
    done = run(*argv)
    assert done.status == 4
    assert done.out == "10.0.0.43: drained\n  10.0.0.43:80 in web\n   0s  1 connection left\n"
    assert done.err == (
        "lvsguard: not empty after 0s: the drain is on\n  10.0.0.43:80 in web: 1 connection\n"
        "lvsguard: `lvsguard undrain rs2` ends that\n"
    )
    assert drained(five) == ["drain 10.0.0.43"]


def test_at_the_deadline_it_is_taken_out_where_that_is_asked_for(run: Run, five: Served) -> None:
    argv = ("drain", "rs2", "--wait", "--timeout", "0.1s", "--then", "remove", "--for", "1h")
    done = run(*argv, "--reason", "disk", "--socket", str(five.socket))
    assert done.status == 4
    assert "not empty after 0s: taken out of the table\n" in done.err
    assert "`lvsguard enable rs2` ends that" in done.err
    assert drained(five) == ["disable 10.0.0.43"]
    (override,) = five.desk.picture.overrides()
    assert (override.kind, override.reason) == (OverrideKind.DISABLE, "disk")
    assert override.expires is not None
    assert 3500 < override.expires - override.since <= 3600


def test_what_is_empty_is_taken_out_too(run: Run, five: Served) -> None:
    done = run("drain", "rs1", "--wait", "--then", "remove", "--socket", str(five.socket))
    assert done.status == 0
    assert done.out.endswith(
        "empty after 0s\ntaken out of the table: `lvsguard enable rs1` puts it back\n"
    )
    assert drained(five) == ["disable 10.0.0.42"]


def test_several_are_drained_and_waited_for_together(run: Run, five: Served) -> None:
    argv = ("drain", "rs1", "rs2", "10.0.0.44:80", "--wait", "--timeout", "0.1s")
    done = run(*argv, "--socket", str(five.socket))
    assert done.status == 4
    assert "   0s  3 connections left\n" in done.out
    assert drained(five) == ["drain 10.0.0.42", "drain 10.0.0.43", "drain 10.0.0.44:80"]
    assert run("undrain", "rs1", "rs2", "10.0.0.44:80", "--socket", str(five.socket)).status == 0
    assert drained(five) == []


def test_one_that_means_nothing_leaves_all_as_they_are(run: Run, five: Served) -> None:
    done = run("drain", "rs1", "rs9", "--socket", str(five.socket))
    assert (done.status, drained(five)) == (2, [])
    assert "no realserver is 'rs9'" in done.err


def test_a_share_is_that_of_the_idlest(run: Run, five: Served) -> None:
    argv = ("drain", "--percent", "40", "--service", "web", "--socket", str(five.socket))
    done = run(*argv)
    assert done.status == 0
    assert done.out.splitlines()[::2] == [
        "10.0.0.42:80 in web: drained",
        "10.0.0.43:80 in web: drained",
    ]
    assert run(*argv).out == "40% of service web are drained or disabled already\n"
    assert len(drained(five)) == 2


def test_a_share_says_which_directors_it_could_not_take_turns_with(run: Run, five: Served) -> None:
    five.desk.unasked = ("director director2 is not heard",)
    argv = ("drain", "--percent", "20", "--service", "web", "--socket", str(five.socket))
    done = run(*argv)
    assert (done.status, len(drained(five))) == (0, 1)
    assert done.err == (
        "lvsguard: director director2 is not heard: a share that is drained there at this moment"
        " is not counted\n"
    )


def test_a_share_that_is_out_already_is_waited_for_all_the_same(run: Run, five: Served) -> None:
    """What a script does after exit status 4: it tries again."""
    argv = ("drain", "--percent", "40", "--service", "web", "--wait", "--timeout", "0.1s")
    first = run(*argv, "--socket", str(five.socket))
    assert (first.status, len(drained(five))) == (4, 2)
    assert "`lvsguard undrain 10.0.0.42:80 10.0.0.43:80 --service web` ends that" in first.err
    second = run(*argv, "--then", "remove", "--socket", str(five.socket))
    assert second.status == 4
    assert second.out == (
        "40% of service web are drained or disabled already\n   0s  1 connection left\n"
    )
    assert second.err == (
        "lvsguard: not empty after 0s: the drain is on\n  10.0.0.43:80 in web: 1 connection\n"
        "lvsguard: it was on before this command: `lvsguard status` says by whom\n"
    )
    assert drained(five) == ["drain 10.0.0.42:80 in web", "drain 10.0.0.43:80 in web"]


def test_with_a_larger_share_the_earlier_drains_are_waited_for_too(run: Run, five: Served) -> None:
    assert run("drain", "rs5", "--socket", str(five.socket)).status == 0
    argv = ("--service", "web", "--wait", "--timeout", "0.1s", "--json")
    done = run("drain", "--percent", "40", *argv, "--socket", str(five.socket))
    document = json.loads(done.out)
    assert (done.status, document["targets"]) == (4, ["10.0.0.42:80 in web"])
    left = [(one["address"], one["connections"]) for one in document["wait"]["left"]]
    assert left == [("10.0.0.46", 4)]


def test_where_nobody_serves_a_share_fails(run: Run, five: Served) -> None:
    (web,) = five.desk.picture.shown
    down = (replace(one, verdict=Verdict.DOWN, weight=0, full_weight=0) for one in web.realservers)
    five.desk.picture.shown = (replace(web, realservers=tuple(down), quorum_have=0),)
    argv = ("drain", "--percent", "40", "--service", "web", "--force", "--wait")
    done = run(*argv, "--socket", str(five.socket))
    assert (done.status, done.out, drained(five)) == (1, "", [])
    assert "no realserver of service web that could be drained serves: those that" in done.err


def test_a_signal_while_a_share_is_asked_for_says_that_some_may_be_drained(five: Served) -> None:
    five.desk.stuck = "drain 10.0.0.42:80 in web"
    with drain(five, "--percent", "40", "--service", "web") as process:
        until(lambda: five.desk.hangs)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert err == (
        "lvsguard: interrupted\nperhaps drained: a share of web: `lvsguard status` shows who\n"
    )


def test_an_answer_about_a_share_that_is_lost_says_that_some_may_be_drained(five: Served) -> None:
    five.desk.stuck = "drain 10.0.0.42:80 in web"
    with drain(five, "--percent", "40", "--service", "web") as process:
        until(lambda: five.desk.hangs)
        five.end()
        _, err = process.communicate(timeout=10)
    assert process.returncode == 3
    assert "perhaps drained: a share of web" in err


def test_a_share_below_the_quorum_is_refused_unless_forced(run: Run, five: Served) -> None:
    argv = ("drain", "--percent", "60%", "--service", "web", "--socket", str(five.socket))
    done = run(*argv)
    assert (done.status, drained(five)) == (1, [])
    assert "would have a live weight of 2, and needs 3: take less, or --force" in done.err
    assert run(*argv, "--force").status == 0
    assert len(drained(five)) == 3


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), "give a TARGET, or --percent and --service"),
        (("--percent", "20"), "--percent takes a --service, and no TARGET"),
        (("rs1", "--percent", "20", "--service", "web"), "--percent takes a --service, and no"),
        (("--percent", "0", "--service", "web"), "give a whole number from 1 to 100"),
        (("--percent", "20", "--service", "nosuch"), "no service is named 'nosuch'"),
        (("rs1", "--force"), "--force goes with --percent"),
        (("rs1", "--timeout", "5m"), "--timeout says what --wait does: give --wait, too"),
        (("rs1", "--then", "remove"), "--then says what --wait does"),
        (("rs1", "--strict"), "--strict says what --wait does"),
        (("rs1", "--wait", "--then", "explode"), "invalid choice: 'explode'"),
    ],
)
def test_bad_usage_says_what_to_give(
    run: Run, five: Served, argv: tuple[str, ...], says: str
) -> None:
    done = run("drain", *argv, "--socket", str(five.socket))
    assert (done.status, drained(five)) == (2, [])
    assert says in done.err


def test_a_drain_that_is_ended_meanwhile_is_a_failure(run: Run, five: Served) -> None:
    class Ended(dict[object, object]):
        """Overrides that hold for nobody."""

        def values(self) -> list[object]:  # type: ignore[override]
            return []

    five.desk.picture.kept = Ended()  # type: ignore[assignment]
    done = run("drain", "rs2", "--wait", "--socket", str(five.socket))
    assert done.status == 1
    assert done.err == (
        "lvsguard: given up after 0s\n"
        "  10.0.0.43:80 in web: somebody has ended the drain: L7OK 200 OK\n"
    )


@contextmanager
def drain(served: Served, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which can be sent signals."""
    command = [sys.executable, "-m", "lvsguard", "drain", *argv, "--socket", str(served.socket)]
    pipes = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipes, stderr=pipes, text=True) as process:
        yield process
        process.kill()


def until(happened: Callable[[], bool]) -> None:
    """Wait for the other thread."""
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


class Reloading(Picture):
    """A reload takes 10.0.0.43 out after so many looks at so many drains."""

    drains, looks = 2, 4

    def services(self, *, brief: bool = False) -> Iterator[ServiceStatus]:
        if len(self.kept) == self.drains:
            self.looks -= 1
            if self.looks < 0:
                (web,) = self.shown
                left = tuple(r for r in web.realservers if str(r.key.address) != "10.0.0.43")
                self.shown = (replace(web, realservers=left),)
        return super().services(brief=brief)


@pytest.fixture
def reloading(five: Served) -> Served:
    """Five, of which a reload takes one out while it is waited for."""
    five.desk.picture = Reloading(five.desk.picture.shown)
    return five


@pytest.mark.parametrize("wait", [(), ("--wait",)])
def test_a_full_disk_under_the_output_says_what_is_in_force(
    served: Served, wait: tuple[str, ...]
) -> None:
    command = (sys.executable, "-m", "lvsguard", "drain", "10.0.0.42", *wait)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, "--socket", str(served.socket)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "lvsguard: drained: 10.0.0.42: `lvsguard undrain 10.0.0.42` ends that\n"
        "lvsguard: the output cannot be written (No space left on device): give it another place\n"
    )


def test_one_that_leaves_the_configuration_meanwhile_is_told_and_what_stays_drained(
    run: Run, reloading: Served
) -> None:
    done = run("drain", "rs2", "rs3", "--wait", "--socket", str(reloading.socket))
    assert done.status == 1
    assert done.err == (
        "lvsguard: given up after 0s\n"
        "  10.0.0.43:80 in web: it is not in the configuration any more\n"
        "lvsguard: still drained: rs3: `lvsguard undrain rs3` ends that\n"
        "lvsguard: should 10.0.0.43 come back, it is still drained: `lvsguard undrain 10.0.0.43`"
        " ends that\n"
    )
    assert drained(reloading) == ["drain 10.0.0.43", "drain 10.0.0.44"]
    for target in ("rs3", "10.0.0.43"):
        assert run("undrain", target, "--socket", str(reloading.socket)).status == 0
    assert drained(reloading) == []


def test_json_tells_that_too(run: Run, reloading: Served) -> None:
    done = run("drain", "rs2", "rs3", "--wait", "--json", "--socket", str(reloading.socket))
    wait = json.loads(done.out)["wait"]
    assert (done.status, wait["outcome"]) == (1, "lost")
    assert wait["lost"] == ["10.0.0.43:80 in web: it is not in the configuration any more"]
    assert "still drained: rs3" in done.err


def test_a_service_that_leaves_the_configuration_is_told(run: Run, reloading: Served) -> None:
    class Gone(Reloading):
        def services(self, *, brief: bool = False) -> Iterator[ServiceStatus]:
            return (one for one in super().services() if self.looks >= 0)

    reloading.desk.picture = Gone(reloading.desk.picture.shown)
    argv = ("--service", "web", "--wait", "--socket", str(reloading.socket))
    done = run("drain", "rs3", "rs4", *argv)
    assert done.status == 1
    assert "10.0.0.44:80 in web: it is not in the configuration any more\n" in done.err
    assert "`lvsguard undrain 10.0.0.45 --service web` ends that" in done.err


def test_when_one_of_several_is_refused_those_before_it_are_told(
    run: Run, reloading: Served
) -> None:
    picture = reloading.desk.picture
    assert isinstance(picture, Reloading)
    picture.drains, picture.looks = 1, 0
    done = run("drain", "rs1", "rs2", "rs3", "--socket", str(reloading.socket))
    assert done.status == 2
    assert "no realserver is 'rs2'" in done.err
    assert done.err.endswith("\ndrained: rs1: `lvsguard undrain rs1` ends that\n")
    assert drained(reloading) == ["drain 10.0.0.42"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("stuck", ["drain 10.0.0.43", ""], ids=["asking", "waiting"])
def test_a_signal_leaves_the_drains_on_and_says_so(
    five: Served, stuck: str, number: signal.Signals, status: int
) -> None:
    five.desk.stuck = stuck
    with drain(five, "rs1", "rs2", "--wait") as process:
        assert process.stdout is not None
        if stuck:
            until(lambda: five.desk.hangs)
        else:
            assert any("left" in line for line in process.stdout)
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
    assert process.returncode == status
    if stuck:
        assert err == (
            "lvsguard: interrupted\n"
            "drained: rs1: `lvsguard undrain rs1` ends that\n"
            "perhaps drained: rs2: `lvsguard undrain rs2` ends that\n"
        )
    else:
        assert "before it was empty: the drain is on\n" in err
        assert err.endswith("lvsguard: `lvsguard undrain rs1 rs2` ends that\n")


def test_a_signal_while_it_is_taken_out_tells_both(five: Served) -> None:
    five.desk.stuck = "disable 10.0.0.42"
    with drain(five, "rs1", "--wait", "--then", "remove") as process:
        until(lambda: five.desk.hangs)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 143
    assert err == (
        "lvsguard: interrupted\n"
        "drained: rs1: `lvsguard undrain rs1` ends that\n"
        "perhaps disabled: rs1: `lvsguard enable rs1` ends that\n"
    )


def test_a_daemon_that_is_gone_at_the_deadline_leaves_them_drained(run: Run, five: Served) -> None:
    class Leaving(Picture):
        def services(self, *, brief: bool = False) -> Iterator[ServiceStatus]:
            if len(self.kept) == 2:
                five.socket.unlink(missing_ok=True)
            return super().services(brief=brief)

    five.desk.picture = Leaving(five.desk.picture.shown)
    argv = ("--wait", "--timeout", "0.3s", "--socket", str(five.socket))
    done = run("drain", "rs2", "rs3", *argv)
    assert done.status == 3
    assert "no lvsguard listens on" in done.err
    assert "still drained: rs2 rs3: `lvsguard undrain rs2 rs3` ends that\n" in done.err


def test_a_drain_that_would_end_before_the_wait_is_refused(run: Run, five: Served) -> None:
    for argv, says in (
        (
            ("--for", "5m", "--timeout", "5m"),
            "--for 5m00s ends the drain before --timeout 5m00s is",
        ),
        (("--for", "10m"), "before --timeout 15m00s (the default) is over: give a longer --for"),
    ):
        done = run("drain", "rs2", "--wait", *argv, "--socket", str(five.socket))
        assert (done.status, drained(five)) == (2, [])
        assert says in done.err


def test_json_tells_what_came_of_the_wait(run: Run, five: Served) -> None:
    argv = ("--wait", "--timeout", "0.1s", "--json", "--socket", str(five.socket))
    done = run("drain", "rs1", "rs3", *argv)
    assert done.status == 4
    document = json.loads(done.out)
    assert document["targets"] == ["10.0.0.42", "10.0.0.44"]
    assert document["wait"]["outcome"] == "deadline"
    assert [one["connections"] for one in document["wait"]["left"]] == [2]
    back = json.loads(run("undrain", "rs1", "rs3", *argv).out)
    assert (back["wait"]["outcome"], back["wait"]["left"]) == ("done", [])


def test_an_undrain_waits_until_it_serves(run: Run, five: Served) -> None:
    run("drain", "rs1", "--socket", str(five.socket))
    done = run("undrain", "rs1", "--wait", "--socket", str(five.socket))
    assert done.status == 0
    assert done.out.endswith("nothing is left\nback after 0s\n")


def test_an_undrain_of_what_is_disabled_says_what_ends_that(run: Run, five: Served) -> None:
    run("disable", "rs1", "--socket", str(five.socket))
    done = run("undrain", "rs1", "--wait", "--socket", str(five.socket))
    assert done.status == 1
    assert "`lvsguard enable` ends that" in done.err
    assert run("enable", "rs1", "--wait", "--socket", str(five.socket)).status == 0


def test_an_undrain_of_what_a_reload_has_taken_out_is_not_back(run: Run, five: Served) -> None:
    run("drain", "rs2", "--socket", str(five.socket))
    (web,) = five.desk.picture.shown
    left = tuple(r for r in web.realservers if str(r.key.address) != "10.0.0.43")
    five.desk.picture.shown = (replace(web, realservers=left),)
    done = run("undrain", "10.0.0.43", "--wait", "--socket", str(five.socket))
    assert (done.status, drained(five)) == (1, [])
    assert done.out.startswith("10.0.0.43 is not drained any more\n")
    assert done.err == (
        "lvsguard: not back after 0s\n"
        "  it is not in the configuration: put it back there and reload, if it is to serve\n"
    )


def test_where_there_is_no_drain_to_end_a_disable_is_told(run: Run, five: Served) -> None:
    argv = ("--socket", str(five.socket))
    run("drain", "rs1", "--wait", "--then", "remove", *argv)
    done = run("undrain", "rs1", *argv)
    assert done.status == 0
    assert done.out.startswith("rs1: there was no drain to end; it is ")
    assert done.out.endswith(": `lvsguard enable rs1` ends that\n")
    assert run("undrain", "rs2", *argv).out == "rs2: there was no drain to end\n"
    run("drain", "rs2", *argv)
    done = run("enable", "rs2", "--service", "web", *argv)
    assert done.out.endswith("`lvsguard undrain rs2 --service web` ends that\n")


def test_an_undrain_that_fails_half_way_says_what_mine_has_left_is_drained(
    run: Run, five: Served
) -> None:
    held = Override(Target(ip_address("10.0.0.42")), OverrideKind.DRAIN, "alice (uid 7)", NOON)
    five.desk.picture.kept[held.key] = held
    argv = ("rs2", "10.0.0.44:80", "--mine", "--socket", str(five.socket))
    run("drain", "rs2", "rs3", "--socket", str(five.socket))
    done = run("undrain", "rs1", *argv)
    assert done.status == 1
    assert "is also under the drain of 10.0.0.44 by" in done.err
    assert done.err.endswith("\nnot drained any more: rs2\n")


def test_whose_disable_is_replaced_at_the_end_of_a_drain_is_told(run: Run, five: Served) -> None:
    held = Override(Target(ip_address("10.0.0.42")), OverrideKind.DISABLE, "alice (uid 7)", NOON)
    five.desk.picture.kept[held.key] = held
    argv = ("drain", "rs1", "--wait", "--then", "remove", "--socket", str(five.socket))
    done = run(*argv)
    assert "  replaced: disable of 10.0.0.42 by alice (uid 7), " in done.out
    assert "  ended: drain of 10.0.0.42 by " in done.out
    five.desk.picture.kept = {held.key: held}
    document = json.loads(run(*argv, "--json").out)
    assert [one["actor"] for one in document["replaced"]] == ["alice (uid 7)"]
    assert document["targets"] == ["10.0.0.42"]
    assert document["wait"]["outcome"] == "done"


@pytest.mark.parametrize("command", [("drain",), ("undrain",), ("weight",)])
def test_a_target_that_is_empty_is_a_script_s_mistake(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, "", "rs1")
    assert done.status == 2
    assert "it is empty: is a variable of your script not set?" in done.err


def test_the_reason_of_an_undrain_is_in_the_history(run: Run, five: Served) -> None:
    for command, back in (("drain", "undrain"), ("disable", "enable")):
        run(command, "rs1", "--socket", str(five.socket))
        said = ("--reason", "the disk is new", "--socket", str(five.socket))
        assert run(back, "rs1", *said).status == 0
        assert five.desk.history_kept[-1].text.endswith(": the disk is new")
    run("weight", "rs1", "5", "--socket", str(five.socket))
    assert run("weight", "rs1", "reset", *said).status == 0
    assert five.desk.history_kept[-1].data["reason"] == "the disk is new"
    done = run("undrain", "rs1", "--reason", "one\ntwo", "--socket", str(five.socket))
    assert (done.status, "reason: leave out line breaks" in done.err) == (2, True)


def test_an_undrain_that_fails_half_way_says_which_have_ended(run: Run, five: Served) -> None:
    run("drain", "rs1", "10.0.0.43:80", "--socket", str(five.socket))
    run("drain", "rs3", "--socket", str(five.socket))
    argv = ("undrain", "rs1", "10.0.0.44:80", "10.0.0.43:80", "--socket", str(five.socket))
    done = run(*argv)
    assert done.status == 1
    assert "is also under the drain of 10.0.0.44 by" in done.err
    assert done.err.endswith("\nnot drained any more: rs1\n")
    assert drained(five) == ["drain 10.0.0.43:80", "drain 10.0.0.44"]


def test_many_are_asked_for_by_their_service(run: Run, served: Served) -> None:
    served.desk.picture.shown = (
        service(*(realserver(f"10.0.0.{n}", name="web") for n in range(1, 2))),
        service(*(realserver(f"10.0.1.{n}") for n in range(1, 101)), name="many"),
    )
    done = run(
        "drain", "--percent", "50", "--service", "many", "--wait", "--socket", str(served.socket)
    )
    assert done.status == 0
    assert len(served.desk.picture.overrides()) == 50


def test_one_that_is_slow_to_rise_is_named(run: Run, five: Served) -> None:
    (web,) = five.desk.picture.shown
    rising = replace(web.realservers[0], weight=2, full_weight=20, reason="up; slow start: 2 of 20")
    five.desk.picture.shown = (replace(web, realservers=(rising, *web.realservers[1:])),)
    done = run("undrain", "rs1", "--wait", "--timeout", "0.1s", "--socket", str(five.socket))
    assert done.status == 4
    assert "  10.0.0.42:80 in web: weight 2 of 20: up; slow start: 2 of 20\n" in done.err
