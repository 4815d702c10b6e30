"""Which entries are wanted: neither more nor less than what was named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lvsguard.admin.entry import Entry, entry
from lvsguard.admin.filter import Filter, is_about
from lvsguard.admin.journal import Journal
from lvsguard.core.event import Applied, Event, HealthChanged, OverrideSet, Reloaded, Repaired
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.service_event import QuorumLost
from lvsguard.core.vrrp_event import RoleChanged
from tests.support.rig import RS1

NOW = 1795435200.0
TRACE = "0123456789"


def health(where: str, trace: str = "") -> HealthChanged:
    failure = FailureClass.REFUSED
    line = ("http", Verdict.UP, Verdict.DOWN, "L4CON", "connection refused", failure)
    return HealthChanged(where, *line, trace=trace)


def line(event: Event) -> Entry:
    return entry(1, NOW, event)


@pytest.mark.parametrize(
    ("word", "event", "wanted"),
    [
        ("10.0.0.42", health("10.0.0.42:80"), True),
        ("10.0.0.42:80", health("10.0.0.42:80"), True),
        ("10.0.0.42:80", health("10.0.0.42:8080"), False),
        ("10.0.0.4", health("10.0.0.42:80"), False),
        ("0.0.0.42", health("10.0.0.42:80"), False),
        ("10.0.0.42", Applied("ipvsadm -e -t 10.0.0.8:80 -r 10.0.0.42:80 -g -w 0"), True),
        ("2001:db8::42", health("[2001:db8::42]:80"), True),
        ("[2001:db8::42]:80", health("[2001:db8::42]:80"), True),
        ("2001:db8::4", health("[2001:db8::42]:80"), False),
        ("2001:db8::42", health("[2001:db8::42:1]:80"), False),
        ("web", QuorumLost("web", 0, 1), True),
        ("web", QuorumLost("webmail", 0, 1), False),
        ("web", RoleChanged("web", "backup", "master", "master silent", ""), True),
        ("web", Reloaded("0123", 1, removed=("10.0.0.42:80 in web",)), True),
        ("10.0.0.42", Reloaded("0123", 1, removed=("10.0.0.42:80 in web",)), True),
        (
            "web",
            OverrideSet(Override(Target(RS1.address, 80, "web"), OverrideKind.DRAIN, "a", NOW)),
            True,
        ),
        ("refused", health("10.0.0.42:80"), False),
    ],
)
def test_what_an_entry_is_about(word: str, event: Event, wanted: bool) -> None:
    assert is_about(line(event), word) is wanted


def test_an_address_alone_is_one_without_a_port() -> None:
    everywhere = OverrideSet(Override(Target(RS1.address), OverrideKind.DRAIN, "a", NOW))
    only = Filter(about=frozenset({"10.0.0.42:80"}), alone=frozenset({"10.0.0.42"}))
    assert only(line(everywhere))
    assert only(line(health("10.0.0.42:80")))
    assert not only(line(health("10.0.0.42:443")))


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path, lambda trouble: None)
    await journal.open()
    yield journal
    await journal.close()


async def test_a_file_gives_what_memory_gives(journal: Journal) -> None:
    """Whatever is written already, and whatever is not."""
    for number in range(600):
        journal.append(NOW + number, health(f"10.0.{number // 250}.{number % 250}:80"))
    journal.append(NOW + 600, health("10.0.0.7:80", TRACE))
    journal.append(NOW + 601, Applied("ipvsadm -e -t 10.0.0.8:80 -r 10.0.0.7:80 -g -w 0", TRACE))
    journal.append(NOW + 602, Repaired("service", "tcp 10.0.0.8:80", "x", (), "web"))
    journal.append(NOW + 603, Repaired("realserver", "x", "x", (), "web", "10.9.9.9:80"))
    wishes: tuple[tuple[Filter, list[int]], ...] = (
        (Filter(about=frozenset({"10.0.0.7"})), [8, 601, 602]),
        (Filter(about=frozenset({"10.0.0.7"}), kinds=frozenset({"health"})), [8, 601]),
        (Filter(trace=TRACE), [601, 602]),
        (Filter(until=NOW + 2), [1, 2, 3]),
        (Filter(alone=frozenset({"10.0.0.7"})), []),
        (Filter(kinds=frozenset({"role"})), []),
        (Filter(not_of_realservers=frozenset({"health", "drift"})), [602, 603]),
        (Filter(about=frozenset({"nobody"}), also=frozenset({"applied"})), [602]),
    )
    for wish, ids in wishes:
        assert [e.id for e in await journal.query(wanted=wish)] == ids, wish
    await journal.put(Override(Target(RS1.address), OverrideKind.DRAIN, "a", NOW))
    for wish, ids in wishes:
        assert [e.id for e in await journal.query(wanted=wish)] == ids, wish
    newest = await journal.query(limit=1, wanted=wishes[0][0])
    assert [e.id for e in newest] == [602]
