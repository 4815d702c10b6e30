"""Overrides that directors share: in force here at once, kept, told, and taken from others."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from lvsguard.admin.journal import Journal
from lvsguard.core.ledger import SKEW_S, Ledger, Record
from lvsguard.core.override import CONFLICT, Override, OverrideKind, Target
from lvsguard.daemon.sharing import Sharing
from tests.support.rig import RS1, RS2, Rig, config

ONE, TWO = Target(RS1.address), Target(RS2.address)
DRAIN = OverrideKind.DRAIN


def drain(target: Target = ONE, actor: str = "alice", expires: float | None = None) -> Override:
    return Override(target, DRAIN, actor, time.time(), "kernel", None, expires)


class Desk:
    """A director's overrides."""

    def __init__(self, name: str, rig: Rig, journal: Journal) -> None:
        self.rig = rig
        self.journal = journal
        self.told: list[Record] = []
        self.sharing = Sharing(name, rig.controller, journal, rig.events.append)
        self.sharing.told = self.told.extend

    @property
    def actors(self) -> dict[Target, str]:
        return {o.target: o.actor for o in self.rig.controller.book.overrides}

    def events(self, kind: str) -> list[str]:
        return [str(event) for event in self.rig.events if event.kind == kind]


@asynccontextmanager
async def desk(place: Path, name: str = "director1") -> AsyncIterator[Desk]:
    """One that keeps its journal there."""
    rig = Rig(config(), place)
    journal = Journal(place / name, rig.events.append)
    await journal.open()
    try:
        yield Desk(name, rig, journal)
    finally:
        await journal.close()


def said(
    name: str, *overrides: Override, ended: Iterable[Target] = (), reason: str = ""
) -> tuple[Record, ...]:
    """What another director has to say."""
    ledger = Ledger(name)
    for override in overrides:
        ledger.write(override, time.time())
    for target in ended:
        ledger.end((target, DRAIN), "bob", time.time(), reason)
    return ledger.records


async def test_what_is_set_here_is_in_force_kept_and_told(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        kept = await one.sharing.set(drain())
        assert kept.durable
        assert one.actors == {ONE: "alice"}
        (told,) = one.told
        assert told.override is not None
        await one.sharing.clear(ONE, DRAIN, "bob")
        assert one.actors == {}
        assert one.told[-1].override is None


async def test_what_a_word_replaces_or_ends_is_said(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.sharing.take("director2", said("director2", drain()))
        kept = await one.sharing.set(drain(actor="bob"))
        assert kept.before is not None
        assert kept.before.actor == "alice on director2"
        ended = await one.sharing.clear(ONE, DRAIN, "carol")
        assert ended.before is not None
        assert ended.before.actor == "bob"
        assert (await one.sharing.clear(ONE, DRAIN, "carol")).before is None
        assert (await one.sharing.set(drain())).before is None
        # What was replaced is in the history all the same.
        assert one.events("override-set")[:2] == [
            f"drain of {ONE} by alice on director2: kernel",
            f"drain of {ONE} by bob: kernel",
        ]


async def test_another_s_word_is_in_force_kept_and_says_where_it_comes_from(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as one:
        assert one.sharing.take("director2", said("director2", drain())) == ""
        assert one.actors == {ONE: "alice on director2"}
        assert one.told == [], "who told it need not hear it"
        ended = said("director2", drain(), ended=[ONE])
        one.sharing.take("director2", ended)
        assert one.actors == {}
        assert one.events("override-set") == [f"drain of {ONE} by alice on director2: kernel"]
        assert one.events("override-cleared") == [f"drain of {ONE} ended by bob on director2"]


async def test_who_ended_it_elsewhere_and_why_is_told_here_and_by_here(tmp_path: Path) -> None:
    async with desk(tmp_path) as one, desk(tmp_path, "director2") as two:
        await one.sharing.set(drain())
        two.sharing.take("director1", one.told)
        await one.sharing.clear(ONE, DRAIN, "bob (uid 1000)", "the update is done")
        two.sharing.take("director1", one.told)
        assert two.events("override-cleared") == [
            f"drain of {ONE} ended by bob (uid 1000) on director1: the update is done"
        ]
    async with desk(tmp_path, "director2") as again:
        (kept,) = again.sharing.records
        assert (kept.actor, kept.reason) == ("bob (uid 1000)", "the update is done")


async def test_all_of_it_outlives_the_daemon(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.sharing.take("director2", said("director2", drain(ONE), drain(TWO), ended=[TWO]))
        await one.sharing.set(drain(Target(RS1.address, 80), "carol"))
        before, actors = one.sharing.fingerprint, one.actors
    async with desk(tmp_path) as again:
        assert again.sharing.fingerprint == before
        assert (
            again.actors == actors == {ONE: "alice on director2", Target(RS1.address, 80): "carol"}
        )
        assert again.events("override-set") == [], "a start sets nothing anew"
        # The tombstone too, or a director that was away would bring it back.
        assert {r.key[0] for r in again.sharing.records if r.override is None} == {TWO}


async def test_what_ends_by_itself_while_the_daemon_is_away_is_told_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.sharing.set(drain(TWO))
        await one.sharing.set(drain(ONE, expires=time.time()))
    async with desk(tmp_path) as again:
        await again.rig.resync()
        assert again.actors == {TWO: "alice"}
        assert again.events("override-cleared") == [f"drain of {ONE} ended by expiry"]
        await again.journal.drop((ONE, DRAIN))  # as housekeeping does
    async with desk(tmp_path) as later:
        await later.rig.resync()
        assert later.actors == {TWO: "alice"}
        assert later.events("override-cleared") == []


async def test_overrides_of_a_journal_without_a_ledger_are_shared(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.journal.put(drain())
    async with desk(tmp_path) as again:
        assert again.actors == {ONE: "alice"}
        assert [r.key for r in again.sharing.records] == [(ONE, DRAIN)]


async def test_two_that_differ_hold_the_later_word(tmp_path: Path) -> None:
    async with desk(tmp_path, "director1") as one, desk(tmp_path, "director2") as two:
        await one.sharing.set(drain(ONE, "alice"))
        await two.sharing.set(drain(ONE, "bob"))
        one.sharing.take("director2", two.sharing.records)
        two.sharing.take("director1", one.sharing.records)
        assert one.sharing.fingerprint == two.sharing.fingerprint
        assert (one.actors, two.actors) == ({ONE: "bob on director2"}, {ONE: "bob"})


async def test_an_override_of_a_version_that_shared_nothing_is_as_old_as_it_says(
    tmp_path: Path,
) -> None:
    """It was ended meanwhile on a director that was upgraded first."""
    old = replace(drain(), since=time.time() - 60)
    ended = said("director2", drain(), ended=[ONE])
    async with desk(tmp_path) as one:
        await one.journal.put(old)
    async with desk(tmp_path) as one:
        assert one.actors == {ONE: "alice"}
        one.sharing.take("director2", ended)
        assert one.actors == {}


async def test_one_that_has_expired_ends_an_older_one(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.sharing.set(drain())
        later = Ledger("director2", one.sharing.records)
        later.write(drain(expires=time.time() - 1), time.time())
        one.sharing.take("director2", later.records)
        assert one.actors == {}
        assert one.events("override-cleared") == [f"drain of {ONE} ended by expiry"]


async def test_a_word_from_the_future_is_refused_and_told_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        ledger = Ledger("director2")
        ledger.write(drain(), time.time() + SKEW_S + 60)
        for _ in range(3):
            assert "set both (timedatectl)" in one.sharing.take("director2", ledger.records)
        assert one.actors == {}
        assert len(one.events("peer-overrides")) == 1


async def test_a_disk_that_cannot_be_written_holds_up_no_drain(tmp_path: Path) -> None:
    rig = Rig(config(), tmp_path)
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file" / "state", rig.events.append)
    await journal.open()
    one = Desk("director1", rig, journal)
    kept = await one.sharing.set(drain())
    assert not kept.durable
    assert one.actors == {ONE: "alice"}
    assert len(one.told) == 1
    await journal.close()


async def test_a_conflict_drain_of_this_director_is_nobody_else_s_to_end(tmp_path: Path) -> None:
    """It is not shared: the other director's tombstone is about a drain of before."""
    async with desk(tmp_path) as one:
        one.rig.controller.override(drain(actor=CONFLICT))
        one.sharing.take("director2", said("director2", drain(), ended=[ONE]))
        assert one.actors == {ONE: CONFLICT}
        expired = drain(expires=time.time() - 1)
        one.sharing.take("director3", said("director3", expired))
        assert one.actors == {ONE: CONFLICT}


async def test_what_another_director_ends_here_is_told_to_who_may_want_it_drained(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as one:
        ended: list[Target] = []
        one.sharing.ended = ended.append
        one.sharing.take("director2", said("director2", drain()))
        assert ended == []
        one.sharing.take("director2", said("director2", drain(), ended=[ONE]))
        assert ended == [ONE]


async def test_an_operator_here_may_end_a_conflict_drain(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.rig.controller.override(drain(actor=CONFLICT))
        await one.sharing.clear(ONE, DRAIN, "alice")
        assert one.actors == {}
