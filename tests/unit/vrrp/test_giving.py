"""What is sent around a handover, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lvsguard.vrrp.giving import BEGUN_S, GIVE_S, HEARD_S, Giving


def giving() -> Giving:
    one = Giving()
    one.active = True
    return one


def run(one: Giving, until: float) -> list[tuple[float, str | None, bool]]:
    """When something was sent, and what."""
    sent = []
    while (at := one.timer()) is not None and at <= until:
        sent.append((at, *one.due(at)))
    return sent


def test_the_whole_goes_when_it_begins_and_what_is_new_after_it() -> None:
    one = giving()
    one.begins("web/4", "web", 100.0)
    assert one.busy
    assert run(one, 200.0) == [
        (100.0, "web", False),
        *((100.0 + after, None, True) for after in BEGUN_S),
    ]
    assert not one.busy


def test_when_the_successor_is_heard_what_is_new_goes_at_once_and_twice_more() -> None:
    one = giving()
    one.heard("web/4", "web", 100.0)
    assert run(one, 200.0) == [(100.0 + after, None, True) for after in HEARD_S]


def test_one_that_was_taken_from_sends_the_whole_it_had_no_time_for_before() -> None:
    one = giving()
    one.lost("web/4", "web", 100.0)
    assert [what for _, *what in run(one, 200.0)] == [["web", False], [None, True], [None, True]]


def test_many_vip_groups_in_one_moment_are_one_transfer() -> None:
    one = giving()
    for number in range(300):
        one.begins(f"web{number}/4", f"web{number}", 100.0 + number / 30_000)
    sent = run(one, 200.0)
    assert [vip for _, vip, _ in sent if vip is not None] == ["web0"]
    assert len(sent) == 1 + len(BEGUN_S)


def test_its_connections_are_still_sent_for_a_moment_after_the_successor_was_heard() -> None:
    one = giving()
    one.begins("web/4", "web", 100.0)
    one.expire(1000.0)
    assert "web/4" in one
    one.heard("web/4", "web", 1000.0)
    one.expire(1000.0 + GIVE_S - 0.01)
    assert "web/4" in one
    one.expire(1000.0 + GIVE_S)
    assert "web/4" not in one


def test_one_that_nobody_takes_is_given_no_more() -> None:
    one = giving()
    one.begins("web/4", "web", 100.0)
    one.ends("web/4")
    one.ends("web/4")
    assert "web/4" not in one


def test_what_the_config_has_no_more_is_forgotten() -> None:
    one = giving()
    one.begins("web/4", "web", 100.0)
    one.begins("mail/4", "mail", 100.0)
    one.keep({"mail/4"})
    assert ("web/4" in one, "mail/4" in one) == (False, True)


@pytest.mark.parametrize("what", [Giving.begins, Giving.heard, Giving.lost])
def test_without_anybody_to_send_to_nothing_is_planned(
    what: Callable[[Giving, str, str, float], None],
) -> None:
    one = Giving()
    what(one, "web/4", "web", 100.0)
    assert not one.busy
    assert one.timer() is None
    assert "web/4" in one
