"""What becomes of a packet that was heard: believed, with notes, or rejected for one reason.

Pure values, shared by the codec and whoever counts, logs and shows them. Reasons are metric
labels; each has a sentence that says what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import Advert, Checksum


class Reason(StrEnum):
    """Why a packet was dropped, in the order in which it is looked at."""

    LENGTH = "length"
    VRID = "vrid"
    TTL = "ttl"
    VERSION = "version"
    HMAC_UNEXPECTED = "hmac-unexpected"
    HMAC_MISSING = "hmac-missing"
    HMAC_MALFORMED = "hmac-malformed"
    HMAC_STALE = "hmac-stale"
    HMAC_KEY = "hmac-key"
    HMAC_WRONG = "hmac-wrong"
    HMAC_REPLAY = "hmac-replay"
    AUTH_TYPE = "auth-type"
    AUTH_MISMATCH = "auth-mismatch"
    AUTH_DATA = "auth-data"
    INTERVAL = "interval"
    TYPE = "type"
    CHECKSUM = "checksum"
    CAST = "cast"
    COUNT = "count"
    LINK_LOCAL = "link-local"
    PEER = "peer"

    @property
    def advice(self) -> str:
        """What it means and what to do next."""
        return _ADVICE[self]


_ADVICE: Final = MappingProxyType(
    {
        Reason.LENGTH: "cut off, overlong or not VRRP: capture it with tcpdump -vvv proto 112",
        Reason.VRID: "another virtual router on this link: nothing to do, unless it was meant to"
        " be this one, then give both the same vrid",
        Reason.TTL: "it passed a router or is forged: find who sends it",
        Reason.VERSION: "set the same VRRP version on all directors",
        Reason.HMAC_UNEXPECTED: "the sender signs but no keys are set here: give this director the"
        " same keys first",
        Reason.HMAC_MISSING: "the sender does not sign: give it the keys, or set the mode to"
        " permissive until it does",
        Reason.HMAC_MALFORMED: "the sender signs in a way of its own: keepalived before 2.4.2"
        " must be updated",
        Reason.HMAC_STALE: "its clock and ours differ by more than the window: mend NTP; if clocks"
        " agree, somebody replays old packets",
        Reason.HMAC_KEY: "its key has an id that is unknown here: give this director that key",
        Reason.HMAC_WRONG: "the keys of that id differ, or it is forged: compare the keys",
        Reason.HMAC_REPLAY: "seen before: harmless if the network duplicates or reorders, else"
        " somebody replays packets",
        Reason.AUTH_TYPE: "only no authentication and PASS are known for version 2: change the"
        " sender's auth_type",
        Reason.AUTH_MISMATCH: "one side has a password and the other has none: set the same on all"
        " directors",
        Reason.AUTH_DATA: "the passwords differ: set the same on all directors",
        Reason.INTERVAL: "version 2 wants the same interval on all directors, and none may be 0",
        Reason.TYPE: "not an advertisement: find who sends it",
        Reason.CHECKSUM: "damaged on its way, or sent by a faulty sender: look at the interface's"
        " error counters (ip -s link)",
        Reason.CAST: "one side uses multicast and the other unicast: set the same on all directors",
        Reason.COUNT: "it names no address, which RFC 9568 forbids: give the sender an address",
        Reason.LINK_LOCAL: "its first IPv6 address must be link-local: add one in front, or do not"
        " ask for strictness here",
        Reason.PEER: "not one of the configured peers: add it to them, or find who sends it",
    }
)


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
