"""The sum of many changes of verdicts keeps their evidence, and stays small."""

from __future__ import annotations

from lvsguard.admin.entry import entry
from lvsguard.core.crowd_event import KINDS, HealthChangedMany, summed
from lvsguard.core.event import HealthChanged, Level
from lvsguard.core.health import FailureClass, Verdict


def down(
    number: int, code: str = "L4CON", latency: float | None = 0.05, detector: str = "canary"
) -> HealthChanged:
    return HealthChanged(
        f"10.1.0.{number}:80",
        "http",
        Verdict.UP,
        Verdict.DOWN,
        code,
        "connection refused",
        FailureClass.REFUSED,
        detector,
        "closed after 3.0 s" if latency else "",
        latency,
        took=0.4,
    )


def up(number: int) -> HealthChanged:
    at = f"10.1.1.{number}:80"
    return HealthChanged(at, "http", Verdict.DOWN, Verdict.UP, "L7OK", "200 OK", None, "check")


def test_it_says_by_what_of_which_class_and_how_soon() -> None:
    many = summed([down(1, latency=0.011), down(2, latency=0.24), up(1), down(3, latency=None)])
    assert (many.up, many.down) == (1, 3)
    first = many.alike[0]
    assert (first.count, first.detector, first.code) == (3, "canary", "L4CON")
    assert first.failure is FailureClass.REFUSED
    assert (first.least, first.most) == (0.011, 0.4)
    assert str(many) == (
        "1 more checks became up and 3 down (lvsguard status has them): 3 down by canary, L4CON"
        " (refused), in 11 to 400 ms, such as 10.1.0.1:80: connection refused; 1 up by check, L7OK,"
        " in 0 to 0 ms, such as 10.1.1.1:80: 200 OK"
    )


def test_it_is_a_warning_where_some_went_down() -> None:
    mixed, well = summed([up(1), down(1)]), summed([up(1), up(2)])
    assert (mixed.level, well.level) == (Level.WARNING, Level.INFO)
    assert mixed.kind == well.kind == "health-many"


def test_changes_for_different_reasons_are_told_apart_the_largest_first() -> None:
    many = summed([down(1, "L4TOUT", detector="arp"), down(2), down(3)])
    assert [(one.count, one.detector, one.code) for one in many.alike] == [
        (2, "canary", "L4CON"),
        (1, "arp", "L4TOUT"),
    ]


def test_however_many_reasons_there_are_it_is_bounded_and_loses_nobody() -> None:
    changes = [down(number % 250, f"C{number}") for number in range(500)]
    changes += [down(number, "L4CON") for number in range(20)] + [up(1)]
    many = summed(changes)
    assert len(many.alike) <= KINDS + len(Verdict)
    assert sum(one.count for one in many.alike) == len(changes)
    assert (many.up, many.down) == (1, 520)
    assert many.alike[0].code == "L4CON"


def test_the_journal_has_it_as_objects() -> None:
    data = entry(1, 0.0, summed([down(1)])).data
    assert data["alike"] == [
        {
            "count": 1,
            "after": "down",
            "detector": "canary",
            "code": "L4CON",
            "failure": "refused",
            "least": 0.05,
            "most": 0.05,
            "realserver": "10.1.0.1:80",
            "reason": "connection refused",
        }
    ]
    assert isinstance(summed([]), HealthChangedMany)
