"""What a capture of adverts is found to hold."""

from __future__ import annotations

from tests.support.vrrp_director import Heard, complaints

READ = "1.0 IP 10.0.0.41 > 224.0.0.18: VRRPv3, Advertisement, vrid 51, prio 150, length 12"


def test_a_packet_that_cannot_be_read_is_a_complaint() -> None:
    good = Heard(1.0, "10.0.0.41", 3, 51, 150, READ)
    strange = Heard(2.0, "", 0, 0, 0, "2.0 IP 10.0.0.41 > 224.0.0.18: ip-proto-112 3")
    cut = Heard(3.0, "10.0.0.41", 3, 51, 150, READ + " [|vrrp]")
    assert complaints([good, strange, cut]) == [strange.text, cut.text]
