"""Which events a hook wants, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lvsguard.core.event import Level
from lvsguard.core.event_kinds import event_kinds
from lvsguard.core.hook import HookConfig, Occurrence, pause, wants

WEB = frozenset({("service", "web"), ("realserver", "10.0.0.42:80"), ("address", "10.0.0.42")})


def happened(
    kind: str = "health", level: Level = Level.WARNING, data: Mapping[str, object] | None = None
) -> Occurrence:
    return Occurrence("director1", 7, 0.0, kind, level, "text", data or {})


def test_a_hook_without_wishes_is_told_everything_but_of_hooks() -> None:
    hook = HookConfig("all", ("/bin/true",))
    assert wants(hook, happened())
    assert wants(hook, happened("started", Level.INFO))
    assert not wants(hook, happened("hook-failed"))
    assert not wants(hook, happened("hook-well"))


def test_kinds_and_levels_are_chosen() -> None:
    hook = HookConfig("some", kinds=frozenset({"health", "role"}), level=Level.WARNING)
    assert wants(hook, happened("role"))
    assert not wants(hook, happened("drift"))
    assert not wants(hook, happened("role", Level.INFO))
    assert wants(hook, happened("role", Level.ERROR))


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"service": "web"}, True),
        ({"service": "mail"}, False),
        ({"realserver": "10.0.0.42:80"}, True),
        ({"realserver": "10.0.0.42:25"}, False),
        ({"override": {"target": "10.0.0.42:80 in web"}}, True),
        ({"override": {"target": "10.0.0.42:80 in mail"}}, False),
        ({"override": {"target": "10.0.0.42"}}, True),
        ({"override": {"target": "10.0.0.43"}}, False),
        ({"override": "x", "service": 7}, False),
        ({}, False),
    ],
)
def test_services_are_chosen_with_what_belongs_to_them(
    data: dict[str, object], wanted: bool
) -> None:
    hook = HookConfig("web", about=WEB)
    assert wants(hook, happened(data=data)) is wanted


def test_pauses_double_up_to_a_minute_and_chance_shortens_them() -> None:
    assert [pause(n, 0.0) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pause(10_000, 0.0) == 60
    assert pause(3, 1.0) == pytest.approx(3.2)


def test_kinds_are_those_of_the_events() -> None:
    assert {"health", "role", "override-set", "hook-failed", "health-many"} <= event_kinds()
    assert "event" not in event_kinds()
