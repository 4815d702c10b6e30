"""Which octets a VRRP checksum covers, and how it is folded."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from lvsguard.core.checksum import internet_checksum
from lvsguard.vrrp.advert import GROUP_V4, Checksum, Wire
from lvsguard.vrrp.checksum import Form, pseudo_header, recognize
from lvsguard.vrrp.packet import encode
from tests.support.vrrp_messages import ADVERT, PEER, SOURCE


def test_the_example_of_rfc_1071_folds_as_it_says() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2


def test_an_odd_octet_is_padded_at_its_end() -> None:
    assert internet_checksum(b"\x12") == internet_checksum(b"\x12\x00") == 0xEDFF


def test_a_sum_of_all_ones_is_right_and_a_sum_of_nothing_is_not() -> None:
    assert internet_checksum(b"\xff\xff") == 0
    assert internet_checksum(b"") == internet_checksum(b"\x00\x00") == 0xFFFF


def test_the_pseudo_headers_are_those_of_ip_4_and_ip_6() -> None:
    four = pseudo_header(IPv4Address("192.0.2.1"), IPv4Address("224.0.0.18"), 12)
    assert four.hex() == "c0000201e00000120070000c"
    six = pseudo_header(IPv6Address("fe80::1"), IPv6Address("ff02::12"), 40)
    assert six[32:].hex() == "0000002800000070"


def test_both_forms_of_version_3_are_recognized() -> None:
    for form in Checksum:
        message = encode(ADVERT, Wire(checksum=form), SOURCE, PEER)
        for preferred in Checksum:
            assert recognize(message, 3, SOURCE, PEER, preferred) == Form(form)


def test_a_unicast_checksum_with_the_group_is_known_as_the_old_one() -> None:
    message = encode(ADVERT, Wire(), SOURCE, GROUP_V4)
    assert recognize(message, 3, SOURCE, PEER, Checksum.RFC5798) == Form(
        Checksum.RFC5798, old_unicast=True
    )
    assert recognize(message, 3, PEER, PEER, Checksum.RFC5798) is None


def test_where_both_forms_fit_it_is_the_one_agreed_on() -> None:
    # The pseudo-header of these sums up to nothing: 0x70 + 12 + 0xff83 = 0xffff.
    source, destination = IPv4Address("0.0.255.131"), IPv4Address("0.0.0.0")
    message = encode(ADVERT, Wire(), source, destination)
    for form in Checksum:
        assert recognize(message, 3, source, destination, form) == Form(form)
