"""The authentication trailer of keepalived 2.4 (``auth_hmac``, draft-cassen-vrrp-auth-hmac). Pure.

28 octets after the message: ``type 1, key id, u16 0, u64 sequence, HMAC-SHA256[0:16]``. The HMAC
goes over ``4 or 6, version, vrid, 0, source padded to 16`` + message with its checksum read as 0 +
the trailer's first 12 octets + 16 zeros. It binds family, instance and sender, but not the
destination, so one signed advert serves all unicast peers. The sequence is the sender's wall
clock, made to grow: seconds (32 bits), their fraction (16), a counter (16).

What was last heard of whom is a value (``ReplayWindow``) that the caller keeps.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from types import MappingProxyType
from typing import Final, NamedTuple

from lvsguard.core.dropped import Reason
from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import HmacAuth, HmacMode
from lvsguard.vrrp.reception import Rejected

TRAILER: Final = 28
"""Octets of the trailer."""
SCHEME: Final = 1
KEY_OCTETS: Final = range(32, 65)
KEY_IDS: Final = range(1, 256)
WINDOWS: Final = range(1, 301)
SENDERS_MAX: Final = 64
"""Marks that are kept; only senders that hold a key get one."""

_PREFIX: Final = Struct(">BBHQ")
_DIGEST: Final = 16
_CHECKSUM: Final = slice(6, 8)
_U64: Final = (1 << 64) - 1


class Authentic(NamedTuple):
    """A trailer that holds."""

    sequence: int
    skew: int
    """Seconds that our clock is ahead of the sender's."""


@dataclass(frozen=True, slots=True)
class ReplayWindow:
    """The last sequence that was believed of each sender, least recently heard first."""

    marks: Mapping[IPAddress, int] = field(default_factory=lambda: MappingProxyType({}))

    def admits(self, source: IPAddress, sequence: int, clock: float, window: int | None) -> bool:
        """Whether the sequence grows (RFC 1982).

        With a window, a mark outside it does not count: the window itself stops what is older,
        and a sender whose clock was set back is heard again.
        """
        mark = self.marks.get(source)
        if mark is None or (window is not None and abs(_skew(mark, clock)) > window):
            return True
        return _signed(sequence - mark, 64) > 0

    def after(self, source: IPAddress, sequence: int) -> ReplayWindow:
        """The window once an advert with this sequence was believed."""
        marks = {sender: mark for sender, mark in self.marks.items() if sender != source}
        marks[source] = sequence
        if len(marks) > SENDERS_MAX:
            del marks[next(iter(marks))]
        return ReplayWindow(MappingProxyType(marks))


def default_window(interval: float) -> int:
    """keepalived's ``time_window`` for an advert interval in seconds."""
    return min(max(int(3 * interval), 5), WINDOWS[-1])


def signs(auth: HmacAuth | None) -> bool:
    """Whether adverts leave with a trailer."""
    return auth is not None and auth.mode is not HmacMode.RECEIVE_ONLY


def problem(auth: HmacAuth) -> str | None:
    """What is wrong with these settings and what to do about it; None if they can be used."""
    if auth.send_key not in auth.keys:
        return f"there is no key {auth.send_key} to sign with: add it, or name another"
    for number, key in auth.keys.items():
        if number not in KEY_IDS:
            return f"key id {number} is not 1 to 255: give it another"
        if len(key) not in KEY_OCTETS:
            return f"key {number} has {len(key)} octets: give it 32 to 64 (openssl rand -hex 32)"
    if auth.window is not None and auth.window not in WINDOWS:
        return f"a time window of {auth.window} s is not 1 to 300: set one in that range"
    return None


def next_sequence(last: int | None, clock: float, window: int | None) -> int:
    """The sequence to sign with at wall-clock time ``clock`` (seconds since the epoch, UTC).

    It grows even if the clock does not. With a window, a clock that was set back by more than it
    starts anew, since receivers would not believe the old time.
    """
    now = (int(clock * 65536) << 16) & _U64
    if last is None or _signed(now - last, 64) > 0:
        return now
    if window is not None and -_skew(last, clock) > window:
        return now
    return (last + 1) & _U64


def sign(message: bytes, source: IPAddress, auth: HmacAuth, sequence: int) -> bytes:
    """The trailer for a VRRP message (at least its 8 octets of header)."""
    prefix = _PREFIX.pack(SCHEME, auth.send_key, 0, sequence)
    return prefix + _digest(message, prefix, source, auth.keys[auth.send_key])


def verify(
    message: bytes,
    trailer: bytes,
    source: IPAddress,
    auth: HmacAuth,
    replay: ReplayWindow,
    clock: float,
) -> Authentic | Rejected:
    """Believe a trailer or say why not, cheapest reasons first.

    ``clock`` is the wall clock in seconds since the epoch, UTC.
    """
    scheme, number, reserved, sequence = _PREFIX.unpack_from(trailer)
    if scheme != SCHEME or reserved:
        return Rejected(Reason.HMAC_MALFORMED, f"type {scheme}")
    skew = _skew(sequence, clock)
    if auth.window is not None and abs(skew) > auth.window:
        return Rejected(Reason.HMAC_STALE, f"{skew} s old, window {auth.window} s")
    key = auth.keys.get(number)
    if key is None:
        return Rejected(Reason.HMAC_KEY, f"id {number}")
    expected = _digest(message, trailer[: _PREFIX.size], source, key)
    if not hmac.compare_digest(expected, trailer[_PREFIX.size :]):
        return Rejected(Reason.HMAC_WRONG, f"key {number}")
    if not replay.admits(source, sequence, clock, auth.window):
        return Rejected(Reason.HMAC_REPLAY, f"sequence {sequence:#x}")
    return Authentic(sequence, skew)


def _digest(message: bytes, prefix: bytes, source: IPAddress, key: bytes) -> bytes:
    binding = bytes((source.version, message[0] >> 4, message[1], 0)) + source.packed.ljust(
        16, b"\0"
    )
    unsummed = message[: _CHECKSUM.start] + b"\0\0" + message[_CHECKSUM.stop :]
    return hmac.digest(key, binding + unsummed + prefix + bytes(_DIGEST), "sha256")[:_DIGEST]


def _skew(sequence: int, clock: float) -> int:
    """Whole seconds from the sequence's time to the clock, across the wrap of 2106."""
    return _signed(int(clock) - (sequence >> 32), 32)


def _signed(number: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return ((number + half) & ((1 << bits) - 1)) - half
