"""Whose refusals are held back, and how long."""

from __future__ import annotations

from lvsguard.vrrp.refusals import HOLD_MAX_S, Refusals


def test_those_of_who_is_no_master_are_held_back() -> None:
    one = Refusals()
    assert one.held("web/4")
    assert one.timer() is None


def test_a_master_that_took_over_as_planned_holds_them_a_moment_longer() -> None:
    one = Refusals()
    one.takes_over("web/4", planned=True, now=100.0)
    assert one.timer() == 100.0 + HOLD_MAX_S
    one.expire(100.0 + HOLD_MAX_S - 0.01)
    assert one.held("web/4")
    one.expire(100.0 + HOLD_MAX_S)
    assert not one.held("web/4")
    assert one.timer() is None


def test_any_other_master_lets_them_through_at_once() -> None:
    one = Refusals()
    one.takes_over("web/4", planned=False, now=100.0)
    assert not one.held("web/4")
    assert one.held("mail/4")


def test_who_steps_down_holds_them_back_for_good() -> None:
    one = Refusals()
    one.takes_over("web/4", planned=False, now=100.0)
    one.takes_over("mail/4", planned=True, now=100.0)
    one.steps_down("web/4")
    one.steps_down("mail/4")
    one.expire(1000.0)
    assert one.held("web/4")
    assert one.held("mail/4")


def test_what_the_config_has_no_more_is_forgotten() -> None:
    one = Refusals()
    one.takes_over("web/4", planned=False, now=100.0)
    one.takes_over("mail/4", planned=True, now=100.0)
    one.keep(())
    assert one.held("web/4")
    assert one.timer() is None
