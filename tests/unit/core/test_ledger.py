"""The ledger of shared overrides: who wins, what is remembered, what is refused."""

from __future__ import annotations

from dataclasses import replace

from lvsguard.core.ledger import (
    KEPT_S,
    PRUNE_S,
    RECORDS_MAX,
    SKEW_S,
    Ledger,
    Outcome,
    Record,
    Stamp,
    prune_in,
)
from lvsguard.core.override import Override, OverrideKind, Target
from tests.unit.core.sample import ONE

KEY = (Target(ONE.address), OverrideKind.DRAIN)
NOW = 1_000_000.0


def drain(reason: str = "", since: float = NOW) -> Override:
    return Override(KEY[0], OverrideKind.DRAIN, "alice", since, reason)


def test_what_is_set_on_one_is_in_force_on_the_other() -> None:
    one, two = Ledger("one"), Ledger("two")
    record = one.write(drain("kernel"), NOW)
    assert record is not None
    assert two.merge(record, NOW) is Outcome.NEWS
    assert two.in_force(NOW) == (drain("kernel"),)
    assert two.merge(record, NOW) is Outcome.KNOWN


def test_the_last_writer_wins_even_with_a_clock_that_is_behind() -> None:
    one, two = Ledger("one"), Ledger("two")
    record = one.write(drain("first"), NOW)
    assert record is not None
    two.merge(record, NOW - 20)
    ended = two.end(KEY, "bob", NOW - 19)  # its clock says that this was before
    assert ended is not None
    assert one.merge(ended, NOW + 1) is Outcome.NEWS
    assert one.in_force(NOW + 1) == ()


def test_what_was_ended_is_not_brought_back_by_one_that_was_away() -> None:
    here, away = Ledger("here"), Ledger("away")
    record = here.write(drain(), NOW)
    assert record is not None
    away.merge(record, NOW)
    here.end(KEY, "bob", NOW + 10)
    assert here.merge(record, NOW + 3600) is Outcome.KNOWN
    assert here.in_force(NOW + 3600) == ()


def test_who_ended_it_and_why_comes_along_and_decides_nothing() -> None:
    here, there, older = Ledger("here"), Ledger("there"), Ledger("older")
    record = here.write(drain(), NOW)
    ended = here.end(KEY, "bob", NOW + 1, "it is done")
    assert record is not None
    assert ended is not None
    assert there.merge(ended, NOW + 1) is Outcome.NEWS
    assert there.get(KEY) == ended
    # A version that knows no reasons of an end passes it on without.
    without = replace(ended, reason="")
    older.merge(without, NOW + 1)
    assert older.fingerprint == here.fingerprint
    assert here.merge(without, NOW + 1) is Outcome.KNOWN
    assert here.get(KEY) == ended


def test_a_tombstone_is_forgotten_in_the_end() -> None:
    ledger = Ledger("one")
    ledger.write(drain(), NOW)
    ended = ledger.end(KEY, "bob", NOW)
    assert ended is not None
    assert not ledger.prune(NOW + KEPT_S - 1)
    assert ledger.prune(NOW + KEPT_S + PRUNE_S + 1)
    assert ledger.records == ()
    assert ledger.merge(ended, NOW + KEPT_S + PRUNE_S + 1) is Outcome.STALE


def test_all_directors_forget_a_tombstone_at_the_same_moment() -> None:
    """Else they hold different words until the last one has, and the standby counts as unfit."""
    for second in range(0, 130, 7):
        one = Ledger("one")
        one.write(drain(), NOW)
        one.end(KEY, "bob", NOW + second)
        two = Ledger("two", one.records)
        for at in range(int(NOW + KEPT_S) // 60 * 60, int(NOW + KEPT_S) + 240, 60):
            one.prune(at + 1)
            two.prune(at + 59)
            late = Ledger("late")
            for record in one.records:
                late.merge(record, at + 59)
            assert one.fingerprint == two.fingerprint == late.fingerprint
        assert one.records == ()


def test_the_next_time_to_forget_is_one_that_all_directors_have() -> None:
    assert (prune_in(120.0), prune_in(121.0), prune_in(179.75)) == (60.0, 59.0, 0.25)


def test_an_override_that_expires_is_no_change_and_may_be_renewed_elsewhere() -> None:
    ledger = Ledger("one")
    ledger.write(replace(drain(), expires=NOW + 5), NOW)
    assert ledger.in_force(NOW + 4) != ()
    assert ledger.in_force(NOW + 5) == ()
    renewed = Record(KEY, Stamp(int((NOW + 1) * 1000), 0, "two"), drain("longer"))
    assert ledger.merge(renewed, NOW + 6) is Outcome.NEWS
    assert ledger.in_force(NOW + 6) == (drain("longer"),)


def test_a_word_from_the_future_is_refused_until_it_is_near() -> None:
    fast, here = Ledger("fast"), Ledger("here")
    record = fast.write(drain(), NOW + 3600)
    assert record is not None
    assert here.merge(record, NOW) is Outcome.AHEAD
    assert here.records == ()
    assert here.merge(record, NOW + 3600 - SKEW_S) is Outcome.NEWS


def test_a_clock_that_was_set_right_does_not_shut_a_director_out() -> None:
    here, other = Ledger("here"), Ledger("other")
    here.write(drain("set while the clock was wrong"), NOW + 3600)
    assert here.prune(NOW)
    (record,) = here.records
    assert other.merge(record, NOW) is Outcome.NEWS
    ended = here.end(KEY, "bob", NOW)
    assert ended is not None
    assert other.merge(ended, NOW) is Outcome.NEWS


def test_the_same_override_again_is_no_change() -> None:
    ledger = Ledger("one")
    assert ledger.write(drain(), NOW) is not None
    before = ledger.fingerprint
    assert ledger.write(drain(), NOW + 1) is None
    assert ledger.fingerprint == before
    assert ledger.end((KEY[0], OverrideKind.DISABLE), "bob", NOW) is None


def test_the_ledger_is_bounded() -> None:
    ledger = Ledger("one")
    for number in range(RECORDS_MAX + 1):
        key = (Target(ONE.address, None, str(number)), OverrideKind.DRAIN)
        outcome = ledger.merge(Record(key, Stamp(1, 0, "two"), Override(*key, "x", 0.0)), 1.0)
    assert outcome is Outcome.FULL
    assert len(ledger.records) == RECORDS_MAX


def test_a_full_ledger_forgets_first_what_ended_first() -> None:
    ledger = Ledger("one")
    for number in range(RECORDS_MAX):
        key = (Target(ONE.address, None, str(number)), OverrideKind.DRAIN)
        ended = Record(key, Stamp(1000 + number, 0, "two"), None, "bob")
        assert ledger.merge(ended, NOW) is Outcome.NEWS
    older = Record(KEY, Stamp(1, 0, "two"), None, "bob")
    assert ledger.merge(older, 1.0) is Outcome.STALE
    assert ledger.write(drain(), NOW) is not None
    assert len(ledger.records) == RECORDS_MAX
    first = (Target(ONE.address, None, "0"), OverrideKind.DRAIN)
    assert ledger.get(first) is None


def test_what_was_kept_is_taken_up_again() -> None:
    one = Ledger("one")
    one.write(drain(), NOW + 30)
    again = Ledger("one", one.records)
    assert again.fingerprint == one.fingerprint
    ended = again.end(KEY, "bob", NOW)
    assert ended is not None
    assert ended.stamp > one.records[0].stamp


def test_the_fingerprint_depends_on_what_is_held_and_not_on_how_it_came() -> None:
    ledger = Ledger("one")
    empty = ledger.fingerprint
    other = replace(drain(), target=Target(ONE.address + 1))
    ledger.write(drain("first"), NOW)
    ledger.write(other, NOW)
    ledger.write(drain("second"), NOW + 1)
    ledger.end(other.key, "bob", NOW + 2)
    assert Ledger("two", ledger.records).fingerprint == ledger.fingerprint
    assert Ledger("two", reversed(ledger.records)).fingerprint == ledger.fingerprint
    ledger.end(KEY, "bob", NOW + 3)
    ledger.prune(NOW + 2 * KEPT_S)
    assert ledger.fingerprint == empty


def test_words_from_a_clock_that_was_wrong_keep_the_fingerprint_right() -> None:
    ledger = Ledger("one")
    ledger.write(drain(), NOW + 3600)
    assert ledger.prune(NOW)
    assert Ledger("two", ledger.records).fingerprint == ledger.fingerprint
