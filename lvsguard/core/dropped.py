"""Why packets of an election are dropped: metric labels, each with a meaning of its own.

The words are here, and not in the room that drops, because the metrics name all of them before the
first packet is dropped.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Discard(StrEnum):
    """Why a packet was thrown away before anybody tried to decode it."""

    SHORT = "short"
    """Too short for a VRRP message, or its own lengths contradict each other."""
    VERSION = "version"
    """Neither an advertisement of version 2 nor of 3."""
    TTL = "ttl"
    """Multicast that a router forwarded (RFC 9568 section 5.1.1.3)."""
    VRID = "vrid"
    """Of a virtual router that is not configured here."""
    OWN = "own"
    """From this director's own address: a loop in the network, or its address is taken."""
    PRESSURE = "pressure"
    """No known voice, in a flood."""
    OVERFLOW = "overflow"
    """The socket's buffer was full."""


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
        Reason.TTL: "it passed a router or is forged: find who sends it; where routers lie between"
        " peers, allow for them (unicast_ttl)",
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
