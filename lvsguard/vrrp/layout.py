"""How octets lie in a VRRP message (RFC 3768 section 5.1, RFC 9568 section 5.1). Pure.

Only where things are, not whether they are right: that is the codec's (packet).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from lvsguard.core.dropped import Reason
from lvsguard.vrrp.advert import Advert, Version
from lvsguard.vrrp.auth import TRAILER
from lvsguard.vrrp.reception import Heard, Rejected

ADVERTISEMENT: Final = 1
"""The only type of message."""
AUTH_NONE: Final = 0
AUTH_PASS: Final = 1
AUTH_OCTETS: Final = 8
"""Version 2 ends with so many octets of authentication data, used or not."""
HEADER: Final = Struct(">BBBBHH")
INTERVAL_V2: Final = 0xFF
INTERVAL_V3: Final = 0x0FFF
IPV4_HEADER: Final = 20
ETHERNET_LEAST: Final = 46
"""Least payload of an Ethernet frame; a shorter packet is padded up to it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A message taken apart; nothing of it is believed yet."""

    version: int
    kind: int
    vrid: int
    priority: int
    count: int
    word: int
    """Version 2: authentication type and interval in s. Version 3: interval in cs."""
    message: bytes
    """Without trailer and padding."""
    trailer: bytes
    """Of authentication; may be empty."""
    padded: bool


def take_apart(datagram: Heard) -> Parts | Rejected:
    """Split a payload by the lengths that it states itself."""
    payload = datagram.payload
    if len(payload) < HEADER.size:
        return Rejected(Reason.LENGTH, f"{len(payload)} octets")
    first, vrid, priority, count, word, _ = HEADER.unpack_from(payload)
    version = first >> 4
    size = 16 if datagram.source.version == 6 else 4
    data = AUTH_OCTETS if version == Version.V2 and size == 4 else 0
    length = HEADER.size + count * size + data
    rest = len(payload) - length
    signed = rest == TRAILER
    padded = rest > 0 and not signed
    if rest < 0 or (padded and not _is_padding(datagram)):
        return Rejected(Reason.LENGTH, f"{len(payload)} octets, {count} addresses need {length}")
    message, trailer = payload[:length], payload[length:] if signed else b""
    return Parts(version, first & 0x0F, vrid, priority, count, word, message, trailer, padded)


def _is_padding(datagram: Heard) -> bool:
    """Whether octets after the message can come from Ethernet.

    A frame is padded to 46 octets of payload, or to 4 less for each VLAN tag that was taken off.
    """
    if datagram.source.version == 6:
        return False
    total = IPV4_HEADER + len(datagram.payload)
    return total <= ETHERNET_LEAST and (ETHERNET_LEAST - total) % 4 == 0


def ticks(advert: Advert) -> int | None:
    """The interval in its version's unit (s or cs); None if the field cannot hold it."""
    if not 0 < advert.interval < INTERVAL_V2 + 1:
        return None
    if advert.version is Version.V2:
        whole = int(advert.interval)
        return whole if whole == advert.interval else None
    number = round(advert.interval * 100)
    return number if 0 < number <= INTERVAL_V3 else None
