"""What keeps a backup from replacing a master of lower priority."""

from __future__ import annotations

from lvsguard.vrrp.preemption import Preemption
from tests.unit.vrrp.instance import settings


def test_nothing_does_unless_it_is_said() -> None:
    one = Preemption(settings())
    assert one.free
    assert one.allowed(0.0)
    assert not one.lapsed(1e9)


def test_the_config_may_forbid_it() -> None:
    assert not Preemption(settings(preempt=False)).allowed(1e9)


def test_a_failover_does_until_it_is_resumed() -> None:
    one = Preemption(settings())
    one.aside = True
    assert (one.free, one.allowed(1e9)) == (False, False)
    one.aside = False
    assert (one.free, one.allowed(0.0)) == (True, True)


def test_a_hold_does_until_its_end_or_its_release() -> None:
    one = Preemption(settings())
    one.hold(10.0)
    assert (one.free, one.allowed(9.9), one.lapsed(9.9)) == (False, False, False)
    assert (one.allowed(10.0), one.lapsed(10.0)) == (True, True)
    one.hold(None)
    assert one.free
    assert one.allowed(9.9)


def test_the_delay_counts_from_the_first_advert_of_a_lower_priority() -> None:
    one = Preemption(settings(preempt_delay=5.0))
    for second in range(5):
        one.hear(lower=True, now=100.0 + second)
        assert not one.allowed(100.0 + second)
    assert one.allowed(105.0)


def test_a_master_that_is_no_lower_makes_the_delay_begin_anew() -> None:
    one = Preemption(settings(preempt_delay=5.0))
    one.hear(lower=True, now=100.0)
    one.hear(lower=False, now=103.0)
    one.hear(lower=True, now=104.0)
    assert not one.allowed(106.0)
    assert one.allowed(109.0)


def test_a_backup_that_listens_anew_has_heard_nobody() -> None:
    one = Preemption(settings(preempt_delay=5.0))
    one.hear(lower=True, now=100.0)
    one.begin()
    assert one.allowed(101.0)
