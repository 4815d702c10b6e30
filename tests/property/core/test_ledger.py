"""Directors that have heard of the same changes hold the same, whatever came when and in between.

Ten thousand schedules of tests/sim/sharing.py, a fifth of them in the fast gate.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.ledger import Ledger, Outcome, Record, Stamp
from tests.sim.sharing import play
from tests.support.examples import examples
from tests.unit.core.test_ledger import KEY, drain

SCHEDULES = 10_000


def test_directors_that_were_cut_apart_converge_in_every_schedule() -> None:
    for seed in range(examples(SCHEDULES)):
        play(seed)


class FirstWins(Ledger):
    """A wrong one: who speaks first is right."""

    def merge(self, record: Record, now: float) -> Outcome:
        return super().merge(record, now) if self.get(record.key) is None else Outcome.KNOWN


def test_a_ledger_with_another_rule_is_found_out() -> None:
    def all_of_them() -> None:
        for seed in range(100):
            play(seed, FirstWins)

    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        all_of_them()


@given(st.permutations(range(6)), st.integers(0, 5))
def test_the_order_in_which_words_arrive_does_not_matter(order: list[int], twice: int) -> None:
    words = [
        Record(KEY, Stamp(1000 + n // 2, n % 2, f"d{n % 3}"), drain(str(n)) if n % 3 else None)
        for n in range(6)
    ]
    one, other = Ledger("one"), Ledger("other")
    for word in words:
        one.merge(word, 1.0)
    for n in [*order, twice]:
        other.merge(words[n], 1.0)
    assert one.records == other.records
    assert one.fingerprint == other.fingerprint
    assert other.merge(words[twice], 1.0) is Outcome.KNOWN


@pytest.mark.parametrize("seed", range(20))
def test_a_stamp_is_later_than_all_before_whatever_the_clock_does(seed: int) -> None:
    dice = random.Random(seed)
    ledger, now, last = Ledger("one"), 1000.0, Stamp(0)
    for number in range(200):
        now += dice.choice((-30.0, -0.001, 0.0, 0.0004, 5.0))
        written = ledger.write(drain(str(number)), now)
        assert written is not None
        assert written.stamp > last
        last = written.stamp
