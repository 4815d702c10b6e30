"""The filter of a wire says what the rule in words says, of any packet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.model import IPAddress
from lvsguard.probes.segment import ICMP, ICMP6, TCP, ip
from lvsguard.probes.wire_filter import answers
from tests.support.bpf import run

OWN, VIP, OTHER = map(IPv4Address, ("10.0.0.41", "10.0.0.8", "10.0.0.100"))
OWN6, VIP6, OTHER6 = map(IPv6Address, ("fd00::41", "fd00::8", "fd00::100"))


def wanted(source: IPAddress, destination: IPAddress, protocol: int, payload: bytes) -> bool:
    own, vip, icmp, unreachable = (
        (OWN, VIP, ICMP, 3) if source.version == 4 else (OWN6, VIP6, ICMP6, 1)
    )
    if destination != own:
        return False
    if protocol == icmp:
        return payload[:1] == bytes((unreachable,))
    return protocol == TCP and source == vip


@given(
    st.sampled_from([(OWN, VIP, OTHER), (OWN6, VIP6, OTHER6)]),
    st.data(),
    st.sampled_from([ICMP, ICMP6, TCP, 17]),
    st.one_of(st.binary(max_size=4), st.sampled_from([b"\1", b"\3"])),
)
def test_only_what_the_vip_says_to_the_own_address_comes_through(
    hosts: tuple[IPAddress, ...], data: st.DataObject, protocol: int, payload: bytes
) -> None:
    source, destination = data.draw(st.sampled_from(hosts)), data.draw(st.sampled_from(hosts))
    kept = run(answers(hosts[0], hosts[1]), ip(source, destination, protocol, payload))
    assert bool(kept) == wanted(source, destination, protocol, payload)


@given(st.binary(max_size=60))
def test_any_bytes_end_the_program(raw: bytes) -> None:
    assert run(answers(OWN, VIP), raw) >= 0
    assert run(answers(OWN6, VIP6), raw) >= 0
