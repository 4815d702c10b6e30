"""Who did something, read back from its text and compared."""

from __future__ import annotations

import pytest

from lvsguard.core.actor import Actor, actor, same_actor

ALICE = "alice (uid 1000)"


@pytest.mark.parametrize("text", [ALICE, "uid 1000", "alice (uid 1000) on director2"])
def test_a_user_is_read_back(text: str) -> None:
    assert str(actor(text)) == text


def test_what_is_no_user_is_none() -> None:
    assert actor("expiry") is None
    assert actor("deploy (from 10.0.0.7)") is None
    assert actor("uid 7 on director2") == Actor("", 7, "director2")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ALICE, ALICE),
        (ALICE, "alice (uid 1000) on director2"),
        (ALICE, "uid 1000"),
        ("deploy (from 10.0.0.7)", "deploy (from 10.0.0.8)"),
        ("deploy (from 10.0.0.7)", "deploy (from an unknown address) on director2"),
    ],
)
def test_the_same_one_may_be_elsewhere(one: str, other: str) -> None:
    assert same_actor(one, other)
    assert same_actor(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ALICE, "bob (uid 1001)"),
        (ALICE, "alice (uid 1001)"),
        (ALICE, "carol (uid 1000) on director2"),
        (ALICE, "alice (uid 1000) (from 10.0.0.7)"),
        ("uid 1000", "uid 1001"),
        (ALICE, "lvsguard"),
        ("deploy (from 10.0.0.7)", "monitor (from 10.0.0.7)"),
    ],
)
def test_others_are_others(one: str, other: str) -> None:
    assert not same_actor(one, other)
    assert not same_actor(other, one)
