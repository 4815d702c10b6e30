"""What becomes of a packet that was heard: believed, with notes, or rejected for one reason.

Pure values, shared by the codec and whoever counts, logs and shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lvsguard.core.dropped import Reason
from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import Advert, Checksum


class Note(StrEnum):
    """What is odd about an advert that was believed all the same."""

    ADDRESSES = "addresses"
    """Its addresses are not ours. Never a reason to drop it: both would be master."""
    INTERVAL = "interval"
    """Version 3: its interval is not ours (a backup follows the master's)."""
    CHECKSUM_FORM = "checksum-form"
    """Its IPv4 checksum has the form that we do not send; see ``Received.checksum``."""
    CHECKSUM_OLD_UNICAST = "checksum-old-unicast"
    """Unicast, but the checksum names the multicast group (keepalived up to 1.3.6): such a peer
    does not believe our adverts."""
    LINK_LOCAL = "link-local"
    """Its first IPv6 address is not link-local (RFC 9568 erratum 8300)."""
    PADDED = "padded"
    """Followed by Ethernet padding, which was left away."""
    UNSIGNED = "unsigned"
    """Without the authentication trailer, in a mode that lets this pass."""
    CLOCK = "clock"
    """Its clock is off by more than half of the window: mend NTP before adverts are dropped."""


class Heard(Protocol):
    """One IP packet of protocol 112 without its IP header, whoever received it."""

    @property
    def payload(self) -> bytes:
        """What follows the IP header."""

    @property
    def source(self) -> IPAddress:
        """Who sent it; without a scope: the interface is known to whoever listens on it."""

    @property
    def destination(self) -> IPAddress:
        """The group, or the own address that a unicast came to. Of the source's family."""

    @property
    def ttl(self) -> int:
        """TTL or hop limit as received."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """A ``Heard`` that came from nowhere in particular: a simulation, a capture, a raw packet."""

    payload: bytes
    source: IPAddress
    destination: IPAddress
    ttl: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A packet that was dropped: as if it had not been heard, but counted."""

    reason: Reason
    seen: str = ""
    """The value that was wrong, for people."""

    def __str__(self) -> str:
        """Reason, what was seen, and what to do next: one line."""
        what = f"{self.reason} ({self.seen})" if self.seen else str(self.reason)
        return f"{what}: {self.reason.advice}"


@dataclass(frozen=True, slots=True)
class Received:
    """An advert that is believed."""

    advert: Advert
    checksum: Checksum | None
    """The form that was seen, where there is a choice (version 3 over IPv4)."""
    notes: frozenset[Note] = frozenset()
    sequence: int | None = None
    """Of the authentication trailer, verified; fold it into the ``ReplayWindow``."""
    speaker: IPAddress | None = None
    """Who says it, on a path where its source does not tell (``speaker``); None: its source."""
