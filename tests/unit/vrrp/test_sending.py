"""One transfer at a time, however many want one; and whom a master serves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from lvsguard.vrrp.sending import Sending
from lvsguard.vrrp.serving import SERVE_S, WAITING_MAX, Asker, Serving
from lvsguard.vrrp.table_request import Answer, Request
from lvsguard.vrrp.table_socket import Place
from lvsguard.vrrp.transfer_message import (
    Again,
    Begin,
    Failed,
    FromTransfer,
    Prepare,
    Prepared,
    Sent,
    Target,
    ToTransfer,
)

BEGIN = Begin(target=Target(interface="eth0", syncid=51))
PART = Begin(target=Target(interface="eth0", syncid=51), addresses=("10.0.0.8",))
BROKEN = Failed("no kernel")


def sent(entries: int = 50, *, whole: bool = True) -> Sent:
    return Sent(entries=entries, messages=1, seconds=0.1, whole=whole)


@dataclass
class Desk:
    """A transfer process that answers when the test says so."""

    now: float = 100.0
    asked: list[ToTransfer] = field(default_factory=list)
    outcomes: list[Sent | Failed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._open: deque[Callable[[FromTransfer, float], None]] = deque()
        self.sending = Sending(self._ask)

    def _ask(
        self, message: ToTransfer, answered: Callable[[FromTransfer, float], None], now: float
    ) -> None:
        self.asked.append(message)
        self._open.append(answered)

    def answer(self, answer: FromTransfer | None = None) -> None:
        self._open.popleft()(answer or sent(), self.now)

    def whole(self, begin: Begin = BEGIN) -> None:
        self.sending.whole(begin, lambda how, _: self.outcomes.append(how), self.now)

    def again(self) -> None:
        self.sending.again(lambda how, _: self.outcomes.append(how), self.now)


def test_a_hundred_wishes_make_two_transfers() -> None:
    desk = Desk()
    for _ in range(100):
        desk.whole()
        desk.again()
    assert desk.asked == [BEGIN]
    desk.answer()
    assert desk.asked == [BEGIN, BEGIN]
    desk.answer()
    assert len(desk.asked) == 2
    assert len(desk.outcomes) == 200
    assert not desk.sending.busy


def test_what_is_wanted_while_one_runs_waits_for_one_that_begins_later() -> None:
    desk = Desk()
    desk.whole()
    desk.whole(PART)
    assert desk.outcomes == []
    desk.answer(sent(1))
    assert [how.entries for how in desk.outcomes if isinstance(how, Sent)] == [1]
    assert desk.asked == [BEGIN, PART]
    desk.answer(sent(2))
    assert [how.entries for how in desk.outcomes if isinstance(how, Sent)] == [1, 2]


def test_what_is_new_follows_what_was_sent() -> None:
    desk = Desk()
    desk.whole()
    desk.again()
    desk.answer()
    assert desk.asked == [BEGIN, Again()]


@pytest.mark.parametrize("answer", [BROKEN, Prepared(1, 0.1)])
def test_after_one_that_went_wrong_the_whole_is_sent(answer: FromTransfer) -> None:
    desk = Desk()
    desk.whole(PART)
    desk.answer(answer)
    assert isinstance(desk.outcomes[0], Failed)
    desk.again()
    assert desk.asked == [PART, PART]


def test_nothing_is_repeated_that_was_never_sent() -> None:
    desk = Desk()
    desk.again()
    assert desk.asked == []
    assert isinstance(desk.outcomes[0], Failed)
    assert not desk.sending.busy


def test_preparing_is_asked_once_and_waits_for_transfers() -> None:
    desk = Desk()
    desk.whole()
    for _ in range(100):
        desk.sending.prepare(desk.now)
    desk.again()
    desk.answer()
    assert desk.asked == [BEGIN, Again()]
    desk.answer()
    assert desk.asked == [BEGIN, Again(), Prepare()]
    assert not desk.sending.busy, "nobody need wait for it"
    desk.again()
    assert len(desk.asked) == 3
    desk.answer(Prepared(1, 0.1))
    assert desk.asked[3:] == [Again()]


# -- whom a master serves ------------------------------------------------------------------


class Master(Desk):
    """A master, and what it says to those who ask."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.replies: list[tuple[str, int | None]] = []
        self.told: list[Sent | Failed] = []
        self.begin: Begin | None = BEGIN
        self.serving = Serving(
            self.sending,
            begin=lambda: self.begin,
            reply=self._reply,
            sent=lambda _, how: self.told.append(how),
            failed=lambda _, how: self.told.append(how),
        )

    def _reply(self, asker: Asker, answer: Answer) -> None:
        self.replies.append((str(asker.place.address), answer.entries))

    def hear(self, last: int = 40, nonce: int = 0) -> None:
        place = Place(ip_address(f"10.0.0.{last}"), 8849, 2, bytes(4))
        request = Request(51, 4, bytes([last]) + nonce.to_bytes(7, "big"))
        self.serving.asked(request, Asker("web/4", place), self.now)

    def run(self, seconds: float) -> None:
        self.now += seconds
        due = self.serving.timer()
        if due is not None and due <= self.now:
            self.serving.expire(self.now)


def test_who_asks_is_told_at_once_and_again_when_it_is_done() -> None:
    master = Master()
    master.hear()
    assert master.replies == [("10.0.0.40", None)]
    master.answer(sent(50))
    master.answer(sent(3, whole=False))
    assert master.asked == [BEGIN, Again()]
    assert master.replies == [("10.0.0.40", None), ("10.0.0.40", 53)]
    assert [how.entries for how in master.told if isinstance(how, Sent)] == [53]


def test_a_small_table_is_sent_twice_and_counted_once() -> None:
    master = Master()
    master.hear()
    master.answer(sent(50))
    master.answer(sent(48))
    assert master.replies[-1] == ("10.0.0.40", 50)


def test_who_asks_again_is_answered_and_costs_nothing() -> None:
    master = Master()
    for _ in range(5):
        master.hear()
    master.answer()
    master.answer()
    for _ in range(5):
        master.hear()
    assert len(master.asked) == 2
    assert master.replies == [("10.0.0.40", None)] * 5 + [("10.0.0.40", 50)] * 6


def test_two_that_join_while_one_is_served_share_the_next() -> None:
    master = Master()
    for last in (40, 42, 43):
        master.hear(last)
    master.answer()
    master.answer()
    assert master.replies[3:] == [("10.0.0.40", 50)]
    master.run(SERVE_S)
    master.answer()
    master.answer()
    assert master.replies[4:] == [("10.0.0.42", 50), ("10.0.0.43", 50)]
    assert len(master.asked) == 4


def test_a_flood_costs_a_transfer_each_two_seconds_and_bounded_memory() -> None:
    master = Master()
    for number in range(1000):
        master.hear(nonce=number)
        if master.sending.busy:
            master.answer()
            master.answer()
        master.run(0.01)
    wholes = [one for one in master.asked if isinstance(one, Begin)]
    assert len(wholes) <= 10 / SERVE_S + 1
    assert len(master.replies) <= 2 * len(wholes) * (WAITING_MAX + 1)


def test_a_transfer_that_failed_is_not_called_done_and_may_be_asked_for_again() -> None:
    master = Master()
    master.hear()
    master.answer(BROKEN)
    assert master.replies == [("10.0.0.40", None)]
    assert master.told == [BROKEN]
    master.run(1)
    master.hear()
    assert master.replies == [("10.0.0.40", None)], "it is promised once"
    master.hear(42)
    assert master.replies[1:] == [("10.0.0.42", None)], "to others it did not fail"
    master.run(1)
    master.answer()
    master.answer()
    assert master.replies[2:] == [("10.0.0.40", 50), ("10.0.0.42", 50)]


def test_requests_whose_transfer_failed_are_remembered_a_few_at_a_time() -> None:
    master = Master()
    for number in range(2 * WAITING_MAX):
        master.hear(nonce=number)
        master.answer(BROKEN)
        master.run(SERVE_S)
    master.hear(nonce=0)
    assert master.replies == [("10.0.0.40", None)] * (2 * WAITING_MAX + 1)
    master.answer(BROKEN)
    master.run(SERVE_S)
    master.hear(nonce=2 * WAITING_MAX - 1)
    assert len(master.replies) == 2 * WAITING_MAX + 1


def test_who_is_no_longer_master_sends_nothing() -> None:
    master = Master()
    master.hear(40)
    master.hear(42)
    master.answer()
    master.answer()
    master.begin = None
    master.run(SERVE_S)
    assert len(master.asked) == 2
    assert master.serving.timer() is None
