"""A share of a service's realservers."""

from __future__ import annotations

import pytest

from lvsguard.admin.share import BelowQuorum, NobodyServes, share
from lvsguard.admin.status_reply import RealserverReply
from lvsguard.core.health import Verdict
from lvsguard.core.override import Admin
from tests.unit.admin.looks import followed, realserver


def serving(number: int, active: int = 0, **more: object) -> RealserverReply:
    fields: dict[str, object] = {"weight": 1, "full": 1, "admin": Admin.READY, **more}
    return realserver(active, address=f"10.0.0.{number}", **fields)  # type: ignore[arg-type]


def taken(percent: int, *realservers: RealserverReply, need: int = 1, force: bool = False) -> str:
    have = sum(r.full_weight or 0 for r in realservers if r.verdict is not Verdict.DOWN)
    chosen = share(followed(*realservers, quorum=(have, need)), percent, force=force)
    return " ".join(one.address.rpartition(".")[2] for one in chosen)


TEN = [serving(n, active=20 - n) for n in range(1, 11)]


@pytest.mark.parametrize(
    ("percent", "chosen"),
    [
        (1, "10"),
        (10, "10"),
        (29, "10 9"),
        (30, "10 9 8"),
        (90, "10 9 8 7 6 5 4 3 2"),
    ],
)
def test_it_is_rounded_down_to_one_at_least_and_takes_the_idlest(percent: int, chosen: str) -> None:
    assert taken(percent, *TEN) == chosen


def test_what_is_drained_or_disabled_counts() -> None:
    out = [serving(1, admin=Admin.DRAIN, full=0), serving(2, admin=Admin.DISABLED, full=None)]
    assert taken(20, *out, *TEN[2:]) == ""
    assert taken(30, *out, *TEN[2:]) == "10"


def test_one_that_is_down_is_left_alone() -> None:
    down = serving(10, verdict=Verdict.DOWN, weight=0, full=0)
    assert taken(10, *TEN[:9], down) == "9"


def test_it_is_refused_whole_below_the_quorum() -> None:
    with pytest.raises(BelowQuorum, match=r"live weight of 6, and needs 7: take less, or --force"):
        taken(40, *TEN, need=7)
    assert taken(30, *TEN, need=7) == "10 9 8"
    assert taken(40, *TEN, need=7, force=True) == "10 9 8 7"


def test_where_all_others_are_down_there_is_nobody_to_take() -> None:
    down = [serving(n, verdict=Verdict.DOWN, weight=0, full=0) for n in (1, 2)]
    with pytest.raises(NobodyServes, match="that could be drained serves"):
        taken(50, *down, need=0)
    out = serving(3, admin=Admin.DRAIN, full=0)
    assert taken(33, *down, out) == ""  # it is out
    with pytest.raises(NobodyServes):
        taken(67, *down, out, force=True)


def test_all_of_it_needs_force() -> None:
    with pytest.raises(BelowQuorum):
        taken(100, *TEN)
