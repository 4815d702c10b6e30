"""A director that joins: whom it asks, how often, and when it stops waiting."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import count

from lvsguard.vrrp.joining import (
    ASKED_MAX,
    JOIN_MAX_S,
    TRIES,
    WORD_S,
    Asking,
    Joining,
    Member,
    Voice,
)
from lvsguard.vrrp.table_request import Answer

WEB4, WEB6 = Member("web/4", "web", 51, 4), Member("web/6", "web", 51, 6)
MAIL4 = Member("mail/4", "mail", 52, 4)
MASTER = Voice(ip_address("10.0.0.41"), "eth0")
MASTER6 = Voice(ip_address("fe80::41"), "eth0")
BESIDE = Voice(ip_address("192.168.7.41"), "eth1")
OTHER = Voice(ip_address("10.0.0.43"), "eth0")


@dataclass
class Desk:
    """A director that joins, with a clock that is turned by hand."""

    now: float = 100.0
    asked: list[tuple[float, Asking]] = field(default_factory=list)
    waits: dict[str, float] = field(default_factory=dict)
    """VIP groups that are to leave a lower priority alone, and until when."""
    joined: list[str] = field(default_factory=list)
    """Those that need no longer, in the order in which that was said."""

    def __post_init__(self) -> None:
        chance = count()
        self.joining = Joining(
            ask=lambda one: self.asked.append((self.now, one)),
            wait=self._wait,
            chance=lambda size: next(chance).to_bytes(size, "big"),
        )

    def _wait(self, vip: str, seconds: float) -> None:
        self.waits[vip] = self.now + seconds
        if not seconds:
            self.joined.append(vip)

    def held(self, vip: str = "web") -> bool:
        """Whether it leaves a lower priority alone."""
        return self.now < self.waits.get(vip, 0.0)

    def hear(self, member: Member = WEB4, voice: Voice = MASTER) -> None:
        self.joining.hears(member, voice, self.now)

    def run(self, seconds: float) -> list[Asking]:
        """Let time pass."""
        end, given_up = self.now + seconds, []
        while (due := self.joining.timer()) is not None and due <= end:
            self.now = due
            given_up += self.joining.expire(due)
        self.now = end
        return given_up

    def answer(self, entries: int | None = 50) -> Asking | None:
        return self.joining.answered(Answer(self.asked[-1][1].request, entries), self.now)

    def promise(self, seconds: float) -> list[Asking]:
        """Let time pass with a master that answers each question with "it comes"."""
        end, given_up, said = self.now + seconds, list[Asking](), -1
        while self.now < end:
            if len(self.asked) > said:
                said = len(self.asked)
                self.answer(None)
            given_up += self.run(0.1)
        return given_up

    def times(self) -> list[float]:
        return [at - 100 for at, _ in self.asked]


def test_the_master_is_asked_at_once_and_an_answer_ends_the_wait() -> None:
    desk = Desk()
    desk.hear()
    desk.hear()
    assert desk.times() == [0]
    assert desk.answer() is not None
    assert desk.joined == ["web"]
    assert desk.joining.timer() is None
    desk.hear()
    assert len(desk.asked) == 1


def test_who_says_nothing_is_asked_three_times_and_then_given_up() -> None:
    desk = Desk()
    desk.hear()
    given_up = desk.run(30)
    assert desk.times() == [0, 1, 2]
    assert len(desk.asked) == TRIES
    assert [one.coming for one in given_up] == [False]
    assert desk.joined == ["web"]


def test_who_says_that_it_will_send_is_waited_for_and_asked_on() -> None:
    desk = Desk()
    desk.hear()
    desk.answer(None)
    assert desk.run(WORD_S - 0.5) == []
    assert desk.joined == []
    assert desk.times() == list(range(10))
    assert desk.answer() is not None
    assert desk.joined == ["web"]


def test_a_table_that_takes_long_to_read_is_waited_for_as_long_as_it_is_promised() -> None:
    """100,000 connections before Linux 6.14: two readings of 6 s, and one for somebody else."""
    desk = Desk()
    desk.joining.begins("web")
    desk.run(0.9)
    desk.hear()
    for _ in range(18):
        assert desk.promise(1) == []
        assert desk.held()
    assert desk.joined == []
    assert desk.answer(100_000) is not None
    assert desk.joined == ["web"]
    assert not desk.held()


def test_who_promises_no_more_is_given_up_ten_seconds_later() -> None:
    desk = Desk()
    desk.joining.begins("web")
    desk.hear()
    assert desk.promise(20) == []
    assert desk.run(WORD_S - 2) == []
    assert desk.held()
    assert [one.coming for one in desk.run(2)] == [True]
    assert desk.joined == ["web"]


def test_who_promises_for_ever_is_given_up_in_the_end() -> None:
    desk = Desk()
    desk.joining.begins("web")
    desk.hear()
    assert desk.promise(JOIN_MAX_S - 0.5) == []
    assert desk.held()
    assert [one.coming for one in desk.promise(1)] == [True]
    assert desk.joined == ["web"]
    assert not desk.held()


def test_masters_that_promise_in_turns_are_waited_for_no_longer_than_one() -> None:
    desk = Desk()
    desk.joining.begins("web")
    given_up: list[Asking] = []
    for turn in range(round(JOIN_MAX_S)):
        desk.hear(WEB4, (MASTER, OTHER)[turn % 2])
        given_up += desk.promise(1)
    assert desk.joined == ["web"]
    assert not desk.held()
    desk.joining.begins("web")
    desk.hear()
    assert desk.promise(JOIN_MAX_S - 1) == []
    assert desk.held(), "it has joined anew"


def test_a_director_that_nobody_answers_waits_no_longer_than_ten_seconds() -> None:
    desk = Desk()
    desk.joining.begins("web")
    desk.run(WORD_S - 0.1)
    assert desk.held()
    desk.run(0.2)
    assert not desk.held()


def test_who_says_that_it_will_send_and_does_not_is_given_up_in_the_end() -> None:
    desk = Desk()
    desk.hear()
    desk.answer(None)
    assert [one.coming for one in desk.run(WORD_S + 1)] == [True]
    assert desk.joined == ["web"]


def test_both_families_of_a_vip_group_ask_once() -> None:
    desk = Desk()
    for _ in range(20):
        desk.hear(WEB4, MASTER)
        desk.hear(WEB6, MASTER6)
        desk.run(0.1)
    assert desk.times() == [0, 1]
    desk.answer()
    assert desk.joined == ["web"]
    desk.hear(WEB6, MASTER6)
    assert len(desk.asked) == 2


def test_a_second_path_to_the_same_master_asks_no_second_time() -> None:
    desk = Desk()
    for _ in range(10):
        desk.hear(WEB4, MASTER)
        desk.hear(WEB4, BESIDE)
    assert desk.times() == [0]


def test_vip_groups_of_one_master_ask_once_together() -> None:
    desk = Desk()
    desk.hear(WEB4)
    desk.hear(MAIL4)
    desk.answer()
    assert len(desk.asked) == 1
    assert desk.joined == ["mail", "web"]


def test_another_master_is_asked_in_its_place() -> None:
    desk = Desk()
    desk.hear(WEB4, MASTER)
    desk.hear(WEB4, OTHER)
    assert [one.voice for _, one in desk.asked] == [MASTER, OTHER]
    desk.run(5)
    assert desk.times() == [0, 0, 1, 2], "the first has nobody left to ask for"


def test_masters_that_alternate_are_asked_once_a_second_each() -> None:
    desk = Desk()
    for _ in range(150):
        desk.hear(WEB4, MASTER)
        desk.hear(WEB4, OTHER)
        desk.run(0.01)
    assert len(desk.asked) <= 5


def test_invented_masters_cost_a_bounded_number_of_questions() -> None:
    desk = Desk()
    for last in range(200):
        desk.hear(WEB4, Voice(ip_address(f"10.0.1.{last}"), "eth0"))
    assert len(desk.asked) == ASKED_MAX
    assert len(desk.joining.awaited) == ASKED_MAX


def test_an_answer_to_nobodys_question_is_nothing() -> None:
    desk = Desk()
    desk.hear()
    stranger = desk.asked[0][1].request
    desk.answer()
    assert desk.joining.answered(Answer(stranger, 50), desk.now) is None
    assert desk.joined == ["web"]


def test_a_director_that_became_master_asks_no_more() -> None:
    desk = Desk()
    desk.joining.begins("web")
    desk.hear()
    desk.joining.is_master("web")
    assert desk.run(5) == []
    assert len(desk.asked) == 1
    assert not desk.held(), "that would end, and be told, when it is a backup again"
    desk.joining.is_master("web")
    assert desk.joined == ["web"]


def test_a_link_that_was_gone_makes_it_ask_again() -> None:
    desk = Desk()
    desk.hear()
    desk.answer()
    desk.joining.begins("web")
    desk.hear()
    assert len(desk.asked) == 2
    assert desk.asked[0][1].request.nonce != desk.asked[1][1].request.nonce


def test_what_was_asked_before_a_link_was_gone_answers_nothing_after() -> None:
    desk = Desk()
    desk.joining.begins("web")
    desk.hear()
    before = desk.asked[0][1].request
    desk.promise(30)
    desk.joining.begins("web")
    assert desk.joining.answered(Answer(before, 50), desk.now) is None
    desk.hear()
    assert desk.promise(JOIN_MAX_S - 1) == []
    assert desk.held(), "the wait begins anew as well"
    desk.answer()
    assert desk.joined == ["web"]


def test_what_the_config_no_longer_has_is_forgotten() -> None:
    desk = Desk()
    desk.hear(WEB4)
    desk.joining.keep({"mail"}, {"mail/4"})
    assert desk.run(5) == []
    assert len(desk.asked) == 1
    assert desk.joining.awaited == frozenset()


def test_a_vip_group_whose_other_family_is_gone_asks_again() -> None:
    desk = Desk()
    desk.hear(WEB6, MASTER6)
    desk.joining.keep({"web"}, {"web/4"})
    desk.hear(WEB4, MASTER)
    assert [one.voice for _, one in desk.asked] == [MASTER6, MASTER]
