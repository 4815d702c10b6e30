"""VRRP messages for tests: the kept ones of tests/golden/vrrp, and the usual advert and wires."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import (
    GROUP_V4,
    GROUP_V6,
    TTL,
    Advert,
    Checksum,
    HmacAuth,
    Version,
    Wire,
)
from lvsguard.vrrp.reception import Datagram
from tests.support.golden import GOLDEN

SOURCE: Final = IPv4Address("192.0.2.1")
PEER: Final = IPv4Address("192.0.2.2")
SOURCE6: Final = IPv6Address("fe80::1")
ADVERT: Final = Advert(51, 100, 1.0, (IPv4Address("192.0.2.100"),))
ADVERT2: Final = Advert(51, 100, 1.0, ADVERT.addresses, Version.V2)
ADVERT6: Final = Advert(51, 100, 1.0, (IPv6Address("fe80::100"), IPv6Address("2001:db8::100")))
KEY: Final = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Kept:
    """One message of the golden file: who says what how, and its octets."""

    name: str
    advert: Advert
    wire: Wire
    source: IPAddress
    destination: IPAddress
    sequence: int | None
    octets: bytes

    @property
    def datagram(self) -> Datagram:
        """The message as it comes from the network."""
        return Datagram(self.octets, self.source, self.destination, TTL)


def kept() -> list[Kept]:
    """Read the golden file."""
    entries = tomllib.loads((GOLDEN / "vrrp" / "messages.toml").read_text())["message"]
    messages = []
    for entry in entries:
        source, destination = ip_address(entry["source"]), ip_address(entry["destination"])
        version, sequence = Version(entry["version"]), entry.get("sequence")
        password = entry.get("password")
        wire = Wire(
            version,
            checksum=Checksum(entry.get("checksum", Checksum.RFC5798)),
            password=password.encode() if password else None,
            auth=HmacAuth({1: KEY}, 1) if sequence else None,
            peers=frozenset() if destination.is_multicast else frozenset({source}),
        )
        addresses = tuple(ip_address(address) for address in entry["addresses"])
        interval = entry["interval"]
        advert = Advert(entry["vrid"], entry["priority"], interval, addresses, version)
        octets = bytes.fromhex(entry["octets"])
        messages.append(Kept(entry["name"], advert, wire, source, destination, sequence, octets))
    return messages


def heard(payload: bytes, source: IPAddress = SOURCE, ttl: int = TTL) -> Datagram:
    """A payload as it comes by multicast."""
    return Datagram(payload, source, GROUP_V6 if source.version == 6 else GROUP_V4, ttl)
