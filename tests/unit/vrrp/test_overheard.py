"""A claim waits for the advert of whoever claims, and not for ever."""

from __future__ import annotations

from ipaddress import IPv4Address

from lvsguard.vrrp.claims import KEPT_MAX
from lvsguard.vrrp.overheard import ADVERT_S, Overheard
from lvsguard.vrrp.watch import Claim

VIP = IPv4Address("10.0.0.8")
FIRST, SECOND = Claim(VIP, "02:00:00:00:00:2a"), Claim(VIP, "02:00:00:00:00:2b")


def test_each_claim_waits_once_from_its_first_word_on() -> None:
    overheard = Overheard()
    assert overheard.due is None
    overheard.note(FIRST, 10.0)
    overheard.note(SECOND, 10.05)
    overheard.note(FIRST, 10.09)
    assert overheard.due == 10.0 + ADVERT_S
    assert overheard.take(10.05 + ADVERT_S - 0.001) == [FIRST]
    assert overheard.take(10.05 + ADVERT_S) == [SECOND]
    assert (overheard.due, overheard.take(99.0)) == (None, [])


def test_one_that_goes_on_is_heard_again() -> None:
    overheard = Overheard()
    for at in (10.0, 11.0):
        overheard.note(FIRST, at)
        assert overheard.take(at + ADVERT_S) == [FIRST]


def test_a_flood_of_claimants_is_bounded() -> None:
    overheard = Overheard()
    for number in range(2 * KEPT_MAX):
        overheard.note(Claim(VIP, f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"), 10.0)
    assert len(overheard.take(11.0)) == KEPT_MAX
