"""What the counters of a service say of its realservers: one rule a test."""

from __future__ import annotations

from itertools import permutations
from statistics import median_low

import pytest

from lvsguard.core.model import RealserverKey
from lvsguard.core.passive import PAUSES_S, SAMPLES, Sample, most, pause, signs
from tests.unit.core.sample import ONE, THREE, TWO


def worst(**packets: float) -> list[RealserverKey]:
    """Who looks bad when each has 100 connections with so many packets each."""
    keys = {"one": ONE, "two": TWO, "three": THREE}
    samples = {keys[name]: Sample(100, int(100 * each)) for name, each in packets.items()}
    return [sign.realserver for sign in signs(samples, 2.0)]


def test_who_is_like_the_others_is_well() -> None:
    assert worst(one=6, two=6, three=5) == []
    assert worst(one=6, two=600, three=6) == []
    assert worst(one=3, two=3) == []


def test_connections_that_do_not_establish_need_no_comparison() -> None:
    assert worst(one=1) == [ONE]
    assert worst(one=1.9, two=6) == [ONE]
    assert worst(one=2) == []


def test_far_below_the_others_is_a_sign() -> None:
    assert worst(one=2.9, two=6, three=7) == [ONE]
    assert worst(one=3.5, two=6, three=7) == []


def test_the_worst_comes_first() -> None:
    assert worst(one=1.5, two=1.1, three=6) == [TWO, ONE]


def test_a_few_connections_say_nothing_and_are_not_compared_with() -> None:
    few = Sample(SAMPLES - 1, SAMPLES - 1)
    assert signs({ONE: few, TWO: Sample(100, 600)}, 2.0) == ()
    assert signs({ONE: Sample(100, 250), TWO: Sample(SAMPLES - 1, 1000)}, 2.0) == ()


def test_a_sign_says_what_was_seen() -> None:
    fourth = RealserverKey(ONE.address + 10, 80)
    well = {THREE: Sample(100, 1000), fourth: Sample(100, 990)}
    (one, two) = signs({ONE: Sample(100, 120), TWO: Sample(50, 125), **well}, 2.1)
    assert one.what == "connections do not establish: 1.2 packets each, 100 connections in 2 s"
    assert two.what == "2.5 packets a connection where others have 9.9, 50 connections in 2 s"


@pytest.mark.parametrize(("judged", "limit"), [(1, 1), (2, 1), (3, 1), (4, 2), (100, 50)])
def test_at_most_half_are_hinted_at(judged: int, limit: int) -> None:
    assert most(judged) == limit


def test_pauses_grow_and_end_at_a_limit() -> None:
    pauses = [pause(hints) for hints in range(1, 20)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (PAUSES_S[0], PAUSES_S[-1])


def test_the_others_are_compared_with_without_oneself() -> None:
    keys = [RealserverKey(ONE.address + number, 80) for number in range(6)]
    for count in range(2, 7):
        for packets in permutations((250, 260, 270, 600, 610, 620), count):
            samples = {k: Sample(100, p) for k, p in zip(keys, packets, strict=False)}
            expected = {
                key
                for key, one in samples.items()
                if one.ratio < 0.5 * median_low([o.ratio for k, o in samples.items() if k != key])
            }
            assert {sign.realserver for sign in signs(samples, 2.0)} == expected
