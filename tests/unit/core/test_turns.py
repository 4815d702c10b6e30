"""Turns among directors: who asked first is first on all of them."""

from __future__ import annotations

import pytest

from lvsguard.core.ledger import Stamp
from lvsguard.core.turns import Told, Turns

NOW = 1_000_000.0


def told(turns: Turns, *, same: bool = True) -> Told:
    """What a director says of itself."""
    return Told(turns.own, dict(turns.known), same)


def own(turns: Turns) -> Stamp:
    assert turns.own is not None
    return turns.own


@pytest.mark.parametrize("first", [0, 1], ids=["director1 first", "director2 first"])
def test_of_two_that_ask_at_once_the_one_that_asked_first_is_first_on_both(first: int) -> None:
    names = ("director1", "director2")[:: -1 if first else 1]
    one, other = map(Turns, names)
    one.begin(NOW)
    other.begin(NOW + 0.001)
    assert not one.lets(told(other)), "its turn is not known there"
    assert not other.lets(told(one))
    assert one.hear(names[1], other.own), "a word that it is known is waited for"
    assert other.hear(names[0], one.own)
    assert one.lets(told(other))
    assert not other.lets(told(one))
    one.end()
    assert other.lets(told(one))


def test_of_two_that_ask_in_the_same_millisecond_the_name_decides() -> None:
    one, two = Turns("director1"), Turns("director2")
    one.begin(NOW)
    two.begin(NOW)
    assert own(one) < own(two)


def test_a_turn_is_later_than_every_one_that_is_known_whatever_the_clock_says() -> None:
    one, two = Turns("director1"), Turns("director2")
    one.begin(NOW + 30)
    two.hear("director1", one.own)
    two.begin(NOW)
    assert own(two) > own(one)


def test_a_turn_that_nobody_can_have_makes_no_later_one_that_cannot_be_told() -> None:
    one = Turns("director1")
    one.hear("director2", Stamp(2**53, 2**53, "director2"))
    one.begin(NOW)
    assert own(one).counter <= 2**53


def test_who_does_not_hold_the_same_is_waited_for() -> None:
    one, two = Turns("director1"), Turns("director2")
    one.begin(NOW)
    two.hear("director1", one.own)
    assert one.lets(told(two))
    assert not one.lets(told(two, same=False))


def test_a_turn_that_is_over_is_forgotten_and_an_earlier_one_s_word_counts_no_more() -> None:
    one, two = Turns("director1"), Turns("director2")
    one.begin(NOW)
    assert two.hear("director1", one.own)
    assert not two.hear("director1", one.own), "it is known already"
    stale = told(two)
    one.end()
    assert not two.hear("director1", one.own)
    assert two.known == {}
    one.begin(NOW + 1)
    assert not one.lets(stale)
