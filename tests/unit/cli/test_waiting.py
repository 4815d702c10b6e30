"""A wait at the command line: what is shown, and how it ends. Its clock is the test's."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence

import pytest
from rich.console import Console

from lvsguard.admin.realservers import RealserversReply
from lvsguard.admin.waiting import Emptying, Place, Returning
from lvsguard.cli.exits import CommandError, Exit, Terminated
from lvsguard.cli.progress import Bar, Lines
from lvsguard.cli.waiting import Outcome, Waited, wait
from lvsguard.core.override import Admin
from tests.support.golden import Golden
from tests.unit.admin.looks import answer, realserver

Looks = Iterator[Sequence[RealserversReply] | BaseException]


class Stage:
    """A clock, what each look finds, and what is shown meanwhile."""

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self.now = 100.0
        self.said: list[str] = []

    def look(self) -> Sequence[RealserversReply]:
        found = next(self._looks)
        if isinstance(found, BaseException):
            raise found
        return found

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds

    def wait(self, judge: Emptying | Returning, limit: float = 300.0) -> Waited:
        lines = Lines(self.said.append)
        return wait(self.look, judge, limit, lines, clock=lambda: self.now, sleep=self.sleep)


def seconds(find: Callable[[int], Sequence[RealserversReply] | BaseException]) -> Looks:
    """A look twice a second, of which each other one finds the kernel read anew."""
    number = 0
    while True:
        yield find(number // 2)
        number += 1


SILENT = CommandError(Exit.UNREACHABLE, "no lvsguard listens on /run/x.sock: start it")


def dwindling(second: int) -> Sequence[RealserversReply]:
    """40 connections, of which 4 end a second."""
    left = max(40 - 4 * second, 0)
    return answer(second, realserver(left, 40 - left, packets=400 - left))


def test_a_drain_that_gets_empty_is_told_step_by_step(golden: Golden) -> None:
    stage = Stage(seconds(dwindling))
    waited = stage.wait(Emptying())
    assert waited.outcome is Outcome.DONE
    golden.check("cli/drain-wait-lines.txt", "\n".join(stage.said) + "\n")


def test_one_that_never_does_ends_at_the_deadline(golden: Golden) -> None:
    stage = Stage(seconds(lambda second: answer(second, realserver(3, packets=9))))
    waited = stage.wait(Emptying(), 60.0)
    assert (waited.outcome, waited.seconds) == (Outcome.DEADLINE, 60.0)
    golden.check(
        "cli/drain-wait-deadline.txt", "\n".join([*stage.said, "--", *waited.lines]) + "\n"
    )
    assert waited.document["left"] == [
        {
            "service": "web",
            "address": "10.0.0.42",
            "port": 80,
            "connections": 3,
            "idle_seconds": 60.0,
            "why": "",
        }
    ]


def test_a_restart_of_the_daemon_is_waited_out(golden: Golden) -> None:
    stage = Stage(seconds(lambda second: SILENT if 3 <= second < 8 else dwindling(second)))
    assert stage.wait(Emptying()).outcome is Outcome.DONE
    golden.check("cli/drain-wait-restart.txt", "\n".join(stage.said) + "\n")


def test_a_daemon_that_stays_away_is_said_so_at_the_deadline() -> None:
    stage = Stage(seconds(lambda second: SILENT))
    waited = stage.wait(Emptying(), 10.0)
    assert (waited.outcome, waited.status) == (Outcome.UNREACHABLE, Exit.UNREACHABLE)
    assert waited.lines == ["no lvsguard listens on /run/x.sock: start it"]
    assert stage.now == 110.0


def test_sigterm_ends_it_as_ctrl_c_does_with_a_status_of_its_own() -> None:
    for signal, status in ((KeyboardInterrupt(), 130), (Terminated(), 143)):
        waited = Stage(iter([dwindling(0), signal])).wait(Emptying())
        assert (waited.outcome, waited.status) == (Outcome.INTERRUPTED, status)


def test_one_that_is_gone_at_the_first_look_is_lost_and_not_empty() -> None:
    place = Place("web", "10.0.0.43", 80)
    for judge in (Emptying(expected=frozenset({place})), Returning(frozenset({place}))):
        waited = Stage(seconds(dwindling)).wait(judge)
        assert waited.outcome is Outcome.LOST
        assert waited.progress is not None
        assert waited.progress.dropped == {place}


def test_what_the_daemon_refuses_meanwhile_ends_it() -> None:
    gone = CommandError(Exit.USAGE, "no realserver is '10.0.0.42': give an address")
    stage = Stage(seconds(lambda second: gone if second else dwindling(second)))
    with pytest.raises(CommandError) as caught:
        stage.wait(Emptying())
    assert caught.value.exit_status is Exit.FAILED


def test_ctrl_c_ends_it_with_what_is_known() -> None:
    stage = Stage(seconds(lambda second: dwindling(second) if second < 3 else KeyboardInterrupt()))
    waited = stage.wait(Emptying())
    assert waited.outcome is Outcome.INTERRUPTED
    assert waited.lines == ["  10.0.0.42:80 in web: 32 connections"]


def test_a_drain_that_somebody_ends_is_no_success() -> None:
    ready = realserver(3, weight=1, admin=Admin.READY, reason="up: L7OK 200 OK")
    stage = Stage(seconds(lambda second: answer(second, ready) if second else dwindling(second)))
    waited = stage.wait(Emptying())
    assert waited.outcome is Outcome.LOST
    assert waited.lines == ["  10.0.0.42:80 in web: somebody has ended the drain: up: L7OK 200 OK"]


def test_a_slow_start_is_told_step_by_step(golden: Golden) -> None:
    def rising(second: int) -> Sequence[RealserversReply]:
        weight = min(second * 5, 20)
        reason = f"up: L7OK 200 OK; slow start: {weight} of 20"
        return answer(second, realserver(weight=weight, full=20, admin=Admin.READY, reason=reason))

    stage = Stage(seconds(rising))
    assert stage.wait(Returning()).outcome is Outcome.DONE
    golden.check("cli/undrain-wait-lines.txt", "\n".join(stage.said) + "\n")


def test_on_a_terminal_a_bar_fills(golden: Golden) -> None:
    seen = []
    console = Console(
        file=io.StringIO(), force_terminal=True, width=80, color_system=None, legacy_windows=False
    )
    emptying = Emptying()
    bar = Bar(300.0, console)
    for second in (0, 3, 8, 10):
        bar.show(emptying.look(dwindling(second), float(second)), float(second))
        paper = Console(file=io.StringIO(), width=80, color_system=None, legacy_windows=False)
        with paper.capture() as drawn:
            paper.print(bar.drawing)
        seen.append(drawn.get().rstrip())
    bar.trouble("no lvsguard listens on /run/x.sock: start it", 11.0)
    bar.close()
    golden.check("cli/drain-wait-bar.txt", "\n".join(seen) + "\n")


def test_what_a_stranger_writes_cannot_reach_the_terminal() -> None:
    odd = realserver(verdict=realserver().verdict, weight=0, full=1, admin=Admin.READY,
                     reason="up: \x1b[2J")  # fmt: skip
    stage = Stage(seconds(lambda second: answer(second, odd)))
    waited = stage.wait(Returning(), 2.0)
    assert "\x1b" not in "".join([*stage.said, *waited.lines])
