"""tcpdump's decoder, written by others, reads what the codec writes without complaint."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address
from struct import pack

import pytest

from lvsguard.core.checksum import internet_checksum
from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, PROTOCOL, TTL, Advert, Checksum, Version, Wire
from lvsguard.vrrp.packet import encode
from tests.support.vrrp_messages import ADVERT, ADVERT2, ADVERT6, PEER, SOURCE, SOURCE6

LINKTYPE_RAW = 101
COMPLAINTS = ("bad", "[|vrrp]", "trunc", "invalid", "missing")

pytestmark = pytest.mark.skipif(
    shutil.which("tcpdump") is None, reason="tcpdump is missing: apt-get install tcpdump"
)


def packet(payload: bytes, source: IPAddress, destination: IPAddress) -> bytes:
    """The payload with its IP header."""
    addresses = source.packed + destination.packed
    if source.version == 6:
        return pack(">IHBB", 6 << 28, len(payload), PROTOCOL, TTL) + addresses + payload
    start = pack(">BBHHHBB", 0x45, 0xC0, 20 + len(payload), 1, 0, TTL, PROTOCOL)
    total = internet_checksum(start + bytes(2) + addresses)
    return start + total.to_bytes(2, "big") + addresses + payload


def decoded(*packets: bytes) -> list[str]:
    """What tcpdump prints of each packet, all on one line."""
    capture = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_RAW)
    for octets in packets:
        capture += pack("<IIII", 0, 0, len(octets), len(octets)) + octets
    done = subprocess.run(
        ["tcpdump", "-nvvv", "-t", "-r", "-"], input=capture, capture_output=True, check=True
    )
    printed = done.stdout.decode().replace("\n    ", " ").splitlines()
    assert len(printed) == len(packets), done.stdout
    return printed


def said(advert: Advert, wire: Wire, source: IPAddress, destination: IPAddress) -> str:
    return decoded(packet(encode(advert, wire, source, destination), source, destination))[0]


@pytest.mark.parametrize(
    ("advert", "wire", "source", "destination", "says"),
    [
        (ADVERT, Wire(), SOURCE, GROUP_V4, "VRRPv3, Advertisement, vrid 51, prio 100, intvl 100cs"),
        (ADVERT, Wire(), SOURCE, PEER, "addrs: 192.0.2.100"),
        (replace(ADVERT, interval=0.01, priority=0), Wire(), SOURCE, GROUP_V4, "prio 0, intvl 1cs"),
        (replace(ADVERT, interval=40.95), Wire(), SOURCE, GROUP_V4, "intvl 4095cs"),
        (ADVERT2, Wire(Version.V2), SOURCE, GROUP_V4, "VRRPv2, Advertisement, vrid 51, prio 100"),
        (ADVERT2, Wire(Version.V2, password=b"1111"), SOURCE, GROUP_V4, 'auth "1111"'),
        (ADVERT6, Wire(), SOURCE6, GROUP_V6, "addrs(2): fe80::100,2001:db8::100"),
    ],
)
def test_what_we_send_is_read_without_complaint(
    advert: Advert, wire: Wire, source: IPAddress, destination: IPAddress, says: str
) -> None:
    line = said(advert, wire, source, destination)
    assert says in line
    assert not [word for word in COMPLAINTS if word in line], line


def test_every_number_of_addresses_is_read_without_complaint() -> None:
    packets = []
    for count in range(1, 256, 10):
        for advert, source, group in ((ADVERT, SOURCE, GROUP_V4), (ADVERT6, SOURCE6, GROUP_V6)):
            first = advert.addresses[0]
            full = replace(advert, addresses=tuple(first + n for n in range(count)))
            packets.append(packet(encode(full, Wire(), source, group), source, group))
    for line in decoded(*packets):
        assert not [word for word in COMPLAINTS if word in line], line


def test_it_does_complain_of_what_is_broken() -> None:
    """Or the tests above would show nothing. It knows no checksum but that of RFC 5798."""
    whole = encode(ADVERT, Wire(), SOURCE, GROUP_V4)
    broken = whole[:2] + b"\x65" + whole[3:]
    other = encode(ADVERT, Wire(checksum=Checksum.RFC9568), SOURCE, GROUP_V4)
    lines = decoded(
        packet(broken, SOURCE, GROUP_V4),
        packet(other, SOURCE, GROUP_V4),
        packet(whole[:10], SOURCE, GROUP_V4),
    )
    assert "bad vrrp cksum" in lines[0]
    assert "bad vrrp cksum" in lines[1]
    assert "[|vrrp]" in lines[2]


def test_the_ip_header_of_the_test_is_right_itself() -> None:
    line = decoded(packet(encode(ADVERT, Wire(), SOURCE, GROUP_V4), SOURCE, GROUP_V4))[0]
    assert "ttl 255" in line
    assert "bad cksum" not in line
    assert IPv4Address("192.0.2.1").exploded in line
