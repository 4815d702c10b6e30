"""Every event has a stable kind and prints as one line that a person can act on."""

from __future__ import annotations

import logging
import re

import pytest

from lvsguard.core import event
from lvsguard.core.event import (
    Event,
    ForeignChanged,
    HealthChanged,
    KernelRecovered,
    Level,
    LinkEvent,
    OverrideCleared,
    OverrideSet,
    ProberDied,
    Reloaded,
    ReloadRefused,
    Repaired,
    Started,
    StateRestored,
    StateTrouble,
    StepRefused,
    Stopping,
)
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from tests.unit.core.sample import ONE

DRAIN = Override(Target(ONE.address), OverrideKind.DRAIN, "alice", 0.0, "upgrade")
HALF = Override(
    Target(ONE.address, 80, "web"), OverrideKind.WEIGHT, "bob", 0.0, "", Weight(50, percent=True)
)


@pytest.mark.parametrize(
    ("happened", "line"),
    [
        (Started("1.0", 2, 0), "started 1.0: adopted 2 realservers, 0 writes"),
        (Stopping(True), "stopping: VIPs and IPVS table stay in the kernel"),
        (
            Stopping(True, ("web", "mail")),
            "stopping: VIP web, mail goes to another director, the IPVS table stays in the kernel",
        ),
        (Stopping(False), "stopping: taking out what is owned"),
        (
            HealthChanged(
                "10.0.0.42:80",
                "http",
                Verdict.UP,
                Verdict.DOWN,
                "L4CON",
                "connection refused",
                FailureClass.REFUSED,
            ),
            "realserver 10.0.0.42:80 is down (was up): http L4CON connection refused",
        ),
        (
            HealthChanged(
                "10.0.0.42:80",
                "http",
                Verdict.UP,
                Verdict.DOWN,
                "L4CON",
                "connection refused",
                FailureClass.REFUSED,
                "canary",
                "closed after 12.3 s",
                0.0114,
            ),
            "realserver 10.0.0.42:80 is down (was up): http L4CON connection refused"
            " (11 ms after a hint, canary: closed after 12.3 s)",
        ),
        (
            Repaired("realserver", "10.0.0.42:80 in tcp 10.0.0.8:80", "weight 1 became 7", ()),
            "drift repaired on 10.0.0.42:80 in tcp 10.0.0.8:80: weight 1 became 7",
        ),
        (
            StepRefused("ipvsadm -D -t 10.0.0.8:80", "EPERM: give CAP_NET_ADMIN"),
            "the kernel refused 'ipvsadm -D -t 10.0.0.8:80': EPERM: give CAP_NET_ADMIN",
        ),
        (KernelRecovered(3), "kernel answers again after 3 failed passes"),
        (
            ForeignChanged("tcp 10.0.0.9:80", True),
            "foreign service tcp 10.0.0.9:80 seen, it will not be touched",
        ),
        (ForeignChanged("tcp 10.0.0.9:80", False), "foreign service tcp 10.0.0.9:80 is gone"),
        (LinkEvent("eth0", True), "interface eth0 is up"),
        (LinkEvent("eth0", False), "interface eth0 is down"),
        (LinkEvent("eth0", False, present=False), "interface eth0 is gone"),
        (OverrideSet(DRAIN), "drain of 10.0.0.42 by alice: upgrade"),
        (OverrideSet(HALF), "weight 50% of 10.0.0.42:80 in web by bob"),
        (OverrideCleared(DRAIN, "expiry"), "drain of 10.0.0.42 ended by expiry"),
        (Reloaded("0123456789ab", 4), "configuration 0123456789ab in force, 4 kernel steps"),
        (
            ReloadRefused(("no [director]",)),
            "configuration refused, the old one stays in force: no [director]",
        ),
        (
            ReloadRefused(("no [director]", "weight 70000")),
            "configuration refused, the old one stays in force: no [director] (and 1 more)",
        ),
        (
            ProberDied(0, "signal 9", 12),
            "prober 0 ended (signal 9): restarting it, the verdicts of its 12 checks stand",
        ),
    ],
)
def test_an_event_prints_as_one_line(happened: Event, line: str) -> None:
    assert str(happened) == line


EVENTS = [
    value
    for value in vars(event).values()
    if isinstance(value, type) and issubclass(value, Event) and value.__base__ is Event
]
"""Without those that are a milder or graver form of another one and share its kind."""


def test_kinds_are_unique_and_written_alike() -> None:
    kinds = [one.kind for one in EVENTS]
    assert len(set(kinds)) == len(kinds) > 10
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind) for kind in kinds)


def test_every_event_has_a_line_of_its_own() -> None:
    assert [one.__name__ for one in EVENTS if "__str__" not in vars(one)] == []


def test_a_state_directory_that_works_again_is_no_error() -> None:
    assert StateTrouble("disk full").level is Level.ERROR
    assert StateRestored("overrides are kept on disk again").level is Level.INFO
    assert StateTrouble.kind == StateRestored.kind


def test_levels_are_those_of_the_logging_module() -> None:
    assert {level.name: level.value for level in Level} == {
        name: getattr(logging, name) for name in ("INFO", "WARNING", "ERROR")
    }
