"""Who says an advert, whichever path it came by. Pure.

Of two masters with equal priorities the one with the greater address stays (RFC 9568 section
6.4.3), so both must see the same two addresses. On a second path each has another one, maybe in the
other order, and it may be the only path on which they hear each other. So an advert on a second
path introduces its sender: behind the VIPs comes the VRRP group, which no VIP can be, and then the
address that the sender has where its VIPs stand. There nothing is added: keepalived and routers
listen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, Advert

ADDED: Final = 2
"""Addresses by which an advert on a second path is longer."""


def introduce(advert: Advert, speaker: IPAddress) -> Advert:
    """An advert as it is said on a second path."""
    mark = GROUP_V4 if speaker.version == 4 else GROUP_V6
    return replace(advert, addresses=(*advert.addresses, mark, speaker))


def introduced(advert: Advert) -> tuple[Advert, IPAddress | None]:
    """The advert itself, and who says it; None: whoever it came from."""
    vips, added = advert.addresses[:-ADDED], advert.addresses[-ADDED:]
    if len(added) < ADDED or added[0] not in (GROUP_V4, GROUP_V6):
        return advert, None
    one = added[1]
    fit = one.version == added[0].version and not (one.is_unspecified or one.is_multicast)
    return replace(advert, addresses=vips), one if fit else None
