"""How late adverts leave is counted by bounds."""

from __future__ import annotations

from lvsguard.vrrp.lateness import Lateness
from lvsguard.vrrp.message import LATENESS


def test_a_bound_counts_what_is_not_above_it() -> None:
    late = Lateness()
    for seconds in (0.0, 0.001, 0.0011, 1.0, 1.1):
        late.note(seconds)
    assert late.counts == [2, 1, *[0] * (len(LATENESS) - 3), 1, 1]
    assert (round(late.sum, 4), late.worst) == (2.1021, 1.1)


def test_too_early_is_not_late() -> None:
    late = Lateness()
    late.note(-1.0)
    assert (late.counts[0], late.sum, late.worst) == (1, 0.0, 0.0)
