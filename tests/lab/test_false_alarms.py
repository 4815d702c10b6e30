"""Realservers that are well, in trouble that is none: no verdict changes, with every detector on.

An http check each second, fall 2, rise 2, as in the seed config. `make bench-false-alarms` plays
the same for minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.false_alarms import PLAYS, changes

if TYPE_CHECKING:
    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

PLAYED_S = 9.0


@pytest.mark.parametrize("name", PLAYS)
def test_no_verdict_changes(seed: Seed, name: str) -> None:
    assert changes(seed, PLAYS[name], PLAYED_S) == []
