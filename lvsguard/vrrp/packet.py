"""VRRP messages: adverts to octets and back. Pure.

Versions 2 (RFC 3768) and 3 (RFC 5798, RFC 9568), IPv4 and IPv6. What comes from the network never
raises: it is ``Received`` or ``Rejected`` with a reason. The checks go in keepalived's order, so
that the counters of both mean the same: length, hop limit, version, trailer, version 2's
authentication and interval, type, checksum, multicast or unicast, addresses, peer.

Nothing here remembers: what was heard before (replays, intervals, roles) is the caller's.
"""

from __future__ import annotations

import hmac
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lvsguard.core.dropped import Reason
from lvsguard.core.model import IPAddress
from lvsguard.vrrp import auth
from lvsguard.vrrp.advert import ADDRESSES_MAX, TTL, Advert, Checksum, HmacMode, Version, Wire
from lvsguard.vrrp.checksum import checksum_of, recognize
from lvsguard.vrrp.layout import (
    ADVERTISEMENT,
    AUTH_NONE,
    AUTH_OCTETS,
    AUTH_PASS,
    ETHERNET_LEAST,
    HEADER,
    INTERVAL_V2,
    INTERVAL_V3,
    IPV4_HEADER,
    Parts,
    take_apart,
    ticks,
)
from lvsguard.vrrp.reception import Datagram, Heard, Note, Received, Rejected
from lvsguard.vrrp.speaker import introduced

_INTERVALS: Final = {
    Version.V2: "version 2 has whole seconds, 1 to 255",
    Version.V3: "version 3 has 0.01 to 40.95 s",
}


def vrid_of(payload: bytes) -> int | None:
    """Which virtual router a payload speaks of, with nothing checked: to find whose it is."""
    return payload[1] if len(payload) >= HEADER.size else None


def open_ipv4(raw: bytes) -> Datagram | Rejected:
    """Take a packet with its IPv4 header apart, as a raw socket gives it."""
    header = (raw[0] & 0x0F) * 4 if len(raw) >= IPV4_HEADER else 0
    length = int.from_bytes(raw[2:4], "big")
    fits = length == len(raw) or (length < len(raw) <= ETHERNET_LEAST)
    if not fits or not IPV4_HEADER <= header <= length:
        return Rejected(Reason.LENGTH, f"{len(raw)} octets, IPv4 header says {length}")
    source, destination = IPv4Address(raw[12:16]), IPv4Address(raw[16:20])
    return Datagram(raw[header:length], source, destination, raw[8])


# To the network.


def problem(advert: Advert, wire: Wire) -> str | None:
    """Why an advert cannot be said on this wire and what to change; None if it can."""
    families = {address.version for address in advert.addresses}
    if not 1 <= len(advert.addresses) <= ADDRESSES_MAX or len(families) != 1:
        return f"{len(advert.addresses)} addresses: an advert has 1 to 255, all of one family"
    if not 1 <= advert.vrid <= 255 or not 0 <= advert.priority <= 255:
        return f"vrid {advert.vrid}, priority {advert.priority}: set 1 to 255 and 0 to 255"
    if advert.version is not wire.version:
        return f"an advert of version {advert.version}, a wire of {wire.version}: set them alike"
    if advert.version is Version.V2 and 6 in families:
        return "version 2 has no IPv6: use version 3"
    if ticks(advert) is None:
        return f"an interval of {advert.interval} s: {_INTERVALS[advert.version]}"
    if wire.password is not None and (advert.version is Version.V3 or not wire.password):
        return "a password is for version 2 and not empty: leave it out, or use keys (auth)"
    if wire.password is not None and wire.auth is not None:
        return "a password and authentication keys: leave one of them out"
    return auth.problem(wire.auth) if wire.auth else None


def encode(
    advert: Advert,
    wire: Wire,
    source: IPAddress,
    destination: IPAddress,
    sequence: int | None = None,
) -> bytes:
    """The VRRP message, IP payload without header, as it leaves from ``source``.

    The checksum is in it, also over IPv6 (a kernel told IPV6_CHECKSUM 6 writes the same one).
    ``sequence`` (``auth.next_sequence``) is wanted if ``auth.signs(wire.auth)``. Raises ValueError
    if ``problem`` finds one: a bug, since the config was checked.
    """
    wrong = problem(advert, wire)
    if wrong is None and not advert.addresses[0].version == source.version == destination.version:
        wrong = f"from {source} to {destination} with other addresses: use one family"
    if wrong is not None:
        raise ValueError(wrong)
    message = _unsummed(advert, wire)
    trailer = b""
    if wire.auth is not None and auth.signs(wire.auth):
        if sequence is None:
            raise ValueError("a signed advert needs a sequence: pass auth.next_sequence(...)")
        trailer = auth.sign(message, source, wire.auth, sequence)
    # Over IPv6 the kernel sums up the whole payload; over IPv4 the trailer stands outside.
    covered = message + trailer if source.version == 6 else message
    total = checksum_of(covered, advert.version, source, destination, wire.checksum)
    return message[:6] + total.to_bytes(2, "big") + message[8:] + trailer


def _unsummed(advert: Advert, wire: Wire) -> bytes:
    """The message with a checksum of 0."""
    word, data = ticks(advert) or 0, b""
    if advert.version is Version.V2:
        word |= (AUTH_NONE if wire.password is None else AUTH_PASS) << 8
        data = _password(wire)
    kind = advert.version << 4 | ADVERTISEMENT
    head = HEADER.pack(kind, advert.vrid, advert.priority, len(advert.addresses), word, 0)
    return head + b"".join(address.packed for address in advert.addresses) + data


def _password(wire: Wire) -> bytes:
    return (wire.password or b"")[:AUTH_OCTETS].ljust(AUTH_OCTETS, b"\0")


# From the network.


def decode(
    datagram: Heard,
    wire: Wire,
    expected: Advert,
    replay: auth.ReplayWindow | None = None,
    clock: float = 0.0,
) -> Received | Rejected:
    """Believe an advert or say why not.

    ``expected`` is the advert that this instance itself sends: its vrid, family and version 2
    interval are demanded, its addresses and version 3 interval compared. ``replay`` and ``clock``
    (wall clock, s since the epoch) matter only with ``wire.auth``; a believed ``sequence`` goes
    into ``replay.after``. Takes time linear in the payload, and never raises.
    """
    notes: set[Note] = set()
    parts = take_apart(datagram)
    if isinstance(parts, Rejected):
        return parts
    rejected = _for_us(parts, datagram, wire, expected)
    if rejected is not None:
        return rejected
    sequence = _signature(parts, datagram, wire, replay or auth.ReplayWindow(), clock, notes)
    if isinstance(sequence, Rejected):
        return sequence
    rejected = _password_and_times(parts, wire, expected, notes)
    if rejected is not None:
        return rejected
    if parts.kind != ADVERTISEMENT:
        return Rejected(Reason.TYPE, f"{parts.kind}")
    form = _sum(parts, datagram, wire, notes)
    if isinstance(form, Rejected):
        return form
    advert, speaker = introduced(_advert(parts, datagram))
    rejected = _names(advert, datagram, wire, expected, notes)
    if rejected is not None:
        return rejected
    if parts.padded:
        notes.add(Note.PADDED)
    return Received(advert, form, frozenset(notes), sequence, speaker)


def _for_us(parts: Parts, datagram: Heard, wire: Wire, expected: Advert) -> Rejected | None:
    """Virtual router, hop limit and version."""
    family = datagram.source.version
    if parts.vrid != expected.vrid or any(a.version != family for a in expected.addresses[:1]):
        return Rejected(Reason.VRID, f"{parts.vrid} over IPv{family}")
    if not wire.unicast and datagram.ttl != TTL:
        return Rejected(Reason.TTL, f"{datagram.ttl}, not {TTL}")
    if parts.version != wire.version or (parts.version == Version.V2 and family == 6):
        return Rejected(Reason.VERSION, f"{parts.version} over IPv{family}, not {wire.version}")
    return None


def _signature(
    parts: Parts,
    datagram: Heard,
    wire: Wire,
    replay: auth.ReplayWindow,
    clock: float,
    notes: set[Note],
) -> int | Rejected | None:
    """The sequence of a trailer that holds; None if there is none and need not be."""
    if wire.auth is None:
        return Rejected(Reason.HMAC_UNEXPECTED) if parts.trailer else None
    if not parts.trailer:
        if wire.auth.mode is HmacMode.ENFORCE:
            return Rejected(Reason.HMAC_MISSING)
        notes.add(Note.UNSIGNED)
        return None
    if wire.unicast and datagram.source not in wire.peers:
        # Before the digest, and so that only peers have a mark.
        return Rejected(Reason.PEER, f"{datagram.source}")
    seen = auth.verify(parts.message, parts.trailer, datagram.source, wire.auth, replay, clock)
    if isinstance(seen, Rejected):
        return seen
    if wire.auth.window is not None and abs(seen.skew) > wire.auth.window // 2:
        notes.add(Note.CLOCK)
    return seen.sequence


def _password_and_times(
    parts: Parts, wire: Wire, expected: Advert, notes: set[Note]
) -> Rejected | None:
    """What version 2 demands; and an interval, that may be another one in version 3."""
    if parts.version == Version.V3:
        ours, theirs = round(expected.interval * 100), parts.word & INTERVAL_V3
        if theirs == 0:
            return Rejected(Reason.INTERVAL, "0")
        if theirs != ours:
            notes.add(Note.INTERVAL)
        return None
    kind, seconds = parts.word >> 8, parts.word & INTERVAL_V2
    if kind not in (AUTH_NONE, AUTH_PASS):
        return Rejected(Reason.AUTH_TYPE, f"type {kind}")
    if (kind == AUTH_PASS) != (wire.password is not None):
        return Rejected(Reason.AUTH_MISMATCH, f"type {kind}")
    if kind == AUTH_PASS:
        data = parts.message[-AUTH_OCTETS:]
        if not hmac.compare_digest(data, _password(wire)):
            return Rejected(Reason.AUTH_DATA)
    if seconds == 0 or seconds != expected.interval:
        return Rejected(Reason.INTERVAL, f"{seconds} s, not {expected.interval:g} s")
    return None


def _sum(parts: Parts, datagram: Heard, wire: Wire, notes: set[Note]) -> Checksum | Rejected | None:
    """The form of the checksum."""
    source, destination = datagram.source, datagram.destination
    covered = parts.message + parts.trailer if source.version == 6 else parts.message
    form = recognize(covered, parts.version, source, destination, wire.checksum)
    if form is None:
        return Rejected(Reason.CHECKSUM, parts.message[6:8].hex())
    if form.checksum not in (None, wire.checksum):
        notes.add(Note.CHECKSUM_FORM)
    if form.old_unicast:
        notes.add(Note.CHECKSUM_OLD_UNICAST)
    return form.checksum


def _advert(parts: Parts, datagram: Heard) -> Advert:
    size, kind = (16, IPv6Address) if datagram.source.version == 6 else (4, IPv4Address)
    ends = range(HEADER.size, HEADER.size + parts.count * size, size)
    addresses = tuple(kind(parts.message[end : end + size]) for end in ends)
    if parts.version == Version.V2:
        interval = float(parts.word & INTERVAL_V2)
    else:
        interval = (parts.word & INTERVAL_V3) / 100
    return Advert(parts.vrid, parts.priority, interval, addresses, Version(parts.version))


def _names(
    advert: Advert, datagram: Heard, wire: Wire, expected: Advert, notes: set[Note]
) -> Rejected | None:
    """Multicast or unicast, the addresses, and who sent it."""
    if datagram.destination.is_multicast == wire.unicast:
        return Rejected(Reason.CAST, f"to {datagram.destination}")
    if not advert.addresses:
        return Rejected(Reason.COUNT)
    first = advert.addresses[0]
    if first.version == 6 and not first.is_link_local:
        if wire.strict:
            return Rejected(Reason.LINK_LOCAL, f"{first}")
        notes.add(Note.LINK_LOCAL)
    if set(advert.addresses) != set(expected.addresses):
        notes.add(Note.ADDRESSES)
    if wire.unicast and datagram.source not in wire.peers:
        return Rejected(Reason.PEER, f"{datagram.source}")
    if wire.unicast and datagram.ttl < (wire.unicast_ttl or 0):
        return Rejected(Reason.TTL, f"{datagram.ttl}, less than {wire.unicast_ttl}")
    return None
