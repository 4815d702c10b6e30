"""How far another clock is away, measured by messages that take a while."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.clock import AGE_S, Clock, ClockMeter, Offset

NOON = 1_800_000_000.0


class Talk:
    """Two meters whose clocks differ, and what lies between them."""

    def __init__(self, ahead: float) -> None:
        self.now = 0.0
        self.ahead = ahead
        self.here, self.there = ClockMeter(), ClockMeter()

    def exchange(self, out: float = 0.001, back: float = 0.001, pause: float = 1.0) -> None:
        """A message each way; seconds on the way, and between them."""
        sent = self.here.stamp(NOON + self.now)
        self.now += out
        self.there.take(sent, NOON + self.now + self.ahead, self.now)
        self.now += pause
        answer = self.there.stamp(NOON + self.now + self.ahead)
        self.now += back
        self.here.take(answer, NOON + self.now, self.now)

    def read(self) -> Offset:
        found = self.here.read(self.now)
        assert found is not None
        return found


def test_nothing_is_known_before_an_answer() -> None:
    meter = ClockMeter()
    assert meter.stamp(NOON) == Clock(NOON)
    meter.take(Clock(NOON), NOON, 0.0)
    assert meter.read(0.0) is None
    assert meter.stamp(NOON + 1) == Clock(NOON + 1, NOON, NOON)


@given(st.floats(-3600, 3600), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 2))
def test_the_truth_lies_within_the_bound(
    ahead: float, out: float, back: float, pause: float
) -> None:
    talk = Talk(ahead)
    talk.exchange(out, back, pause)
    found = talk.read()
    assert abs(found.seconds - ahead) <= found.bound + 1e-5
    assert found.least <= abs(ahead) + 1e-5


def test_the_quickest_of_the_last_ones_counts() -> None:
    talk = Talk(5.0)
    talk.exchange(0.001, 0.001)
    for _ in range(3):
        talk.exchange(0.4, 0.1)
    assert talk.read().bound < 0.002
    assert talk.here.read(talk.now + AGE_S + 1) is None


def test_a_clock_that_is_set_counts_at_once() -> None:
    talk = Talk(75.0)
    for _ in range(4):
        talk.exchange()
    talk.ahead = 0.0
    for _ in range(2):
        talk.exchange()
    assert talk.read().least < 0.01


def test_it_is_told_in_words() -> None:
    assert str(Offset(75.2, 0.01)) == "75.200 s ahead of this one (+- 0.010 s)"
    assert str(Offset(-3.0, 0.01)) == "3.000 s behind this one (+- 0.010 s)"
