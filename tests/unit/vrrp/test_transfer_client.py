"""The VRRP process' side of its transfer process: every request is answered once, nothing waits."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lvsguard.vrrp.errands import Errands
from lvsguard.vrrp.transfer_client import ANSWER_MAX_S, RESTART_S, TransferClient
from lvsguard.vrrp.transfer_message import Again, Failed, FromTransfer, Sent

DOUBLE = (sys.executable, "-m", "tests.support.transfer_double")


@dataclass
class Desk:
    """A client and its loop; ``ahead`` moves its clock."""

    errands: Errands
    client: TransferClient
    answers: list[FromTransfer] = field(default_factory=list)
    ahead: float = 0.0
    others: set[int] = field(default_factory=lambda: set(processes()))
    """What other tests left behind."""

    @property
    def now(self) -> float:
        return time.monotonic() + self.ahead

    def ask(self) -> None:
        self.client.ask(Again(), lambda answer, _: self.answers.append(answer), self.now)

    def until(self, holds: Callable[[], bool]) -> None:
        """Run the loop until it holds."""
        end = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < end
            ears = [one.fileno() for one in (self.errands, self.client) if one.fileno() >= 0]
            select.select(ears, [], [], 0.02)
            self.errands.read()
            self.client.read(self.now)

    def child(self) -> int:
        self.until(lambda: self.client.fileno() >= 0)
        return self.children()[-1]

    def children(self) -> list[int]:
        """The processes that it has started and that are not reaped yet."""
        return [pid for pid in processes() if pid not in self.others]


def processes() -> list[int]:
    while True:
        tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
        try:
            return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread has just ended; its children are another one's now


@contextmanager
def desk(*command: str) -> Iterator[Desk]:
    errands = Errands()
    client = TransferClient(errands, command)
    try:
        yield Desk(errands, client)
    finally:
        client.close(time.monotonic())
        errands.close()


def test_what_is_asked_while_it_starts_is_answered_when_it_is_there() -> None:
    with desk(*DOUBLE) as one:
        one.ask()
        one.ask()
        assert one.answers == []
        one.until(lambda: len(one.answers) == 2)
        assert all(isinstance(answer, Sent) for answer in one.answers)


def test_one_that_is_killed_fails_what_was_asked_and_another_is_started_in_time() -> None:
    with desk(*DOUBLE, "mute") as one:
        one.ask()
        pid = one.child()
        os.kill(pid, signal.SIGKILL)
        one.until(lambda: bool(one.answers))
        assert isinstance(one.answers[0], Failed)
        assert not one.client.there
        assert one.client.start(one.now) is not None, "not at once: it might die again and again"
        one.ahead += RESTART_S
        assert one.client.start(one.now) is None
        assert one.child() != pid


def test_what_is_asked_right_after_its_end_fails_at_once() -> None:
    with desk(*DOUBLE, "ends") as one:
        one.ask()
        one.until(lambda: bool(one.answers))
        one.ask()
        assert [isinstance(answer, Failed) for answer in one.answers] == [True, True]


def test_one_that_talks_nonsense_is_replaced() -> None:
    with desk(*DOUBLE, "nonsense") as one:
        one.ask()
        one.until(lambda: bool(one.answers))
        assert isinstance(one.answers[0], Failed)
        one.until(lambda: one.children() == [])


def test_one_that_is_stopped_is_killed_when_an_answer_is_overdue() -> None:
    with desk(*DOUBLE, "mute") as one:
        one.ask()
        os.kill(one.child(), signal.SIGSTOP)
        assert one.client.timer() is not None
        one.ahead = ANSWER_MAX_S + 1
        one.until(lambda: bool(one.answers))
        assert isinstance(one.answers[0], Failed)
        one.until(lambda: one.children() == [])


def test_a_program_that_is_not_there_fails_what_was_asked() -> None:
    with desk("/nonexistent/python") as one:
        one.ask()
        one.until(lambda: bool(one.answers))
        assert "cannot be started" in str(one.answers[0])


@pytest.mark.parametrize("settled", [True, False], ids=["running", "starting"])
def test_the_end_leaves_no_process_and_no_question_open(settled: bool) -> None:
    with desk(*DOUBLE, "mute") as one:
        one.ask()
        if settled:
            one.child()
    assert [isinstance(answer, Failed) for answer in one.answers] == [True]
    assert one.children() == []
