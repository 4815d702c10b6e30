"""Timer arithmetic of VRRP: skew time and master-down interval. Pure; seconds everywhere."""

from __future__ import annotations

from typing import Final

from lvsguard.vrrp.advert import Version

DOWN_ADVERTS: Final = 3
"""Adverts that may be missing (RFC 9568 section 6.1; keepalived's ``down_timer_adverts``)."""


def skew(version: Version, priority: int, interval: float) -> float:
    """How much later than the highest priority this one acts.

    RFC 9568 section 6.1: a part of the master's interval. RFC 3768 section 6.1 (version 2): a part
    of a second, whatever the interval.
    """
    unit = 1.0 if version is Version.V2 else interval
    return (256 - priority) * unit / 256


def master_down(version: Version, priority: int, interval: float) -> float:
    """How long a backup of this priority hears nothing before it takes over."""
    return DOWN_ADVERTS * interval + skew(version, priority, interval)


def longest_master_down(version: Version, interval: float) -> float:
    """That of the lowest priority: by then any backup there is has taken over."""
    return master_down(version, 1, interval)


def brief(version: Version, priority: int, interval: float) -> float:
    """Long enough to hear one of two adverts of a master that is there."""
    return 2 * interval + skew(version, priority, interval)
