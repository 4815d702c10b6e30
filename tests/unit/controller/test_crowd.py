"""Some a second one by one, the rest as a sum."""

from __future__ import annotations

from lvsguard.controller.crowd import EACH, WINDOW_S, Crowd


def test_the_first_of_a_window_pass_and_the_rest_are_kept_for_its_end() -> None:
    crowd: Crowd[int] = Crowd()
    passed = [n for n in range(EACH + 3) if crowd.admits(n, 10.0)]
    assert passed == list(range(EACH))
    assert crowd.sum(10.0 + WINDOW_S / 2) == []
    assert crowd.sum(10.0 + WINDOW_S) == [EACH, EACH + 1, EACH + 2]
    assert crowd.sum(10.0 + WINDOW_S) == []


def test_a_new_window_lets_as_many_through_again() -> None:
    crowd: Crowd[int] = Crowd()
    for n in range(EACH):
        assert crowd.admits(n, 10.0)
    assert crowd.admits(0, 10.0 + WINDOW_S)


def test_nothing_overtakes_what_is_kept() -> None:
    crowd: Crowd[int] = Crowd()
    for n in range(EACH + 1):
        crowd.admits(n, 10.0)
    assert not crowd.admits(EACH + 1, 10.0 + 5 * WINDOW_S)
    assert crowd.sum(10.0 + 5 * WINDOW_S) == [EACH, EACH + 1]
