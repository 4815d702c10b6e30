"""The Internet checksum of VRRP messages (RFC 1071), in all its forms. Pure.

Which octets a checksum covers depends on version and family and, for version 3 over IPv4, on how
the sender read RFC 5798 section 5.2.8; RFC 9568 section 5.2.8 settled it, too late for what runs.
"""

from __future__ import annotations

from struct import pack
from typing import NamedTuple

from lvsguard.core.checksum import internet_checksum
from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import GROUP_V4, PROTOCOL, Checksum, Version


class Form(NamedTuple):
    """Which form of checksum a received message carries."""

    checksum: Checksum | None
    """None where there is no choice: version 2, and IPv6."""
    old_unicast: bool = False
    """The pseudo-header names the multicast group although the packet is unicast: keepalived up
    to 1.3.6."""


def pseudo_header(source: IPAddress, destination: IPAddress, length: int) -> bytes:
    """What goes before a message of ``length`` octets (RFC 793 section 3.1, RFC 8200 8.1)."""
    addresses = source.packed + destination.packed
    if source.version == 4:
        return addresses + pack(">BBH", 0, PROTOCOL, length)
    return addresses + pack(">IHBB", length, 0, 0, PROTOCOL)


def checksum_of(
    message: bytes, version: int, source: IPAddress, destination: IPAddress, form: Checksum
) -> int:
    """The checksum of a message whose checksum field is 0; 0 if the field holds the right one.

    Over IPv6 ``message`` includes an authentication trailer, over IPv4 it does not.
    """
    plain = version == Version.V2 or (source.version == 4 and form is Checksum.RFC9568)
    head = b"" if plain else pseudo_header(source, destination, len(message))
    return internet_checksum(head + message)


def recognize(
    message: bytes, version: int, source: IPAddress, destination: IPAddress, preferred: Checksum
) -> Form | None:
    """The form of checksum that a received message carries; None if it is wrong in each form."""
    if version == Version.V2 or source.version == 6:
        right = checksum_of(message, version, source, destination, preferred) == 0
        return Form(None) if right else None
    # Now and then both forms fit; then it is the one that was agreed on.
    for form in (preferred, *Checksum):
        if checksum_of(message, version, source, destination, form) == 0:
            return Form(form)
    if destination.is_multicast:
        return None
    if checksum_of(message, version, source, GROUP_V4, Checksum.RFC5798) == 0:
        return Form(Checksum.RFC5798, old_unicast=True)
    return None
