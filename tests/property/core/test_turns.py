"""Shares that are drained on several directors at once are answered as by one director.

Five thousand schedules of tests/sim/turns.py, a fifth of them in the fast gate.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.core.turns import Told, Turns
from tests.sim.turns import play
from tests.support.examples import examples

SCHEDULES = 5_000


def test_no_schedule_takes_a_service_below_its_quorum() -> None:
    for seed in range(examples(SCHEDULES)):
        play(seed)


class Hasty(Turns):
    """Does not wait for the word that its turn is known."""

    def lets(self, told: Told) -> bool:
        own = {} if self.own is None else {self._director: self.own}
        return super().lets(replace(told, known=own))


class Rude(Turns):
    """Does not let anybody go first."""

    def lets(self, told: Told) -> bool:
        return super().lets(replace(told, turn=None))


class Deaf(Turns):
    """Does not see that the other one holds something else."""

    def lets(self, told: Told) -> bool:
        return super().lets(replace(told, same=True))


class Alone(Turns):
    """As it was before there were turns."""

    def lets(self, told: Told) -> bool:
        return True


@pytest.mark.parametrize("kind", [Hasty, Rude, Deaf, Alone])
def test_turns_that_lack_one_of_the_rules_are_found_out(kind: type[Turns]) -> None:
    def all_of_them() -> None:
        for seed in range(1000):
            play(seed, kind)

    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        all_of_them()
