"""Overrides between directors: told at once, all of them after a time apart, and in one form."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from ipaddress import ip_address

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsguard.admin import peer_session
from lvsguard.admin.peer_message import MESSAGE_MAX, Overrides, encode
from lvsguard.admin.peer_records import Held, Word, pieces, record, word
from lvsguard.core.ledger import SKEW_S, Ledger, Record, Stamp
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from tests.support.peer_pair import sides, until

pytestmark = pytest.mark.slow

ADDRESSES = st.ip_addresses().filter(lambda one: getattr(one, "scope_id", None) is None)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
TARGETS = st.builds(Target, ADDRESSES, st.none() | st.integers(0, 65535), st.none() | NAMES)
TIMES = st.floats(0, 2**40)
TEXTS = st.text(max_size=500)


@st.composite
def records(draw: st.DrawFn) -> Record:
    target, kind = draw(TARGETS), draw(st.sampled_from(OverrideKind))
    stamp = Stamp(draw(st.integers(0, 2**53)), draw(st.integers(0, 2**31)), draw(NAMES))
    if draw(st.booleans()):
        return Record((target, kind), stamp, None, draw(st.text(max_size=300)), draw(TEXTS))
    percent = draw(st.booleans())
    weight = Weight(draw(st.integers(0, 100 if percent else 65535)), percent)
    override = Override(
        target,
        kind,
        draw(st.text(max_size=300)),
        draw(TIMES),
        draw(TEXTS),
        weight if kind is OverrideKind.WEIGHT else None,
        draw(st.none() | TIMES),
    )
    return Record((target, kind), stamp, override)


@given(st.lists(records(), max_size=5))
def test_records_come_through_as_they_were_and_count_as_the_same(told: list[Record]) -> None:
    found = []
    for piece in pieces(told):
        sent = msgspec.json.decode(msgspec.json.encode(piece), type=list[Word])
        found += [record(one) for one in sent]
    assert found == told
    assert Ledger("a", found).fingerprint == Ledger("b", told).fingerprint


def test_many_of_the_longest_fit_into_messages() -> None:
    target = Target(ip_address("2001:db8::42"), 80, "s" * 63)
    long = Override(target, OverrideKind.DRAIN, "\x01" * 300, 1.5, "\x01" * 500)
    many = [Record(long.key, Stamp(n, 0, "director1"), long) for n in range(100)]
    found = list(pieces(many))
    assert sum(map(len, found)) == 100
    assert all(len(encode(Overrides(words=piece))) <= MESSAGE_MAX for piece in found)


def test_a_tombstone_of_an_earlier_version_and_one_of_a_later_are_the_same_word() -> None:
    """One has no reason, the other has more than this version knows."""
    target = Target(ip_address("10.0.0.42"))
    own = Record((target, OverrideKind.DRAIN), Stamp(7, 0, "d"), None, "bob", "done")
    told = msgspec.json.decode(msgspec.json.encode(word(own)))
    earlier = {key: value for key, value in told.items() if key != "reason"}
    later = told | {"mood": "good"}
    found = [record(msgspec.convert(one, Word)) for one in (earlier, later)]
    assert [one.reason for one in found] == ["", "done"]
    assert len({Ledger("d", [one]).fingerprint for one in (own, *found)}) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        Word("10.0.0.300", OverrideKind.DRAIN, 1, 0, "d"),
        Word("", OverrideKind.DRAIN, 1, 0, "d"),
        Word("10.0.0.42", OverrideKind.WEIGHT, 1, 0, "d", held=Held("alice", 1.0)),
        Word("10.0.0.42", OverrideKind.DRAIN, 1, 0, "d", held=Held("alice", 1.0, weight=3)),
        Word("10.0.0.42", OverrideKind.WEIGHT, 1, 0, "d", held=Held("a", 1.0, "", 101, True)),
    ],
)
def test_what_nobody_could_have_set_is_refused(wrong: Word) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several kinds of nonsense
        record(wrong)


async def test_a_drain_on_one_is_a_drain_on_the_other_and_so_is_its_end() -> None:
    one, two = sides("director1", "director2")
    async with one.running(), two.running():
        await until(lambda: one.told("peer-heard") and two.told("peer-heard"), "they talk")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        one.drain("10.0.0.42", "kernel")
        await until(lambda: two.drained == {"10.0.0.42"}, "the drain is known")
        assert loop.time() - begun < peer_session.BEAT_S / 2
        two.undrain("10.0.0.42", "the update is done")
        await until(lambda: not one.drained, "its end is known")
        assert one.fingerprint == two.fingerprint
        (ended,) = one.records
        assert (ended.actor, ended.reason) == ("bob", "the update is done")


async def test_what_was_decided_apart_is_the_same_within_a_moment_of_meeting() -> None:
    one, two = sides("director1", "director2")
    one.drain("10.0.0.42")
    two.drain("10.0.0.43")
    two.drain("10.0.0.42", "later, and so the one that counts")
    async with one.running(), two.running():
        await until(lambda: one.told("peer-heard"), "they meet")
        await until(lambda: one.fingerprint == two.fingerprint, "they agree", 0.8)
        assert one.drained == two.drained == {"10.0.0.42", "10.0.0.43"}
        reasons = {str(o.target): o.reason for o in one.ledger.in_force(time.time())}
        assert reasons["10.0.0.42"].startswith("later")


async def test_one_that_was_away_hears_what_it_missed() -> None:
    one, two = sides("director1", "director2")
    async with one.running():
        async with two.running():
            one.drain("10.0.0.42")
            await until(lambda: two.drained, "it is known")
        one.undrain("10.0.0.42")  # nobody hears it, and it does not wait
        one.drain("10.0.0.43")
        async with two.running():
            await until(lambda: two.drained == {"10.0.0.43"}, "it has caught up")


async def test_thousands_are_told_too() -> None:
    one, two = sides("director1", "director2")
    for number in range(3000):
        one.drain(str(ip_address("10.1.0.0") + number), "a whole rack moves")
    async with one.running(), two.running():
        await until(lambda: one.fingerprint == two.fingerprint, "all are known", 20)
        assert len(two.drained) == 3000


async def test_a_third_hears_through_the_second() -> None:
    """a and c do not reach each other; b holds what both know."""
    a, b, c = sides("a", "b", "c")
    nowhere = a.config.address + 3
    for side, other in ((a, "c"), (c, "a")):
        others = tuple((n, nowhere if n == other else at) for n, at in side.config.others)
        side.channel.configure(replace(side.config, others=others))
    async with a.running(), b.running(), c.running():
        await until(lambda: len(b.told("peer-heard")) == 2, "both talk to b")
        a.drain("10.0.0.42")
        await until(lambda: c.drained == {"10.0.0.42"}, "c knows it", 8)


async def test_a_clock_that_is_far_ahead_wins_nothing_and_is_told() -> None:
    one, two = sides("director1", "director2")
    ahead = time.time() + SKEW_S + 60
    target = Target(ip_address("10.0.0.42"))
    one.ledger.write(Override(target, OverrideKind.DRAIN, "alice", ahead), ahead)
    async with one.running(), two.running():
        peer = two.channel.peers["director1"]
        await until(lambda: peer.refused, "it is refused")
        assert peer.refused == "its clock is ahead"
        assert two.drained == set()
