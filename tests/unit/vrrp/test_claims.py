"""Conflicts over VIPs, from the first claim to the silence."""

from __future__ import annotations

from ipaddress import ip_address

from lvsguard.core.vrrp_event import VipConflict, VipConflictOver
from lvsguard.vrrp.claims import BEGIN_MAX, KEPT_MAX, REPEAT_S, SILENT_AFTER, Claims

VIP, VIP6 = ip_address("10.0.0.8"), ip_address("fd00::8")
MAC = "02:00:00:00:00:2b"


def test_a_conflict_is_told_once_while_it_lasts_and_once_a_minute() -> None:
    claims = Claims()
    told = [at for at in range(200) if claims.claim("web", VIP, MAC, float(at)) is not None]
    assert told == [0, 60, 120, 180]
    assert REPEAT_S == 60


def test_the_event_names_address_mac_and_how() -> None:
    claims = Claims()
    assert claims.claim("web", VIP, MAC, 0.0) == VipConflict("web", MAC, "arp", "10.0.0.8")
    assert claims.claim("web", VIP6, MAC, 0.0) == VipConflict("web", MAC, "nd", "fd00::8")


def test_it_is_over_after_three_questions_without_an_answer() -> None:
    claims = Claims()
    assert claims.due is None
    for at in (100.0, 101.0, 102.0):
        claims.claim("web", VIP, MAC, at)
    assert claims.due == 102.0 + SILENT_AFTER
    assert claims.expire(102.0 + SILENT_AFTER - 0.01) == []
    assert claims.expire(102.0 + SILENT_AFTER) == [VipConflictOver("web", MAC, 2.0, "10.0.0.8")]
    assert claims.due is None
    assert claims.claim("web", VIP, MAC, 110.0) is not None


def test_a_flood_of_forged_mac_addresses_is_bounded() -> None:
    claims = Claims()
    told = [claims.claim("web", VIP, f"mac{number}", 0.0) for number in range(KEPT_MAX + 100)]
    assert sum(event is not None for event in told) == BEGIN_MAX
    assert len(claims.expire(SILENT_AFTER)) == BEGIN_MAX
    assert claims.due == REPEAT_S
    (rest,) = claims.expire(REPEAT_S)
    assert f" {KEPT_MAX + 100 - BEGIN_MAX} more claims" in str(rest)
    assert claims.due is None


def test_who_goes_on_beside_a_flood_is_told_when_others_may_be_again() -> None:
    claims = Claims()
    for number in range(BEGIN_MAX):
        claims.claim("web", VIP, f"mac{number}", 0.0)
    assert claims.claim("mail", VIP, MAC, 0.0) is not None, "each VIP group for itself"
    told = []
    for at in range(100):
        claims.expire(float(at))
        if claims.claim("web", VIP, MAC, float(at)) is not None:
            told.append(at)
    assert told == [60]
